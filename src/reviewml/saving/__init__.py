"""A fitted pipeline as a folder that people can read; never a pickle.

::

    manifest.json           size and SHA-256 of every file below, and its own
    card.md                 what it is, for people
    pipeline.json           the steps: catalogue names and parameters; roles, columns
    steps/1-language/       what each step learned: state.json, arrays.safetensors
    model/                  the trained model, in its own form
    features.json           what the columns of the matrix mean
    report.json             what happened while fitting
    versions.json           of Python and the libraries

Components are named as in the catalogue. Nothing in the folder is ever executed, and nothing
is read before the manifest has been checked.
"""

from reviewml.saving.folder import load, save
from reviewml.saving.saved_pipeline import Parts

__all__ = ["Parts", "load", "save"]
