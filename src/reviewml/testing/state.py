"""Checks of the form that a step declares for its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from reviewml.steps.component import Component
from reviewml.untrusted.forms import WrongForm


def assert_state_has_form(component: Component) -> None:
    """Raise unless a fitted component declares the form of its state, and refuses other states."""
    state, name = component.state, type(component).__name__
    if not state:
        return
    assert component.state_form is not None, (
        f"declare {name}.state_form, so that load refuses a damaged state: see reviewml.forms"
    )
    component.check_state(state)
    for what, damaged in _make_damaged_states(state):
        try:
            component.check_state(damaged)
        except WrongForm:
            continue
        raise AssertionError(f"{name}.check_state takes a state with {what}")


def _make_damaged_states(state: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield states that nothing learned, each with what is wrong with it."""
    yield "an unknown name", {**state, "unknown_": 0}
    for name, value in state.items():
        yield f"{name} of another type", {**state, name: object()}
        if isinstance(value, np.ndarray):
            yield f"{name} of another shape", {**state, name: value[np.newaxis]}
            yield f"{name} of another dtype", {**state, name: value.astype(object)}
            if value.dtype.kind == "f" and value.size:
                yield f"{name} with NaN", {**state, name: np.full_like(value, np.nan)}
