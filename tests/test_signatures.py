"""A signature says who saved a model; without the private key nobody can make another one."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from pathlib import Path

import click
import pyarrow as pa
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import reviewml
from reviewml import LocalRegistry, Pipeline, SharedRegistry
from reviewml.cli import main
from reviewml.errors import DamagedModel, ParameterError, UntrustedModel
from reviewml.featurizers import Features
from reviewml.saving import manifest, verified_copy
from reviewml.saving.signature import sign
from reviewml.trainers import LogisticRegression


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    private = Ed25519PrivateKey.generate()
    key, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return key, public


@pytest.fixture(scope="module")
def fitted() -> Pipeline:
    rows = pa.table({"price": [1.0, 2.0, 3.0, 4.0] * 5, "bought": [True, True, False, False] * 5})
    steps = [("features", Features()), ("model", LogisticRegression())]
    return Pipeline(steps).fit(rows, target="bought")


def test_what_is_signed_is_loaded_by_its_key_alone(fitted: Pipeline, tmp_path: Path) -> None:
    key, public = write_keys(tmp_path, "ours")
    _, other = write_keys(tmp_path, "others")
    folder = fitted.save(tmp_path / "model", key=key)
    assert reviewml.load(folder).task_ == "binary"
    assert reviewml.load(folder, verify=public).task_ == "binary"
    assert reviewml.load(folder, verify=[other, public]).task_ == "binary"
    with pytest.raises(UntrustedModel, match="not signed by a key"):
        reviewml.load(folder, verify=other)


def test_what_is_exchanged_after_it_was_verified_is_not_read(
    fitted: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, public = write_keys(tmp_path, "ours")
    signed = fitted.save(tmp_path / "signed", key=key)
    rows = pa.table({"price": [1.0, 4.0], "bought": [False, True]})
    reverse = Pipeline(fitted.steps).fit(pa.concat_tables([rows] * 10), target="bought")
    forged = reverse.save(tmp_path / "forged")
    genuine = verified_copy.verify

    def verify_and_exchange(*args: object) -> None:
        genuine(*args)
        for path in forged.rglob("*"):
            if path.is_file():
                shutil.copy(path, signed / path.relative_to(forged))

    monkeypatch.setattr(verified_copy, "verify", verify_and_exchange)
    loaded = reviewml.load(signed, verify=public)
    assert loaded.predict(rows).tolist() == fitted.predict(rows).tolist() == [True, False]
    assert reviewml.load(signed).predict(rows).tolist() == [False, True]
    with pytest.raises(UntrustedModel, match=re.escape(str(signed))):
        reviewml.load(signed, verify=public)


def test_errors_about_what_was_verified_name_the_folder_of_the_user(
    fitted: Pipeline, tmp_path: Path
) -> None:
    key, public = write_keys(tmp_path, "ours")
    folder = fitted.save(tmp_path / "model", key=key)
    (folder / "report.json").write_text("[]")
    (folder / manifest.MANIFEST).unlink()
    manifest.seal(folder)
    sign(folder, key)
    with pytest.raises(DamagedModel, match=re.escape(str(folder / "report.json"))):
        reviewml.load(folder, verify=public)


def test_what_was_changed_and_sealed_anew_is_refused(fitted: Pipeline, tmp_path: Path) -> None:
    key, public = write_keys(tmp_path, "ours")
    folder = fitted.save(tmp_path / "model", key=key)
    (folder / "card.md").write_text("another", encoding="utf-8")
    (folder / "manifest.json").unlink()
    manifest.seal(folder)
    assert reviewml.load(folder).task_ == "binary"
    with pytest.raises(UntrustedModel, match="not signed by a key"):
        reviewml.load(folder, verify=public)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({"algorithm": "none", "signature": ""}), "[" * 5_000]
)
def test_what_is_no_signature_is_refused(fitted: Pipeline, tmp_path: Path, text: str) -> None:
    key, public = write_keys(tmp_path, "ours")
    folder = fitted.save(tmp_path / "model", key=key)
    (folder / "signature.json").write_text(text, encoding="utf-8")
    with pytest.raises(UntrustedModel, match="not a signature"):
        reviewml.load(folder, verify=public)
    (folder / "signature.json").unlink()
    with pytest.raises(UntrustedModel, match="is not signed"):
        reviewml.load(folder, verify=public)


UNKNOWN_KINDS = {
    "PRIVATE KEY": bytes.fromhex("3010020100300506032a03040404") + b"abcd",
    "PUBLIC KEY": bytes.fromhex("300d300506032a0304030400010203"),
}
"""Keys of an algorithm that has no name: the object identifier 1.2.3.4."""


@pytest.mark.parametrize("kind", UNKNOWN_KINDS)
def test_a_key_of_an_unknown_algorithm_is_refused(
    kind: str, fitted: Pipeline, tmp_path: Path
) -> None:
    body = base64.encodebytes(UNKNOWN_KINDS[kind]).decode()
    strange = tmp_path / "strange.pem"
    strange.write_text(f"-----BEGIN {kind}-----\n{body}-----END {kind}-----\n")
    folder = fitted.save(tmp_path / "model")
    with pytest.raises(ParameterError, match=r"strange\.pem is no"):
        if kind == "PRIVATE KEY":
            fitted.save(tmp_path / "signed", key=strange)
        else:
            reviewml.load(folder, verify=strange)
    assert not (tmp_path / "signed").exists()


def test_what_is_no_key_is_named_and_nothing_is_saved(fitted: Pipeline, tmp_path: Path) -> None:
    key, public = write_keys(tmp_path, "ours")
    for wrong in (public, tmp_path / "missing.pem"):
        with pytest.raises(ParameterError, match=wrong.name):
            fitted.save(tmp_path / "model", key=wrong)
        assert not (tmp_path / "model").exists()
    folder = fitted.save(tmp_path / "model", key=key)
    with pytest.raises(ParameterError, match=r"ours\.pem"):
        reviewml.load(folder, verify=key)
    with pytest.raises(ParameterError, match="at least one"):
        reviewml.load(folder, verify=[])


@pytest.mark.parametrize("kind", [LocalRegistry, SharedRegistry])
def test_registries_sign_and_verify(fitted: Pipeline, tmp_path: Path, kind: type) -> None:
    key, public = write_keys(tmp_path, "ours")
    kind(tmp_path / "models").log(fitted, name="unsigned")
    kind(tmp_path / "models", key=key).log(fitted, name="signed")
    strict = kind(tmp_path / "models", verify=public)
    assert strict.load("signed").task_ == "binary"
    with pytest.raises(UntrustedModel, match="is not signed"):
        strict.load("unsigned")


def test_the_command_line_signs_and_verifies(tmp_path: Path) -> None:
    key, public = write_keys(tmp_path, "ours")
    _, other = write_keys(tmp_path, "other")
    rows = tmp_path / "rows.csv"
    rows.write_text("price,bought\n" + "1,yes\n2,no\n3,yes\n4,no\n" * 20, encoding="utf-8")
    run, folder = CliRunner().invoke, str(tmp_path / "model")
    fit = [
        "fit",
        str(rows),
        "--target",
        "bought",
        "--trainer",
        "logistic-regression",
        "--save",
        folder,
    ]
    refused = run(main, [*fit, "--sign", str(public)])
    assert refused.exit_code == 1
    assert not (tmp_path / "model").exists()
    registry = str(tmp_path / "models")
    assert (
        run(main, [*fit, "--sign", str(key), "--registry", registry, "--name", "m"]).exit_code == 0
    )
    for model in ([folder], ["m", "--registry", registry]):
        predict = ["predict", *model, str(rows)]
        assert run(main, [*predict, "--verify", str(other), "--verify", str(public)]).exit_code == 0
        refused = run(main, [*predict, "--verify", str(other)])
        assert refused.exit_code == 1
        assert "not signed by a key" in refused.stderr
        assert "--verify or REVIEWML_VERIFY" in refused.stderr
        assert run(main, predict, env={"REVIEWML_VERIFY": str(other)}).exit_code == 1


VERBS = {
    "REVIEWML_VERIFY": {
        "predict": ["predict", "model", "rows.csv"],
        "evaluate": ["evaluate", "model", "rows.csv"],
        "explain": ["explain", "model", "rows.csv"],
        "serve": ["serve", "name@champion"],
    },
    "REVIEWML_SIGN": {"fit": ["fit", "rows.csv", "--target", "bought", "--save", "model"]},
}
"""The commands that a variable with keys is for."""


def test_each_command_that_loads_or_saves_a_model_is_listed_here() -> None:
    with_keys = {
        (str(option.envvar), name)
        for name in main.list_commands(click.Context(main))
        for option in main.get_command(click.Context(main), name).params
        if option.envvar
    }
    assert with_keys == {(variable, name) for variable in VERBS for name in VERBS[variable]}


@pytest.mark.parametrize("value", ["", "  ", ":", "a.pem:"])
@pytest.mark.parametrize("variable", VERBS)
def test_a_variable_without_a_key_is_an_error_of_each_command(variable: str, value: str) -> None:
    if variable == "REVIEWML_SIGN" and ":" in value:
        pytest.skip("it names one file")
    for command in VERBS[variable].values():
        refused = CliRunner().invoke(main, command, env={variable: value.replace(":", os.pathsep)})
        assert refused.exit_code == 2
        assert variable in refused.stderr


@pytest.mark.parametrize("option", ["--verify", "--sign"])
def test_an_option_without_a_key_is_an_error(option: str) -> None:
    command = ["serve", "m"] if option == "--verify" else VERBS["REVIEWML_SIGN"]["fit"]
    refused = CliRunner().invoke(main, [*command, option, ""])
    assert refused.exit_code == 2
    assert option in refused.stderr


def test_a_key_without_a_name_is_refused(fitted: Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="empty name"):
        fitted.save(tmp_path / "model", key="")
    folder = fitted.save(tmp_path / "model")
    for keys in ("", [""]):
        with pytest.raises(ParameterError, match="empty name"):
            reviewml.load(folder, verify=keys)
