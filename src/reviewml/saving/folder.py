"""Writing the parts of a fitted pipeline to a folder, and reading them back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from reviewml import plugins
from reviewml.errors import DamagedModel, RegistryError, ReviewmlError
from reviewml.interfaces.component import Component
from reviewml.interfaces.model import Model
from reviewml.interfaces.origins import Origin
from reviewml.saving import manifest
from reviewml.saving.card import card
from reviewml.saving.components import Described, describe, installed, learned, rebuild, restore
from reviewml.saving.parts import Parts
from reviewml.saving.plain import Arrays, NotPlain, decode, encode
from reviewml.saving.unfinished import new_folder
from reviewml.saving.versions import versions, warn_of_other_versions
from reviewml.schema import ROLE_NAMES, Roles

CARD, PIPELINE, VERSIONS = "card.md", "pipeline.json", "versions.json"
FEATURES, REPORT, MODEL = "features.json", "report.json", "model"
STATE, ARRAYS = "state.json", "arrays.safetensors"

UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    FileNotFoundError,
    SafetensorError,
)
"""What reading raises where a file is whole but says something else than `save` writes."""


def save(parts: Parts, folder: Path, *, metrics: Mapping[str, float] | None = None) -> Path:
    """Write a fitted pipeline to a new folder: whole, or not at all.

    Parameters
    ----------
    parts
        Of the pipeline.
    folder
        Must not exist, or be empty.
    metrics
        Figures to state in the card.

    Raises
    ------
    RegistryError
        When the folder exists, or something cannot be saved, naming it.
    """
    with new_folder(folder) as unfinished:
        _write(parts, unfinished, metrics or {})
        manifest.seal(unfinished)
    return folder


def load(folder: Path, *, without: Container[str] = ()) -> Parts:
    """Read what `save` wrote, after checking every byte of it; nothing in it is executed.

    Parameters
    ----------
    folder
        As `save` wrote it.
    without
        Steps of these kinds are left out, and need not be installed.

    Raises
    ------
    ModelNotFound
        When there is no saved model.
    DamagedModel
        When the files are not the ones that were saved.
    RegistryError
        When this version of reviewml, or of a plugin, cannot read it.
    UnknownName
        When a step comes from a plugin that is not installed.
    """
    manifest.check(folder)
    saved_with = _read_json(folder / VERSIONS)
    with _described_in(folder / VERSIONS):
        warn_of_other_versions(saved_with)
    with _described_in(folder / REPORT):
        report = dict(decode(_read_json(folder / REPORT), {}))
    described = _read_json(folder / PIPELINE)
    with _described_in(folder / PIPELINE):
        return Parts(
            parameters=_parameters(described["parameters"]),
            steps=[
                (
                    step["step"],
                    _load_step(folder / _step_folder(number, step["step"]), step, saved_with),
                )
                for number, step in enumerate(described["steps"], start=1)
                if step["kind"] not in without
            ],
            model=_load_model(described["model"], folder / MODEL, saved_with),
            roles=Roles.of(**described["roles"]),
            schema=dict(described["columns"]),
            report=report,
            origins={name: Origin(**said) for name, said in described.get("origins", {}).items()},
        )


@contextlib.contextmanager
def _described_in(path: Path) -> Iterator[None]:
    """Say which file is to blame when what it describes is not what `save` writes."""
    try:
        yield
    except ReviewmlError:
        raise
    except UNREADABLE as error:
        raise DamagedModel(
            f"{path} is not what Pipeline.save writes: {type(error).__name__}: {error}. Nothing "
            "was loaded; use another copy of it."
        ) from error


def _parameters(described: Any) -> Mapping[str, Any]:
    parameters: dict[str, Any] = decode(described, {})
    for name in parameters:
        if name not in ROLE_NAMES:
            raise ValueError(f"{name!r} is no parameter; {', '.join(ROLE_NAMES)} are")
    return parameters


def _write(parts: Parts, folder: Path, metrics: Mapping[str, float]) -> None:
    steps = [
        _save_step(name, step, folder / _step_folder(number, name))
        for number, (name, step) in enumerate(parts.steps, start=1)
    ]
    model = None if parts.model is None else _save_model(parts.model, folder / MODEL)
    used = versions(entry["package"] for entry in [*steps, *([model] if model else [])])
    described = {
        "parameters": encode(dict(parts.parameters), {}),
        "steps": steps,
        "model": model,
        "roles": dataclasses.asdict(parts.roles),
        "columns": dict(parts.schema),
    }
    if parts.origins:
        described["origins"] = {
            name: dataclasses.asdict(origin) for name, origin in parts.origins.items()
        }
    _write_json(folder / PIPELINE, described)
    _write_json(folder / FEATURES, [_feature(feature) for feature in parts.features])
    _write_json(folder / REPORT, encode(dict(parts.report), {}))
    _write_json(folder / VERSIONS, used)
    text = card(parts, metrics=metrics, versions=used)
    (folder / CARD).write_text(text, encoding="utf-8", newline="\n")


def _feature(feature: Any) -> dict[str, Any]:
    said = ("name", "column", "meaning", "kind", "categories")
    described = {field: getattr(feature, field) for field in said}
    return described | {"categories": list(feature.categories)}


# -- steps --------------------------------------------------------------------------------------


def _step_folder(number: int, name: str) -> str:
    return f"steps/{number}-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}"


def _save_step(name: str, step: Component, folder: Path) -> Described:
    arrays: Arrays = {}
    try:
        described = describe(step, arrays)
        state = learned(step, arrays)
    except NotPlain as error:
        raise NotPlain(f"step {name!r}: {error}") from error
    if state or arrays:
        folder.mkdir(parents=True)
        _write_json(folder / STATE, state)
    if arrays:
        save_file(arrays, folder / ARRAYS)
    return {"step": name, **described}


def _load_step(folder: Path, described: Described, saved_with: Mapping[str, str]) -> Component:
    has_state, has_arrays = (folder / STATE).exists(), (folder / ARRAYS).exists()
    with _described_in(folder / ARRAYS):
        arrays = load_file(folder / ARRAYS) if has_arrays else {}
    state = _read_json(folder / STATE) if has_state else {}
    component = rebuild(described, arrays, saved_with)
    with _described_in(folder / STATE):
        return restore(component, state, arrays, saved_with)


# -- the model ----------------------------------------------------------------------------------


def _save_model(model: Model, folder: Path) -> Described:
    for value in model.classes:
        if not isinstance(value, bool | int | float | str):
            raise RegistryError(
                f"the target has the class {value!r}, a {type(value).__name__}; what is saved "
                "must be text, a number or a boolean. Convert the target before fitting."
            )
    name = plugins.catalogue().name_of("models", type(model))
    folder.mkdir()
    model.save(folder)
    return {"name": name, "package": plugins.catalogue().entry("models", name).package}


def _load_model(
    described: Described | None, folder: Path, saved_with: Mapping[str, str]
) -> Model | None:
    if described is None:
        return None
    cls = installed("models", described, saved_with)
    with _described_in(folder):
        model: Model = cls.load(folder)
    return model


# -- JSON ---------------------------------------------------------------------------------------


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Text may hold halves of surrogate pairs, which strict UTF-8 has no bytes for.
    path.write_bytes((text + "\n").encode("utf-8", "surrogatepass"))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise DamagedModel(f"{path} is not JSON: {error}") from error
