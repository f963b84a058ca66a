"""What a service answers is what the pipeline predicts, to the last bit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import Frame, LocalRegistry, LocalStore, Pipeline
from reviewml.backends.local import event_index
from reviewml.enrichers import Sentiment
from reviewml.errors import MissingExtra, ParameterError, RegistryError, SchemaError
from reviewml.featurizers import Features
from reviewml.registries.base import ModelVersion
from reviewml.rows.bookkeeping import with_bookkeeping
from reviewml.rows.roles import parse_arrow_type
from reviewml.serve import Limits, create_app
from reviewml.serve.loaded_model import LoadedModel
from reviewml.serve.output_columns import answer_requests
from reviewml.serve.page import render_page
from reviewml.serve.request_schema import RequestColumn
from reviewml.trainers import LogisticRegression

Any_ = Any


@pytest.fixture
def serve(tmp_path: Path, serving: Callable[..., Any]) -> Callable[..., Any]:
    """Log a pipeline and serve it."""

    def start(pipeline: Pipeline, **options: Any) -> Any:
        registry = LocalRegistry(tmp_path / "models")
        registry.log(pipeline, name="m", alias="champion", metrics={"auc": 0.75})
        return serving(create_app(registry, "m@champion", **options))

    return start


def test_the_numbers_are_those_of_predict(serve, fitted, new, json_rows) -> None:
    with serve(fitted) as client:
        answer = client.post("/predict", json={"rows": json_rows(new)}).json()
        single = [client.post("/predict", json={"rows": [row]}).json() for row in json_rows(new)]
    expected = fitted.predict(Frame(new))
    assert answer["model"] == "m@1"
    assert answer["predictions"] == expected.to_arrow().to_pylist()
    assert [one["predictions"][0] for one in single] == answer["predictions"]
    # Some of these are in a language that the model has not learned.
    assert answer["errors"] == expected.errors.to_pylist()
    assert answer["errors"]


def test_a_review_history_is_that_of_predict(serve, with_history, views, shop_reviews, json_rows):
    rows = views.slice(1_000, 40).drop_columns(["bought"])
    expected = with_history.predict(Frame(rows)).to_arrow().to_pylist()
    with serve(with_history, reviews=shop_reviews) as client:
        answer = client.post("/predict", json={"rows": json_rows(rows)}).json()
        assert answer["predictions"] == expected
        assert client.get("/model").json()["columns"]["product_id"] == "string"


def test_reviews_are_sorted_once(with_history, views, shop_reviews, monkeypatch) -> None:
    built = []
    build = event_index.EventIndex.build
    monkeypatch.setattr(
        event_index.EventIndex, "build", lambda *given: built.append(given) or build(*given)
    )
    served = LoadedModel(ModelVersion("m", 1, ""), with_history, shop_reviews)
    assert len(built) == 1
    names = [column.name for column in served.columns]
    row = with_bookkeeping(views.select(names).to_batches()[0].slice(0, 1), pa.array(["0"]))
    assert served.predict(row).num_rows == served.predict(row).num_rows == 1
    assert len(built) == 1


@pytest.mark.parametrize("target", ["department", "price"])
def test_other_tasks(serve, reviews, json_rows, target: str) -> None:
    steps = [("features", Features(exclude=["text"])), ("model", LogisticRegression())]
    pipe = Pipeline(steps, time="time").fit(reviews.slice(0, 600), target=target)
    new = reviews.slice(600, 20).drop_columns([target])
    with serve(pipe) as client:
        answer = client.post("/predict", json={"rows": json_rows(new)}).json()
        model = client.get("/model").json()
    assert answer["predictions"] == pipe.predict(Frame(new)).to_arrow().to_pylist()
    # Without an id, rows go by their place in the request.
    assert [row["id"] for row in answer["predictions"]][:2] == ["0", "1"]
    assert model["task"] == pipe.task_
    probabilities = {name for name in answer["predictions"][0] if "probability" in name}
    assert len(probabilities) == (0 if target == "price" else len(model["classes"]))


def test_nulls_are_predicted_as_nulls(serve, simple, new, json_rows) -> None:
    rows = [dict.fromkeys(row) for row in json_rows(new.slice(0, 2))]
    empty = pa.Table.from_pylist(rows, new.schema)
    with serve(simple) as client:
        answer = client.post("/predict", json={"rows": rows}).json()
    assert answer["predictions"] == simple.predict(Frame(empty)).to_arrow().to_pylist()


def test_values_of_enrichers_are_kept(serve, reviews, new, json_rows, tmp_path) -> None:
    class Kept(Sentiment):
        stored = True

    steps = [("sentiment", Kept()), ("features", Features()), ("model", LogisticRegression())]
    pipe = Pipeline(steps, id="id", text="text", rating="rating")
    pipe = pipe.on("local", store=None).fit(reviews.slice(0, 600), target="recommended")
    store = LocalStore(tmp_path / "store")
    served = LoadedModel(ModelVersion("m", 1, ""), pipe.on("local", store=store))
    names = [column.name for column in served.columns]
    table = new.select(names).combine_chunks()
    batch = with_bookkeeping(
        table.to_batches()[0], pa.array([str(row) for row in range(len(table))])
    )
    first, again = served.predict(batch), served.predict(batch)
    assert first.equals(again)
    assert sum(shelf.hits for shelf in store.describe()) >= len(new)


def test_one_request_that_cannot_be_predicted_fails_alone(simple, new) -> None:
    served = LoadedModel(ModelVersion("m", 1, ""), simple)
    batch = new.select([column.name for column in served.columns]).to_batches()[0].slice(0, 1)
    good = with_bookkeeping(batch, pa.array(["0"]))
    wrong = good.set_column(0, "id", pa.array([1]))
    first, second, third = answer_requests(served, [good, wrong, good])
    assert isinstance(second, Exception)
    assert isinstance(first, bytes)
    assert first == third


def test_what_is_served_is_told(serve, simple) -> None:
    with serve(simple) as client:
        model, health = client.get("/model").json(), client.get("/health").json()
        document = client.get("/openapi.json").json()
        page = client.get("/docs")
    assert health["status"] == "ok"
    assert health["model"] == model["model"] == "m@1"
    assert health["since"] == model["since"]
    assert model["metrics"] == {"auc": 0.75}
    assert model["classes"] == [False, True]
    assert model["features"]["price"] == "price"
    schema = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    row = schema["schema"]["properties"]["rows"]["items"]
    assert row["required"] == list(row["properties"]) == list(model["columns"])
    assert "recommended" not in row["properties"]
    assert row["properties"]["time"]["format"] == "date-time"
    assert row["properties"]["mobile"]["type"] == ["boolean", "null"]
    assert row["properties"]["pages_viewed"]["minimum"] == -(2**63)
    assert row["properties"]["pages_viewed"]["maximum"] == 2**63 - 1
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert all(f"<td>{name}</td>" in page.text for name in model["columns"])
    # What it needs is in it.
    assert not re.search(r"://|<script|src=|@import|url\(|<link", page.text)


def test_a_page_shows_names_as_they_are() -> None:
    properties = {"<script>": {"type": ["string", "null"], "description": "string"}}
    row = {"type": "object", "properties": properties}
    schema = {"properties": {"rows": {"items": row}}}
    operation = {
        "summary": "a & b",
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {"200": {"description": "<b>"}},
    }
    page = render_page({"info": {"title": "</title>"}, "paths": {"/x": {"post": operation}}})
    assert "<script>" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;") == 2
    assert page.count("</title>") == 1


@pytest.mark.parametrize(
    ("kind", "value", "bad"),
    [
        ("bool", True, 1),
        ("int8", 127, 128),
        ("uint64", 2**64 - 1, -1),
        ("float", 1, 1e39),
        ("double", 2**60, 10**400),
        ("string", "ü", "\ud800"),
        ("date32[day]", "2026-01-31", "2026-02-30"),
        ("timestamp[us]", "2026-01-31T12:00:00.5", "2026-01-31T12:00:00Z"),
        ("timestamp[ns, tz=Europe/Paris]", "2026-01-31T12:00:00+01:00", "3026-01-31T12:00:00Z"),
        ("list<item: double>", [1, 2.5], [1, None]),
        ("fixed_size_list<item: float>[2]", [1, 2.5], [1.0]),
    ],
)
def test_each_type_has_a_form(kind: str, value: Any_, bad: Any_) -> None:
    column = RequestColumn.of("x", kind)
    assert str(column.type) == kind
    assert column.convert_values([value, None]).null_count == 1
    with pytest.raises(ValueError, match=r"row 1, column 'x': expected a|row 1, .* true or false"):
        column.convert_values([None, bad])


def test_moments_are_those_that_were_written() -> None:
    column = RequestColumn.of("x", "timestamp[us, tz=Europe/Paris]")
    found = column.convert_values(["2026-01-31T12:00:00+01:00"]).cast(
        parse_arrow_type("timestamp[us, tz=UTC]")
    )
    assert pc.hour(found).to_pylist() == [11]


@pytest.mark.parametrize("kind", ["duration[us]", "struct<a: int64>", "time64[us]", "binary"])
def test_a_type_without_a_form_is_refused(kind: str) -> None:
    with pytest.raises(SchemaError, match=r"column 'x' is .*, which requests cannot give"):
        RequestColumn.of("x", kind)


def test_parameters_are_checked(registry) -> None:
    with pytest.raises(ParameterError, match=r"Limits\(timeout=0\)"):
        create_app(registry, "visits", limits=Limits(timeout=0))
    for limits in ({"connections": 1.5}, {"timeout": "9"}, {"timeout": 1e999}):
        with pytest.raises((ParameterError, TypeError), match=next(iter(limits))):
            create_app(registry, "visits", limits=Limits(**limits))
    with pytest.raises(ParameterError, match="refresh=0"):
        create_app(registry, "visits", refresh=0)
    with pytest.raises(RegistryError, match="cannot name a model"):
        create_app(registry, "../visits")


def test_without_fastapi_the_extra_is_named(registry, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fastapi", None)
    with pytest.raises(MissingExtra, match=r"reviewml\[serve\]"):
        create_app(registry, "visits")
