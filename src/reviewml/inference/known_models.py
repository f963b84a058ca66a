"""Models that are defaults and recipes here: pinned revisions, and what their cards state."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class KnownModel:
    """A model on the Hugging Face hub as it was looked at.

    Parameters
    ----------
    revision
        Commit that is loaded unless another one is asked for.
    licence
        As its card states it.
    languages
        That it was trained for, as ISO 639-1 codes; none in particular where there are very many.
    """

    revision: str
    licence: str
    languages: tuple[str, ...] = ()


ZERO_SHOT = "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli"
SENTIMENT = "lxyuan/distilbert-base-multilingual-cased-sentiments-student"
EMBEDDING = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
BART = "facebook/bart-large-mnli"

KNOWN = {
    ZERO_SHOT: KnownModel("8adb042d524ecd5c26d3e3ba0e3fbcf7e2d0864c", "mit"),
    SENTIMENT: KnownModel(
        "cf991100d706c13c0a080c097134c05b7f436c45",
        "apache-2.0",
        ("ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ms", "pt", "zh"),
    ),
    EMBEDDING: KnownModel("e8f8c211226b894fcb81acc59f3b34ba3efd5f42", "apache-2.0"),
    BART: KnownModel("d7645e127eaf1aefc7862fd59a17a5aa8558b8ce", "mit", ("en",)),
}

PADDING_MATTERS = frozenset(
    {
        "canine",
        "convbert",
        "fnet",
        "mobilebert",
        "nystromformer",
        "t5gemma",
        "t5gemma2",
        "xlnet",
        "yoso",
    }
)
"""Architectures whose outputs depend on padding, as transformers names them.

What may share a batch is found out by a probe, whatever this says. It makes fingerprints differ
from those of versions that padded these models, so that no value from then is reused.
"""
