"""How often strengths and weaknesses are found where they were planted, and where there are none.

    python benchmarks/insight.py [--seeds 100] [--products 40] [--mentions 100]

Mentions of three aspects are drawn for each product. Without an effect, all products are blamed
alike. With one, an eighth of the products have a weakness, and as many a strength, of so many
percentage points in one aspect each.
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa

from reviewml.insight import strengths_and_weaknesses

BASE = 0.3
ASPECTS = ("battery", "screen", "price")


def make_reviews(shares: np.ndarray, mentions: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    product = np.repeat(np.arange(len(shares)), mentions)
    columns = {"product_id": pa.array(product)}
    for number, aspect in enumerate(ASPECTS):
        blamed = random.random(len(product)) < shares[product, number]
        columns[f"sentiment_{aspect}"] = pa.array(np.where(blamed, -1.0, 1.0))
        columns[f"sentiment_{aspect}_label"] = pa.array(np.where(blamed, "negative", "positive"))
    return pa.table(columns)


def measure(effect: float, products: int, mentions: int, seeds: int) -> str:
    shares = np.full((products, len(ASPECTS)), BASE)
    planted = np.zeros(shares.shape, int)
    each = products // 8 if effect else 0
    planted[:each, 0], planted[each : 2 * each, 1] = 1, -1
    shares += effect * planted
    false_rates, found, quiet, covered = [], [], [], []
    for seed in range(seeds):
        table = strengths_and_weaknesses(make_reviews(shares, mentions, seed)).table
        verdicts = np.array(table["verdict"].to_pylist()).reshape(planted.shape)
        claims = np.select([verdicts == "weakness", verdicts == "strength"], [1, -1], 0)
        false = ((claims != 0) & (claims != planted)).sum()
        false_rates.append(false / max((claims != 0).sum(), 1))
        quiet.append(not claims.any())
        found.append((claims == planted)[planted != 0].mean() if each else np.nan)
        low, high = (np.array(table[f"negative_{end}"]) for end in ("low", "high"))
        covered.append(np.mean((low <= shares.reshape(-1)) & (shares.reshape(-1) <= high)))
    return (
        f"effect {effect:.0%}, {products} products, {mentions} mentions: found {np.mean(found):.1%}"
        f", false discovery rate {np.mean(false_rates):.1%}, no claim at all in "
        f"{np.mean(quiet):.1%} of {seeds} seeds, intervals hold the truth {np.mean(covered):.1%}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--products", type=int, default=40)
    parser.add_argument("--mentions", type=int, default=100)
    arguments = parser.parse_args()
    for effect in (0.0, 0.1, 0.2):
        print(measure(effect, arguments.products, arguments.mentions, arguments.seeds), flush=True)
