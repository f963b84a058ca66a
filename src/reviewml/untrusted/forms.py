"""Forms of plain data: what a value that somebody else may have written must look like.

A form is declared beside what reads the value; whatever it lets pass can be worked with.

>>> form = Fields({"keys": Array("int64", ("k",)), "weights": Array("float64", ("k", 4))})
>>> form.check({"keys": np.arange(3), "weights": np.zeros((2, 4))}, "polarity_")
Traceback (most recent call last):
    ...
reviewml.untrusted.forms.WrongForm: polarity_.weights has the shape (2, 4), not (3, 4)
"""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np

LARGEST = float(np.finfo(np.float64).max)

MOST_COUNT = 2**48
"""Of whatever is counted: thousands of such counts can be added in 64 bits."""

Sizes = dict[str, int]
"""Sizes of the dimensions that are named, as they are first seen."""


class WrongForm(ValueError):
    """When a value does not have its form; the message names the part that is wrong."""


class Mismatch(Exception):
    """When a part of a value does not have its form; records the location of the part.

    The place is put together while the exception passes through the forms that the part is in:
    values that are as they must be, nearly all, need no names.

    Parameters
    ----------
    what
        Follows the name of the part in a message.
    of_name
        Whether it is about a name in the part.
    """

    def __init__(self, what: str, *, of_name: bool = False) -> None:
        super().__init__(what)
        self.what = what
        self.of_name = of_name
        self.places: list[object] = []

    def within(self, place: object) -> Self:
        """Add the name or the position of the value that contains the part."""
        self.places.append(place)
        return self

    def describe(self, name: str) -> str:
        """Describe the mismatch; `name` is that of the whole value and may be empty."""
        for place in reversed(self.places):
            if isinstance(place, int):
                name = f"{name}[{place}]"
            else:
                name = f"{name}.{str(place)[:50]}" if name else str(place)[:50]
        return f"{'a name in ' if self.of_name else ''}{name or 'it'} {self.what}"


class Form(ABC):
    """The shape that a value must have."""

    def check(self, value: Any, name: str) -> None:
        """Raise `WrongForm` unless a value has this form.

        Parameters
        ----------
        value
            Plain data: JSON types, tuples, and NumPy arrays and scalars.
        name
            What it is called in messages.
        """
        try:
            self.check_part(value, {})
        except Mismatch as mismatch:
            raise WrongForm(mismatch.describe(name)) from None

    @abstractmethod
    def check_part(self, value: Any, sizes: Sizes) -> None:
        """Raise `Mismatch` unless a part has this form; `sizes` holds dimensions seen so far."""


@dataclasses.dataclass(frozen=True)
class Whole(Form):
    """A whole number.

    Parameters
    ----------
    least, most
        What it is from and up to.
    """

    least: int = 0
    most: int = MOST_COUNT

    def check_part(self, value: Any, sizes: Sizes) -> None:
        value = _to_plain(value)
        if type(value) is not int:
            raise Mismatch(f"is {_describe_kind(value)}, not a whole number")
        if not self.least <= value <= self.most:
            raise Mismatch(f"is not {self.least} to {self.most}")


@dataclasses.dataclass(frozen=True)
class Real(Form):
    """A number, finite unless its limits are not.

    Parameters
    ----------
    least, most
        What it is from and up to.
    """

    least: float = -LARGEST
    most: float = LARGEST

    def check_part(self, value: Any, sizes: Sizes) -> None:
        value = _to_plain(value)
        if type(value) not in (int, float):
            raise Mismatch(f"is {_describe_kind(value)}, not a number")
        if not self.least <= value <= self.most:
            raise Mismatch(f"is not {self.least:g} to {self.most:g}")


@dataclasses.dataclass(frozen=True)
class Flag(Form):
    """True or false."""

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(_to_plain(value)) is not bool:
            raise Mismatch(f"is {_describe_kind(value)}, not true or false")


@dataclasses.dataclass(frozen=True)
class Text(Form):
    """Text that UTF-8 can hold.

    Parameters
    ----------
    one_of
        The texts that are known; None takes any.
    """

    one_of: Collection[str] | None = None

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if not isinstance(value, str):
            raise Mismatch(f"is {_describe_kind(value)}, not text")
        if not _is_utf8(value):
            raise Mismatch("is text that UTF-8 cannot hold")
        if self.one_of is not None and value not in self.one_of:
            raise Mismatch(f"is none of {', '.join(self.one_of)}")


@dataclasses.dataclass(frozen=True)
class Maybe(Form):
    """A value, or None.

    Parameters
    ----------
    form
        Of the value.
    """

    form: Form

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if value is not None:
            self.form.check_part(value, sizes)


@dataclasses.dataclass(frozen=True)
class Anything(Form):
    """Any value; it is checked elsewhere."""

    def check_part(self, value: Any, sizes: Sizes) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Instance(Form):
    """A component, whose own state was checked when it was restored.

    Parameters
    ----------
    kind
        Its class.
    """

    kind: type

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if not isinstance(value, self.kind):
            raise Mismatch(f"is {_describe_kind(value)}, not {self.kind.__name__}")


