"""Progress is shown to people, and to nobody else."""

from __future__ import annotations

import io
import sys
import time

import pyarrow as pa
import pytest

from reviewml import Pipeline
from reviewml.display.progress import show_progress
from reviewml.interfaces import Enricher


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Slow(Enricher):
    """Takes its time with each text, as a transformer does."""

    stored = True
    adds = {"words": pa.int64()}

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        time.sleep(0.005 * len(batch))
        return batch.append_column("words", pa.array([1] * len(batch), pa.int64()))


def watched(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of standard error; not in a fixture, whose is pytest's own."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_work_that_is_kept_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    texts = pa.table({"text": [f"text {number}" for number in range(300)]})
    Pipeline([("words", Slow())], text="text").enrich(texts).to_arrow()
    assert "words:" in terminal.getvalue()
    assert "/300" in terminal.getvalue()


def test_what_is_quick_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watched(monkeypatch)
    assert list(show_progress(["ab", "c"], "letters", 3, part=True)) == ["ab", "c"]
    assert terminal.getvalue().strip() == ""


def test_nobody_else_is_shown_any(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(show_progress(["ab", "c"], "letters", 3)) == ["ab", "c"]
    assert capsys.readouterr().err == ""
