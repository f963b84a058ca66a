"""The example for Snowflake: from files on a stage to a model that scores there, on the double."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.csv
import pytest

from reviewml.datasets import make_reviews

pytest.importorskip("snowflake_double")
pytest.importorskip("snowflake.ml.registry")

from snowflake_double import snowflake_double

from reviewml.backends.snowflake.sql.merge import Merged

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "examples" / "snowflake" / "recommend.py"
ROWS, NEW = 300, 100


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("recommend", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reviews(tmp_path: Path, example: ModuleType) -> pa.Table:
    """Return reviews as the example reads them, no two of the same text."""
    made = make_reviews(ROWS + NEW, random_state=0)
    texts = [f"{text} №{at}" for at, text in enumerate(made["text"].to_pylist())]
    table = pa.table(
        {
            "": range(len(texts)),
            "Review Text": texts,
            "Age": [20 + at % 50 for at in range(len(texts))],
            "Positive Feedback Count": made["pages_viewed"],
            "Department Name": made["department"],
            "Rating": made["rating"],
            "Recommended IND": made["recommended"].cast(pa.int64()),
        }
    )
    pyarrow.csv.write_csv(table, tmp_path / "reviews.csv")
    read: pa.Table = example.read(str(tmp_path / "reviews.csv"), ROWS + NEW)
    return read


def test_it_learns_scores_and_refreshes_as_this_machine_does(
    example: ModuleType, reviews: pa.Table
) -> None:
    with snowflake_double() as double:
        found = example.run(double.session(), reviews, NEW)
        asked = double.cortex.calls["AI_SENTIMENT"]
    assert asked == ROWS + NEW
    assert found["scored"] == Merged(ROWS, 0, 0)
    assert found["scored with new files"] == Merged(NEW, 0, ROWS)
    assert found["scored again"] == Merged(0, 0, ROWS + NEW)
    assert found["features differ"] == 0
    assert found["probabilities differ by"] <= 1e-6
    assert found["loaded differs by"] <= 1e-6
    assert found["run differs by"] <= 1e-6
    assert found["contributions"] > 10
