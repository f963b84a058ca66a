"""Errors are what their names say, also to other libraries."""

import copy
import pickle
import subprocess
import sys

import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from reviewml import Pipeline
from reviewml.enrichers import Quality, Sentiment
from reviewml.errors import NotFitted, ReviewmlError
from reviewml.featurizers import Features
from reviewml.steps.component import Component
from reviewml.trainers import LogisticRegression

PIPELINE = Pipeline([("features", Features()), ("model", LogisticRegression())])


@pytest.mark.parametrize(
    "kind", [NotFitted, NotFittedError, ReviewmlError, ValueError, AttributeError]
)
def test_what_is_not_fitted_is_told_as_by_scikit_learn(kind: type[Exception]) -> None:
    with pytest.raises(kind):
        PIPELINE.predict("rows.csv")


@pytest.mark.parametrize("component", [Features(), Quality(), Sentiment()])
def test_components_that_are_not_fitted_say_so(component: Component) -> None:
    with pytest.raises(NotFittedError, match=type(component).__name__):
        component.require_fitted("nothing_")


def test_scikit_learn_agrees_that_a_pipeline_is_not_fitted() -> None:
    with pytest.raises(NotFittedError):
        check_is_fitted(PIPELINE)


def test_not_fitted_survives_copies_between_processes() -> None:
    for made in (
        pickle.loads(pickle.dumps(NotFitted("fit first"))),
        copy.copy(NotFitted("fit first")),
    ):
        assert isinstance(made, NotFitted) and isinstance(made, NotFittedError)
        assert made.args == ("fit first",) and type(made).__name__ == "NotFitted"


def test_errors_do_not_load_scikit_learn() -> None:
    code = "import sys, reviewml.errors; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
