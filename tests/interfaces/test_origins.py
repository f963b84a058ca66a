"""Columns remember which enricher they came from, and pipelines refuse those of another."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import reviewml
from reviewml import Files, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Language, Sentiment
from reviewml.errors import SchemaError, SourceError
from reviewml.featurizers import Features
from reviewml.rows.provenance import ORIGIN, Origin, origin_of
from reviewml.testing.backend import Length
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import make_example_rows
from reviewml.trainers import LogisticRegression


class Stretched(Length):
    """Adds the same column, with other values."""

    version = 2


def enriched(path: Path, enricher: Length) -> Path:
    rows = as_dataset(make_example_rows(200), ROLES).enrich(enricher)
    return rows.select(["id", "characters", "bought"]).write(path)


def fitted(path: Path) -> Pipeline:
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps, id="id", target="bought").fit(str(path))


def test_a_file_keeps_where_its_columns_come_from(tmp_path: Path) -> None:
    schema = Files(str(enriched(tmp_path / "rows.parquet", Length()))).schema
    assert origin_of(schema.field("characters")) == Length().origin()
    assert origin_of(schema.field("id")) is None


def test_columns_of_another_enricher_are_refused(tmp_path: Path) -> None:
    pipe = fitted(enriched(tmp_path / "learned.parquet", Length()))
    others = str(enriched(tmp_path / "others.parquet", Stretched()))
    for use in (pipe.predict, pipe.evaluate, pipe.explain, pipe.transform):
        with pytest.raises(SchemaError, match=r"'characters' was added by Stretched .* Length \("):
            use(others)


def test_so_they_are_by_a_pipeline_that_was_saved(tmp_path: Path) -> None:
    fitted(enriched(tmp_path / "learned.parquet", Length())).save(tmp_path / "saved")
    pipe = reviewml.load(tmp_path / "saved")
    assert pipe.origins_ == {"characters": Length().origin()}
    with pytest.raises(SchemaError, match="Refit"):
        pipe.predict(str(enriched(tmp_path / "others.parquet", Stretched())))


def test_columns_of_the_same_enricher_and_of_none_are_taken(tmp_path: Path) -> None:
    learned = enriched(tmp_path / "learned.parquet", Length())
    pipe = fitted(learned)
    expected = pipe.predict(str(learned)).to_arrow()
    bare = as_dataset(make_example_rows(200), ROLES).enrich(Length())
    frame = bare.select(["id", "characters", "bought"]).to_pandas()
    assert list(pipe.predict(frame)) == expected.column("prediction").to_pylist()


def test_nothing_is_remembered_of_what_the_pipeline_enriches_itself(tmp_path: Path) -> None:
    steps = [("length", Length()), ("features", Features()), ("model", LogisticRegression())]
    pipe = Pipeline(steps, text="text", target="bought", id="id").fit(make_example_rows(200))
    assert pipe.origins_ == {}


def test_cross_fitted_columns_come_from_the_sentiment_they_stand_for() -> None:
    sentiment = Sentiment()
    rows = sentiment.fit_enrich(as_dataset(make_example_rows(), ROLES))
    later = as_dataset(make_example_rows(), ROLES).enrich(sentiment)
    for name in sentiment.adds:
        found = origin_of(rows.schema.field(name))
        assert found is not None
        assert found == origin_of(later.schema.field(name)) == sentiment.origin()


def test_what_is_fitted_anew_has_another_origin() -> None:
    one = Sentiment().fit(as_dataset(make_example_rows(), ROLES))
    before = one.origin()
    one.fit(as_dataset(make_example_rows(40), ROLES))
    assert one.origin() != before


def test_files_of_different_enrichers_are_not_read_as_one(tmp_path: Path) -> None:
    enriched(tmp_path / "a.parquet", Length())
    enriched(tmp_path / "b.parquet", Stretched())
    with pytest.raises(SourceError, match="read them apart"):
        _ = Files(str(tmp_path)).schema


def test_a_comment_of_somebody_elses_is_no_origin() -> None:
    for text in ("of the customer", "[1]", "{}", '"x"', ""):
        assert Origin.read(text) is None
        field = pa.field("a", pa.int64(), metadata={ORIGIN: text.encode()})
        assert origin_of(field) is None
    told = Language().origin()
    assert told is not None
    assert Origin.read(told.text) == told
