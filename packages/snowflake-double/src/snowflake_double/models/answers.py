"""What is answered about models: made, changed, listed, and their files read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from snowflake_double.models import calls
from snowflake_double.models.catalogue import Model, Version, models_of
from snowflake_double.models.services import serving
from snowflake_double.names import Name
from snowflake_double.stages import folders
from snowflake_double.statements import (
    Answer,
    Call,
    Refused,
    exists,
    missing,
    on,
    rows,
    status,
)
from snowflake_double.texts import NAME, PART, TEXT, read_text

if TYPE_CHECKING:
    from snowflake_double.double import Double

__all__ = ["calls"]

MODEL, VERSION, ALIAS = f"(?P<model>{NAME})", f"(?P<version>{PART})", f"(?P<alias>{PART})"
SAID = rf"(?P<text>\$\$.*?\$\$|{TEXT})"
LIKE = rf"(?: LIKE (?P<like>{TEXT}))?"
URL = r"'?snow://model/(?P<url>(?:[^'\\]|\\.)+?)'?"
FROM = r"FROM (?P<location>@\S+)"


def find(call: Call) -> Model:
    """Return the model that a statement names."""
    return models_of(call.session).find(call.session, call.match["model"])


def find_version(call: Call) -> tuple[Model, Version]:
    """Return the model and the version that a statement names."""
    model = find(call)
    return model, model.version(part(call, "version"))


def part(call: Call, group: str) -> str:
    """Return an identifier of a statement as it is in the catalogue."""
    return Name.parse(call.match[group]).parts[-1]


def text(call: Call) -> str:
    """Return the text in a statement."""
    given = call.match["text"]
    return str(given[2:-2]) if given.startswith("$$") else read_text(given)


def source(double: Double, call: Call) -> Path:
    """Return the folder of the files on a stage that a version is to be made of."""
    stage, path = folders.of_call(double, call)
    return stage.folder / path


# -- making and changing ------------------------------------------------------------------------


@on(rf"^CREATE MODEL {MODEL} WITH VERSION {VERSION} {FROM}$")
def create_model(double: Double, call: Call) -> Answer:
    name, version = call.match["model"], part(call, "version")
    models_of(call.session).create(call.session, name, version, source(double, call))
    return status(f"Model {name} successfully created.")


@on(rf"^ALTER MODEL {MODEL} ADD VERSION {VERSION} {FROM}$")
def add_version(double: Double, call: Call) -> Answer:
    models_of(call.session).add(find(call), part(call, "version"), source(double, call))
    return status()


@on(rf"^ALTER MODEL {MODEL} MODIFY VERSION {VERSION} SET METADATA ?= ?{SAID}$")
def set_metadata(double: Double, call: Call) -> Answer:
    find_version(call)[1].metadata = json.loads(text(call))
    return status()


@on(rf"^ALTER MODEL {MODEL} MODIFY VERSION {VERSION} SET COMMENT ?= ?{SAID}$")
def set_comment(double: Double, call: Call) -> Answer:
    find_version(call)[1].comment = text(call)
    return status()


@on(rf"^COMMENT ON MODEL {MODEL} IS {SAID}$")
def comment_model(double: Double, call: Call) -> Answer:
    find(call).comment = text(call)
    return status()


@on(rf"^ALTER MODEL {MODEL} SET DEFAULT_VERSION ?= ?{VERSION}$")
def set_default(double: Double, call: Call) -> Answer:
    model, version = find_version(call)
    model.default = version.name
    return status()


@on(rf"^ALTER MODEL {MODEL} VERSION {VERSION} SET ALIAS ?= ?{ALIAS}$")
def set_alias(double: Double, call: Call) -> Answer:
    model, version = find_version(call)
    alias = part(call, "alias")
    if call.match["alias"].startswith('"'):
        raise Refused(1008, f"Aliases must be valid identifiers without double quotes: {alias}.")
    if alias in {**model.aliases, **model.given}:
        raise exists(alias)
    if version.name in model.aliases.values():
        raise Refused(398008, f"Version '{version.name}' can have at most one alias.")
    model.aliases[alias] = version.name
    return status()


@on(rf"^ALTER MODEL {MODEL} VERSION {VERSION} UNSET ALIAS$")
def unset_alias(double: Double, call: Call) -> Answer:
    model, version = find_version(call)
    kept = {alias: at for alias, at in model.aliases.items() if at != version.name}
    if kept == model.aliases:
        raise missing("Alias", part(call, "version"))
    model.aliases = kept
    return status()


@on(rf"^ALTER MODEL {MODEL} DROP VERSION {VERSION}$")
def drop_version(double: Double, call: Call) -> Answer:
    model, version = find_version(call)
    if version.name == model.default:
        raise Refused(398008, f"Version '{version.name}' is the default and cannot be dropped.")
    del model.versions[version.name]
    model.aliases = {alias: at for alias, at in model.aliases.items() if at != version.name}
    return status()


@on(rf"^DROP MODEL {MODEL}$")
def drop_model(double: Double, call: Call) -> Answer:
    models_of(call.session).drop(find(call))
    return status(f"{call.match['model']} successfully dropped.")


# -- looking ------------------------------------------------------------------------------------

MODEL_COLUMNS = [
    *("created_on", "name", "model_type", "database_name", "schema_name"),
    *("comment", "owner", "default_version_name", "versions", "aliases"),
]


@on(rf"^SHOW MODELS{LIKE} IN SCHEMA (?P<schema>{NAME})$")
def show_models(double: Double, call: Call) -> Answer:
    database, schema, _ = call.session.full(f"{call.match['schema']}.X")
    found = models_of(call.session).within(database, schema)
    return rows(MODEL_COLUMNS, [model_row(m) for m in found if liked(call, m.name[2])])


def liked(call: Call, name: str) -> bool:
    pattern = read_text(call.match["like"] or "'%'")
    return folders.as_regex(pattern).fullmatch(name) is not None


def model_row(model: Model) -> tuple[Any, ...]:
    database, schema, name = model.name
    versions, aliases = json.dumps(list(model.versions)), json.dumps(model.aliases)
    about = (model.created, name, "USER_MODEL", database, schema, model.comment, "DOUBLE_ROLE")
    return (*about, model.default, versions, aliases)


VERSION_COLUMNS: list[str | tuple[str, str]] = [
    *("created_on", "name", "aliases", "comment", "database_name", "schema_name", "model_name"),
    ("is_default_version", "boolean"),
    *("functions", "metadata", "user_data", "model_spec", "runnable_in", "inference_services"),
]


@on(rf"^SHOW VERSIONS{LIKE} IN MODEL {MODEL}$")
def show_versions(double: Double, call: Call) -> Answer:
    model = find(call)
    found = [version for version in model.versions.values() if liked(call, version.name)]
    return rows(VERSION_COLUMNS, [version_row(call, model, version) for version in found])


def version_row(call: Call, model: Model, version: Version) -> tuple[Any, ...]:
    manifest, aliases = version.manifest, json.dumps(model.aliases_of(version))
    return (
        *(version.created, version.name, aliases, version.comment, *model.name),
        version.name == model.default,
        json.dumps(list(version.methods)),
        json.dumps(version.metadata),
        json.dumps(manifest.get("user_data", {})),
        (version.folder / "model" / "model.yaml").read_text("utf-8"),
        json.dumps(version.platforms),
        json.dumps(serving(call.session, version)),
    )


FUNCTION_COLUMNS: list[str | tuple[str, str]] = [
    *("created_on", "name", ("min_num_arguments", "fixed"), ("max_num_arguments", "fixed")),
    *("arguments", "return_type", "description", "language"),
]


@on(rf"^SHOW FUNCTIONS IN MODEL {MODEL} VERSION {VERSION}$")
def show_functions(double: Double, call: Call) -> Answer:
    _, version = find_version(call)
    shown = [function_row(version, method) for method in version.methods.values()]
    return rows(FUNCTION_COLUMNS, shown)


def function_row(version: Version, method: dict[str, Any]) -> tuple[Any, ...]:
    types = ", ".join(taken["type"] for taken in method["inputs"])
    given = [(given.get("name", ""), given["type"]) for given in method["outputs"]]
    columns = ", ".join(f"{name} {kind}" for name, kind in given)
    returned = f"TABLE ({columns})" if method["type"] == "TABLE_FUNCTION" else given[0][1]
    arguments, count = f"{method['name']}({types}) RETURN {returned}", len(method["inputs"])
    return (version.created, method["name"], count, count, arguments, returned, "", "PYTHON")


# -- files --------------------------------------------------------------------------------------


@on(rf"^(?:LIST|LS) {URL}$")
def list_files(double: Double, call: Call) -> Answer:
    version, path = within_version(call)
    return folders.listing(f"versions/{version.name}/", version.files(path), None)


@on(rf"^GET {URL} (?P<file>'file:(?:[^'\\]|\\.|'')*'|file:\S+)(?: .*)?$")
def get_files(double: Double, call: Call) -> Answer:
    version, path = within_version(call)
    files = [name for name, _ in version.files(path)]
    return folders.download(version.folder, files, folders.local(call.match["file"]))


def within_version(call: Call) -> tuple[Version, str]:
    """Return the version and the path that ``snow://model/…`` names."""
    name, _, rest = unquote(call.match["url"]).partition("/versions/")
    version, _, path = rest.partition("/")
    return models_of(call.session).find(call.session, name).version(version), path


# -- packages -----------------------------------------------------------------------------------


@on(r"SYSTEM\$ML_PLATFORM_CAPABILITIES\(\)")
def capabilities(double: Double, call: Call) -> Answer:
    return rows(["FEATURES"], [["{}"]])


@on(rf"^DESC(?:RIBE)? ARTIFACT REPOSITORY (?P<name>{NAME})$")
def describe_artifact_repository(double: Double, call: Call) -> Answer:
    if call.match["name"].lower() != "snowflake.snowpark.pypi_shared_repository":
        raise missing("Artifact Repository", call.match["name"])
    return rows(["property", "value"], [["type", "PIP"]])
