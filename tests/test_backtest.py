"""Evaluation as if it had been the time: what is later is judged, and never learned from."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from reviewml import Files, Frame, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.datasets import make_shop
from reviewml.datasets.shop import Shop
from reviewml.enrichers import ReviewHistory
from reviewml.errors import SchemaError
from reviewml.featurizers import Features
from reviewml.trainers import LogisticRegression, XGBoost

KEYS = ["customer_id", "product_id"]
LATE = datetime.datetime(2025, 12, 1, tzinfo=datetime.UTC)


def shop_of(effect: float, seed: int = 0) -> Shop:
    return make_shop(150, 1_000, 6_000, effect, random_state=seed)


def views_of(shop: Shop) -> Frame:
    views = Frame(shop.views, id="view_id", time="viewed_at")
    orders = Frame(shop.orders, time="ordered_at")
    return views.label(orders, by=KEYS, within="7d", name="bought")


def pipeline(shop: Shop, **options: Any) -> Pipeline:
    reviews = Frame(shop.reviews, rating="stars", time="posted_at")
    return Pipeline(
        [
            ("product", ReviewHistory(reviews, by="product_id", **options)),
            ("features", Features(exclude=KEYS)),
            ("model", XGBoost()),
        ]
    )


def test_reviews_that_matter_are_worth_something() -> None:
    shop = shop_of(2.0)
    found = pipeline(shop).backtest(views_of(shop), target="bought", ablation=True)
    assert found.ablation is not None
    assert found.ablation.steps == ("product",)
    assert found.ablation.difference["auc"].low > 0.03
    assert found.grouped
    said = str(found)
    for expected in ("with product, and without", "none visible", "unseen", "difference"):
        assert expected in said
    assert found.to_dict()["ablation"]["difference"]["auc"]["value"] > 0.03


def test_reviews_that_do_not_matter_are_worth_nothing() -> None:
    for seed in range(3):
        shop = shop_of(0.0, seed)
        found = pipeline(shop).backtest(views_of(shop), target="bought", ablation=True)
        assert found.ablation is not None
        assert found.ablation.difference["auc"].low <= 0


def test_rows_are_split_by_time_with_a_gap() -> None:
    shop = shop_of(1.0)
    views = views_of(shop)
    pipe = pipeline(shop).fit(views, target="bought")
    assert "left out within the gap before it" in pipe.report_["split"]
    # What reaches past the last order is known to be unknown.
    assert pipe.report_["rows"]["no_target"] > 0
    labelled = as_dataset(views).to_arrow()
    latest = pc.max(shop.orders.column("ordered_at")).as_py()
    times = labelled.filter(pc.is_null(labelled.column("bought"))).column("viewed_at")
    assert (latest - pc.min(times).as_py()).days < 7


def test_what_is_judged_does_not_change_what_is_learned() -> None:
    shop = shop_of(1.0)
    rows = as_dataset(views_of(shop)).to_arrow()
    rows = rows.filter(rows.column("bought").is_valid())
    # Were anything learned from the last quarter, turned answers would not turn the ranking.
    answers = np.asarray(rows.column("bought")).copy()
    answers[len(rows) * 3 // 4 :] ^= True
    place = rows.column_names.index("bought")
    turned = rows.set_column(place, "bought", pa.array(answers))
    auc = [
        pipeline(shop)
        .backtest(Frame(table, id="view_id", time="viewed_at"), target="bought", holdout=0.25)
        .metrics["auc"]
        .value
        for table in (rows, turned)
    ]
    assert auc[0] == pytest.approx(1 - auc[1], abs=0.005)


def test_labels_are_never_features() -> None:
    shop = shop_of(1.0)
    orders = Frame(shop.orders, time="ordered_at")
    views = views_of(shop).label(orders, by=KEYS, within="30d", name="bought_in_30d")
    pipe = pipeline(shop).fit(views, target="bought")
    assert "bought_in_30d" not in {feature.column for feature in pipe.features_}


def test_says_what_it_cannot_do() -> None:
    shop = shop_of(1.0)
    rows = as_dataset(views_of(shop)).to_arrow()
    behaviour = Pipeline(
        [("features", Features(exclude=KEYS)), ("model", LogisticRegression())], time="viewed_at"
    )
    with pytest.raises(SchemaError, match="no step looks at reviews"):
        behaviour.backtest(rows, target="bought", ablation=True)
    assert behaviour.backtest(rows, target="bought", holdout=0.5).rows["used"] > 2_000
    timeless = Pipeline(behaviour.steps)
    with pytest.raises(
        SchemaError, match=r"the role 'time'\. Name one, as in Pipeline\(.*time='column'"
    ):
        timeless.backtest(rows, target="bought", holdout=0.5)
    with pytest.raises(SchemaError, match="no step of this pipeline looks at reviews"):
        behaviour.fit(rows, target="bought").predict(rows, reviews=rows)
    with pytest.raises(SchemaError, match="already have a column 'bought'"):
        as_dataset(Frame(rows, time="viewed_at").label(rows, by=KEYS, within="1d", name="bought"))


def test_a_trainer_that_holds_nothing_out_learns_nothing_of_what_is_judged() -> None:
    shop = shop_of(1.0)
    views = views_of(shop)
    late = pc.greater(shop.reviews.column("posted_at"), pa.scalar(LATE))
    worse = pc.if_else(late, 1.0, shop.reviews.column("stars"))
    place = shop.reviews.column_names.index("stars")
    figures = []
    for reviews in (shop.reviews, shop.reviews.set_column(place, "stars", worse)):
        step = ReviewHistory(Frame(reviews, rating="stars", time="posted_at"), by="product_id")
        pipe = Pipeline(
            [
                ("product", step),
                ("features", Features(exclude=KEYS)),
                ("model", LogisticRegression()),
            ]
        )
        early = as_dataset(views).filter(pc.field("viewed_at") < pa.scalar(LATE))
        figures.append(pipe.backtest(early, target="bought", holdout=0.25).metrics["auc"].value)
    assert figures[0] == figures[1]


def test_labels_are_labels_when_read_back(tmp_path: Path) -> None:
    shop = shop_of(1.0)
    orders = Frame(shop.orders, time="ordered_at")
    views = views_of(shop).label(orders, by=KEYS, within="30d", name="bought_in_30d")
    path = as_dataset(views).write(tmp_path / "views.parquet")
    source = Files(str(path), id="view_id", time="viewed_at")
    pipe = pipeline(shop).fit(source, target="bought")
    assert "bought_in_30d" not in {feature.column for feature in pipe.features_}
    assert "left out within the gap before it" in pipe.report_["split"]


def test_orders_of_a_day_follow_the_views_of_it() -> None:
    views = pa.table({"k": ["a", "b"], "t": [datetime.datetime(2026, 5, 10, 9)] * 2})
    days = [datetime.date(2026, 5, 10), datetime.date(2026, 5, 9), datetime.date(2026, 6, 9)]
    orders = pa.table({"k": ["a", "b", "c"], "day": days})
    rows = Frame(views, time="t").label(
        Frame(orders, time="day"), by="k", within="7d", name="bought"
    )
    assert as_dataset(rows).column("bought").to_pylist() == [True, False]


def test_rows_that_cannot_be_split_by_their_time_are_counted() -> None:
    start = datetime.datetime(2026, 1, 1)
    times = [start + datetime.timedelta(hours=n) for n in range(400)]
    times[3] = times[4] = None
    times[5] = datetime.datetime(9999, 12, 31)
    rows = pa.table({"at": times, "x": range(400), "y": [n % 3 == 0 for n in range(400)]})
    steps = [("features", Features()), ("model", XGBoost(n_estimators=3))]
    with pytest.warns(UserWarning) as seen:
        Pipeline(steps).backtest(Frame(rows, time="at"), target="y", holdout=0.25)
        Pipeline(steps).fit(Frame(rows, time="at"), target="y")
    said = [str(warning.message) for warning in seen]
    assert any("holdout: 2 of 400 rows have no time, 'at'" in one for one in said)
    assert any("holdout: 1 of 398 rows have a time, 'at', that is earlier" in one for one in said)
    assert any("never held out" in one for one in said)
