"""Sentiment beside scikit-learn: macro-F1 in nine languages, and texts per second.

    python benchmarks/sentiment.py ../shared/data

Labels of the multilingual reviews stand for ratings; five folds, the same for both. The peer is
hashed n-grams of 1 to 4 characters with logistic regression. Speed is that of one core, in turns,
on clothing reviews: `Sentiment.enrich` does all its work, the vectorizers only count n-grams.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from reviewml.enrichers import Sentiment
from reviewml.evaluation.splits import folds

LABELS = ("negative", "neutral", "positive")


def quality(rows: pd.DataFrame) -> None:
    rows["rating"] = rows["label"].map(dict(zip(LABELS, (1, 2, 3), strict=True)))
    part = folds(np.random.default_rng(0).permutation(len(rows)).astype(np.uint64), 5)
    answers = {
        "Sentiment": cross_predicted(rows, part, by_sentiment),
        "char 1-4 + LR, C=1": cross_predicted(rows, part, by_characters(1.0)),
        "char 1-4 + LR, C=10": cross_predicted(rows, part, by_characters(10.0)),
    }
    languages = sorted(rows["lang"].unique())
    print("macro-F1".ljust(22) + "  mean  " + "  ".join(f"{name:>5}" for name in languages))
    for name, answer in answers.items():
        each = [macro_f1(rows, answer, language) for language in languages]
        print(f"{name:<22}{np.mean(each):6.3f}  " + "  ".join(f"{value:.3f}" for value in each))


def cross_predicted(rows: pd.DataFrame, part: np.ndarray, predict: object) -> np.ndarray:
    answer = np.empty(len(rows), object)
    for fold in range(5):
        answer[part == fold] = predict(rows[part != fold], rows[part == fold])
    return answer


def by_sentiment(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    fitted = Sentiment(text="text", rating="rating").fit(train)
    return fitted.transform(test)["sentiment_label"].to_numpy()


def by_characters(C: float) -> object:
    def predict(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
        hashing = HashingVectorizer(analyzer="char", ngram_range=(1, 4))
        model = LogisticRegression(C=C, max_iter=300)
        model.fit(hashing.transform(train["text"]), train["label"])
        return model.predict(hashing.transform(test["text"]))

    return predict


def macro_f1(rows: pd.DataFrame, answer: np.ndarray, language: str) -> float:
    here = (rows["lang"] == language).to_numpy()
    actual = rows["label"][here]
    # Sources of two classes have no neutral to be found.
    return f1_score(actual, answer[here].astype(str), average="macro", labels=sorted(set(actual)))


def speed(rows: pd.DataFrame) -> None:
    written = rows[rows["Review Text"].notna()].head(10_000)
    texts = written["Review Text"].tolist()
    fitted = Sentiment(text="Review Text", rating="Rating").fit(rows)
    batch = pa.RecordBatch.from_arrays([pa.array(texts)], ["text"])
    characters = HashingVectorizer(analyzer="char_wb", ngram_range=(1, 4))
    words = HashingVectorizer(ngram_range=(1, 2))
    runs = {
        "Sentiment, all its work": lambda: fitted.enrich(batch),
        "HashingVectorizer, words 1-2": lambda: words.transform(texts),
        "HashingVectorizer, char_wb 1-4": lambda: characters.transform(texts),
    }
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(3):
        for name, run in runs.items():
            started = time.process_time()
            run()
            taken[name].append(time.process_time() - started)
    length = statistics.mean(map(len, texts))
    print(f"\n{len(texts):,} clothing reviews of {length:.0f} characters, per second of one core")
    for name, seconds in taken.items():
        print(f"{name:<32}{len(texts) / statistics.median(seconds):>10,.0f}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    data = Path(sys.argv[1])
    speed(pd.read_csv(data / "womens_clothing_reviews.csv"))
    quality(pd.read_csv(data / "multilingual_reviews.csv"))
