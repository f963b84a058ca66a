"""Looking after the store from the command line."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reviewml.enrichers import Language

STEP = ("--text", "text", "--steps", "language")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of its own, and an enricher whose values are kept."""
    monkeypatch.setenv("REVIEWML_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(Language, "stored", True)
    return tmp_path / "store"


@pytest.fixture
def enriched(run, files, tmp_path: Path) -> Path:
    path = tmp_path / "rich.parquet"
    run("enrich", files["test"], "--id", "id", *STEP, "--output", path)
    return path


def test_shows_what_there_is(run, run_json, enriched: Path, files) -> None:
    run("enrich", files["test"], *STEP)
    [shelf] = run_json("store")
    assert run_json("store", "show") == [shelf]
    assert (shelf["enricher"], shelf["columns"]) == ("Language", ["language"])
    assert shelf["hit_rate"] == 0.5
    assert 0 < shelf["rows"] <= 300
    shown = run("store").stdout
    assert "50%" in shown and shelf["fingerprint"][:12] in shown


def test_an_empty_store(run, run_json) -> None:
    assert run("store").stdout == "the store is empty\n"
    assert run_json("store", "prune", "--older-than", "90d") == {"deleted": 0}


def test_says_where_it_is(run, run_json, folder: Path, monkeypatch) -> None:
    assert run("store", "path").stdout == f"{folder}\n"
    assert run_json("store", "path") == {"path": str(folder)}
    monkeypatch.setenv("REVIEWML_STORE", "off")
    assert "REVIEWML_STORE is 'off'" in run("store", "path", code=1).stderr


def test_forgets(run, run_json, enriched: Path, tmp_path: Path) -> None:
    table = pq.read_table(enriched)
    ids = table.column("id").to_pylist()
    assert run_json("store", "forget", "--ids", ids[0], "--ids", "nobody") == {"deleted": 1}
    (tmp_path / "ids").write_text("\n".join(ids) + "\n")
    before = run_json("store")[0]["rows"]
    told = run("store", "forget", "--ids-from", tmp_path / "ids").stdout
    assert told == f"{before} values deleted\n"
    assert run_json("store")[0]["rows"] == 0


def test_forgets_the_first_id_of_a_file_that_a_spreadsheet_wrote(
    run_json, enriched: Path, tmp_path: Path
) -> None:
    first = pq.read_table(enriched).column("id")[0].as_py()
    (tmp_path / "ids").write_text(f"{first}\n", encoding="utf-8-sig")
    assert run_json("store", "forget", "--ids-from", tmp_path / "ids") == {"deleted": 1}


def test_forgets_nobody_by_mistake(run) -> None:
    assert "--ids" in run("store", "forget", code=2).stderr


def test_prunes(run, run_json, enriched: Path) -> None:
    assert run("store", "prune", "--older-than", "1d").stdout == "0 values deleted\n"
    assert run_json("store", "prune", "--older-than", "0s")["deleted"] > 0
    assert run_json("store") == []
    assert "90 days" in run("store", "prune", "--older-than", "90 days", code=1).stderr


def test_is_seeded(run, run_json, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scored = tmp_path / "scored.parquet"
    pq.write_table(pa.table({"text": ["Très bien", "très"], "language": ["fr", None]}), scored)
    assert run_json("store", "seed", scored, *STEP) == {"language": 1}
    told = run("store", "seed", scored, *STEP).stdout
    assert told == "language: 0 rows that had no values have them now\n"
    monkeypatch.setattr(Language, "stored", False)
    assert "computes its values again" in run("store", "seed", scored, *STEP, code=1).stderr
