"""What is imported when: importing reviewml, asking for help, using a component."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "ray",
    "snowflake.connector",
    "xgboost",
    "duckdb",
    "pandas",
    "sklearn",
)


def imported_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint('\\n' + ' '.join(sys.modules))"
    printed = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    return set(printed.stdout.splitlines()[-1].split())


def test_importing_reviewml_loads_nothing_heavy() -> None:
    assert not imported_by("import reviewml") & {*HEAVY, "pyarrow", "numpy"}


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"], ["plugins", "--json"]])
def test_looking_around_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"from reviewml.cli import main\nmain({arguments!r}, standalone_mode=False)"
    assert not imported_by(code) & {*HEAVY}


def test_components_load_scikit_learn_and_no_more_than_they_need() -> None:
    found = imported_by("from reviewml.enrichers import Quality")
    assert "sklearn" in found
    assert not found & {"torch", "transformers", "ray", "snowflake.connector", "xgboost", "duckdb"}


@pytest.mark.parametrize(
    ("code", "module", "extra"),
    [
        ("from reviewml import SnowflakeTable", "snowflake", "snowflake"),
    ],
)
def test_a_missing_extra_is_named(code: str, module: str, extra: str) -> None:
    script = f"import sys; sys.modules[{module!r}] = None; {code}"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"pip install 'reviewml[{extra}]'" in ended.stderr.splitlines()[-1]


def test_every_public_name_can_be_imported() -> None:
    import reviewml

    has_snowflake = importlib.util.find_spec("snowflake") is not None
    for name in reviewml.__all__:
        if has_snowflake or not name.startswith("Snowflake"):
            assert getattr(reviewml, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        reviewml.Pipelin  # noqa: B018
