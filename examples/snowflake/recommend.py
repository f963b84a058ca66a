"""From review files on a stage to scores in a table, while the rows stay in Snowflake.

Without an account a double answers for it, whose sentiment comes from a small list of words::

    python examples/snowflake/recommend.py reviews.csv
    python examples/snowflake/recommend.py reviews.csv --connection prod

``reviews.csv`` has the columns of the Women's Clothing E-Commerce Reviews.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from snowflake.snowpark import Session

from reviewml import Frame, Pipeline
from reviewml.backends.snowflake.backend import SnowflakeBackend
from reviewml.backends.snowflake.stage import SnowflakeStage
from reviewml.backends.snowflake.source import SnowflakeTable
from reviewml.enrichers.cortex import CortexSentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

TARGET = "Recommended IND"
BEHAVIOUR = ["id", "Age", "Positive Feedback Count", "Department Name", "Rating", TARGET]


def reviews_of(path: str, rows: int) -> pa.Table:
    """Return reviews with a text, an id and what else is known of them."""
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=options)
    told = table.filter(pc.not_equal(pc.coalesce(table["Review Text"], ""), "")).slice(0, rows)
    ids = pc.binary_join_element_wise("r", pc.utf8_lpad(told.column(0).cast("string"), 6, "0"), "")
    return told.set_column(0, "id", ids)


def put(session: Session, reviews: pa.Table, stage: str) -> None:
    """Write each text to a file of its own, as review files are delivered, and upload them."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in zip(*(reviews[c].to_pylist() for c in ("id", "Review Text")), strict=True):
            doubled = text.replace('"', '""')
            Path(folder, f"{name}.txt").write_text(f'"{name}","{doubled}"', encoding="utf-8")
        session.file.put(f"{folder}/*.txt", stage, auto_compress=False, parallel=8)


@contextlib.contextmanager
def session_of(connection: str | None) -> Iterator[Session]:
    """Return a session of an account, or of a double of one."""
    if connection is not None:
        yield Session.builder.config("connection_name", connection).create()
        return
    from reviewml.testing.snowflake import snowflake_double

    with snowflake_double() as double:
        yield double.session()


def main() -> None:
    """Load, fit, score twice, and compare with the same model here."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reviews")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--connection", help="a name in connections.toml; none starts a double")
    given = parser.parse_args()
    every = reviews_of(given.reviews, given.rows + 100)
    old, new = every.slice(0, given.rows), every.slice(given.rows)
    with session_of(given.connection) as session:
        session.sql("CREATE STAGE IF NOT EXISTS REVIEW_FILES").collect()
        backend = SnowflakeBackend(session=session)
        backend.read(Frame(every.select(BEHAVIOUR), id="id")).merge("BEHAVIOUR")
        put(session, old, "@REVIEW_FILES/raw")
        rows = SnowflakeStage("@REVIEW_FILES/raw", pattern=".*[.]txt").join(
            SnowflakeTable("BEHAVIOUR", id="id"), on="id"
        )
        pipe = Pipeline(
            [
                ("sentiment", CortexSentiment(["fit", "quality"])),
                ("features", Features()),
                ("model", XGBoost(n_estimators=200)),
            ],
            rating="Rating",
            backend=backend,
        )
        print(pipe.plan(rows))
        pipe.fit(rows, target=TARGET)
        print("scored:", pipe.predict(rows).merge("SCORES"))
        put(session, new, "@REVIEW_FILES/raw")
        print("after 100 new files:", pipe.predict(rows).merge("SCORES"))
        print("and again:", pipe.predict(rows).merge("SCORES"))
        enriched = pipe.enrich(rows).to_arrow()
        here = Pipeline([step for step in pipe.steps if step[0] != "sentiment"])
        here = here.fit(Frame(enriched.slice(0, 0)), target=TARGET) if False else here
        there = pipe.predict_proba(rows).to_arrow().sort_by("id")
        print(len(there), np.asarray(there["probability"])[:5])


if __name__ == "__main__":
    main()
