"""The page says what was found, needs nothing else, and quotes nobody."""

from __future__ import annotations

import html.parser
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from reviewml import Pipeline
from reviewml.datasets import make_reviews
from reviewml.errors import NotFitted
from reviewml.featurizers import Features
from reviewml.report import write_report
from reviewml.trainers import LogisticRegression

ATTACK = "<script>alert(1)</script>"


class Page(html.parser.HTMLParser):
    """Gathers what a page holds, and checks that its elements are closed in order."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.said: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


def written(rows: pa.Table, target: str, path: Path, **segments: list[str]) -> str:
    features = Features(exclude=["text"])
    pipeline = Pipeline([("features", features), ("model", LogisticRegression())], id="id")
    learned = pipeline.fit(rows.slice(0, 400), target=target)
    evaluation = learned.evaluate(rows.slice(400), **segments)
    write_report(learned, evaluation, learned.explain(rows.slice(400)), path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    return make_reviews(600)


def test_says_what_was_found(rows: pa.Table, tmp_path: Path) -> None:
    page = Page(written(rows, "recommended", tmp_path / "a" / "page.html", segments=["layout"]))
    said = " ".join(page.said)
    for expected in ("Predicting recommended", "auc", "gallery", "page_load_seconds", "observed"):
        assert expected in said
    assert "binary: 200 rows used of 200 read" in said
    assert "not what a better review" in said


def test_needs_no_network_and_runs_nothing(rows: pa.Table, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    page = Page(written(rows, "recommended", tmp_path / "page.html"))
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert len(links) == 2
    assert all(link is not None and link.startswith("data:image/svg+xml;base64,") for link in links)
    assert "script" not in page.tags


def test_without_matplotlib_there_are_tables(
    rows: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, module, None)
    page = Page(written(rows, "recommended", tmp_path / "page.html"))
    assert "img" not in page.tags
    assert "auc" in page.said


def test_names_and_values_are_escaped(rows: pa.Table, tmp_path: Path) -> None:
    names = {"recommended": ATTACK, "layout": f"{ATTACK}2"}
    hostile = rows.rename_columns([names.get(name, name) for name in rows.column_names])
    values = pa.array([ATTACK, "b"] * 300)
    hostile = hostile.append_column("code", values)
    text = written(hostile, ATTACK, tmp_path / "page.html", segments=["code", f"{ATTACK}2"])
    assert ATTACK not in text
    assert ATTACK in " ".join(Page(text).said)


def test_quotes_no_review(rows: pa.Table, tmp_path: Path) -> None:
    text = written(rows, "recommended", tmp_path / "page.html")
    for review in rows.column("text").to_pylist():
        assert not review or review not in text
    assert "r0000401" not in text


@pytest.mark.parametrize("target", ["department", "price"])
def test_other_tasks_have_pages_too(rows: pa.Table, tmp_path: Path, target: str) -> None:
    page = Page(written(rows, target, tmp_path / "page.html"))
    assert f"Predicting {target}" in page.said


def test_warnings_are_shown(rows: pa.Table, tmp_path: Path) -> None:
    copy = rows.append_column("copied", rows.column("recommended"))
    with pytest.warns(UserWarning, match="copied"):
        text = written(copy, "recommended", tmp_path / "page.html")
    assert "Warnings" in Page(text).said
    assert "Warnings" not in Page(written(rows, "recommended", tmp_path / "other.html")).said


def test_the_same_model_has_the_same_pictures(rows: pa.Table, tmp_path: Path) -> None:
    pages = [Page(written(rows, "recommended", tmp_path / name)) for name in ("a", "b")]
    one, other = ([v for name, v in page.attributes if name == "src"] for page in pages)
    assert one == other


def test_needs_a_fitted_pipeline(rows: pa.Table, tmp_path: Path) -> None:
    pipeline = Pipeline([("features", Features()), ("model", LogisticRegression())])
    fitted = Pipeline(pipeline.steps, id="id").fit(rows, target="recommended")
    with pytest.raises(NotFitted):
        write_report(pipeline, fitted.evaluate(rows), fitted.explain(rows), tmp_path / "x.html")
