"""A secret that somebody gives is in nothing that is shown, logged, raised or saved."""

import logging
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from reviewml import Files, MlflowRegistry, Pipeline, SharedRegistry, Table
from reviewml.cli import main
from reviewml.data.frames import as_dataset
from reviewml.errors import (
    EnvironmentFailure,
    RegistryError,
    ReviewmlError,
    RowErrors,
)
from reviewml.featurizers import Features
from reviewml.interfaces import Enricher
from reviewml.privacy.secret_parameters import hide_secrets
from reviewml.saving.components import refuse_secrets
from reviewml.stores.resolve import open_store
from reviewml.stores.shared import SharedStore
from reviewml.trainers import LogisticRegression
from reviewml.tuning import Trial, Tuned

SECRET = "hunter2-canary-77"

SAYINGS = [
    f"401 for https://me:{SECRET}@api.example/v1",
    f"Authorization: Bearer {SECRET}",
    f'{{"api_key": "{SECRET}"}}',
    f"account=x;password={SECRET};user=me",
    f"https://blob.example/x?sv=1&sig={SECRET}",
]


class Remote(Enricher):
    """An enricher that fails as clients of services do."""

    adds = {"score": pa.float64()}

    def __init__(self, *, error: Any = None, text: str | None = None) -> None:
        self.error = error
        self.text = text

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        raise self.error


ROWS = pa.table({"id": ["a", "b"], "text": ["one", "two"], "x": [1.0, 2.0], "y": [True, False]})


def enriched(error: Exception) -> Any:
    return Pipeline([("remote", Remote(error=error))], id="id", text="text").enrich(ROWS)


def all_of(error: BaseException) -> str:
    """Return an exception with all that led to it, whether a traceback shows it or not."""
    said, waiting = ["".join(traceback.format_exception(error))], [error]
    while waiting:
        one = waiting.pop()
        said += [str(one), repr(one)]
        waiting += [cause for cause in (one.__cause__, one.__context__) if cause is not None]
    return "\n".join(said)


URL = f"://me:{SECRET}@host.invalid/x"


def use_registry(registry: Any, tmp_path: Path) -> Any:
    def work() -> None:
        pipe = Pipeline([("features", Features()), ("model", LogisticRegression())])
        pipe.fit(pa.table({"x": [1.0, 2.0] * 20, "y": [True, False] * 20}), target="y")
        repr(registry)
        registry.log(pipe, name="reviews")

    return work


ENTRIES: dict[str, Callable[[Path], Any]] = {
    "a URL of files": lambda _: as_dataset(Files(f"memory{URL}/*.csv")).to_arrow(),
    "a URL of an unknown kind": lambda _: as_dataset(Files(f"nothing{URL}")).to_arrow(),
    "a URL of the web": lambda _: as_dataset(
        Files(f"http://127.0.0.1:1/x.csv?sig={SECRET}")
    ).to_arrow(),
    "a URL with a key": lambda _: as_dataset(
        Files(f"http://me:{SECRET}@127.0.0.1:1/x.csv")
    ).to_arrow(),
    "a path": lambda _: as_dataset(f"sftp{URL}").to_arrow(),
    "a URL of a database": lambda _: as_dataset(Table(f"postgres{URL}", "SELECT 1")).to_arrow(),
    "a file of a database": lambda _: as_dataset(
        Table(f"duckdb:///nothing?token={SECRET}", "FROM x")
    ).to_arrow(),
    "a shared registry": lambda p: use_registry(SharedRegistry(f"nothing{URL}"), p)(),
    "an unknown MLflow": lambda p: use_registry(MlflowRegistry(f"nothing{URL}"), p)(),
    "a database of MLflow": lambda p: use_registry(MlflowRegistry(f"postgresql{URL}"), p)(),
    "a driver of MLflow": lambda p: use_registry(MlflowRegistry(f"mysql+nothing{URL}"), p)(),
    "a server of MLflow": lambda p: use_registry(
        MlflowRegistry(f"http://me:{SECRET}@127.0.0.1:1"), p
    )(),
    "models of MLflow": lambda p: MlflowRegistry(
        f"sqlite:///{p}/x.db", registry_uri=f"nothing{URL}"
    ).versions("reviews"),
    "loading from MLflow": lambda _: MlflowRegistry(f"nothing{URL}").load("reviews@1"),
    "a history of MLflow": lambda _: MlflowRegistry(f"nothing{URL}").history("reviews"),
    "an alias of MLflow": lambda _: MlflowRegistry(f"nothing{URL}").alias("reviews", "champion", 1),
    "names of MLflow": lambda _: MlflowRegistry(f"nothing{URL}").names(),
    "a store": lambda _: open_store(f"nothing{URL}").describe(),
    "a shared store": lambda _: SharedStore(f"nothing{URL}").describe(),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_secret_of_an_entry_is_not_shown(
    entry: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "MLflow" in entry:
        pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_SQLALCHEMYSTORE_POOL_SIZE", "1")
    caplog.set_level(logging.DEBUG, logger="reviewml")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ReviewmlError) as raised:
            ENTRIES[entry](tmp_path)
    printed = "".join(capsys.readouterr())
    shown = "".join(traceback.format_exception(raised.value))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("reviewml")]
    for text in (shown, repr(raised.value), printed, *ours, *(str(w.message) for w in caught)):
        assert SECRET not in text
    if "MLflow" in entry:
        assert SECRET not in all_of(raised.value)


