"""Files that somebody else may have written end in a value or in DamagedModel; nothing waits."""

from __future__ import annotations

import json
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

import reviewml
from reviewml import Pipeline, SharedRegistry
from reviewml.errors import DamagedModel, RegistryError, ReviewmlError
from reviewml.featurizers import Features
from reviewml.registries.base import check_name
from reviewml.saving import manifest
from reviewml.trainers import LogisticRegression
from reviewml.untrusted import parse_document, read_arrays, read_file

posix = pytest.mark.skipif(os.name == "nt", reason="there are no pipes and devices in folders")


@pytest.fixture(scope="module")
def fitted() -> Pipeline:
    rows = pa.table({"price": [1.0, 2.0, 3.0, 4.0] * 5, "bought": [True, True, False, False] * 5})
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(rows, target="bought")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[" * 100_000,
        b"[" * 400 + b"]" * 400,
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 2}}',
        b"NaN",
        b"[Infinity]",
        b"1e999",
        b"9" * 400 + b".0",
        b"9" * 250 + b"e99",
        b"9" * 5_000,
        b"\xff\xfe{\0}\0",
        b'"\xff"',
    ],
)
def test_json_that_is_never_written_is_refused(raw: bytes) -> None:
    with pytest.raises(DamagedModel, match="it is not JSON as reviewml writes it"):
        parse_document(raw, "it")


def test_brackets_and_digits_in_texts_are_texts() -> None:
    value = {"[" * 200: "{" * 200 + '"\\' + "9" * 5_000, "number": 10**700, "e": "1e999"}
    assert parse_document(json.dumps(value).encode(), "it") == value


def to_file(header: Any, data: bytes) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def entry(dtype: str, shape: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2**23) + b"{}",
        to_file([], b""),
        to_file({}, b"more"),
        to_file({"a": 1}, b""),
        to_file({"a": entry("F32", [10**12], 0, 4 * 10**12)}, b"\0" * 16),
        to_file({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 0, 8)}, b"\0" * 16),
        to_file({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 8, 12)}, b"\0" * 12),
        to_file({"a": entry("F32", [2**32, 2**32], 0, 0)}, b""),
        to_file({"a": entry("F32", [0, 2**62, 2**62], 0, 0)}, b""),
        # Multiplied, these take minutes or do not fit into memory.
        to_file({"a": entry("U8", [2**62] * 700_000, 0, 0)}, b""),
        to_file({"a": entry("U8", [1] * 100 + ["a" * 1_000, 2**40], 0, 0)}, b""),
        to_file({"a": entry("F32", [-1, -1], 0, 4)}, b"\0" * 4),
        to_file({"a": entry("F32", [True], 0, 4)}, b"\0" * 4),
        to_file({"a": entry("F32", [1.0], 0, 4)}, b"\0" * 4),
        to_file({"a": entry("F8_E4M3", [1], 0, 1)}, b"\0"),
        to_file({"a": entry("BOOL", [1], 0, 1)}, b"\2"),
        to_file(b'{"a":' + b"[" * 100_000, b""),
        to_file(
            b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
            b'"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
            b"\0",
        ),
    ],
)
def test_arrays_that_are_never_written_are_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(raw)
    with pytest.raises(DamagedModel):
        read_arrays(tmp_path / "a.safetensors")


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    kinds = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8"]
    arrays = {kind: (np.arange(6) % 2).astype(kind).reshape(2, 3) for kind in kinds}
    arrays |= {"empty": np.empty((0, 3)), "scalar": np.array(1.5)}
    (tmp_path / "a.safetensors").write_bytes(save(arrays))
    found = read_arrays(tmp_path / "a.safetensors")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.writeable


IRREGULAR: dict[str, Callable[[Path], Any]] = {
    "a pipe": os.mkfifo if os.name != "nt" else lambda path: None,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link": lambda path: path.symlink_to("/etc/passwd"),
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "empty": lambda path: path.write_bytes(b""),
    "no JSON": lambda path: path.write_bytes(b"\xff" * 100),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "a list": lambda path: path.write_bytes(b"[]"),
    "null": lambda path: path.write_bytes(b"null"),
    "a number": lambda path: path.write_bytes(b"7"),
}
FILES = [
    "card.md",
    "features.json",
    "manifest.json",
    "model/model.json",
    "model/weights.safetensors",
    "pipeline.json",
    "report.json",
    "steps/1-features/state.json",
    "versions.json",
]


