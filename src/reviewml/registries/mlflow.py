"""MlflowRegistry: saved pipelines in MLflow's model registry."""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

from reviewml import plugins
from reviewml.errors import ModelNotFound, RegistryError, SchemaError
from reviewml.foreign_errors import mask_errors
from reviewml.parameter_types import check_argument_types
from reviewml.pipeline import Pipeline, load
from reviewml.privacy.redaction import redact
from reviewml.registries.base import (
    Event,
    ModelVersion,
    Registry,
    check_alias,
    check_name,
    check_reason,
)
from reviewml.registries.history import HistoryLine
from reviewml.registries.mlflow_signature import sign
from reviewml.rows.row_errors import warn_at_caller
from reviewml.saving.metric_values import check_metrics
from reviewml.saving.package_versions import find_version
from reviewml.saving.signature import KeyFile, KeyFiles
from reviewml.storage.temporary import create_temporary_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACT, DATA = "model", "pipeline"

OURS, REASON, ALIAS, EVENT = "reviewml", "reviewml.reason", "reviewml.alias", "reviewml.event."
"""Tags: the version of reviewml that wrote it; why; the alias it was logged with; an event."""


class MlflowRegistry(Registry):
    """Keeps pipelines as versions of MLflow's registered models (extra ``mlflow``).

    A version is the folder that `Pipeline.save` writes, with the few files that let
    ``mlflow.pyfunc.load_model`` serve it; nothing is pickled. Metrics go to the version's run,
    aliases are MLflow's. Of aliases the history tells what went through reviewml: MLflow keeps
    no record of moves made elsewhere.

    Parameters
    ----------
    tracking_uri
        Where MLflow is, such as ``"https://mlflow.example.com"`` or ``"sqlite:///mlflow.db"``;
        None takes MLflow's own default.
    registry_uri
        Where its model registry is, when elsewhere.
    experiment
        Name of the experiment that the runs go to, made when it is new.
    key
        PEM file of an Ed25519 private key that versions are signed with.
    verify
        PEM files of public keys, one of which must have signed what is loaded.

    Examples
    --------
    >>> MlflowRegistry("sqlite:///mlflow.db")
    MlflowRegistry('sqlite:///mlflow.db')
    """

    @check_argument_types
    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment: str = "reviewml",
        key: KeyFile | None = None,
        verify: KeyFiles | None = None,
    ) -> None:
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri
        self.experiment = experiment
        self.key = key
        self.verify = verify

    def __repr__(self) -> str:
        return f"MlflowRegistry({self.tracking_uri and redact(self.tracking_uri)!r})"

    @mask_errors(RegistryError)
    @check_argument_types
    def log(
        self,
        pipeline: Pipeline,
        *,
        name: str,
        alias: str | None = None,
        metrics: Mapping[str, SupportsFloat] | None = None,
        reason: str | None = None,
    ) -> ModelVersion:
        check_name(name)
        check_reason(reason)
        if alias is not None:
            check_alias(alias)
        figures = check_metrics(metrics)
        client = self._make_client()
        with create_temporary_folder() as folder:
            flavoured = _save_flavor(pipeline, folder, figures, self.key)
            source, run = self._upload(client, flavoured, name, figures)
        _register(client, name)
        tag_values = {OURS: _get_own_version(), REASON: reason, ALIAS: alias}
        tags = {tag: value for tag, value in tag_values.items() if value is not None}
        model_version = client.create_model_version(name, source, run, tags=tags)
        if alias is not None:
            client.set_registered_model_alias(name, alias, model_version.version)
        return self.find(f"{name}@{model_version.version}")

    @mask_errors(RegistryError)
    def load(self, reference: str) -> Pipeline:
        with self.fetch(reference) as folder:
            return load(folder, verify=self.verify)

    @contextlib.contextmanager
    def fetch(self, reference: str) -> Iterator[Path]:
        version = self.find(reference)
        with create_temporary_folder() as folder:
            yield self._download(version, folder) / "data" / DATA

    @mask_errors(RegistryError)
    def _download(self, version: ModelVersion, folder: Path) -> Path:
        source = self._make_client().get_model_version_download_uri(
            version.name, str(version.version)
        )
        artifacts = plugins.optional("mlflow.artifacts", "MlflowRegistry")
        return Path(
            artifacts.download_artifacts(
                artifact_uri=source, dst_path=folder, tracking_uri=self.tracking_uri
            )
        )

    @mask_errors(RegistryError)
    def versions(self, name: str) -> list[ModelVersion]:
        client = self._make_client()
        model_versions = self._find_versions(client, name)
        aliases = client.get_registered_model(name).aliases
        return [_make_version(client, version, aliases) for version in model_versions]

    @mask_errors(RegistryError)
    def alias(self, name: str, alias: str, version: int, *, reason: str | None = None) -> None:
        check_alias(alias)
        check_reason(reason)
        self.find(f"{name}@{version}")
        client = self._make_client()
        event = Event(_get_now().isoformat(), "alias", version, alias, reason)
        # Each under a tag of its own: writers never overwrite each other's.
        tag = f"{EVENT}{_get_now():%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}"
        client.set_registered_model_tag(name, tag, json.dumps(vars(event), ensure_ascii=False))
        client.set_registered_model_alias(name, alias, str(version))

    @mask_errors(RegistryError)
    def history(self, name: str) -> list[Event]:
        client = self._make_client()
        logged = [_make_logged_event(version) for version in self._find_versions(client, name)]
        tags = client.get_registered_model(name).tags
        moved = [
            HistoryLine.parse(tags[tag].encode(), f"the tag {tag!r} of {name!r}").event
            for tag in tags
            if tag.startswith(EVENT)
        ]
        return sorted([*logged, *moved], key=lambda event: event.time)

    @mask_errors(RegistryError)
    def names(self) -> list[str]:
        models = _read_pages(self._make_client().search_registered_models)
        return sorted(model.name for model in models if OURS in model.tags)

    def _make_client(self) -> MlflowClient:
        mlflow = plugins.optional("mlflow", "MlflowRegistry")
        client: MlflowClient = mlflow.MlflowClient(self.tracking_uri, self.registry_uri)
        return client

    def _find_versions(self, client: MlflowClient, name: str) -> list[Any]:
        check_name(name)
        every = _read_pages(client.search_model_versions, filter_string=f"name='{name}'")
        ours = [version for version in every if OURS in version.tags]
        if not ours:
            raise self.not_found(name)
        return sorted(ours, key=lambda version: int(version.version))

    def _upload(
        self, client: MlflowClient, folder: Path, name: str, metrics: Mapping[str, float]
    ) -> tuple[str, str]:
        """Upload the folder, and return its address and the run it belongs to."""
        run = client.create_run(self._find_experiment(client), run_name=name).info
        with _end_run(client, run.run_id):
            client.log_artifacts(run.run_id, str(folder), ARTIFACT)
            for metric, value in metrics.items():
                client.log_metric(run.run_id, metric, float(value))
        return f"{run.artifact_uri}/{ARTIFACT}", run.run_id

    def _find_experiment(self, client: MlflowClient) -> str:
        with _ignore_existing():
            experiment_id: str = client.create_experiment(self.experiment)
            return experiment_id
        existing = client.get_experiment_by_name(self.experiment)
        if existing is None:
            raise ModelNotFound(f"MLflow's experiment {self.experiment!r} was deleted: restore it.")
        experiment: str = existing.experiment_id
        return experiment


