"""The command line: one file for each verb, found through the catalogue as plugins' are."""

from __future__ import annotations

from reviewml.cli.command_group import Verbs

EPILOG = """\b
Every verb takes --json, and then prints one JSON document on standard output.
Progress, warnings and errors go to standard error.

\b
Exit codes:
  0  done; rows that failed are kept with nulls, and counted on standard error
  1  it could not be done, or a step failed on every row; a line that begins with "error:" says why
  2  wrong usage
"""

main = Verbs(
    name="reviewml",
    help="Turn customer reviews into predictions, and look at what they rest on.",
    epilog=EPILOG,
)
"""What the command ``reviewml`` runs."""

__all__ = ["main"]
