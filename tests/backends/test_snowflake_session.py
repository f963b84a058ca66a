"""Getting at Snowflake: by name, environment, session or function, and never telling a secret."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.snowpark")

from snowflake_double import Double, snowflake_double

from reviewml import Pipeline
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.connection import session as sessions
from reviewml.backends.snowflake.connection.session import ConnectionConfig
from reviewml.backends.snowflake.sources.tables import SnowflakeTable
from reviewml.backends.snowflake.store import SnowflakeStore
from reviewml.enrichers import Quality
from reviewml.errors import BackendError, ParameterError
from reviewml.interfaces import Enricher
from reviewml.rows.roles import Roles

SECRET = "hunter2-very-secret"


@pytest.fixture(scope="module")
def double() -> Iterator[Double]:
    with snowflake_double() as double:
        yield double


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect anew, without what this machine has in its environment."""
    monkeypatch.setattr(sessions, "_databases", {})
    for name in [name for name in os.environ if name.startswith("SNOWFLAKE_")]:
        monkeypatch.delenv(name)


def counted(backend: SnowflakeBackend) -> int:
    return backend.read(pa.table({"n": [1, 2]})).count()


def test_an_open_session_is_used(double: Double) -> None:
    with double.session() as session:
        assert counted(SnowflakeBackend(session=session)) == 2


def test_an_open_connection_is_used(double: Double) -> None:
    with double.connect() as connection:
        assert counted(SnowflakeBackend(connection=connection)) == 2


def test_a_function_opens_one_session_for_a_process(double: Double) -> None:
    opened: list[Any] = []

    def connect() -> Any:
        opened.append(double.session())
        return opened[-1]

    backend = SnowflakeBackend(connection=connect)
    assert not opened
    assert counted(backend) == counted(copy.deepcopy(backend)) == 2
    assert len(opened) == 1


def test_the_environment_says_where(double: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "get_active_session", no_session)
    for name, value in double.connection_parameters.items():
        if isinstance(value, str | int):
            monkeypatch.setenv(f"SNOWFLAKE_{name.upper()}", str(value))
    assert counted(SnowflakeBackend()) == 2


def no_session() -> None:
    raise sessions.SnowparkClientException("there is none")


@pytest.fixture
def connections_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "connections.toml"
    manager = sessions.CONFIG_MANAGER
    slices = [s._replace(path=file) if s.section == "connections" else s for s in manager._slices]
    monkeypatch.setattr(manager, "_slices", slices)
    monkeypatch.setattr(manager, "conf_file_cache", None)
    return file


def write_settings(file: Path, name: str, double: Double) -> None:
    file.write_text(double.connections_toml(name))
    file.chmod(0o600)


def test_a_name_in_connections_toml(double: Double, connections_toml: Path) -> None:
    write_settings(connections_toml, "shop", double)
    assert counted(SnowflakeBackend(connection="shop")) == 2


def test_the_default_of_connections_toml(
    double: Double, connections_toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "get_active_session", no_session)
    write_settings(connections_toml, "default", double)
    assert counted(SnowflakeBackend()) == 2


def test_a_name_that_is_not_in_connections_toml(double: Double, connections_toml: Path) -> None:
    write_settings(connections_toml, "shop", double)
    with pytest.raises(BackendError, match=r"no connection 'shpo' in .*Did you mean 'shop'\?"):
        ConnectionConfig("shpo").database()


def test_no_connection_at_all(connections_toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "get_active_session", no_session)
    with pytest.raises(BackendError, match=r"toml\. It has none\. Add .*or set SNOWFLAKE_ACC"):
        ConnectionConfig().database()


def test_what_is_no_toml_is_not_quoted(connections_toml: Path) -> None:
    connections_toml.write_text(f"[shop\npassword = {SECRET}")
    connections_toml.chmod(0o600)
    with pytest.raises(BackendError, match="it is not TOML") as caught:
        ConnectionConfig("shop").database()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_double_that_stops_closes_what_others_opened() -> None:
    with snowflake_double() as own:
        opened = sessions.Session.builder.configs(own.connection_parameters).create()
        assert not opened.connection.is_closed()
    assert opened.connection.is_closed()


