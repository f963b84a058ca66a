"""One double for all tests of it, a database of its own for each."""

import itertools

import pytest

NUMBERS = itertools.count()


@pytest.fixture(scope="package")
def double():
    pytest.importorskip("fakesnow")
    pytest.importorskip("snowflake.snowpark")
    from snowflake_double import snowflake_double

    with snowflake_double() as running:
        yield running


@pytest.fixture
def database():
    return f"TEST{next(NUMBERS)}"


@pytest.fixture
def connection(double, database):
    with double.connect(database=database, schema="PUBLIC") as opened:
        yield opened


@pytest.fixture
def ask(connection):
    """Return the rows that a statement gives."""
    cursor = connection.cursor()
    return lambda sql, *binds: cursor.execute(sql, *binds).fetchall()


@pytest.fixture
def session(double, database):
    opened = double.session(database=database, schema="PUBLIC")
    yield opened
    opened.close()
