"""Saving figures of matplotlib."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reviewml.storage.atomic_files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 150


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Save a figure, whole or not at all.

    Parameters
    ----------
    figure
        Of matplotlib.
    path
        Its suffix is the format; without one it becomes a ``.png`` file, as in matplotlib.

    Returns
    -------
    pathlib.Path
        The file.
    """
    path = Path(path)
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    with replace_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=DOTS_PER_INCH)
    return path