def test_the_users_own_tag_stays(double: Double) -> None:
    for own, ours in ((None, True), ("theirs", False)):
        with double.session() as session:
            if own:
                session.sql(f"ALTER SESSION SET QUERY_TAG = '{own}'").collect()
            database = ConnectionConfig(session).database()
            database.run("SELECT 1")
            assert (database._tag == {"QUERY_TAG": "reviewml"}) is ours


def test_both_names_of_the_parameter_are_refused() -> None:
    with pytest.raises(ParameterError, match="say the same"):
        SnowflakeBackend(connection="a", session="b").database()


@pytest.mark.parametrize(
    "connection",
    [
        "missing",
        lambda: sessions.connect(account="x", user="me", password=SECRET, host="127.0.0.1", port=1),
        lambda: (_ for _ in ()).throw(RuntimeError(f"password={SECRET}")),
        lambda: SECRET,
        5,
    ],
    ids=["no such name", "unreachable", "raises", "another thing", "no connection"],
)
def test_a_connection_that_fails_tells_no_secret(
    connection: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sessions, "connect", quick(sessions.connect))
    with caplog.at_level(logging.DEBUG, "reviewml"), pytest.raises(BackendError) as caught:
        SnowflakeBackend(connection=connection).database()
    error = caught.value
    told = [*traceback.format_exception(error), caplog.text, repr(error)]
    assert not any(SECRET in text for text in told)
    assert error.__cause__ is None
    assert error.__context__ is None


def quick(connect: Any) -> Any:
    def connected(**parameters: Any) -> Any:
        return connect(**{**parameters, "login_timeout": 1, "protocol": "http"})

    return connected


def test_nothing_open_is_shown_or_saved(double: Double) -> None:
    with double.connect(password=SECRET) as connection:
        shown = [
            SnowflakeBackend(connection=connection),
            SnowflakeStore(connection),
            SnowflakeTable("t", connection=connection),
        ]
        for one in shown:
            assert SECRET not in repr(one)
            assert "SnowflakeConnection" in repr(one) or "Table" in repr(one)
        for one in shown:
            with pytest.raises(ParameterError, match="cannot go to another process"):
                pickle.dumps(one)


def test_a_name_travels() -> None:
    # Bytes that we made ourselves a moment ago.
    backend = pickle.loads(pickle.dumps(SnowflakeBackend(connection="prod")))
    assert repr(backend) == "SnowflakeBackend(connection='prod')"
    store = pickle.loads(pickle.dumps(SnowflakeStore("prod", schema="db.kept")))
    assert repr(store) == "SnowflakeStore('prod', schema='db.kept')"


def test_a_pipeline_is_cloned_without_connecting(double: Double) -> None:
    with double.session() as session:
        pipeline = Pipeline([("quality", Quality())]).on("snowflake", session=session)
        clone = pipeline.clone() if hasattr(pipeline, "clone") else copy.deepcopy(pipeline)
        assert clone.backend.access.connection is session


def test_a_source_on_an_open_session_is_copied_without_it(double: Double) -> None:
    with double.session() as session:
        assert copy.deepcopy(SnowflakeTable("t", connection=session)).connection is session


class Slow(Enricher):
    """Needs more than the warehouse has."""

    adds = {"length": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        lengths = pa.compute.utf8_length(batch.column("text")).cast(pa.int64())
        return batch.append_column("length", lengths)


def test_what_leaves_the_warehouse_is_said(
    double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    with double.session() as session:
        rows = SnowflakeBackend(session=session, store=None).read(
            pa.table({"text": ["a", "bb"]}), Roles.of(text="text")
        )
        enriched = rows.enrich(Slow(), stage="slow")
        with caplog.at_level(logging.INFO, "reviewml"):
            assert sorted(enriched.column("length").to_pylist()) == [1, 2]
        said = [one for one in caplog.messages if "slow" in one]
        assert said == [
            "step slow: this process computed it, of 2 rows fetched: it is not plain Python"
        ]
        # What was computed here can be joined there.
        joined = enriched.join(pa.table({"length": [1, 2], "name": ["one", "two"]}), on="length")
        assert sorted(joined.column("name").to_pylist()) == ["one", "two"]
