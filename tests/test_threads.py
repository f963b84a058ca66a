"""What is learned is the same to the bit, however many threads there are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LEARN = {
    "Sentiment": """
from reviewml.datasets import make_reviews
from reviewml.enrichers import Sentiment
rows = make_reviews(3_000).select(["text", "rating"])
print(digest(Sentiment(text="text", rating="rating").fit(rows).state))
""",
    "Aspects": """
from reviewml.datasets import make_reviews
from reviewml.enrichers import Aspects
rows = make_reviews(3_000).select(["text", "rating"])
print(digest(Aspects("retail", text="text", rating="rating").fit(rows).state))
""",
    "Quality": """
from reviewml.datasets import make_reviews
from reviewml.enrichers import Quality
print(digest(Quality().fit(make_reviews(3_000).select(["text"])).state))
""",
    "LogisticRegression": """
import numpy as np
from reviewml.steps.featurizer import Feature
from reviewml.steps.trainer import Examples, Target
from reviewml.testing.trainer import Absent
from reviewml.trainers import LogisticRegression
features = np.random.default_rng(0).normal(size=(6_000, 200)).astype(np.float32)
described = [Feature(f"x{i}", f"x{i}", "a number", Absent(f"x{i}")) for i in range(200)]
target = features[:, 0] + features[:, 1]
for target in (
    Target(target.astype(np.float64), "regression"),
    Target(np.digitize(target, [-0.5, 0.5]).astype(np.float64), "multiclass", (0, 1, 2)),
):
    model = LogisticRegression().train(Examples(features, target), described)
    print(digest([model.weights, model.bias]))
""",
}


def learned(code: str, threads: int) -> bytes:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    code = f"from reviewml.rows.hashing import digest\n{code}"
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout


@pytest.mark.parametrize("code", LEARN.values(), ids=LEARN)
def test_the_number_of_threads_does_not_matter(code: str) -> None:
    one = learned(code, 1)
    assert one
    assert learned(code, 2) == one
