"""What a user gets wrong is said in our words, with the way out."""

from __future__ import annotations

import contextlib
import inspect
import pickle
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from reviewml import Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers import CortexSentiment, Language
from reviewml.errors import (
    BackendError,
    CapabilityError,
    ParameterError,
    ReviewmlError,
    SchemaError,
    SourceError,
)
from reviewml.interfaces import Call, Enricher, SqlEnricher
from reviewml.operations.sql_call import ANSWER
from reviewml.rows.roles import Roles

pytest.importorskip("snowflake.snowpark")
pytest.importorskip("snowflake_double")

from snowflake_double import Double

from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.jobs import ComputePool
from reviewml.backends.snowflake.jobs.compute_pool import OPTIONS
from reviewml.backends.snowflake.sources.tables import SnowflakeQuery, SnowflakeTable

if TYPE_CHECKING:
    from snowflake.snowpark import Session

ROWS = pa.table({"ID": ["a"], "BODY": ["quite nice"]})

ROLES = Roles.of(id="ID", text="BODY")


# -- parameters of the backend ------------------------------------------------------------------

MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "a pool by name": ({"pool": "GPUS"}, r"pool='GPUS' is a str: give a ComputePool of .*\('GPUS'"),
    "training by name": ({"training": "GPUS"}, r"training= is a str: give a TrainingExecutor"),
    "a price of nothing": (
        {"prices": {"AI_SENTIMNT": 1}},
        r"no function 'AI_SENTIMNT'\. Did you mean 'AI_SENTIMENT'\?",
    ),
    "in lower case": ({"prices": {"ai_classify": 1}}, "Did you mean 'AI_CLASSIFY'"),
    "a price below 0": ({"prices": {"AI_CLASSIFY": -1}}, r"prices\['AI_CLASSIFY'\] is -1: "),
    "a text as price": ({"prices": {"AI_CLASSIFY": "1"}}, "is '1': give a number of credits"),
    "credits below 0": ({"max_credits": -1}, "max_credits is -1: give a number of credits, 0"),
    "no number of credits": ({"max_credits": float("nan")}, "max_credits is nan"),
    "requirements as one text": (
        {"pool": ComputePool("GPUS", "JOBS", pip_requirements="torch")},
        r"pip_requirements='torch' is one text: give a list, \['torch'\]",
    ),
    "an unknown option": (
        {"pool": ComputePool("GPUS", "JOBS", options={"env_var": {}})},
        r"no option 'env_var'\. Did you mean 'env_vars'\?",
    ),
}


@pytest.mark.parametrize("which", MISTAKES)
def test_parameters_are_refused_before_anything_runs(which: str) -> None:
    options, said = MISTAKES[which]
    with pytest.raises(ParameterError, match=said):
        Pipeline([("language", Language())]).on("snowflake", **options).plan(ROWS)


@pytest.mark.parametrize("prices", [{"MY_OWN_FUNCTION": 1.5}, {"AI_SENTIMENT": 0}])
def test_prices_of_other_functions_are_taken(session: Session, prices: Mapping[str, float]) -> None:
    backend = SnowflakeBackend(session=session, prices=prices)
    backend.check({"mood": CortexSentiment()})
    assert backend.budget.prices == prices


def test_a_job_of_its_own_is_refused_as_well(session: Session) -> None:
    jobs = pytest.importorskip("snowflake.ml.jobs")
    pool = ComputePool("GPUS", "JOBS", session, options={"nope": 1})
    with pytest.raises(ParameterError, match="no option 'nope'"):
        pool.submit_function(len, [()])
    client = inspect.getsource(inspect.getmodule(jobs.MLJobDefinition))  # type: ignore[arg-type]
    from snowflake.ml.jobs._utils import option_parsing

    taken = re.findall(r'kwargs\.pop\(\s*"(\w+)"', client + inspect.getsource(option_parsing))
    assert set(OPTIONS) <= set(taken)


def test_a_closed_session_is_said_to_be_closed(double: Double) -> None:
    session = double.session()
    backend = SnowflakeBackend(session=session, store=None)
    rows = backend.read(ROWS, ROLES)
    assert rows.count() == 1
    session.close()
    for work in (rows.count, lambda: backend.read(ROWS).count()):
        with pytest.raises(BackendError, match="the session is closed: give an open one"):
            work()
    with contextlib.closing(double.session()) as another:
        assert SnowflakeBackend(session=another).read(ROWS).count() == 1


