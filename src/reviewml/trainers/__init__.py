"""Trainers: features and a target in, a model out."""

from reviewml.trainers.logistic import LogisticRegression
from reviewml.trainers.xgboost import XGBoost

__all__ = ["LogisticRegression", "XGBoost"]
