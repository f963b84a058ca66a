"""Saving figures of matplotlib."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reviewml.errors import ParameterError
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

    Raises
    ------
    ParameterError
        When the path names no file, or matplotlib has no such format.
    """
    path = Path(path)
    if not path.name:
        raise ParameterError(f"path={os.fspath(path)!r} names no file: give one, as 'plot.png'.")
    if not path.suffix:
        path = path.with_name(f"{path.name}.png")
    formats = figure.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in formats:
        raise ParameterError(
            f"matplotlib cannot write {path.name!r}: the name must end in one of "
            f"{', '.join(f'.{name}' for name in sorted(formats))}."
        )
    with replace_file(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], dpi=DOTS_PER_INCH)
    return path