# -- what is read -------------------------------------------------------------------------------


def test_what_asks_snowflake_says_so_where_it_is_not_asked() -> None:
    rows = SnowflakeTable("R", text="BODY", connection=no_connection)
    pipeline = Pipeline([("mood", CortexSentiment())])
    for work in (pipeline.enrich, pipeline.plan, pipeline.fit):
        with pytest.raises(CapabilityError, match=r"step 'mood' .* is computed by Snowflake"):
            work(rows)


def no_connection() -> None:
    raise AssertionError("it was connected")


def test_a_query_may_be_a_snowpark_frame(double: Double, session: Session) -> None:
    backend = SnowflakeBackend(session=session, store=None)
    session.sql("CREATE TEMPORARY TABLE KEPT AS SELECT 'it''s?' AS ID, 5 AS STARS").collect()
    frame = session.table("KEPT").filter('"STARS" > 1')
    rows = SnowflakeQuery(frame, id="ID")
    assert repr(rows) == "SnowflakeQuery(<DataFrame>, id='ID')"
    with double.watch() as seen:
        dataset = backend.read(rows)
        assert dataset.count() == 1
    assert not any("UPLOAD" in sql or "PUT" in sql for sql in seen.sql)
    # Another session does not see the table.
    with contextlib.closing(double.session()) as another:
        elsewhere = SnowflakeBackend(session=another, store=None)
        assert elsewhere.read(rows).column("ID").to_pylist() == ["it's?"]
    assert as_dataset(rows).column("STARS").to_pylist() == [5]
    with pytest.raises(ParameterError, match="cannot go to another process"):
        pickle.dumps(rows)
    with pytest.raises(SourceError, match="0 question marks"):
        backend.read(SnowflakeQuery(frame, [1]))


def test_a_bare_snowpark_frame_is_told_the_way(session: Session) -> None:
    frame = session.sql("SELECT 1 AS A")
    pipeline = Pipeline([("language", Language())])
    for where in (pipeline, pipeline.on("snowflake", session=session)):
        with pytest.raises(SourceError, match=r"from a DataFrame: .*SnowflakeQuery\(frame\)"):
            where.enrich(frame)


# -- how an enricher says that a database computes it -------------------------------------------


class Ending(Enricher):
    adds = {"ends": pa.bool_()}

    def __init__(self, *, said: Any = None, column: str = "text") -> None:
        self.said = said
        self.column = column

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise AssertionError("the database was not asked")

    def sql(self, columns: Mapping[str, str]) -> Any:
        answer = f"ENDSWITH({columns[self.column]}, 'e')"
        return Call(answer, {"ends": ANSWER}) if self.said is None else self.said


class OnlySql(SqlEnricher):
    adds = {"ends": pa.bool_()}

    def __init__(self, *, said: Any = None, column: str = "text") -> None:
        self.said = said
        self.column = column

    sql = Ending.sql


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a text": ({"said": "ENDSWITH(text, 'e')"}, r"sql\(\) returned a str: return a Call"),
    "an unknown column": ({"column": "txt"}, r"column 'txt', .*Did you mean 'text'\?"),
    "another name": (
        {"said": Call("1", {"end": ANSWER})},
        r"values for \['end'\], and `adds` declares \['ends'\]",
    ),
}


@pytest.mark.parametrize("kind", [Ending, OnlySql])
@pytest.mark.parametrize("which", WRONG)
def test_sql_that_is_not_what_was_agreed(
    backend: SnowflakeBackend, kind: type[Ending], which: str
) -> None:
    parameters, said = WRONG[which]
    enricher = kind(**parameters)
    for work in (
        lambda: backend.read(ROWS, ROLES).enrich(enricher, stage="mine").to_arrow(),
        lambda: Pipeline([("mine", enricher)], text="BODY").on(backend).plan(ROWS),
    ):
        with pytest.raises(SchemaError, match=f"step 'mine': .*{said}") as raised:
            work()
        assert isinstance(raised.value, ReviewmlError)
    assert backend.read(ROWS, ROLES).enrich(kind()).column("ends").to_pylist() == [True]
