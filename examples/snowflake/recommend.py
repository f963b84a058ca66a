"""From review files on a stage to scores in a table, while the rows stay in Snowflake.

Without an account a double answers for it, whose sentiment comes from a small list of words::

    python examples/snowflake/recommend.py reviews.csv
    python examples/snowflake/recommend.py reviews.csv --connection prod

``reviews.csv`` has the columns of the Women's Clothing E-Commerce Reviews. It makes a stage and
tables in the schema of the connection, and a model in its registry.
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

from reviewml import Frame, Pipeline, SnowflakeRegistry, SnowflakeStage, SnowflakeTable
from reviewml.backends import SnowflakeBackend
from reviewml.enrichers import CortexSentiment
from reviewml.featurizers import Features
from reviewml.interfaces import Source
from reviewml.trainers import XGBoost

TARGET = "Recommended IND"
BEHAVIOUR = ["id", "Age", "Positive Feedback Count", "Department Name", "Rating", TARGET]
FILES = "@REVIEW_FILES/raw"


def read(path: str, rows: int) -> pa.Table:
    """Return reviews with a text, an id, and what else is known of them."""
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    table = pyarrow.csv.read_csv(path, parse_options=options)
    told = table.filter(pc.not_equal(pc.coalesce(table["Review Text"], ""), "")).slice(0, rows)
    numbers = pc.utf8_lpad(told.column(0).cast(pa.string()), 6, "0")
    return told.set_column(0, "id", pc.binary_join_element_wise("r", numbers, ""))


def run(session: Session, reviews: pa.Table, new: int) -> dict[str, object]:
    """Load, fit, score, refresh; then compare with the same work on this machine.

    Parameters
    ----------
    session
        Of an account, or of a double.
    reviews
        As `read` returns them.
    new
        How many of them come later, the last ones.
    """
    backend = SnowflakeBackend(session=session)
    session.sql("CREATE STAGE IF NOT EXISTS REVIEW_FILES").collect()
    backend.read(Frame(reviews.select(BEHAVIOUR), id="id")).merge("BEHAVIOUR")
    old = len(reviews) - new
    put(session, reviews.slice(0, old))
    rows = SnowflakeStage(FILES, pattern=".*[.]txt").join(
        SnowflakeTable("BEHAVIOUR", id="id"), on="id"
    )
    pipe = Pipeline(
        [
            ("sentiment", CortexSentiment(["fit", "quality"])),
            ("features", Features()),
            ("model", XGBoost(n_estimators=300)),
        ],
        rating="Rating",
        backend=backend,
    )
    found: dict[str, object] = {"plan": pipe.plan(rows)}
    pipe.fit(rows, target=TARGET)
    found["scored"] = pipe.predict(rows).merge("SCORES")
    put(session, reviews.slice(old))
    found["scored with new files"] = pipe.predict(rows).merge("SCORES")
    found["scored again"] = pipe.predict(rows).merge("SCORES")
    pipe.enrich(rows).merge("ENRICHED")
    learned = set(reviews["id"].to_pylist()[:old])
    return found | compared(pipe, rows, learned) | registered(pipe, rows, session)


def put(session: Session, reviews: pa.Table) -> None:
    """Write each text to a file of its own, as review files are delivered, and upload them."""
    with tempfile.TemporaryDirectory() as folder:
        for row in reviews.select(["id", "Review Text"]).to_pylist():
            text = row["Review Text"].replace('"', '""')
            Path(folder, f"{row['id']}.txt").write_text(f'"{row["id"]}","{text}"', "utf-8")
        session.file.put(f"{folder}/*.txt", FILES, auto_compress=False, parallel=8)


def compared(pipe: Pipeline, rows: Source, learned: set[str]) -> dict[str, object]:
    """Fit the same on the same enriched columns here, and tell how far the answers differ."""
    enriched = pipe.enrich(rows).to_arrow().sort_by("id")
    known = pc.is_in(enriched["id"], pa.array(sorted(learned)))
    here = Pipeline(pipe.steps[1:], id="id", text="text", rating="Rating")
    here.fit(enriched.filter(known), target=TARGET)
    there = probabilities(pipe, rows)
    features = [in_order(here.transform(enriched)), in_order(pipe.transform(rows))]
    return {
        "features differ": int((features[0].view(np.uint32) != features[1].view(np.uint32)).sum()),
        "probabilities differ by": np.abs(here.predict_proba(enriched)[:, 1] - there).max(),
    }


def registered(pipe: Pipeline, rows: Source, session: Session) -> dict[str, object]:
    """Log the model, load it back, score and explain in the warehouse."""
    registry = SnowflakeRegistry(session)
    found: dict[str, object] = {"logged": registry.log(pipe, name="recommend", alias="champion")}
    loaded = registry.load("recommend@champion").on("snowflake", session=session)
    there = probabilities(pipe, rows)
    scored = registry.run("recommend@champion", "ENRICHED").sort('"id"').to_pandas()
    explained = registry.run("recommend@champion", "ENRICHED", method="explain")
    return found | {
        "loaded differs by": np.abs(probabilities(loaded, rows) - there).max(),
        "run differs by": np.abs(scored["probability"].to_numpy(float) - there).max(),
        "contributions": sum(name.endswith('_explanation"') for name in explained.columns),
    }


def probabilities(pipe: Pipeline, rows: Source) -> np.ndarray:
    """Return the probability of each row, in the order of ids."""
    return pipe.predict_proba(rows).to_arrow().sort_by("id")["probability"].to_numpy()


def in_order(features: np.ndarray) -> np.ndarray:
    """Return the rows of a matrix in an order that does not depend on how they came."""
    return features[np.lexsort(np.nan_to_num(features, nan=-1e9).T)]


@contextlib.contextmanager
def session_of(connection: str | None) -> Iterator[Session]:
    """Return a session of an account, or of a double of one."""
    if connection is not None:
        with Session.builder.config("connection_name", connection).create() as session:
            yield session
        return
    from snowflake_double import snowflake_double

    with snowflake_double() as double:
        yield double.session()


def main() -> None:
    """Read the arguments, run, and tell what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reviews")
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--new", type=int, default=100, help="files that come later")
    parser.add_argument("--connection", help="a name in connections.toml; none starts a double")
    given = parser.parse_args()
    with session_of(given.connection) as session:
        found = run(session, read(given.reviews, given.rows + given.new), given.new)
    for what, value in found.items():
        print(f"{what}: {value}")


if __name__ == "__main__":
    main()
