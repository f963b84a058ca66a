"""Logging a saved pipeline with Snowflake's client, as a model that can be run there."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reviewml.backends.snowflake.connection.errors import translate_errors
from reviewml.backends.snowflake.connection.session import SnowflakeSession
from reviewml.backends.snowflake.identifiers import Name, quote_identifier
from reviewml.backends.snowflake.registry.model_versions import name_version
from reviewml.backends.snowflake.registry.packaged_model import PackagedModel
from reviewml.backends.snowflake.udf import package_archive

if TYPE_CHECKING:
    from snowflake.ml.model.model_signature import FeatureSpec, ModelSignature

IMPORTED = ("narwhals", "pandas", "pluggy", "safetensors", "scipy", "threadpoolctl")
"""Packages that reading and scoring import, besides those that a saved pipeline names."""

OURS = ("python", "reviewml")
"""What is no package there: reviewml travels with the model."""

OPTIONS = {"case_sensitive": True, "relax_version": False}
"""Names of columns and methods stay as they are, and versions those of this process."""

_one_at_a_time = threading.Lock()


def upload(
    database: SnowflakeSession, name: Name, number: int, saved: Path, platforms: Sequence[str]
) -> None:
    """Log a saved pipeline as a version of a model.

    Parameters
    ----------
    database
        Where to.
    name
        Of the model, with database and schema.
    number
        Of the version, which must be new.
    saved
        Folder of the pipeline.
    platforms
        Where it shall run: ``"WAREHOUSE"``, ``"SNOWPARK_CONTAINER_SERVICES"``.
    """
    from snowflake.ml.model.custom_model import ModelContext

    from reviewml.backends.snowflake.registry.loader import CODE, PIPELINE, Classifier, Scorer

    packaged = PackagedModel.load(saved)
    files = {CODE: str(package_archive.write_archive(saved.parent)), PIPELINE: str(saved)}
    scorer = Scorer if packaged.model.task == "regression" else Classifier
    options = {**OPTIONS, "method_options": {"explain": {"function_type": "FUNCTION"}}}
    # The client draws a bar on standard output, which is for answers and is one for all threads.
    with _one_at_a_time, contextlib.redirect_stdout(io.StringIO()):
        translate_errors(
            lambda: _open_registry(database, name).log_model(
                scorer(ModelContext(**files)),
                model_name=quote_identifier(name.parts[-1]),
                version_name=name_version(number),
                signatures=describe_signatures(packaged),
                sample_input_data=packaged.example(),
                pip_requirements=list_requirements(saved),
                target_platforms=list(platforms),
                options=options,
            )
        )


def get_client_version(database: SnowflakeSession, name: Name, number: int) -> Any:
    """Return a version of a model as Snowflake's client knows it."""
    model = translate_errors(
        lambda: _open_registry(database, name).get_model(quote_identifier(name.parts[-1]))
    )
    return translate_errors(lambda: model.version(name_version(number)))


def _open_registry(database: SnowflakeSession, name: Name) -> Any:
    from snowflake.ml.registry import Registry

    where, schema, _ = map(quote_identifier, name.parts)
    return Registry(database.session, database_name=where, schema_name=schema)


def list_requirements(saved: Path) -> list[str]:
    """Return the packages that a saved pipeline needs, at the versions they have here."""
    named = json.loads((saved / "versions.json").read_text(encoding="utf-8"))
    return sorted(package_archive.pin_requirements({*named, *IMPORTED} - {*OURS}))


def describe_signatures(packaged: PackagedModel) -> dict[str, ModelSignature]:
    """Describe the signature of each method, in the client's terms."""
    from snowflake.ml.model.model_signature import ModelSignature

    inputs = [_make_feature_spec(name, kind) for name, kind in packaged.inputs().items()]
    example = packaged.example()
    return {
        method: ModelSignature(
            inputs, [_make_feature_spec(f.name, f.type) for f in ask(example).schema]
        )
        for method, ask in packaged.methods.items()
    }


def _make_feature_spec(name: str, kind: Any) -> FeatureSpec:
    import pyarrow as pa
    from snowflake.ml.model.model_signature import DataType, FeatureSpec

    if pa.types.is_fixed_size_list(kind):
        return FeatureSpec(name, DataType.DOUBLE, shape=(kind.list_size,))
    known = {
        pa.bool_(): DataType.BOOL,
        pa.int64(): DataType.INT64,
        pa.string(): DataType.STRING,
        pa.timestamp("ns"): DataType.TIMESTAMP_NTZ,
    }
    return FeatureSpec(name, known.get(kind, DataType.DOUBLE))
