"""Options that say how files are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result


def test_files_are_read_as_the_options_say(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = tmp_path / "reviews.tsv"
    path.write_text('A title\nid\tbody\n# a comment\n1\t"Great\n2\tbad"\n', encoding="utf-8")
    quoting = ["--quote", "", "--escape", "", "--delimiter", "\t"]
    options = [*quoting, "--skip", "1", "--comment", "#"]
    roles = ["--id", "id", "--text", "body", "--steps", "quality"]
    result = run("enrich", str(path), *roles, *options)
    assert result.stdout.count("Great") == 1 and "bad" in result.stdout


def test_values_are_read_as_the_options_say(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = tmp_path / "reviews.csv"
    lines = ["id;body;price;at", "1;good;1.200,50;1588687728923", "2;bad;-;1588687728924"]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = ["--decimal", ",", "--thousands", ".", "--missing", "-"]
    roles = ["--id", "id", "--text", "body", "--time", "at", "--steps", "quality"]
    result = run("enrich", str(path), *roles, *options, "--dtype", "at=timestamp[ms]")
    first, second = result.stdout.splitlines()[1:]
    assert ",1200.5,2020-05-05 14:08:48.923" in first
    assert ",,2020-05-05 14:08:48.924" in second
    assert "failed" not in result.stderr


def test_a_type_without_a_column_is_wrong_usage(tmp_path: Path, run: Callable[..., Result]) -> None:
    result = run("enrich", str(tmp_path), "--dtype", "int64", code=2)
    assert "should be COL=TYPE" in result.stderr


def test_an_unknown_type_is_refused(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("id,body\n1,good\n", encoding="utf-8")
    result = run("enrich", str(path), "--text", "body", "--dtype", "id=numbr", code=1)
    assert "error:" in result.stderr and "numbr" in result.stderr
