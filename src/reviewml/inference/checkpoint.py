"""Checkpoint: the files of a model, on the hub or in a folder, and what its card states."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from reviewml.errors import ModelUnavailable, ParameterError
from reviewml.inference.known_models import KNOWN, PADDING_MATTERS
from reviewml.plugins import optional
from reviewml.privacy.redaction import redact

WEIGHTS = ("*.json", "*.txt", "*.model", "*.safetensors")
"""Files that what a model says depends on."""

Files = tuple[tuple[str, int, int], ...]
"""Path, size and time of change of each file."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A model and one of its revisions.

    Parameters
    ----------
    model
        Name on the Hugging Face hub, or a folder.
    revision
        Commit, tag or branch on the hub; None is its newest.
    """

    model: str
    revision: str | None = None

    @classmethod
    def pin_revision(cls, model: str, revision: str | None = None) -> Checkpoint:
        """Return a model in the revision that is known here, unless another is asked for."""
        entry = KNOWN.get(model)
        return cls(model, entry.revision if entry and revision is None else revision)

    @property
    def folder(self) -> Path | None:
        """The folder that holds it; None for one on the hub."""
        path = Path(self.model).expanduser()
        return path if path.is_dir() else None

    @property
    def name(self) -> str:
        """What to call it in messages."""
        return f"{self.model}@{self.revision}" if self.revision else self.model

    def load_class(self, auto_class: Any, **options: Any) -> Any:
        """Load it with a class of transformers, or raise an error that says what to do.

        Parameters
        ----------
        auto_class
            Such as ``AutoTokenizer``.
        options
            For its ``from_pretrained``.

        Raises
        ------
        ModelUnavailable
            When it cannot be had: gated, unknown, damaged, or not here and no network.
        """
        try:
            return auto_class.from_pretrained(
                self.folder or self.model,
                revision=self.revision,
                trust_remote_code=False,
                **options,
            )
        except (OSError, ValueError, SafetensorError) as error:
            reason = _explain_no_model(self.folder) or _explain_failure(error, self.name)
            raise ModelUnavailable(f"{self.name}: {reason}") from None

    def load_config(self) -> Any:
        """Return its configuration, without loading its weights; see `loaded`."""
        return self.load_class(optional("transformers", "a transformer").AutoConfig)

    def find_file(self, path: str) -> Path | None:
        """Return one of its files, downloaded if need be; None when it has none of that name."""
        if self.folder is not None:
            file = self.folder / path
            return file if file.is_file() else None
        hub = optional("transformers.utils.hub", "a transformer")
        try:
            cached = hub.cached_file(
                self.model,
                path,
                revision=self.revision,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
                _raise_exceptions_for_gated_repo=False,
            )
        except (OSError, ValueError) as error:
            # Otherwise each row would fail by itself.
            raise ModelUnavailable(f"{self.name}: {_explain_failure(error, self.name)}") from None
        return None if cached is None else Path(cached)

    def may_have(self, path: str) -> bool:
        """Check whether the hub may have a file that is not here, as nobody could ask it."""
        if self.folder is not None or self.find_file(path) is not None:
            return False
        hub = optional("huggingface_hub", "a transformer")
        # What the hub was known to lack is remembered in its cache by a mark of its own.
        return hub.try_to_load_from_cache(self.model, path, revision=self.revision) is None

    def files(self) -> Files:
        """Describe the files of a folder cheaply, so that changes show; nothing for the hub."""
        if self.folder is None:
            return ()
        stats = ((path, path.stat()) for path in _find_weights(self.folder))
        return tuple((str(path), about.st_size, about.st_mtime_ns) for path, about in stats)

    def identity(self) -> str:
        """Identify its weights: by the commit, or by a digest of the files."""
        if self.folder is not None:
            return _hash_folder(self.folder, self.files())
        config = self.find_file("config.json")
        if config is None and self.revision is None:
            raise ModelUnavailable(f"{self.name}: {_explain_not_here(self.name)}")
        # The hub's cache keeps files in snapshots/<commit>.
        return config.parent.name if config else str(self.revision)

    @property
    def pads(self) -> bool:
        """Whether shorter texts are filled up when it is run, as far as its architecture says."""
        path = self.find_file("config.json")
        with contextlib.suppress(OSError, ValueError, AttributeError):
            # What is damaged is said when it is loaded.
            config = json.loads(path.read_text(encoding="utf-8")) if path else {}
            return config.get("model_type") not in PADDING_MATTERS
        return True

    def warn_unless_pinned(self) -> None:
        """Warn of a model on the hub without a revision, which can change any day."""
        if self.folder is None and self.revision is None:
            warnings.warn(
                f"{self.model} has no revision, so that it may say something else any day: pin "
                f"the one that is used now, revision={self.identity()!r}.",
                stacklevel=2,
            )

    def licence(self) -> str | None:
        """Return the licence that its card states, such as ``"mit"``; None when it states none."""
        entry = KNOWN.get(self.model)
        stated = self._read_card("license") or (entry and entry.licence)
        return str(stated).lower() if stated else None

    def languages(self) -> tuple[str, ...]:
        """Return the languages that its card declares, as ISO 639-1 codes; none when it is silent.

        A card that says "multilingual" declares no language in particular.
        """
        if self.model in KNOWN:
            return KNOWN[self.model].languages
        declared = self._read_card("language") or ()
        codes = [declared] if isinstance(declared, str) else [str(code) for code in declared]
        return () if "multilingual" in codes else tuple(codes)

    def _read_card(self, field: str) -> Any:
        path = self.find_file("README.md")
        if path is None:
            return None
        hub = optional("huggingface_hub", "a transformer")
        try:
            return hub.ModelCard.load(path).data.get(field)
        except Exception:
            # Cards are written by hand; one that cannot be read states nothing.
            return None

    def require_licence(self, allowed: Sequence[str] | None) -> None:
        """Raise unless its licence is one of those allowed; None allows any.

        Raises
        ------
        ParameterError
            When it is another one, or its card states none.
        """
        if allowed is None:
            return
        if isinstance(allowed, str):
            raise ParameterError(f"allow_licenses={allowed!r} is one text: give [{allowed!r}].")
        licence = self.licence()
        if licence not in {name.lower() for name in allowed}:
            states = f"has the licence {licence!r}" if licence else "states no licence"
            raise ParameterError(
                f"{self.name} {states}, and allow_licenses={list(allowed)!r}: choose another "
                "model, or allow it."
            )


def _find_weights(folder: Path) -> list[Path]:
    return sorted({path for pattern in WEIGHTS for path in folder.rglob(pattern)})


@functools.lru_cache(maxsize=16)
def _hash_folder(folder: Path, _: Files) -> str:
    """Return the digest of a folder's files, read anew when one of them has changed."""
    digest = hashlib.sha256()
    for path in _find_weights(folder):
        digest.update(str(path.relative_to(folder)).encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _explain_no_model(folder: Path | None) -> str | None:
    if folder is None or (folder / "config.json").is_file():
        return None
    return "the folder has no config.json: give the one that save_pretrained wrote."


def _explain_failure(error: BaseException, name: str) -> str:
    """Explain why a model could not be loaded, and what to do, from what went wrong inside."""
    reasons = {
        "GatedRepoError": "its owner wants terms to be accepted: do so on its page on the hub, "
        "then log in with `hf auth login` or set HF_TOKEN.",
        "RepositoryNotFoundError": "there is no such model on the hub, or it is private: check "
        "the name; for a private one log in with `hf auth login`.",
        "HFValidationError": "there is no such folder, and no model on the hub is called so: give "
        "a folder that is there, or a name such as 'facebook/bart-large-mnli'.",
        "RevisionNotFoundError": "the model has no such revision: look at its history on the hub.",
        "OfflineModeIsEnabled": _explain_not_here(name),
        "LocalEntryNotFoundError": _explain_not_here(name),
        "ConnectError": _explain_not_here(name),
        "ConnectTimeout": _explain_not_here(name),
        "ConnectionError": _explain_not_here(name),
    }
    for cause in _list_causes(error):
        if type(cause).__name__ in reasons:
            return reasons[type(cause).__name__]
    message = " ".join(redact(str(error)).split())
    if "safetensors" in message and "model.safetensors" in message:
        message = (
            "it has no weights in safetensors format, and pickles are not loaded: use a revision "
            "that has them, or convert it (https://huggingface.co/spaces/safetensors/convert)."
        )
    elif "trust_remote_code" in message:
        message = "it brings code of its own, which is never run: choose a model without."
    elif "connect" in message and "cache" in message:
        message = _explain_not_here(name)
    return message[:400]


def _explain_not_here(name: str) -> str:
    model, _, revision = name.partition("@")
    command = f"hf download {model}" + (f" --revision {revision}" if revision else "")
    return (
        "it is not on this machine, and the hub cannot be reached (or HF_HUB_OFFLINE is set): "
        f"run `{command}` where there is a network, or give a folder that holds it."
    )


def _list_causes(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        following = following.__cause__ or following.__context__
    return causes
