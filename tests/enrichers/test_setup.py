"""What an enricher loaded stays, until its parameters or what it learned change."""

from __future__ import annotations

import pyarrow as pa
import pytest
from py3langid.langid import LanguageIdentifier

from reviewml.enrichers import Language, Quality, Sentiment
from reviewml.enrichers.ngrams.model import NgramModel
from reviewml.interfaces import Enricher
from reviewml.testing.rows import make_example_rows

TEXT = pa.table({"text": ["Sehr gute Qualität, ich bin zufrieden."]})


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> list[object]:
    """Return a list that grows by one whenever a method is called."""
    calls: list[object] = []
    original = getattr(owner, method)

    def call(self: object, *arguments: object) -> object:
        calls.append(self)
        return original(self, *arguments)

    monkeypatch.setattr(owner, method, call)
    return calls


@pytest.mark.parametrize(
    ("enricher", "owner", "method"),
    [(Sentiment(rating="rating"), NgramModel, "table"), (Quality(), Quality, "_compute_bits")],
    ids=["sentiment", "quality"],
)
def test_what_was_learned_is_unfolded_once(
    enricher: Enricher, owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    enricher.fit(make_example_rows(200))
    calls = counted(monkeypatch, owner, method)
    for _ in range(3):
        enricher.transform(TEXT)
    assert len(calls) == 1
    before = enricher.transform(TEXT)
    enricher.fit(make_example_rows(150, random_state=2))
    calls.clear()
    after = enricher.transform(TEXT)
    assert len(calls) == 1
    assert not after.equals(before)


def test_the_language_model_is_read_once_for_each_choice_of_languages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[object] = []
    read = LanguageIdentifier.from_model_file

    def counting(*arguments: object) -> LanguageIdentifier:
        reads.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(LanguageIdentifier, "from_model_file", counting)
    language = Language(languages=["en", "de", "nl"])
    for _ in range(3):
        assert language.transform(TEXT).column("language").to_pylist() == ["de"]
    assert len(reads) == 1
    language.set_params(languages=["en", "nl"])
    assert language.transform(TEXT).column("language").to_pylist() != ["de"]
    assert len(reads) == 2
