"""Writes what later versions of reviewml must still read: a model, two stores, fingerprints.

Run it with the code whose files shall be read, from an empty folder; `README.md` says which
commit that was.
"""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from reviewml import LocalStore, Pipeline, SharedStore
from reviewml.datasets import make_reviews
from reviewml.enrichers import (
    Cascade,
    CortexClassify,
    CortexSentiment,
    CortexTranslate,
    EmbeddingZeroShot,
    Language,
    Quality,
    ReviewHistory,
    Sentiment,
    TransformerSentiment,
    ZeroShot,
)
from reviewml.featurizers import Features
from reviewml.interfaces import Enrichment
from reviewml.trainers import XGBoost

TEXTS = ["The fit is lovely.", "Die Qualität ist gut.", "とても良い商品です。", None, ""]
MODEL = "minilm"
"""The folder of the weights, which the working folder has: its path is a parameter."""


def list_enrichers() -> dict[str, Enrichment]:
    """List an enricher of each class, none of which is fitted: values are found by these."""
    zero_shot = ZeroShot(["price", "fit"], column="about")
    return {
        "language": Language(),
        "sentiment": Sentiment(min_rated=10),
        "quality": Quality(),
        "review-history": ReviewHistory(None, by="product_id"),
        "review-history of sentiment": ReviewHistory(
            None, by="product_id", enrichers=[("sentiment", Sentiment())]
        ),
        "cascade": Cascade(zero_shot),
        "cortex-sentiment": CortexSentiment(["price", "fit"]),
        "cortex-classify": CortexClassify(["price", "fit"]),
        "cortex-translate": CortexTranslate("de"),
        "zero-shot": zero_shot,
        "transformer-sentiment": TransformerSentiment(),
        "embedding-zero-shot": EmbeddingZeroShot(["price", "fit"]),
    }


def fingerprint_enrichers() -> dict[str, str]:
    """Compute the fingerprint of each enricher, without loading a model."""
    # That of a transformer also has its weights: without them it is that of its columns.
    return {
        name: getattr(enricher, "_fingerprint_of_columns", enricher.fingerprint)()
        for name, enricher in list_enrichers().items()
    }


def make_stored_step() -> Pipeline:
    """Make a pipeline whose values are stored, found by the weights of a small model."""
    step = EmbeddingZeroShot(["price", "fit"], model=MODEL, precision="float32", device="cpu")
    return Pipeline([("about", step)], id="id", text="text")


def list_texts() -> pd.DataFrame:
    """List the rows whose values are stored."""
    return pd.DataFrame({"id": [f"r{n}" for n in range(len(TEXTS))], "text": TEXTS})


def make_model() -> Pipeline:
    """Make the pipeline that is saved."""
    return Pipeline(
        [
            ("language", Language(languages=["en", "de", "es", "ja"])),
            ("sentiment", Sentiment(min_rated=10)),
            ("quality", Quality()),
            ("features", Features(exclude=["id"])),
            ("model", XGBoost(n_estimators=5, max_depth=2)),
        ],
        id="id",
        text="text",
        rating="rating",
    )


def main() -> None:
    """Write everything into the working folder."""
    fingerprints = json.dumps(fingerprint_enrichers(), indent=1)
    Path("fingerprints.json").write_text(fingerprints + "\n", encoding="utf-8")

    for name, store in (("local", LocalStore("local")), ("shared", SharedStore("shared"))):
        values = make_stored_step().on("local", store=store).enrich(list_texts()).to_arrow()
        pq.write_table(values, f"{name}.parquet")

    columns = ["id", "text", "rating", "department", "price", "layout", "mobile", "recommended"]
    reviews = make_reviews(150, languages=["en", "de", "es", "ja"]).select(columns)
    model = make_model().fit(reviews, target="recommended")
    model.save("model")
    probabilities = pa.array(model.predict_proba(reviews)[:, 1])
    pq.write_table(reviews.append_column("expected", probabilities), "reviews.parquet")


if __name__ == "__main__":
    main()
