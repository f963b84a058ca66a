from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("fakesnow")

from reviewml import cli
from reviewml.backends.snowflake.doctor import examine
from reviewml.backends.snowflake.session import Access
from reviewml.backends.snowflake.setup import Setup
from reviewml.testing.snowflake import Double, snowflake_double

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
    database = Access(session).database()
    before = examine(session, setup)
    assert sum(finding.missing is not None for finding in before) == len(before) - 1
    setup.apply(database)
    setup.apply(database)
    for finding in before:
        if finding.missing is not None:
            database.run(finding.missing.sql)
    assert [f.what for f in examine(session, setup) if f.missing] == []


def test_the_command_prints_and_does_nothing() -> None:
    found = CliRunner().invoke(cli.main, ["snowflake", "setup", "--database", "shop", "--json"])
    assert found.exit_code == 0, found.output
    told = json.loads(found.output)
    assert told["applied"] is False
    assert any('"shop"."REVIEWS"' in s["sql"] for s in told["statements"])
