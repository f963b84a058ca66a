"""Do reviews help to predict purchases? A shop where the truth is known.

    python benchmarks/lift.py --effect 0 --seeds 20
    python benchmarks/lift.py --effect 2 --seeds 5

For each seed, on the last quarter of the views: the AUC that review history adds to the same
pipeline without it, with its interval; what a plain join of all reviews, by product and by
customer, seems to add; and, where reviews matter, how much of what can be added by knowing the
true probability.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats
from sklearn.metrics import roc_auc_score

from reviewml import Frame, Pipeline
from reviewml.data.frames import as_dataset
from reviewml.datasets import make_shop
from reviewml.datasets.shop import Shop
from reviewml.enrichers import Quality, ReviewHistory, Sentiment
from reviewml.evaluation import paired_difference
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

KEYS = ["customer_id", "product_id"]


def labelled(shop: Shop) -> pa.Table:
    views = Frame(shop.views, id="view_id", time="viewed_at")
    orders = Frame(shop.orders, time="ordered_at")
    return as_dataset(views.label(orders, by=KEYS, within="7d", name="bought")).to_arrow()


def pipeline(*steps: tuple[str, ReviewHistory]) -> Pipeline:
    model = [("features", Features(exclude=KEYS)), ("model", XGBoost())]
    return Pipeline([*steps, *model], id="view_id", time="viewed_at")


def with_history(shop: Shop) -> Pipeline:
    reviews = Frame(shop.reviews, id="review_id", text="body", rating="stars", time="posted_at")
    enrichers = [("sentiment", Sentiment()), ("quality", Quality())]
    return pipeline(
        ("product", ReviewHistory(reviews, by="product_id", enrichers=enrichers)),
        ("customer", ReviewHistory(reviews, by="customer_id", windows=(None,))),
    )


def with_all_reviews(shop: Shop, rows: pa.Table) -> pa.Table:
    """Join what reviews of a product, and of a customer, say, whenever they were written."""
    for key in KEYS:
        said = shop.reviews.group_by(key).aggregate([("stars", "mean"), ("stars", "count")])
        positions = pc.index_in(rows.column(key), said.column(key))
        for name in ("stars_mean", "stars_count"):
            rows = rows.append_column(f"{key}_{name}", said.column(name).take(positions))
    return rows


def fitted_auc(rows: pa.Table, test: pa.Table) -> np.ndarray:
    return pipeline().fit(rows, target="bought").predict_proba(test)[:, 1]


def mean(values: list[float]) -> str:
    """Return the mean over seeds with its 95 % interval, by Student's t."""
    middle, error = np.mean(values), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, middle, error)
    return f"{middle:+.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effect", type=float, default=0.0)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--products", type=int, default=200)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--views", type=int, default=20_000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    holds, false_lift = 0, 0
    shares, lifts, seeming = [], [], []
    for seed in range(given.seeds):
        shop = make_shop(
            given.products, given.customers, given.views, given.effect, random_state=seed
        )
        rows = labelled(shop)
        options = {"target": "bought", "ablation": True}
        lift = with_history(shop).evaluate(rows, **options).ablation
        difference = lift.difference["auc"]
        holds += difference.low <= 0 <= difference.high
        joined, true_lift = compared(shop, rows, lift.without["auc"].value)
        false_lift += joined.low > 0
        lifts.append(difference.value)
        seeming.append(joined.value)
        shares.append(difference.value / true_lift)
        print(f"seed {seed}: history {difference}; all-time join {joined}; truth {true_lift:+.4f}")
    print(f"the interval of the lift holds 0 in {holds} of {given.seeds} seeds")
    print(f"the all-time join shows a lift in {false_lift} of {given.seeds} seeds")
    print(f"mean over seeds: history {mean(lifts)}; all-time join {mean(seeming)}")
    if given.effect:
        print(f"share of the lift of the truth: {np.mean(shares):.1%} (least {min(shares):.1%})")


def compared(shop: Shop, rows: pa.Table, without: float) -> tuple[object, float]:
    """Return what the join seems to add, and what the truth adds, on the last quarter."""
    known = rows.column("bought").is_valid()
    truth = shop.probability[np.asarray(known)]
    rows = with_all_reviews(shop, rows.filter(known))
    first = len(rows) * 3 // 4
    train, test = rows.slice(0, first), rows.slice(first)
    plain = [name for name in rows.column_names if "stars_" in name]
    bought = np.asarray(test.column("bought")).astype(float)
    joined, alone = fitted_auc(train, test), fitted_auc(train.drop_columns(plain), test)
    groups = test.column("product_id")
    return (
        paired_difference(bought, joined, alone, groups=groups),
        roc_auc_score(bought, truth[first:]) - without,
    )


if __name__ == "__main__":
    main()
