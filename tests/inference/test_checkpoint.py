"""Loading: what is refused, and what is said about it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sklearn.base import clone

from reviewml import Pipeline, load
from reviewml.enrichers import EmbeddingZeroShot, TransformerSentiment, ZeroShot
from reviewml.errors import ModelUnavailable, ParameterError, SchemaError
from reviewml.inference.checkpoint import Checkpoint
from reviewml.inference.placement import Placement
from reviewml.interfaces import Enricher

pytest.importorskip("transformers")

ROWS = pa.table({"text": ["good", "bad"]})


def changed(folder: Path, target: Path, file: str, **values: Any) -> str:
    shutil.copytree(folder, target, dirs_exist_ok=True)
    config = json.loads((target / file).read_text())
    (target / file).write_text(json.dumps(config | values))
    return str(target)


def test_the_default_models_load_from_the_hubs_cache(hub: Path) -> None:
    assert ZeroShot(["a", "b"], text="text").transform(ROWS).column("label").null_count == 0
    sentiment = TransformerSentiment(text="text").transform(ROWS)
    assert sentiment.column("sentiment").null_count == 0
    nearest = EmbeddingZeroShot(["a", "b"], text="text").transform(ROWS)
    assert nearest.column("label").null_count == 0


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    with pytest.raises(ModelUnavailable, match=r"hf download nobody/nothing --revision abc"):
        ZeroShot(["a"], text="text", model="nobody/nothing", revision="abc").transform(ROWS)


@pytest.mark.parametrize(
    ("error", "match"),
    [
        ("GatedRepoError", "terms to be accepted.*hf auth login"),
        ("RepositoryNotFoundError", "no such model on the hub, or it is private"),
        ("RevisionNotFoundError", "no such revision"),
        ("LocalEntryNotFoundError", "hf download"),
    ],
)
def test_what_the_hub_says_is_said_with_what_to_do(error: str, match: str) -> None:
    from huggingface_hub import errors

    class Answering:
        """Loads as transformers does when the hub answers so, which no hub here can."""

        @staticmethod
        def from_pretrained(*_: Any, **__: Any) -> None:
            kind = getattr(errors, error)
            raise OSError("at length") from kind.__new__(kind)

    with pytest.raises(ModelUnavailable, match=match):
        Checkpoint("some/model").load_class(Answering)


@pytest.mark.parametrize("enricher", [ZeroShot(["a"], text="text"), TransformerSentiment()])
@pytest.mark.parametrize("store", [True, False])
def test_a_folder_that_is_not_there_is_said_once(
    enricher: Enricher, store: bool, tmp_path: Path
) -> None:
    """As where a saved pipeline is loaded on another machine."""
    enricher = clone(enricher).set_params(model=str(tmp_path / "moved"))
    pipe = Pipeline([("step", enricher)], text="text")
    pipe = pipe.on("local", store=tmp_path / "store" if store else None)
    with pytest.raises(ModelUnavailable, match="moved: there is no such folder"):
        pipe.enrich(ROWS).to_arrow()


def test_another_revision_is_another_model(hub: Path) -> None:
    with pytest.raises(ModelUnavailable, match="not on this machine"):
        TransformerSentiment(text="text", revision="0" * 40).transform(ROWS)


def test_a_model_on_the_hub_without_a_revision_is_warned_of(hub: Path, tiny_model: Any) -> None:
    folder = hub / "models--some--nli"
    commit = "1" * 40
    shutil.copytree(tiny_model("bert"), folder / "snapshots" / commit, dirs_exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    with pytest.warns(UserWarning, match=f"pin .*revision='{commit}'"):
        ZeroShot(["a"], text="text", model="some/nli").transform(ROWS)


def test_weights_in_a_pickle_are_not_loaded(tiny_model: Any, tmp_path: Path) -> None:
    import torch

    shutil.copytree(tiny_model("bert"), tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="pickles are not loaded"):
        ZeroShot(["a"], text="text", model=str(tmp_path / "model")).transform(ROWS)


def test_code_that_a_model_brings_is_not_run(tiny_model: Any, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    model = changed(
        tiny_model("bert"),
        tmp_path / "model",
        "config.json",
        model_type="its_own",
        auto_map={
            "AutoConfig": "code.Config",
            "AutoModelForSequenceClassification": "code.Model",
        },
    )
    (tmp_path / "model" / "code.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(ModelUnavailable, match="code of its own, which is never run"):
        ZeroShot(["a"], text="text", model=model).transform(ROWS)
    assert not ran.exists()


def test_a_damaged_file_is_named(tiny_model: Any, tmp_path: Path) -> None:
    shutil.copytree(tiny_model("bert"), tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1_000])
    with pytest.raises(ModelUnavailable, match=str(tmp_path / "model")):
        ZeroShot(["a"], text="text", model=str(tmp_path / "model")).transform(ROWS)


def test_a_model_without_a_trained_classifier_is_refused(minilm: Path) -> None:
    with pytest.raises(ParameterError, match=r"was not trained for this: 'classifier\.bias'"):
        TransformerSentiment(text="text", model=str(minilm)).transform(ROWS)


def test_a_model_without_an_entailment_label_is_refused(tiny_model: Any) -> None:
    model = str(tiny_model("bert", ("negative", "positive")))
    with pytest.raises(ParameterError, match="none begins with 'entail'"):
        ZeroShot(["a"], text="text", model=model).transform(ROWS)


def test_labels_that_say_nothing_are_refused(tiny_model: Any) -> None:
    model = str(tiny_model("bert", ("LABEL_0", "LABEL_1")))
    with pytest.raises(ParameterError, match="label_values"):
        TransformerSentiment(text="text", model=model).transform(ROWS)
    values = {"LABEL_0": 1, "LABEL_1": -1}
    given = TransformerSentiment(text="text", model=model, label_values=values).transform(ROWS)
    assert given.column("sentiment").null_count == 0


@pytest.mark.parametrize(
    "model", ["./nowhere", "/not/there", "my model", "https://huggingface.co/facebook/bart"]
)
def test_what_is_neither_a_folder_nor_a_name_is_said_to_be(model: str) -> None:
    with pytest.raises(ModelUnavailable, match="no such folder, and no model on the hub"):
        ZeroShot(["a"], text="text", model=model).transform(ROWS)


def test_a_model_that_is_not_there_is_not_told_to_be_pinned(recwarn: Any) -> None:
    with pytest.raises(ModelUnavailable):
        ZeroShot(["a"], text="text", model="nobody/nothing").transform(ROWS)
    assert [str(warning.message) for warning in recwarn if "revision" in str(warning.message)] == []


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"the folder has no config\.json"):
        ZeroShot(["a"], text="text", model=tmp_path).transform(ROWS)


def test_values_of_labels_that_are_no_dict_are_refused(tiny_model: Any) -> None:
    model = tiny_model("bert", ("LABEL_0", "LABEL_1"))
    with pytest.raises(ParameterError, match="give a dict with a number for each of"):
        TransformerSentiment(text="text", model=model, label_values=[-1, 1]).transform(ROWS)  # type: ignore[arg-type]


def test_descriptions_that_are_no_texts_are_refused(minilm: Path) -> None:
    labels: Any = {"fit": None, "price": "What it costs."}
    with pytest.raises(ParameterError, match="give texts"):
        EmbeddingZeroShot(labels, text="text", model=minilm).transform(ROWS)


def test_a_column_that_is_not_there_is_named(tiny_model: Any) -> None:
    with pytest.raises(SchemaError, match=r"ZeroShot\(text='txet'\): .* Did you mean 'text'"):
        ZeroShot(["a"], text="txet", model=tiny_model("bert")).transform(ROWS)
    with pytest.raises(SchemaError, match=r"The columns are 'body'\."):
        ZeroShot(["a"], model=tiny_model("bert")).transform(pa.table({"body": ["good"]}))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"device": "cuda:7"}, "this machine has"),
        ({"device": "toaster"}, "this machine has"),
        ({"precision": "float8"}, "no precision='float8'"),
        ({"backend": "tensorflow"}, "backend='tensorflow'"),
        ({"hypothesis_template": "no place"}, "has no {}"),
        ({"hypothesis_template": "{} and {}"}, "cannot be filled in"),
        ({"candidate_labels": "a, b"}, r"give a list, \['a', 'b'\]"),
        ({"candidate_labels": []}, "one at least"),
        ({"candidate_labels": ["a", "a"]}, "twice"),
        ({"candidate_labels": {"a": "about a"}}, "is a dict: give a list .* EmbeddingZeroShot"),
        ({"candidate_labels": {"a", "b"}}, "is a set: give a list"),
        ({"candidate_labels": None}, "is a NoneType: give a list"),
    ],
)
def test_parameters_are_checked(settings: dict[str, Any], match: str, tiny_model: Any) -> None:
    given = {"candidate_labels": ["a", "b"], "text": "text", "model": str(tiny_model("bert"))}
    with pytest.raises(ParameterError, match=match):
        ZeroShot(**given | settings).transform(ROWS)


# -- licences -----------------------------------------------------------------------------------


def with_card(folder: Path, target: Path, front: str) -> str:
    shutil.copytree(folder, target)
    (target / "README.md").write_text(f"---\n{front}\n---\n# A model\n")
    return str(target)


def test_a_licence_that_is_not_allowed_is_refused(tiny_model: Any, tmp_path: Path) -> None:
    model = with_card(tiny_model("bert"), tmp_path / "nc", "license: cc-by-nc-4.0")
    with pytest.raises(ParameterError, match=r"has the licence 'cc-by-nc-4.0'"):
        ZeroShot(["a"], text="text", model=model, allow_licenses=["mit"]).transform(ROWS)
    ZeroShot(["a"], text="text", model=model, allow_licenses=["CC-BY-NC-4.0"]).transform(ROWS)


def test_a_model_that_states_no_licence_is_refused(tiny_model: Any) -> None:
    model = str(tiny_model("bert"))
    with pytest.raises(ParameterError, match="states no licence"):
        ZeroShot(["a"], text="text", model=model, allow_licenses=["mit"]).transform(ROWS)


@pytest.mark.parametrize("front", ["license: [", "just text", "license:"])
def test_a_card_that_cannot_be_read_states_nothing(
    front: str, tiny_model: Any, tmp_path: Path
) -> None:
    model = with_card(tiny_model("bert"), tmp_path / "odd", front)
    assert Checkpoint(model).licence() is None
    assert Checkpoint(model).languages() == ()


def test_the_defaults_state_permissive_licences(hub: Path) -> None:
    for enricher in (ZeroShot(["a"]), TransformerSentiment(), EmbeddingZeroShot(["a"])):
        assert enricher.checkpoint.licence() in {"mit", "apache-2.0"}


# -- what they are known by ---------------------------------------------------------------------


def test_other_weights_have_another_fingerprint(tiny_model: Any, tmp_path: Path) -> None:
    one = ZeroShot(["a"], model=str(tiny_model("bert"))).fingerprint()
    assert one == ZeroShot(["a"], model=str(tiny_model("bert"))).fingerprint()
    assert one != ZeroShot(["b"], model=str(tiny_model("bert"))).fingerprint()
    shutil.copytree(tiny_model("bert"), tmp_path / "model")
    before = ZeroShot(["a"], model=str(tmp_path / "model")).fingerprint()
    weights = tmp_path / "model" / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert ZeroShot(["a"], model=str(tmp_path / "model")).fingerprint() != before


def test_a_folder_may_be_given_as_a_path(tiny_model: Any, tmp_path: Path) -> None:
    folder = tiny_model("bert")
    given = ZeroShot(["a", "b"], model=folder)
    assert given.fingerprint() == ZeroShot(["a", "b"], model=str(folder)).fingerprint()
    rows = pa.table({"text": ["good"]})
    pipe = Pipeline([("about", given)], text="text").fit(rows)
    pipe.save(tmp_path / "saved")
    assert load(tmp_path / "saved").enrich(rows).to_arrow() == pipe.enrich(rows).to_arrow()


def test_precision_and_device_are_chosen_and_stated() -> None:
    assert Placement.of("cpu") == Placement("cpu", "float32")
    assert Placement.of("cpu", "bfloat16").precision == "bfloat16"
    with pytest.raises(ParameterError, match="no precision="):
        Placement.of("cpu", "int4")


def test_languages_that_the_model_does_not_know_are_warned_of_once(
    tiny_model: Any, tmp_path: Path
) -> None:
    levels = ("negative", "positive")
    model = with_card(tiny_model("bert", levels), tmp_path / "m", "language: [en, de]")
    rows = pa.table({"text": ["good", "gut", "좋아요"], "language": ["en", "de", "ko"]})
    enricher = TransformerSentiment(text="text", model=model)
    with pytest.warns(UserWarning, match=r"texts are in 'ko', and .* knows en, de") as warned:
        enricher.transform(pa.concat_tables([rows] * 3))
    assert len([w for w in warned if "knows" in str(w.message)]) == 1
