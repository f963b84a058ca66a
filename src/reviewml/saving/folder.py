"""Writing the parts of a fitted pipeline to a folder, and reading them back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Container, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from safetensors.numpy import save as to_safetensors

from reviewml import plugins
from reviewml.errors import DamagedModel, RegistryError, ReviewmlError
from reviewml.rows.provenance import Origin
from reviewml.rows.roles import ROLE_NAMES, Roles
from reviewml.saving import manifest
from reviewml.saving.components import (
    Described,
    describe,
    describe_state,
    find_installed,
    rebuild,
    restore,
)
from reviewml.saving.json_codec import Arrays, NotPlain, decode, encode
from reviewml.saving.metric_values import check_metrics
from reviewml.saving.model_card import write_card
from reviewml.saving.package_versions import list_versions, warn_of_other_versions
from reviewml.saving.saved_pipeline import Parts
from reviewml.saving.signature import KeyFile, KeyFiles, load_private_key, sign
from reviewml.saving.verified_copy import copy_verified
from reviewml.steps.component import Component
from reviewml.steps.model import Model
from reviewml.storage.atomic_files import create_folder
from reviewml.untrusted import check_document, read_arrays, read_document
from reviewml.untrusted.forms import (
    Anything,
    ByName,
    Each,
    Fields,
    Form,
    Maybe,
    OneOrSeveral,
    Real,
    Text,
    Whole,
    WrongForm,
)

CARD, PIPELINE, VERSIONS = "card.md", "pipeline.json", "versions.json"
FEATURES, REPORT, MODEL = "features.json", "report.json", "model"
STATE, ARRAYS = "state.json", "arrays.safetensors"

_ROLES: dict[str, Form] = {
    role: Maybe(OneOrSeveral(Text()) if role == "text" else Text()) for role in ROLE_NAMES
}
PARAMETERS_FORM = Fields({}, optional=_ROLES)
"""The roles that a pipeline was given."""

PIPELINE_FORM = Fields(
    {
        "parameters": Anything(),
        "steps": Each(
            Fields(
                {
                    **dict.fromkeys(("step", "kind", "name", "package"), Text()),
                    "version": Whole(),
                    "parameters": Anything(),
                }
            )
        ),
        "model": Maybe(Fields({"name": Text(), "package": Text()})),
        "roles": Fields(_ROLES),
        "columns": ByName(Text()),
    },
    optional={"origins": ByName(Fields({"enricher": Text(), "fingerprint": Text()}))},
)
"""What ``pipeline.json`` looks like; `rebuild` looks at parameters."""

VERSIONS_FORM = ByName(Text())

REPORT_FORM = Fields(
    {"steps": ByName(Text()), "warnings": Each(Text())},
    optional={
        "task": Text(("binary", "multiclass", "regression")),
        "target": Maybe(Text()),
        "columns": Each(Text()),
        "rows": ByName(Whole()),
        "classes": ByName(Whole()),
        "split": Text(),
        "data": Fields({"fingerprint": Text()}),
        "seconds": Real(0.0),
        # What a featurizer and a model of a plugin say of themselves is their own affair.
        "features": ByName(Anything()),
        "model": ByName(Anything()),
    },
)
"""What ``report.json`` looks like, which cards and reports show."""

FEATURES_SHOWN_FORM = Fields({}, optional={"left_out": ByName(Text())})
"""What reports show of what a featurizer says."""

UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    OSError,
)
"""What reading raises where a file is whole but says something else than `save` writes."""


def save(
    parts: Parts,
    folder: Path,
    *,
    metrics: Mapping[str, float] | None = None,
    key: KeyFile | None = None,
) -> Path:
    """Write a fitted pipeline to a new folder: whole, or not at all.

    Parameters
    ----------
    parts
        Of the pipeline.
    folder
        Must not exist, or be empty.
    metrics
        Figures to state in the card.
    key
        Private key to sign with.

    Raises
    ------
    RegistryError
        When the folder exists, or something cannot be saved, naming it.
    """
    figures = check_metrics(metrics)
    if key is not None:
        load_private_key(key)
    with create_folder(folder) as unfinished:
        _write(parts, unfinished, figures)
        manifest.seal(unfinished)
        if key is not None:
            sign(unfinished, key)
    return folder


def load(folder: Path, *, without: Container[str] = (), keys: KeyFiles | None = None) -> Parts:
    """Read what `save` wrote, after checking every byte; nothing in it is executed.

    Parameters
    ----------
    folder
        As `save` wrote it.
    without
        Steps of these kinds are left out, and need not be installed.
    keys
        Public keys of which one must have signed it; None asks for no signature.

    Raises
    ------
    ModelNotFound
        When there is no saved model.
    DamagedModel
        When the files are not the ones that were saved.
    UntrustedModel
        When none of the keys signed it.
    RegistryError
        When this version of reviewml, or of a plugin, cannot read it.
    UnknownName
        When a step comes from a plugin that is not installed.
    """
    if keys is None:
        return _read_parts(folder, manifest.check(folder), without)
    with copy_verified(folder, keys) as (copy, files):
        return _read_parts(copy, files, without)


def _read_parts(folder: Path, files: Set[str], without: Container[str]) -> Parts:
    saved_with = read_document(folder / VERSIONS)
    with _name_file(folder / VERSIONS):
        VERSIONS_FORM.check(saved_with, "")
        warn_of_other_versions(saved_with)
    with _name_file(folder / REPORT):
        report = _report(decode(read_document(folder / REPORT), {}))
    described = read_document(folder / PIPELINE)
    with _name_file(folder / PIPELINE):
        PIPELINE_FORM.check(described, "")
        parts = Parts(
            parameters=_decode_parameters(described["parameters"]),
            steps=[
                (
                    step["step"],
                    _load_step(folder, _step_folder(number, step["step"]), step, saved_with, files),
                )
                for number, step in enumerate(described["steps"], start=1)
                if step["kind"] not in without
            ],
            model=_load_model(described["model"], folder / MODEL, saved_with),
            roles=Roles.of(**described["roles"]),
            schema=dict(described["columns"]),
            report=report,
            origins={
                name: Origin(**fields) for name, fields in described.get("origins", {}).items()
            },
        )
        _check_fit_together(parts, folder)
        return parts


def _check_fit_together(parts: Parts, folder: Path) -> None:
    """Raise unless the model predicts from as many features as the steps make."""
    expected, features = getattr(parts.model, "n_features", None), parts.features
    # Without a featurizer, somebody else makes the features.
    if expected is not None and features and len(features) != expected:
        raise DamagedModel(
            f"the model in {folder} is for {expected:,} features, and its steps make "
            f"{len(features):,}. Nothing was loaded; use another copy of it."
        )


@contextlib.contextmanager
def _name_file(path: Path) -> Iterator[None]:
    """Name the file to blame when its content is not what `save` writes."""
    try:
        yield
    except ReviewmlError:
        raise
    except UNREADABLE as error:
        what = f"{error}" if isinstance(error, WrongForm) else f"{type(error).__name__}: {error}"
        raise DamagedModel(
            f"{path} is not what Pipeline.save writes: {what}. Nothing was loaded; use another "
            "copy of it."
        ) from error


def _decode_parameters(described: Any) -> Mapping[str, Any]:
    parameters: dict[str, Any] = decode(described, {})
    PARAMETERS_FORM.check(parameters, "parameters")
    return parameters


def _report(described: Any) -> dict[str, Any]:
    if described == {}:
        return {}
    REPORT_FORM.check(described, "")
    features = described.get("features", {})
    visible_features = {
        name: features[name] for name in FEATURES_SHOWN_FORM.optional if name in features
    }
    FEATURES_SHOWN_FORM.check(visible_features, "features")
    report: dict[str, Any] = described
    return report


def _write(parts: Parts, folder: Path, metrics: Mapping[str, float]) -> None:
    steps = [
        _save_step(name, step, folder / _step_folder(number, name))
        for number, (name, step) in enumerate(parts.steps, start=1)
    ]
    model = None if parts.model is None else _save_model(parts.model, folder / MODEL)
    used = list_versions(entry["package"] for entry in [*steps, *([model] if model else [])])
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
    _write_json(folder / FEATURES, [_describe_feature(feature) for feature in parts.features])
    _write_json(folder / REPORT, encode(dict(parts.report), {}))
    _write_json(folder / VERSIONS, used)
    text = write_card(parts, metrics=metrics, versions=used)
    (folder / CARD).write_text(text, encoding="utf-8", newline="\n")


def _describe_feature(feature: Any) -> dict[str, Any]:
    fields = ("name", "column", "meaning", "kind", "categories")
    described = {field: getattr(feature, field) for field in fields}
    return described | {"categories": list(feature.categories)}


# -- steps --------------------------------------------------------------------------------------


def _step_folder(number: int, name: str) -> str:
    return f"steps/{number}-{re.sub(r'[^A-Za-z0-9_-]', '_', name)}"


def _save_step(name: str, step: Component, folder: Path) -> Described:
    arrays: Arrays = {}
    try:
        described = describe(step, arrays)
        state = describe_state(step, arrays)
    except NotPlain as error:
        raise NotPlain(f"step {name!r}: {error}") from error
    if state or arrays:
        folder.mkdir(parents=True)
        _write_json(folder / STATE, state)
    if arrays:
        # Not `save_file`, whose files only their owner may read.
        (folder / ARRAYS).write_bytes(to_safetensors(arrays))
    return {"step": name, **described}


def _load_step(
    folder: Path,
    name: str,
    described: Described,
    saved_with: Mapping[str, str],
    files: Container[str],
) -> Component:
    of_state, of_arrays = folder / name / STATE, folder / name / ARRAYS
    with _name_file(of_arrays):
        arrays = read_arrays(of_arrays) if f"{name}/{ARRAYS}" in files else {}
    state = read_document(of_state) if f"{name}/{STATE}" in files else {}
    component = rebuild(described, arrays, saved_with)
    with _name_file(of_state):
        return restore(component, state, arrays, saved_with)


# -- the model ----------------------------------------------------------------------------------


def _save_model(model: Model, folder: Path) -> Described:
    for value in model.classes:
        if not isinstance(value, bool | int | float | str):
            raise RegistryError(
                f"the target has the class {value!r}, a {type(value).__name__}; what is saved "
                "must be text, a number or a boolean. Convert the target before fitting."
            )
    name = plugins.get_catalogue().name_of("models", type(model))
    folder.mkdir()
    model.save(folder)
    return {"name": name, "package": plugins.get_catalogue().entry("models", name).package}


def _load_model(
    described: Described | None, folder: Path, saved_with: Mapping[str, str]
) -> Model | None:
    if described is None:
        return None
    cls = find_installed("models", described, saved_with)
    with _name_file(folder):
        model: Model = cls.load(folder)
    return model


# -- JSON ---------------------------------------------------------------------------------------


def _write_json(path: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    # Text may hold halves of surrogate pairs, which strict UTF-8 has no bytes for.
    raw = (text + "\n").encode("utf-8", "surrogatepass")
    try:
        check_document(raw)
    except ValueError as error:
        raise NotPlain(
            f"{path.name} cannot be saved, since `load` would refuse it: {error}."
        ) from None
    path.write_bytes(raw)
