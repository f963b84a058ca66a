"""Texts that show nothing are none, and every text that shows something is one."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest

from reviewml.rows.blanks import BLANKS, null_blanks

IGNORED = "\u034f\u17b4\u180b\u200d\u2060\u3164\ufe0f\ufeff\U000e0001\U000e007f"
"""Characters that Unicode says are drawn as nothing, one of each kind."""


@pytest.mark.parametrize("character", [*IGNORED, *" \t\n\x00\x85\xa0\u2003\u3000"], ids=ascii)
def test_a_text_of_characters_that_show_nothing_is_none(character: str) -> None:
    texts = pa.array([character, f" {character}{character}", f"{character}a", None])
    assert null_blanks(texts).to_pylist() == [None, None, f"{character}a", None]


def test_what_is_blank_is_a_control_a_space_a_mark_or_a_filler() -> None:
    shown = {c for c in BLANKS if unicodedata.category(c)[0] not in "CZM"}
    # Hangul's fillers are letters, and Braille's blank is a symbol.
    assert shown == {*"\u115f\u1160\u2800\u3164\uffa0"}


@pytest.mark.parametrize("text", ["!", "👍", "👍🏽", "⭐️", "\u0301", "0", "。", "é"])
def test_a_text_that_shows_anything_is_one(text: str) -> None:
    assert null_blanks(pa.array([text])).to_pylist() == [text]
