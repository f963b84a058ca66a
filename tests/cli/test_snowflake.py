from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double, snowflake_double

from reviewml import cli
from reviewml.backends.snowflake.connection.doctor import inspect_account
from reviewml.backends.snowflake.connection.session import ConnectionConfig
from reviewml.backends.snowflake.connection.setup import DATABASE_ROLES, Setup
from reviewml.errors import BackendError

HOSTILE = Setup(
    role='R"; DROP ROLE x; --',
    warehouse="w\n😀",
    database="db",
    schema="/* s */",
    stages=("st.age",),
    compute_pool="pool\\",
    user='u"',
)


@pytest.fixture
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


def test_no_statement_needs_more_than_it_should() -> None:
    statements = Setup(compute_pool="POOL", user="ANNA").statements()
    assert {s.role for s in statements} == {"USERADMIN", "SYSADMIN", "SECURITYADMIN"}
    script = Setup(compute_pool="POOL", user="ANNA").script().upper()
    for word in ("ACCOUNTADMIN", "0.0.0.0", "NETWORK", "ALL PRIVILEGES", "GRANT ALL", "OWNERSHIP"):
        assert word not in script


def test_nothing_is_made_that_is_not_used() -> None:
    made = [s.sql for s in Setup().statements() if s.sql.startswith("CREATE")]
    assert not [sql for sql in made if "FILE FORMAT" in sql]
    # Those that stages are read with go with the session.
    assert any("CREATE FILE FORMAT" in grant.privileges for grant in Setup().grants())


def test_names_stay_names() -> None:
    script = dataclasses.replace(HOSTILE, database="d'b; --").script()
    assert '"R""; DROP ROLE x; --"' in script
    assert 'CREATE DATABASE IF NOT EXISTS "d\'b; --";' in script


@pytest.mark.parametrize("setup", [Setup(compute_pool="POOL", user="ANNA"), HOSTILE])
def test_what_was_set_up_is_found(double: Double, setup: Setup) -> None:
    session = double.session()
    database = ConnectionConfig(session).database()
    named = {**dataclasses.asdict(setup), "role": "DOUBLE_ROLE"}
    before = inspect_account(session, named)
    assert sum(finding.missing is not None for finding in before) == len(before) - 1
    setup.apply(database)
    setup.apply(database)
    for finding in before:
        if finding.missing is not None:
            database.run(finding.missing.sql)
    assert [f.what for f in inspect_account(session, named) if f.missing] == []


def test_by_default_what_the_connection_has_is_looked_at(double: Double) -> None:
    session = double.session()
    found = inspect_account(session)
    assert {f.missing.sql for f in found if f.missing} == {
        f'GRANT DATABASE ROLE {name} TO ROLE "DOUBLE_ROLE"' for name in DATABASE_ROLES
    }
    database = ConnectionConfig(session).database()
    [[here]] = database.run("SELECT CURRENT_DATABASE()")
    assert f'owns database "{here}"' in [f.what for f in found]
    lacking = [f.what for f in inspect_account(session, {"warehouse": "OTHER", "stages": ["S"]})]
    assert 'USAGE on warehouse "OTHER"' in lacking
    assert f'READ on stage "{here}"."PUBLIC"."S"' in lacking


def test_what_a_role_has_by_another_counts(double: Double) -> None:
    session = double.session()
    Setup().apply(ConnectionConfig(session).database())
    named = {"role": "SYSADMIN", "warehouse": "REVIEWML", "database": "REVIEWML"}
    found = inspect_account(session, named | {"schema": "REVIEWS", "stages": ["JOBS"]})
    assert [f.what for f in found if f.missing] == []
    named["role"] = "USERADMIN"
    assert [f.what for f in inspect_account(session, named) if f.missing]


def test_a_connection_without_a_database_says_so(double: Double) -> None:
    session = double.session()
    name = session.get_current_database()
    session.sql(f"DROP DATABASE {name}").collect()
    with pytest.raises(BackendError, match="the connection has no database: name one"):
        inspect_account(session)


def test_the_doctor_looks_at_the_connection(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "connections.toml").write_text(double.connections_toml("shop"))
    (tmp_path / "connections.toml").chmod(0o600)
    monkeypatch.setenv("SNOWFLAKE_HOME", str(tmp_path))
    command = [sys.executable, "-m", "reviewml", "snowflake", "doctor", "--connection", "shop"]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert 'ok       owns warehouse "DOUBLE_WH"' in told.stdout
    assert "REVIEWML" not in told.stdout


def test_the_command_prints_and_does_nothing() -> None:
    found = CliRunner().invoke(cli.main, ["snowflake", "setup", "--database", "shop", "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    assert told["applied"] is False
    assert any('"shop"."REVIEWS"' in s["sql"] for s in told["statements"])
