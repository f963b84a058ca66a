"""Builds the long description: links of the README lead somewhere from an index page as well."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?://|mailto:|#)([^)\s]+)\)")
MARKS = re.compile(r"^<!-- --8<-- .* -->\n", re.MULTILINE)
"""Where the site includes a part of the README."""


class IndexPage(MetadataHookInterface):
    """Adds the README and, where the repository has an address, the project's URLs."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what `project.dynamic` names."""
        repository = str(self.config.get("repository", "")).rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": make_long_description(text, repository),
        }
        metadata["urls"] = make_urls(repository)


def make_long_description(text: str, repository: str) -> str:
    """Make links below the repository absolute; without one, only their words stay.

    Examples
    --------
    >>> make_long_description("See [how](docs/how.md).", "https://example.com/reviewml")
    'See [how](https://example.com/reviewml/blob/main/docs/how.md).'
    >>> make_long_description("See [how](docs/how.md).", "")
    'See how (docs/how.md).'
    """
    target = f"[\\1]({repository}/blob/main/\\2)" if repository else "\\1 (\\2)"
    return LINK.sub(target, MARKS.sub("", text))


def make_urls(repository: str) -> dict[str, str]:
    """Name the pages of a repository that an index shows."""
    if not repository:
        return {}
    return {
        "Homepage": repository,
        "Documentation": f"{repository}/tree/main/docs",
        "Changelog": f"{repository}/blob/main/CHANGELOG.md",
        "Issues": f"{repository}/issues",
    }
