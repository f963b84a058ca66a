"""A tiny classifier with random weights, on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from reviewml.benchmark.setting import Setting
from reviewml.datasets import make_reviews

pytest.importorskip("transformers")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    found = make_reviews(400, languages=["en"]).column("text").to_pylist()
    return list(dict.fromkeys(text for text in found if text))


@pytest.fixture(scope="session")
def setting(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Setting:
    from reviewml.benchmark.architectures import write_random_model

    folder = tmp_path_factory.mktemp("tiny")
    write_random_model("tiny", texts, folder)
    return Setting(str(folder), None, ("good", "bad", "neither"), 1, "tiny")


@pytest.fixture
def folder(setting: Setting) -> Path:
    return Path(setting.model)