@dataclasses.dataclass(frozen=True)
class Array(Form):
    """A NumPy array; its numbers are finite.

    Parameters
    ----------
    dtype
        Of its elements.
    shape
        Sizes of its dimensions, or names: what one name stands for has one size.
    least, most
        What its elements are from and up to.
    ascending
        Whether each element is larger than the one before it.
    """

    dtype: str
    shape: tuple[int | str, ...]
    least: float = -LARGEST
    most: float = LARGEST
    ascending: bool = False

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if not isinstance(value, np.ndarray):
            raise Mismatch(f"is {_describe_kind(value)}, not an array")
        if value.dtype != self.dtype:
            raise Mismatch(f"has the type {value.dtype}, not {self.dtype}")
        self._check_shape(value.shape, sizes)
        if value.size:
            # Of a NaN, neither comparison is true.
            inside = self.least <= value.min() and value.max() <= self.most
            if not inside:
                raise Mismatch(f"has numbers that are not {self.least:g} to {self.most:g}")
        if self.ascending and not (value[1:] > value[:-1]).all():
            raise Mismatch("is not ascending")

    def _check_shape(self, shape: tuple[int, ...], sizes: Sizes) -> None:
        expected = self.shape
        if len(shape) == len(expected):
            expected = tuple(
                sizes.setdefault(size, found) if isinstance(size, str) else size
                for size, found in zip(expected, shape, strict=True)
            )
        if shape != expected:
            raise Mismatch(f"has the shape {shape}, not {expected}")


@dataclasses.dataclass(frozen=True)
class Each(Form):
    """A list, or a tuple, of values of one form.

    Parameters
    ----------
    form
        Of each value.
    length
        How many there are; None takes any number.
    distinct
        Whether no value may occur twice.
    """

    form: Form
    length: int | None = None
    distinct: bool = False

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(value) not in (list, tuple):
            raise Mismatch(f"is {_describe_kind(value)}, not a list")
        if self.length is not None and len(value) != self.length:
            raise Mismatch(f"has {len(value)} values, not {self.length}")
        for position, element in enumerate(value):
            try:
                self.form.check_part(element, sizes)
            except Mismatch as mismatch:
                raise mismatch.within(position) from None
        if self.distinct and len(set(value)) != len(value):
            raise Mismatch("has a value twice")


@dataclasses.dataclass(frozen=True)
class Pair(Form):
    """A tuple of two values.

    Parameters
    ----------
    first, second
        Forms of the values.
    """

    first: Form
    second: Form

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(value) is not tuple or len(value) != 2:
            raise Mismatch(f"is {_describe_kind(value)}, not a pair")
        for position, form in enumerate((self.first, self.second)):
            try:
                form.check_part(value[position], sizes)
            except Mismatch as mismatch:
                raise mismatch.within(position) from None


@dataclasses.dataclass(frozen=True)
class ByName(Form):
    """Values of one form by name.

    Parameters
    ----------
    form
        Of each value.
    names
        Form of each name.
    """

    form: Form
    names: Text = Text()

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(value) is not dict:
            raise Mismatch(f"is {_describe_kind(value)}, not values by name")
        for key, element in value.items():
            try:
                self.names.check_part(key, sizes)
            except Mismatch as mismatch:
                raise Mismatch(mismatch.what, of_name=True) from None
            try:
                self.form.check_part(element, sizes)
            except Mismatch as mismatch:
                raise mismatch.within(str(key)) from None


@dataclasses.dataclass(frozen=True)
class Fields(Form):
    """Values of known names, each of its own form.

    Parameters
    ----------
    fields
        Forms of the values that it must have, by name.
    optional
        Forms of those that it may have.
    """

    fields: Mapping[str, Form]
    optional: Mapping[str, Form] = dataclasses.field(default_factory=dict)

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(value) is not dict:
            raise Mismatch(f"is {_describe_kind(value)}, not values by name")
        for key in self.fields:
            if key not in value:
                raise Mismatch("is missing").within(key)
        for key, element in value.items():
            form = self._forms.get(key)
            if form is None:
                raise Mismatch("is not known").within(key)
            try:
                form.check_part(element, sizes)
            except Mismatch as mismatch:
                raise mismatch.within(str(key)) from None

    @functools.cached_property
    def _forms(self) -> Mapping[str, Form]:
        return {**self.fields, **self.optional}


@dataclasses.dataclass(frozen=True)
class OneOrSeveral(Form):
    """A value of a form, or a list of such values.

    Parameters
    ----------
    form
        Of each value.
    """

    form: Form

    def check_part(self, value: Any, sizes: Sizes) -> None:
        several = type(value) in (list, tuple)
        (Each(self.form) if several else self.form).check_part(value, sizes)


@dataclasses.dataclass(frozen=True)
class Choice(Form):
    """One of several records, which a field tells apart.

    Parameters
    ----------
    field
        Whose value says which.
    records
        By that value; the field itself belongs to each of them.
    """

    field: str
    records: Mapping[str, Fields]

    def check_part(self, value: Any, sizes: Sizes) -> None:
        if type(value) is not dict:
            raise Mismatch(f"is {_describe_kind(value)}, not values by name")
        kind = value.get(self.field)
        if not isinstance(kind, str) or kind not in self.records:
            raise Mismatch(f"is none of {', '.join(self.records)}").within(self.field)
        self.records[kind].check_part(value, sizes)


def _to_plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _describe_kind(value: Any) -> str:
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    return f"a value of type {type(value).__name__}" if value is not None else "null"
