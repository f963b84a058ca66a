"""FrameTransformer: what scikit-learn expects of a component that adds columns to frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils import Tags, TransformerTags

from reviewml.data.frames import convert_frame, is_frame
from reviewml.errors import NotFitted, ParameterError, SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

Container = Literal["default", "pandas", "polars"]
CONTAINERS = ("default", "pandas", "polars")


class OutputContainer:
    """An estimator whose `transform` answers with the kind of frame that was asked for."""

    # Under this name scikit-learn's `clone` finds it.
    _sklearn_output_config: Mapping[str, str]

    def set_output(self, *, transform: Container | None = None) -> Self:
        """Choose what `transform` and `fit_transform` answer a frame with.

        Parameters
        ----------
        transform
            ``"pandas"``, ``"polars"``, or ``"default"``; None leaves it as it is.
        """
        if transform is None:
            return self
        if transform not in CONTAINERS:
            raise ParameterError(
                f"set_output(transform={transform!r}): transform is one of "
                f"{', '.join(map(repr, CONTAINERS))}."
            )
        self._sklearn_output_config = {"transform": transform}
        return self

    def output_container(self) -> str:
        """Get the choice made here, or by ``sklearn.set_config(transform_output=...)``."""
        chosen: Mapping[str, str] = getattr(self, "_sklearn_output_config", {})
        return chosen.get("transform") or str(sklearn.get_config()["transform_output"])

    def convert_output(self, answer: Any) -> Any:
        """Convert a frame to the kind that was chosen; leave anything else as it is."""
        container = self.output_container()
        if container == "default" or not is_frame(answer):
            return answer
        return convert_frame(answer, container)


class FrameTransformer(OutputContainer):
    """A transformer of frames: it needs their names, and returns all columns and its own."""

    adds: Mapping[str, pa.DataType]

    @property
    def learns(self) -> bool:
        """Whether `fit` has anything to do."""
        return True

    def remember_columns(self, names: Sequence[str]) -> None:
        """Keep the names of the columns that it is fitted on."""
        # Not under a name that ends in an underscore: what it adds does not depend on them.
        self._names_in = tuple(names)

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """Names of the columns that it was fitted on."""
        names = getattr(self, "_names_in", None)
        if names is None:
            raise AttributeError(f"{type(self).__name__} was not fitted on a frame.")
        return np.array(names, dtype=object)

    @property
    def n_features_in_(self) -> int:
        """Number of the columns that it was fitted on."""
        return len(self.feature_names_in_)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """Return the names of the columns of what `transform` returns.

        Parameters
        ----------
        input_features
            Names of the columns that it is given; None for those that it was fitted on.
        """
        fitted = getattr(self, "_names_in", None)
        if fitted is None and (input_features is None or self.learns):
            raise NotFitted(
                f"{type(self).__name__} is not fitted: call fit() first, or name the columns in "
                "input_features."
            )
        names = fitted if input_features is None else tuple(map(str, input_features))
        if fitted is not None and names != fitted:
            raise SchemaError("input_features is not equal to feature_names_in_.")
        return np.array([*(names or ()), *self.added_names()], dtype=object)

    def added_names(self) -> list[str]:
        """Return the names of the columns that it adds."""
        return list(self.adds)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.string = True
        tags.transformer_tags = TransformerTags(preserves_dtype=[])
        tags.requires_fit = self.learns
        return tags
