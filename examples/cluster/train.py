"""Trains a purchase model on whatever cluster it runs on, and keeps it in a registry.

Submit it to a cluster that is there::

    ray job submit --working-dir examples/cluster -- \
        python train.py s3://shop/views s3://shop/reviews s3://shop/models

or let KubeRay make one for it: see ``rayjob.yaml``.
"""

from __future__ import annotations

import argparse

from reviewml import Files, Pipeline, SharedRegistry
from reviewml.enrichers import ReviewHistory, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost


def main() -> None:
    """Read the arguments, fit, and log."""
    parser = argparse.ArgumentParser()
    for name in ("views", "reviews", "registry"):
        parser.add_argument(name, help="a URL or folder that all machines see")
    where = parser.parse_args()
    reviews = Files(where.reviews, id="review_id", text="body", rating="stars", time="posted_at")
    history = ReviewHistory(
        reviews,
        by="product_id",
        enrichers=[("sentiment", Sentiment())],
        windows=("30d", "365d"),
        delay="1d",
    )
    pipe = Pipeline(
        [("product", history), ("features", Features()), ("model", XGBoost())],
        id="view_id",
        time="viewed_at",
    ).on("ray")
    pipe.fit(where.views, target="bought")
    logged = SharedRegistry(where.registry).log(pipe, name="purchase", alias="challenger")
    print(f"{logged}: {pipe.report_['rows']['trained']:,} rows")


if __name__ == "__main__":
    main()
