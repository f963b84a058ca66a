"""The whole test file of a plugin: the contract, and what is special to it."""

import pyarrow as pa
import pytest
from reviewml_emoji import Emoji

from reviewml.interfaces import Enricher
from reviewml.testing import EnricherContract


class TestEmoji(EnricherContract):
    @pytest.fixture
    def enricher(self) -> Enricher:
        return Emoji()


def test_counts_emoji() -> None:
    rows = pa.table({"body": ["👍🎉 nice", "no", None]})
    assert Emoji(text="body").transform(rows).column("emoji").to_pylist() == [2, 0, None]
