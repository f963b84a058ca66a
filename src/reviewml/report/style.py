"""How the page looks, by day and by night."""

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #ffffff; --line: #d5dae3;
  --quiet: #5b6575; --alarm: #fff4e0; --alarm-line: #e0a030; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ef; --paper: #14181f;
  --line: #333b48; --quiet: #9aa5b5; --alarm: #2d2410; --alarm-line: #a87818; } }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
section { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: .3rem; }
th, td { padding: .25rem .9rem .25rem 0; text-align: right; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
figure { margin: 1rem 0; }
img { max-width: 100%; background: #ffffff; border-radius: 6px; }
li { overflow-wrap: anywhere; }
.warnings { background: var(--alarm); border-left: 4px solid var(--alarm-line);
  padding: .1rem 1.25rem; margin-top: 2rem; }
"""
