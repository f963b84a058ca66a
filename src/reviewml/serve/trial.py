"""A trial: a saved model is loaded and predicts in a process where a crash costs nothing.

Files are checked before a library reads them. Should a fault in a check, or in a library, crash
the process, run on without end, or take all memory, it is the one of the trial.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from reviewml.errors import DamagedModel, ReviewmlError
from reviewml.privacy.redaction import describe_error

SECONDS, MEMORY_BYTES = 120.0, 2**35
"""Longest time of a trial, and most address space; libraries reserve more than they use."""

ROWS = 64


def try_model(folder: Path, *, seconds: float = SECONDS, memory: int = MEMORY_BYTES) -> None:
    """Load a saved model in another process, and predict and explain made-up rows with its model.

    Parameters
    ----------
    folder
        As `Pipeline.save` wrote it.
    seconds
        Longest time that it may take.
    memory
        Most bytes of address space that it may take; Windows knows no such limit.

    Raises
    ------
    DamagedModel
        When that process crashes, takes too long or too much memory, or cannot load the model.
    """
    command = [sys.executable, "-m", "reviewml.serve.trial", os.fspath(folder.absolute())]
    command.append(str(memory))
    # The same modules as here, wherever these were imported from.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(  # noqa: S603 - this very interpreter, and a path
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DamagedModel(
            f"{folder} was not loaded and tried within {seconds:g} seconds."
        ) from None
    if ended.returncode:
        output = ended.stdout.decode("utf-8", "replace")[:2_000].strip()
        how = output or f"the process that tried it ended with {ended.returncode}"
        raise DamagedModel(f"{folder} does not stand a trial: {how}")


def run(folder: Path) -> None:
    """Load a saved model, and predict and explain rows of missing, small and large numbers."""
    import numpy as np

    from reviewml.pipeline import load
    from reviewml.rows.expressions import LARGEST

    pipeline = load(folder)
    model = getattr(pipeline, "model_", None)
    if model is None:
        return
    shape = (ROWS, len(pipeline.features_))
    rows = np.random.default_rng(0).normal(0, 100, shape).round(1).astype(np.float32)
    rows[:4] = np.array([[np.nan], [0], [LARGEST], [-LARGEST]], np.float32)
    model.predict(rows)
    model.contributions(rows)


def main(folder: str, memory: int) -> int:
    """Run a trial within limits; what is wrong is written to standard output."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        least = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (least, hard))
    try:
        run(Path(folder))
    except ReviewmlError as error:
        sys.stdout.write(describe_error(error))
        return 1
    except Exception as error:
        # Other messages may quote what stands in the files.
        sys.stdout.write(type(error).__name__)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