def _save_flavor(
    pipeline: Pipeline, folder: Path, metrics: Mapping[str, float], key: KeyFile | None
) -> Path:
    """Save the pipeline, and around it what lets MLflow serve it."""
    pyfunc = plugins.optional("mlflow.pyfunc", "MlflowRegistry")
    saved = pipeline.save(folder / DATA, metrics=metrics, key=key)
    signature, example = _describe(pipeline)
    versions = json.loads((saved / "versions.json").read_text(encoding="utf-8"))
    pyfunc.save_model(
        folder / ARTIFACT,
        # A module to import and a folder to give it, so that nothing is pickled.
        loader_module="reviewml.registries.pyfunc",
        data_path=str(saved),
        signature=signature,
        input_example=example,
        pip_requirements=[f"{p}=={v}" for p, v in versions.items() if p != "python"],
    )
    return folder / ARTIFACT


def _describe(pipeline: Pipeline) -> tuple[Any, Any]:
    """Return the signature and an example; None where MLflow has no type for a column."""
    try:
        return sign(pipeline)
    except SchemaError as error:
        warn_at_caller(
            f"the model is logged without a signature, which Unity Catalog asks for: {error}"
        )
        return None, None


def _register(client: MlflowClient, name: str) -> None:
    with _ignore_existing():
        client.create_registered_model(name)
    client.set_registered_model_tag(name, OURS, _get_own_version())


def _make_version(client: MlflowClient, version: Any, aliases: Mapping[str, Any]) -> ModelVersion:
    number = int(version.version)
    return ModelVersion(
        name=version.name,
        version=number,
        created=_format_time(version),
        aliases=tuple(sorted(alias for alias, at in aliases.items() if int(at) == number)),
        metrics=client.get_run(version.run_id).data.metrics,
    )


def _make_logged_event(version: Any) -> Event:
    tags = version.tags
    return Event(
        _format_time(version), "logged", int(version.version), tags.get(ALIAS), tags.get(REASON)
    )


def _format_time(version: Any) -> str:
    # MLflow counts milliseconds; all six digits, so that times sort as text.
    moment = datetime.datetime.fromtimestamp(version.creation_timestamp / 1000, datetime.UTC)
    return moment.isoformat(timespec="microseconds")


def _get_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _get_own_version() -> str:
    return find_version("reviewml") or "unknown"


def _read_pages(search: Callable[..., Any], **options: Any) -> Iterator[Any]:
    page = search(**options)
    yield from page
    while page.token:
        page = search(page_token=page.token, **options)
        yield from page


@contextlib.contextmanager
def _ignore_existing() -> Iterator[None]:
    exceptions = plugins.optional("mlflow.exceptions", "MlflowRegistry")
    try:
        yield
    except exceptions.MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextlib.contextmanager
def _end_run(client: MlflowClient, run: str) -> Iterator[None]:
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    finally:
        client.set_terminated(run, status)
