"""Would this reviewer recommend the product? Clothing reviews, five 80/20 splits.

    python benchmarks/recommendation.py ../shared/data/womens_clothing_reviews.csv [--all]

Peers learn from the same rows: TF-IDF of words and pairs with logistic regression as
scikit-learn's guide to text data sets it up, once from the target alone and once with the
ratings that `Sentiment` learns from.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
from paired import paired_interval, shown
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression as Logistic
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline

from reviewml import Frame, Pipeline
from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

TARGET = "Recommended IND"
TEXT = ["Title", "Review Text"]
ROLES = {"text": TEXT, "rating": "Rating"}
UNNAMED = "Unnamed: 0"


def ours(*, rating: bool = False, sentiment: bool = True) -> Pipeline:
    enrichers = [("language", Language()), ("quality", Quality())]
    if sentiment:
        enrichers.insert(1, ("sentiment", Sentiment()))
    features = Features(rating=rating, exclude=["language"], ngrams=0 if sentiment else 1000)
    return Pipeline([*enrichers, ("features", features), ("model", XGBoost())])


def tfidf(C: float = 1.0) -> object:
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return make_pipeline(words, Logistic(C=C, max_iter=500))


def joined(rows: pd.DataFrame) -> np.ndarray:
    return rows[TEXT].fillna("").agg("\n".join, axis=1).to_numpy()


def tfidf_with_ratings(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Stack models of the target and of a good rating, both of TF-IDF."""
    texts, new = joined(train), joined(test)
    inside, outside = [], []
    for answer in (train[TARGET], train["Rating"] > 3, train["Rating"] > 4):
        model = tfidf(4.0)
        inside.append(cross_val_predict(model, texts, answer, method="decision_function"))
        outside.append(model.fit(texts, answer).decision_function(new))
    stack = Logistic(max_iter=1000).fit(np.column_stack(inside), train[TARGET])
    return stack.decision_function(np.column_stack(outside))


def compare(rows: pd.DataFrame) -> None:
    names = {
        "reviewml, rating not a feature": ours(),
        "reviewml, no use of ratings": ours(sentiment=False),
        "reviewml, rating a feature": ours(rating=True),
    }
    auc: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    for seed in range(5):
        train, test = train_test_split(
            rows, test_size=0.2, stratify=rows[TARGET], random_state=seed
        )
        for name, pipe in names.items():
            fitted = pipe.fit(Frame(train, **ROLES), target=TARGET)
            evaluation = fitted.evaluate(Frame(test, **ROLES))
            auc.setdefault(name, []).append(evaluation.metrics["auc"].value)
            errors.setdefault(name, []).append(evaluation.metrics["calibration_error"].value)
        for C in (1.0, 4.0):
            scores = tfidf(C).fit(joined(train), train[TARGET]).decision_function(joined(test))
            name = f"TF-IDF + logistic regression, C={C:g}"
            auc.setdefault(name, []).append(roc_auc_score(test[TARGET], scores))
        name = "TF-IDF + logistic regression, with ratings"
        scores = tfidf_with_ratings(train, test)
        auc.setdefault(name, []).append(roc_auc_score(test[TARGET], scores))
    print(f"{'AUC':<58} mean     splits")
    for name, values in auc.items():
        print(shown(name, values))
    print("\ncalibration error")
    for name, values in errors.items():
        print(shown(name, values))
    print("\npaired differences of the AUC, 95% interval")
    base = "reviewml, rating not a feature"
    for name, values in auc.items():
        if name.startswith("TF-IDF"):
            mean, low, high = paired_interval(auc[base], values)
            print(f"{base} - {name}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rows = pd.read_csv(sys.argv[1]).drop(columns=UNNAMED)
    # Most of the others have a title and no text; --all takes them along.
    if "--all" not in sys.argv:
        rows = rows[rows["Review Text"].notna()]
    print(f"{len(rows):,} rows")
    compare(rows)
