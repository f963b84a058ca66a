"""FeaturizerContract: what every featurizer must do."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from sklearn.base import clone

from reviewml import plugins
from reviewml.data.frames import as_dataset
from reviewml.rows.hashing import digest
from reviewml.steps.featurizer import Featurizer, Matrix
from reviewml.testing.enricher import ROLES
from reviewml.testing.rows import make_example_rows, rebatch_rows, shuffle_rows
from reviewml.testing.state import assert_state_has_form


class FeaturizerContract:
    """Subclass it and override `featurizer`."""

    @pytest.fixture
    def featurizer(self) -> Featurizer:
        """Return the featurizer under test, not fitted."""
        raise NotImplementedError("override the fixture `featurizer`")

    @pytest.fixture
    def rows(self) -> pa.Table:
        """Return rows it can be fitted on."""
        return make_example_rows()

    @pytest.fixture
    def fitted(self, featurizer: Featurizer, rows: pa.Table) -> Featurizer:
        """Return it fitted on the rows."""
        return featurizer.fit(as_dataset(rows, ROLES))

    def matrix(self, featurizer: Featurizer, rows: pa.Table) -> Matrix:
        """Return the features of all rows."""
        batches = as_dataset(rows, ROLES).full_batches()
        return np.concatenate([featurizer.matrix(batch) for batch in batches])

    def test_is_registered_under_a_name(self, featurizer: Featurizer) -> None:
        name = plugins.get_catalogue().name_of("featurizers", type(featurizer))
        assert plugins.load("featurizers", name) is type(featurizer)

    def test_gives_float32_with_one_column_for_each_feature(
        self, fitted: Featurizer, rows: pa.Table
    ) -> None:
        matrix = self.matrix(fitted, rows)
        assert matrix.dtype == np.float32
        assert matrix.shape == (len(rows), len(fitted.features()))

    def test_names_features_once_and_says_what_they_mean(self, fitted: Featurizer) -> None:
        names = [feature.name for feature in fitted.features()]
        assert len(set(names)) == len(names)
        assert all(feature.meaning for feature in fitted.features())

    def test_never_makes_features_of_id_target_or_rating(self, fitted: Featurizer) -> None:
        columns = {feature.column for feature in fitted.features()}
        assert not columns & {"id", "bought", "rating"}

    def test_state_does_not_depend_on_order_or_batches(
        self, featurizer: Featurizer, rows: pa.Table
    ) -> None:
        states = [
            clone(featurizer).fit(as_dataset(changed, ROLES)).state
            for changed in (rows, shuffle_rows(rows, 1), rebatch_rows(rows, 2))
        ]
        assert digest(states[0]) == digest(states[1]) == digest(states[2])

    def test_state_is_plain_and_brings_the_features_back(
        self, featurizer: Featurizer, fitted: Featurizer, rows: pa.Table
    ) -> None:
        restored = clone(featurizer).with_state(json.loads(json.dumps(fitted.state)))
        np.testing.assert_array_equal(self.matrix(restored, rows), self.matrix(fitted, rows))

    def test_declares_the_form_of_its_state_and_refuses_others(self, fitted: Featurizer) -> None:
        assert_state_has_form(fitted)

    def test_features_do_not_depend_on_batches(self, fitted: Featurizer, rows: pa.Table) -> None:
        np.testing.assert_array_equal(
            self.matrix(fitted, rebatch_rows(rows, 3)), self.matrix(fitted, rows)
        )

    def test_takes_new_rows_without_a_target(self, fitted: Featurizer, rows: pa.Table) -> None:
        new = rows.drop_columns(["bought", "rating"])
        np.testing.assert_array_equal(self.matrix(fitted, new), self.matrix(fitted, rows))
