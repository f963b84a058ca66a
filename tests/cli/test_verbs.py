"""Verbs are found through the catalogue, answer fast, and say what is wrong in one line."""

from __future__ import annotations

import subprocess
import sys
import types
import warnings
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from reviewml import hookimpl, plugins
from reviewml.cli import main
from reviewml.cli.command_group import Failed
from reviewml.errors import SourceError

VERBS = ["bench", "demo", "enrich", "evaluate", "explain", "fit"]
VERBS += ["models", "plan", "plugins", "predict"]

HEAVY = "torch transformers ray snowflake.connector xgboost duckdb pandas sklearn numpy pyarrow"
HEAVY += " matplotlib"


@pytest.mark.parametrize("verb", ["enrich", "plan"])
def test_steps_of_snowflake_are_none_of_the_command_line(run, files, verb: str) -> None:
    steps = ("--text", "text", "--steps", "language,cortex-sentiment")
    said = run(verb, files["train"], *steps, code=1).stderr
    assert "'cortex-sentiment' is computed by Snowflake" in said
    assert "the command line works on files" in said


@pytest.mark.parametrize("arguments", [("models",), ("predict", "a@b", "train")])
def test_a_registry_in_snowflake_is_reached_from_python(run, files, arguments) -> None:
    given = [files.get(one, one) for one in arguments]
    said = run(*given, "--registry", "snowflake://me:hunter2@shop", code=1).stderr
    assert "expected a folder or a URL of files" in said
    assert "SnowflakeRegistry(connection)" in said
    assert "hunter2" not in said


@pytest.fixture
def install() -> Iterator[object]:
    """Register commands as an installed plugin would."""
    catalogue = plugins.get_catalogue()
    before = dict(catalogue._entries)
    added: list[object] = []

    def add(**commands: str) -> None:
        class Plugin:
            @hookimpl
            def register_commands(self, register):
                for name, target in commands.items():
                    register(name, target)

        plugin = Plugin()
        added.append(plugin)
        catalogue.add(plugin, "reviewml-shout")

    yield add
    catalogue._entries = before
    for plugin in added:
        catalogue.manager.unregister(plugin)


def with_module(monkeypatch: pytest.MonkeyPatch, **members: object) -> None:
    module = types.ModuleType("shout")
    vars(module).update(members)
    monkeypatch.setitem(sys.modules, "shout", module)


def test_help_lists_every_verb_with_a_sentence(run) -> None:
    help_text = run("--help").stdout
    for verb in VERBS:
        assert f"\n  {verb} " in help_text
    assert "...\n" not in help_text.partition("Commands:")[2]
    assert "Exit codes:" in help_text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_and_json(run, verb: str) -> None:
    typed = ("bench", "inference") if verb == "bench" else (verb,)
    assert "--json" in run(*typed, "--help").stdout


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"], ["fit", "--help"]])
def test_answers_without_heavy_imports(arguments: list[str]) -> None:
    script = (
        "import sys\nfrom reviewml.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY.split()!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == "[]\n"


def test_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "reviewml", "--version"], capture_output=True, text=True
    )
    assert done.stdout == "reviewml 0.1.0\n"


def test_a_misspelt_verb_is_wrong_usage_with_a_hint(run) -> None:
    assert "Did you mean 'predict'?" in run("predct", code=2).stderr


def test_plugins_lists_all_components(run_json) -> None:
    found = run_json("plugins")
    assert {"enrichers", "commands", "registries"} <= {line["kind"] for line in found}
    assert {line["name"] for line in run_json("plugins", "enrichers")} >= {"language", "sentiment"}
    mlflow = next(line for line in found if line["name"] == "mlflow")
    assert mlflow["package"] == "reviewml"


def test_plugins_says_which_extra_is_missing(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert "pip install 'reviewml[mlflow]'" in run("plugins", "registries").stdout


def test_commands_of_plugins_are_verbs(run, install, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def shout() -> None:
        """Say it loudly."""
        warnings.warn("so\nloud", stacklevel=1)
        click.echo("HELLO")

    with_module(monkeypatch, shout=shout)
    install(shout="shout:shout")
    assert "Say it loudly." in run("--help").stdout
    result = run("shout")
    assert (result.stdout, result.stderr) == ("HELLO\n", "warning: so loud\n")


def test_a_command_that_cannot_be_loaded_leaves_the_others(
    run, install, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_module(monkeypatch, number=3)
    install(lost="lost_module:lost", odd="shout:number")
    help_text = run("--help").stdout
    assert "(cannot be loaded: ModuleNotFoundError" in help_text
    assert "predict" in help_text
    assert "'odd' of reviewml-shout cannot be loaded" in run("odd", "--any", code=1).stderr


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (SourceError("no such\nfile"), "error: no such file\n"),
        (PermissionError(13, "Permission denied", "a.csv"), "error: Permission denied: a.csv\n"),
    ],
)
def test_errors_are_one_line(run, install, monkeypatch, raised: Exception, said: str) -> None:
    @click.command()
    def shout() -> None:
        raise raised

    with_module(monkeypatch, shout=shout)
    install(shout="shout:shout")
    result = run("shout", code=1)
    assert (result.stdout, result.stderr) == ("", said)


def test_bugs_keep_their_traceback(run, install, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def shout() -> None:
        raise ZeroDivisionError("a bug")

    with_module(monkeypatch, shout=shout)
    install(shout="shout:shout")
    with pytest.raises(ZeroDivisionError):
        run("shout")


def test_failed_ends_with_one() -> None:
    assert Failed("no").exit_code == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(28, "No space left on device", "out.csv"), "No space left on device: out.csv"),
        (OSError("cannot read the footer"), "cannot read the footer"),
        (OSError(), "OSError"),
    ],
)
def test_what_the_system_refuses_is_one_line(monkeypatch, tmp_path, error, said) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("reviewml.load", fail)
    result = CliRunner().invoke(main, ["predict", str(tmp_path), str(tmp_path)])
    assert (result.exit_code, result.stderr) == (1, f"error: {said}\n")