@posix
@pytest.mark.parametrize("kind", IRREGULAR)
@pytest.mark.parametrize("file", FILES)
def test_each_file_may_be_anything(fitted: Pipeline, tmp_path: Path, file: str, kind: str) -> None:
    folder = fitted.save(tmp_path / "model")
    (folder / file).unlink()
    IRREGULAR[kind](folder / file)
    with pytest.raises(RegistryError):
        reviewml.load(folder)
    if file == "manifest.json":
        return
    (folder / "manifest.json").unlink()
    try:
        manifest.seal(folder)
        reviewml.load(folder)
    except ReviewmlError:
        return
    # Nobody reads these two but people.
    assert file in ("card.md", "features.json", "report.json", "versions.json")


@posix
def test_a_manifest_cannot_say_that_something_is_no_file(fitted: Pipeline, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    _, entries = manifest.parse((folder / "manifest.json").read_bytes())
    entries["report.json"] = {"not": "a file"}
    (folder / "manifest.json").write_bytes(manifest._render_manifest(1, entries))
    (folder / "report.json").unlink()
    (folder / "report.json").symlink_to("/dev/zero")
    with pytest.raises(DamagedModel, match=r"manifest\.json changed"):
        reviewml.load(folder)


@pytest.mark.parametrize("folder", ["../../../secret", "/etc", "..", "", "a" * 31, "A" * 32, None])
def test_an_event_does_not_choose_what_is_read(
    fitted: Pipeline, tmp_path: Path, folder: str | None
) -> None:
    registry = SharedRegistry(tmp_path / "models")
    registry.log(fitted, name="m")
    [event] = (tmp_path / "models" / "m" / "events").iterdir()
    changed = json.loads(event.read_bytes()) | {"folder": folder}
    event.write_bytes(json.dumps(changed).encode() + b"\n")
    with pytest.raises(DamagedModel, match=r"folder cannot be one|does not say where"):
        registry.load("m")


NAMES = ["CON", "nul", "con.txt", "aux", "COM1", "lpt9.json", "PRN", "rec.", None, 5, b"rec", ["a"]]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_folder_has_everywhere_are_refused(name: Any) -> None:
    with pytest.raises(RegistryError, match="cannot name a model"):
        check_name(name)


def test_names_that_only_look_like_devices_are_names() -> None:
    for name in ("console", "com", "com10", "nulls", "con-1", "auxiliary.v2"):
        check_name(name)


@posix
def test_files_have_the_permissions_that_the_umask_leaves(fitted: Pipeline, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = fitted.save(tmp_path / "model")
    finally:
        os.umask(before)
    for name in FILES:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o644, name


def test_a_file_has_a_largest_size(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(DamagedModel, match="at most 10"):
        read_file(tmp_path / "a", most=10)
    assert read_file(tmp_path / "a", most=11) == b"x" * 11


def test_a_model_has_a_largest_size(
    fitted: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fitted.save(tmp_path / "model")
    total = sum(entry["bytes"] for entry in entries_of(folder).values())
    monkeypatch.setattr(manifest, "MOST_MODEL_BYTES", total)
    reviewml.load(folder)
    monkeypatch.setattr(manifest, "MOST_MODEL_BYTES", total - 1)
    with pytest.raises(DamagedModel, match=f"have {total:,} bytes; at most {total - 1:,}"):
        reviewml.load(folder)
    with pytest.raises(DamagedModel, match=f"at most {total - 1:,} are expected of a model"):
        fitted.save(tmp_path / "other")


def entries_of(folder: Path) -> dict[str, Any]:
    entries: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())["files"]
    return entries


@posix
def test_files_without_content_are_not_read_to_their_end(fitted: Pipeline, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    entries = entries_of(folder)
    for number in range(9):
        (folder / f"more{number}").touch()
        os.truncate(folder / f"more{number}", 2**31)
        entries[f"more{number}"] = {"bytes": 2**31, "sha256": "0" * 64}
    (folder / "manifest.json").write_bytes(
        manifest._render_manifest(1, dict(sorted(entries.items())))
    )
    with pytest.raises(DamagedModel, match="are expected of a model"):
        reviewml.load(folder)


def test_a_model_for_other_features_is_refused(fitted: Pipeline, tmp_path: Path) -> None:
    folder = fitted.save(tmp_path / "model")
    path = folder / "steps" / "1-features" / "state.json"
    state = json.loads(path.read_bytes())
    state["columns_"] = state["columns_"] * 2
    path.write_text(json.dumps(state), encoding="utf-8")
    (folder / "manifest.json").unlink()
    manifest.seal(folder)
    with pytest.raises(DamagedModel, match="is for 1 features, and its steps make 2"):
        reviewml.load(folder)
