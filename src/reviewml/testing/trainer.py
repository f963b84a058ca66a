"""TrainerContract: what every trainer, and the models it makes, must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from sklearn.base import clone

from reviewml import plugins
from reviewml.errors import ReviewmlError
from reviewml.rows.expressions import LARGEST, Expression
from reviewml.saving.folder import UNREADABLE
from reviewml.steps.featurizer import Feature
from reviewml.steps.model import Model
from reviewml.steps.trainer import Examples, Target, Task, Trainer

TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


class Absent(Expression):
    """Stands where an expression belongs: a trainer never computes features."""

    def fill(self, batch: pa.RecordBatch, out: npt.NDArray[np.float32]) -> None:
        raise NotImplementedError


def make_example_features() -> list[Feature]:
    """Return three numeric features and a categorical one."""
    numeric = [Feature(f"x{i}", f"x{i}", f"column x{i}", Absent(f"x{i}")) for i in range(3)]
    colours = ("blue", "green", "red")
    colour = Feature("colour", "colour", "colour", Absent("colour"), "categorical", colours)
    return [*numeric, colour]


def make_examples(task: Task, n: int = 600, *, seed: int = 0) -> Examples:
    """Return examples whose target depends on the features, with missing values."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(n, 4)).astype(np.float32)
    features[:, 3] = random.integers(0, 3, n)
    signal = features[:, 0] - features[:, 1] + (features[:, 3] == 2) + random.normal(size=n) / 2
    features[random.random((n, 4)) < 0.05] = np.nan
    if task == "regression":
        return Examples(features, Target(signal.astype(np.float64), task))
    classes = ("no", "yes") if task == "binary" else ("bad", "fair", "good")
    edges = np.quantile(signal, np.linspace(0, 1, len(classes) + 1)[1:-1])
    return Examples(features, Target(np.digitize(signal, edges).astype(np.float64), task, classes))


@pytest.mark.parametrize("task", TASKS)
class TrainerContract:
    """Subclass it and override `trainer`."""

    @pytest.fixture
    def trainer(self) -> Trainer:
        """Return the trainer under test."""
        raise NotImplementedError("override the fixture `trainer`")

    @pytest.fixture
    def model(self, trainer: Trainer, task: Task) -> Model:
        """Train a model on the examples."""
        return trainer.train(
            make_examples(task), make_example_features(), make_examples(task, 200, seed=1)
        )

    def test_is_registered_under_a_name(self, trainer: Trainer, task: Task) -> None:
        name = plugins.get_catalogue().name_of("trainers", type(trainer))
        assert plugins.load("trainers", name) is type(trainer)

    def test_predicts_better_than_chance(self, model: Model, task: Task) -> None:
        new = make_examples(task, 400, seed=2)
        predicted = model.predict(new.features)
        if task == "regression":
            assert np.corrcoef(predicted, new.target.values)[0, 1] > 0.7
        else:
            hits = predicted.argmax(axis=1) == new.target.values
            assert hits.mean() > 1.3 / len(model.classes)

    def test_probabilities_sum_to_one(self, model: Model, task: Task) -> None:
        predicted = model.predict(make_examples(task, 100, seed=2).features)
        if task == "regression":
            assert predicted.shape == (100,)
        else:
            assert predicted.shape == (100, len(model.classes))
            np.testing.assert_allclose(predicted.sum(axis=1), 1.0, atol=1e-6)

    def test_predictions_do_not_depend_on_batches(self, model: Model, task: Task) -> None:
        features = make_examples(task, 150, seed=2).features
        pieces = np.concatenate([model.predict(features[i : i + 7]) for i in range(0, 150, 7)])
        np.testing.assert_array_equal(pieces, model.predict(features))

    def test_takes_no_rows(self, model: Model, task: Task) -> None:
        nothing = np.empty((0, 4), np.float32)
        assert len(model.predict(nothing)) == 0
        single = model.contributions(make_examples(task, 1).features)
        assert model.contributions(nothing).shape == (0, *single.shape[1:])

    def test_infinite_values_leave_the_others_their_meaning(
        self, trainer: Trainer, task: Task
    ) -> None:
        extreme = make_examples(task)
        # As features write infinities.
        extreme.features[0, :3], extreme.features[1, :3] = LARGEST, -LARGEST
        model = trainer.train(extreme, make_example_features(), make_examples(task, 200, seed=1))
        self.test_predicts_better_than_chance(model, task)
        assert np.isfinite(model.predict(extreme.features)).all()

    def test_training_again_changes_neither_model_nor_trainer(
        self, trainer: Trainer, model: Model, task: Task, tmp_path: Path
    ) -> None:
        before = repr(clone(trainer).get_params())
        again = trainer.train(
            make_examples(task), make_example_features(), make_examples(task, 200, seed=1)
        )
        assert repr(trainer.get_params()) == before
        assert not trainer.state
        for name, trained in (("one", model), ("other", again)):
            (tmp_path / name).mkdir()
            trained.save(tmp_path / name)
        for file in (tmp_path / "one").iterdir():
            assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()

    def test_saved_model_predicts_the_same_bits(
        self, model: Model, task: Task, tmp_path: Path
    ) -> None:
        model.save(tmp_path)
        loaded = type(model).load(tmp_path)
        features = make_examples(task, 100, seed=2).features
        np.testing.assert_array_equal(loaded.predict(features), model.predict(features))
        np.testing.assert_array_equal(loaded.contributions(features), model.contributions(features))
        assert (loaded.task, loaded.classes) == (model.task, model.classes)
        name = plugins.get_catalogue().name_of("models", type(model))
        assert plugins.load("models", name) is type(model)

    def test_damaged_files_of_a_model_are_refused(
        self, model: Model, task: Task, tmp_path: Path
    ) -> None:
        model.save(tmp_path)
        for file in tmp_path.iterdir():
            whole = file.read_bytes()
            for damaged in (b"", whole[: len(whole) // 2], b"{}", b"[" * 100_000):
                file.write_bytes(damaged)
                # What else is raised would not become `DamagedModel`.
                with pytest.raises((ReviewmlError, *UNREADABLE)):
                    type(model).load(tmp_path)
            file.write_bytes(whole)
        assert type(model).load(tmp_path).classes == model.classes

    def test_contributions_sum_to_the_margin(self, model: Model, task: Task) -> None:
        features = make_examples(task, 100, seed=2).features
        contributions = model.contributions(features)
        outputs = len(model.classes) if task == "multiclass" else 1
        assert contributions.shape == (100, outputs, 5)
        margins = contributions.sum(axis=2)
        predicted = model.predict(features)
        if task == "regression":
            np.testing.assert_allclose(margins[:, 0], predicted, atol=1e-3)
        elif task == "binary":
            assert np.corrcoef(margins[:, 0], _log_odds(predicted[:, 1]))[0, 1] > 0.9999
        else:
            np.testing.assert_array_equal(margins.argmax(axis=1), predicted.argmax(axis=1))


def _log_odds(probabilities: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.log(probabilities / (1 - probabilities))
    return result
