"""What identifies a person is in no file of a model, no message and no report."""

import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from reviewml import Frame, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.enrichers import Language, Quality, ReviewHistory, Sentiment
from reviewml.errors import JoinError, ParameterError, SchemaError, TargetError
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression, XGBoost

ROWS = 240
EMAILS = [f"customer{i}.canary@mail.example" for i in range(40)]
PHONES = [f"+49 170 55500{i:02}" for i in range(40)]
CARDS = [f"4111 1111 2222 {i:04}" for i in range(40)]
PERSONAL = [*EMAILS, *PHONES, *CARDS]


def rows() -> pa.Table:
    at = range(ROWS)
    return pa.table(
        {
            "id": [f"r{i}" for i in at],
            "text": [f"nice dress, ask {EMAILS[i % 40]} or {PHONES[i % 40]}" for i in at],
            "email": [EMAILS[i % 40] for i in at],
            "phone": pa.array([PHONES[i % 40] for i in at]).dictionary_encode(),
            "card": [CARDS[i % 40] for i in at],
            "size": ["SML"[i % 3] for i in at],
            "price": [float(i % 7) for i in at],
            "stars": [i % 5 + 1 for i in at],
            "at": pa.array([1_700_000_000 + 86_400 * i for i in at], pa.timestamp("s")),
            "bought": [i % 7 > 3 for i in at],
        }
    )


def reviews() -> Frame:
    return Frame(rows(), id="id", text="text", rating="stars", time="at")


@pytest.mark.parametrize("trainer", [LogisticRegression(), XGBoost(n_estimators=5)])
@pytest.mark.filterwarnings("ignore")
def test_no_file_of_a_model_holds_personal_data(tmp_path: Path, trainer: Any) -> None:
    steps = [
        ("language", Language()),
        ("quality", Quality()),
        ("sentiment", Sentiment()),
        ("history", ReviewHistory(reviews(), by="email")),
        ("features", Features(ngrams=200, min_reviews=2)),
        ("model", trainer),
    ]
    pipe = Pipeline(steps, id="id", text="text", rating="stars", time="at")
    pipe.fit(rows(), target="bought", group="email")
    pipe.save(tmp_path / "model")
    evaluation = pipe.evaluate(rows(), target="bought", group="email")
    explanation = pipe.explain(rows())
    shown = [repr(evaluation), repr(explanation), repr(pipe), str(pipe.report_)]
    files = [path.read_bytes().decode("latin-1") for path in (tmp_path / "model").rglob("*.*")]
    assert len(files) > 5
    for text in [*shown, *files]:
        assert not any(value in text for value in PERSONAL)


def test_a_column_of_personal_data_is_left_out_with_a_warning() -> None:
    features = Features().fit(as_dataset(rows().select(["email", "phone", "card", "size"])))
    assert [record["column"] for record in features.columns_] == ["size"]
    assert features.left_out_ == dict.fromkeys(
        ("email", "phone", "card"), "its values look like personal data"
    )
    said = features.warnings()
    assert len(said) == 3
    assert "'email' has values that look like personal data" in said[0] and "40 of 40" in said[0]
    assert "Features(exclude=['email'])" in said[0]
    assert "Features(allow_personal=['email'])" in said[0]


def test_the_warning_reaches_whoever_fits() -> None:
    pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pipe.fit(rows().select(["email", "size", "price", "bought"]), target="bought")
    assert any("personal data" in str(one.message) for one in caught)
    assert any("personal data" in text for text in pipe.report_["warnings"])


def test_single_personal_values_among_others_are_missing() -> None:
    sizes = [*"SSMMLL", "XL", "XL", *["A", "B", "C", "D", "E", "F"] * 2, EMAILS[0], EMAILS[0]]
    features = Features().fit(as_dataset(pa.table({"size": sizes})))
    [record] = features.columns_
    assert record["categories"] == sorted({*sizes} - {EMAILS[0]})
    assert "1 of 11" in features.warnings()[0] and "they are missing" in features.warnings()[0]


def test_columns_that_identify_nobody_can_be_kept() -> None:
    table = rows().select(["card", "size"])
    features = Features(allow_personal=["card"]).fit(as_dataset(table))
    assert [len(record["categories"]) for record in features.columns_] == [40, 3]
    assert features.warnings() == []
    with pytest.raises(SchemaError, match="no column 'crd'"):
        Features(allow_personal=["crd"]).fit(as_dataset(table))
    with pytest.raises(SchemaError, match=r"give a list, allow_personal=\['card'\]"):
        Features(allow_personal="card").fit(as_dataset(table))


def test_classes_that_are_personal_data_are_refused() -> None:
    pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    with pytest.raises(TargetError, match="40 of 40 classes look like personal data") as caught:
        pipe.fit(rows().select(["email", "size", "price"]), target="email")
    assert "customer" not in str(caught.value)


def test_scales_by_personal_data_are_refused() -> None:
    with pytest.raises(ParameterError, match="scale_by='email': 40 of 40") as caught:
        Sentiment(scale_by="email").fit(reviews())
    assert "customer" not in str(caught.value)


def test_a_key_that_is_personal_is_not_quoted() -> None:
    left, right = as_dataset(rows().select(["email"])), as_dataset(rows().select(["email", "size"]))
    with pytest.raises(JoinError, match="email=a text of 29 characters stands 6 times") as caught:
        left.join(right, on="email", validate="one_to_one").to_arrow()
    assert "customer" not in str(caught.value)


def test_a_cell_that_is_personal_is_not_quoted(tmp_path: Path) -> None:
    lines = [
        "id,price",
        *(f"{i},{i}" for i in range(2_000)),
        f"x,{PHONES[0]}",
        "y,4-5",
        f"z,{CARDS[0]}",
    ]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    from reviewml import Files

    dataset = as_dataset(Files(str(tmp_path / "rows.csv"), dtypes={"price": "double"}))
    errors = str(dataset.errors.to_pylist())
    assert "4-5" in errors and PHONES[0] not in errors and CARDS[0] not in errors


def test_a_target_with_one_value_does_not_quote_it() -> None:
    pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
    table = rows().select(["price"]).append_column("text", pa.array(["my own words"] * ROWS))
    with pytest.raises(TargetError, match="every row has the same value") as caught:
        pipe.fit(table, target="text")
    assert "my own words" not in str(caught.value)
