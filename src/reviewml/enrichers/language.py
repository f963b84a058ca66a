"""Language: which language a text is written in."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from reviewml.errors import SchemaError, UnknownName, suggest_names
from reviewml.operations.resources import Resources
from reviewml.steps.enricher import Enricher

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

LONGEST = 1_000
"""Characters that are looked at; more do not change the answer."""


class Language(Enricher):
    """Adds the language of a text, detected by py3langid [1]_, whose model comes inside it.

    Adds ``language``, an ISO 639-1 code such as ``"en"`` or ``"zh"``; null where the text has
    no letters.

    Parameters
    ----------
    text
        Column, for use without a pipeline.
    languages
        Codes to choose from; None for all 140. Naming those that are expected makes short
        texts much safer.

    References
    ----------
    .. [1] Lui and Baldwin (2012), langid.py: an off-the-shelf language identification tool.

    Examples
    --------
    >>> import pyarrow as pa
    >>> reviews = pa.table({"text": ["Très bien, je recommande.", "とても良いです", "10/10"]})
    >>> Language().transform(reviews).column("language").to_pylist()
    ['fr', 'ja', None]
    """

    identity = "reviewml.enrichers.language:Language"

    adds = {"language": pa.string()}
    resources = Resources(pure_python=True)

    def __init__(
        self,
        *,
        text: str | Sequence[str] | None = None,
        languages: Sequence[str] | None = None,
    ) -> None:
        self.text = text
        self.languages = languages

    def enrich(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        self.setup()
        texts = pc.utf8_slice_codeunits(batch.column("text"), 0, LONGEST)
        has_letters = pc.match_substring_regex(texts, r"\pL")
        # The same text is looked at once, however often it stands in the batch.
        encoded = pc.if_else(has_letters, texts, None).dictionary_encode()
        codes = pa.array(map(self._detect_language, encoded.dictionary.to_pylist()), pa.string())
        return batch.append_column("language", codes.take(encoded.indices))

    def setup(self) -> None:
        if isinstance(self.languages, str):
            raise SchemaError(
                f"languages={self.languages!r} is one text: give a list, [{self.languages!r}]."
            )
        self._identifier = _load_identifier(
            None if self.languages is None else tuple(self.languages)
        )

    def _detect_language(self, text: str) -> str:
        code: str = self._identifier.classify(text)[0]
        return code


@functools.lru_cache(maxsize=4)
def _load_identifier(languages: tuple[str, ...] | None) -> LanguageIdentifier:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    if languages is not None:
        _restrict_languages(identifier, languages)
    return identifier


def _restrict_languages(identifier: LanguageIdentifier, languages: tuple[str, ...]) -> None:
    supported = identifier.labels
    for code in languages:
        if code not in supported:
            raise UnknownName(f"no language {code!r}. {suggest_names(code, supported)}")
    identifier.set_languages(languages)
