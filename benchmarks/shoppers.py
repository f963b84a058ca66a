"""Will this visit end in a purchase? A shop's sessions, twenty 80/20 splits.

    python benchmarks/shoppers.py ../shared/data/online_shoppers_intention.csv

The peer is XGBoost as its scikit-learn guide sets it up for a data frame: categories kept, early
stopping on a tenth of the training rows. The notebook recipe encodes labels as numbers and
trains a regression without a holdout.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd
import xgboost
from paired import paired_interval, shown
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder

from reviewml import Pipeline
from reviewml.featurizers import Features
from reviewml.trainers import XGBoost

TARGET = "Revenue"


def ours(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    pipe = Pipeline([("features", Features()), ("model", XGBoost())])
    pipe.fit(train, target=TARGET)
    return pipe.predict_proba(test.drop(columns=TARGET))[:, 1]


def plain(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    model = xgboost.XGBClassifier(enable_categorical=True)
    model.fit(categories(train), train[TARGET])
    return model.predict_proba(categories(test))[:, 1]


def plain_with_early_stopping(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    inner, valid = train_test_split(train, test_size=0.1, stratify=train[TARGET], random_state=0)
    model = xgboost.XGBClassifier(
        n_estimators=1000,
        learning_rate=0.05,
        max_depth=5,
        early_stopping_rounds=50,
        enable_categorical=True,
    )
    held_out = [(categories(valid), valid[TARGET])]
    model.fit(categories(inner), inner[TARGET], eval_set=held_out, verbose=False)
    return model.predict_proba(categories(test))[:, 1]


def notebook(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    both = pd.concat([train, test])
    for name in both.select_dtypes(exclude="number"):
        both[name] = LabelEncoder().fit_transform(both[name])
    inside, outside = both.iloc[: len(train)], both.iloc[len(train) :]
    model = xgboost.XGBRegressor(n_estimators=100, max_depth=6, learning_rate=0.1)
    model.fit(inside.drop(columns=TARGET), inside[TARGET])
    return model.predict(outside.drop(columns=TARGET))


def categories(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.drop(columns=TARGET)
    return rows.astype(dict.fromkeys(rows.select_dtypes(include="object"), "category"))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    rows = pd.read_csv(sys.argv[1], sep=None, engine="python")
    models = {
        "reviewml": ours,
        "plain XGBoost": plain,
        "plain XGBoost, early stopping": plain_with_early_stopping,
        "the notebook's recipe": notebook,
    }
    auc: dict[str, list[float]] = {name: [] for name in models}
    for seed in range(20):
        train, test = train_test_split(
            rows, test_size=0.2, stratify=rows[TARGET], random_state=seed
        )
        for name, model in models.items():
            auc[name].append(roc_auc_score(test[TARGET], model(train, test)))
    for name, values in auc.items():
        print(shown(name, values[:5]), f"  of 20: {np.mean(values):.4f} sd {np.std(values):.4f}")
    for name in list(models)[1:]:
        mean, low, high = paired_interval(auc["reviewml"], auc[name])
        print(f"reviewml - {name}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]")