@pytest.mark.parametrize("saying", SAYINGS)
def test_an_error_of_a_row_holds_no_secret(saying: str) -> None:
    for error in (ValueError(saying), RowErrors({0: ValueError(saying), 1: ValueError(saying)})):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = enriched(error)
            told = f"{rows.errors.to_pylist()}{rows!r}"
        assert "remote" in told
        assert SECRET not in told + str([str(w.message) for w in caught])


@pytest.mark.parametrize("saying", SAYINGS)
def test_a_run_that_stops_tells_no_secret(saying: str) -> None:
    with pytest.raises(EnvironmentFailure) as raised:
        enriched(ConnectionError(saying)).to_arrow()
    assert SECRET not in "".join(traceback.format_exception(raised.value))


NESTED: dict[str, Any] = {
    "a text": {"dsn": SECRET},
    "bytes": {"jwt": SECRET.encode()},
    "a list": {"api_keys": [SECRET]},
    "a dictionary": {"headers": {"Authorization": SECRET}},
    "a dictionary of lists": {"headers": {"Cookie": ["a", SECRET]}},
    "a dictionary below a name": {"credentials": {"value": SECRET}},
    "pairs": {"headers": [("x-api-key", SECRET)]},
    "pairs of bytes": {"headers": [(b"authorization", SECRET.encode())]},
    "lists in lists": {"options": [[{"otp": (SECRET,)}]]},
    "an array": {"x": {"signing_key": np.array([SECRET])}},
    "a set": {"cookie": {SECRET}},
    "a key": {"users": {f"s3://me:{SECRET}@bucket": 1}},
    "a scheme": {"header": f"Bearer {SECRET}"},
    "a connection string": {"since": f"account=x;password={SECRET}"},
    "JSON": {"since": [f'{{"api_key": "{SECRET}"}}']},
    "a signed URL": {"since": f"https://blob.example/x?sv=1&sig={SECRET}"},
    "a URL": {"since": ("x", [f"401 for https://me:{SECRET}@api.example/v1"])},
    "a token": {"since": ["hf_" + "aB3" * 10]},
    "a private key": {"since": "-----BEGIN PRIVATE KEY-----\nMII"},
}


@pytest.mark.parametrize("form", NESTED)
def test_a_secret_at_any_depth_of_parameters_is_not_saved(form: str) -> None:
    with pytest.raises(RegistryError, match="looks like a secret") as raised:
        refuse_secrets("step", NESTED[form])
    assert SECRET not in all_of(raised.value)


@pytest.mark.parametrize("form", NESTED)
def test_a_secret_at_any_depth_of_parameters_is_not_shown(form: str) -> None:
    shown = hide_secrets(NESTED[form])
    assert SECRET not in repr(shown) and "…" in repr(shown)


def test_parameters_without_secrets_are_saved_and_shown_as_they_are() -> None:
    loop: list[Any] = []
    loop.append(loop)
    plain = {"headers": {"Accept": "text/csv"}, "max_tokens": 512, "tokens": ["a"], "token": None}
    refuse_secrets("step", plain)
    assert hide_secrets(plain) == plain
    with pytest.raises(RegistryError, match="holds itself"):
        refuse_secrets("step", {"x": loop})


class Client(Enricher):
    """An enricher with what clients of services are given."""

    adds = {"score": pa.float64()}

    def __init__(
        self, *, api_key: str | None = None, headers: Any = None, inner: Any = None
    ) -> None:
        self.api_key = api_key
        self.headers = headers
        self.inner = inner

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


def test_no_display_of_a_pipeline_shows_the_secrets_of_its_steps() -> None:
    client = Client(api_key=SECRET, headers={"Authorization": f"Bearer {SECRET}", "x": "plain"})
    for shown in (client, Client(inner=client), Pipeline([("client", client)], text="text")):
        texts = (repr(shown), str(shown), shown._repr_html_())
        assert not any(SECRET in text for text in texts)
        assert repr(client).replace("\n", "") in " ".join(repr(shown).split())
    assert client.api_key == SECRET, "only the display is changed"


def test_the_results_of_a_search_show_no_secret() -> None:
    trial = Trial({"client__api_key": SECRET, "client__version": "2"}, (0.5,), 1.0)
    assert SECRET not in str(Tuned((trial,), "none"))


@pytest.mark.parametrize(
    "command",
    [
        ["enrich", f"nothing{URL}", "-o", "x.csv"],
        ["models", "--registry", f"nothing{URL}"],
        ["predict", "model", f"http://me:{SECRET}@127.0.0.1:1/x.csv", "-o", "x.csv"],
        ["plan", f"sftp{URL}"],
    ],
)
def test_the_command_line_tells_no_secret(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, command)
    assert result.exit_code != 0
    assert SECRET not in result.output
