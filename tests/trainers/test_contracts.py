"""The trainers that come with reviewml keep the contract."""

from __future__ import annotations

import pytest

from reviewml.interfaces import Trainer
from reviewml.testing import TrainerContract
from reviewml.trainers import LogisticRegression, XGBoost


class TestXGBoost(TrainerContract):
    @pytest.fixture
    def trainer(self) -> Trainer:
        return XGBoost(n_estimators=60, early_stopping_rounds=10)


class TestXGBoostBalanced(TrainerContract):
    @pytest.fixture
    def trainer(self) -> Trainer:
        return XGBoost(n_estimators=60, class_weight="balanced", calibration=None)


class TestLogisticRegression(TrainerContract):
    @pytest.fixture
    def trainer(self) -> Trainer:
        return LogisticRegression()
