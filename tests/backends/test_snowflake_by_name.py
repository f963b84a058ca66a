"""The suite for accounts is true: a part of it runs on a double, by the name of a connection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.ml.registry")

from snowflake_double import Double, snowflake_double

pytestmark = pytest.mark.slow

SUITE = Path(__file__).parent / "test_snowflake_live.py"
PART = "TestTable or TestTranslate or pipeline"


def write_connection(double: Double, home: Path) -> None:
    given = double.connection_parameters.items()
    lines = [
        f"{name} = {json.dumps(value)}" for name, value in given if not isinstance(value, dict)
    ]
    file = home / "connections.toml"
    file.write_text("\n".join(["[double]", *lines]), encoding="utf-8")
    file.chmod(0o600)


def test_the_suite_for_accounts_runs(tmp_path: Path) -> None:
    with snowflake_double() as double:
        write_connection(double, tmp_path)
        command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "-k", PART, str(SUITE)]
        ended = subprocess.run(
            [*command, "-p", "no:cacheprovider", "-p", "no:xdist"],
            env={**os.environ, "SNOWFLAKE_HOME": str(tmp_path), "REVIEWML_SNOWFLAKE": "double"},
            capture_output=True,
            text=True,
        )
    assert ended.returncode == 0, ended.stdout
    assert "passed" in ended.stdout and "skipped" not in ended.stdout
