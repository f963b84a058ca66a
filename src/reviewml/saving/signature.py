"""Signatures: who saved a model, where checksums say only that its files are those that were saved.

Ed25519 of the manifest, which has the hash of every file: whoever verifies needs the public key
alone, and can sign nothing with it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reviewml import plugins
from reviewml.errors import ParameterError, UntrustedModel
from reviewml.saving.manifest import MANIFEST, SIGNATURE
from reviewml.untrusted import parse_document, read_file

KeyFile = str | os.PathLike[str]
"""A PEM file of an Ed25519 key, as ``openssl genpkey -algorithm ed25519`` writes it."""

KeyFiles = KeyFile | Sequence[KeyFile]

VERIFY = "verify= (--verify or REVIEWML_VERIFY in a shell)"
SIGN = "key= (--sign or REVIEWML_SIGN in a shell)"
"""What messages call both parameters: a service started in a shell writes them to its log."""

NEEDED_FOR = "signing (key=, --sign) and verifying (verify=, --verify)"

CONTEXT = b"reviewml model\n"
"""Stands before what is signed, so that no signature made for something else is one of a model."""


def sign(folder: Path, key: KeyFile) -> None:
    """Sign the manifest of a saved model.

    Parameters
    ----------
    folder
        Of the model, sealed.
    key
        The private key.

    Raises
    ------
    ParameterError
        When the file holds no private key of Ed25519.
    MissingExtra
        When ``cryptography`` is not installed.
    """
    private = load_private_key(key)
    signature = private.sign(CONTEXT + (folder / MANIFEST).read_bytes())
    stated = {"algorithm": "ed25519", "signature": base64.b64encode(signature).decode()}
    (folder / SIGNATURE).write_text(json.dumps(stated) + "\n", encoding="utf-8", newline="\n")


def verify(folder: Path, manifest: bytes, keys: KeyFiles) -> None:
    """Raise unless one of the keys signed a saved model.

    Parameters
    ----------
    folder
        Of the model, with the signature.
    manifest
        What was signed, as the files were compared with it; whoever can write to the folder may
        have exchanged the one that is there now.
    keys
        Public keys: one, or several while one takes the place of another.

    Raises
    ------
    UntrustedModel
        When no key did.
    ParameterError
        When a file holds no public key of Ed25519.
    """
    publics = [_load_public_key(key) for key in _list_keys(keys)]
    signature = _read_signature(folder)
    if not any(_is_signed(public, signature, CONTEXT + manifest) for public in publics):
        raise UntrustedModel(
            f"{folder} was not signed by a key that {VERIFY} names. Nothing was loaded; get it "
            "from whoever has the private key, or name the public key that belongs to it."
        )


def load_private_key(key: KeyFile) -> Any:
    """Read a private key, before anything is saved that shall be signed with it."""
    serialization = plugins.optional("cryptography.hazmat.primitives.serialization", NEEDED_FOR)
    ed25519 = plugins.optional("cryptography.hazmat.primitives.asymmetric.ed25519", NEEDED_FOR)
    return _parse_key(
        lambda pem: serialization.load_pem_private_key(pem, None),
        key,
        ed25519.Ed25519PrivateKey,
        "private",
    )


def _load_public_key(key: KeyFile) -> Any:
    serialization = plugins.optional("cryptography.hazmat.primitives.serialization", NEEDED_FOR)
    ed25519 = plugins.optional("cryptography.hazmat.primitives.asymmetric.ed25519", NEEDED_FOR)
    return _parse_key(serialization.load_pem_public_key, key, ed25519.Ed25519PublicKey, "public")


def _parse_key(parse: Any, key: KeyFile, kind: type, called: str) -> Any:
    if not os.fspath(key):
        raise ParameterError(f"the file of a {called} key has an empty name: see {SIGN}, {VERIFY}.")
    exceptions = plugins.optional("cryptography.exceptions", NEEDED_FOR)
    # Whatever is wrong with the file, no part of it may stand in a message.
    try:
        parsed = parse(Path(key).read_bytes())
    except OSError as error:
        raise ParameterError(f"{os.fspath(key)} cannot be read: {error.strerror}.") from None
    except (ValueError, TypeError, exceptions.UnsupportedAlgorithm):
        parsed = None
    if not isinstance(parsed, kind):
        raise ParameterError(
            f"{os.fspath(key)} is no {called} key of Ed25519, in PEM and without a password. "
            "'openssl genpkey -algorithm ed25519 -out key.pem' makes a private key, and 'openssl "
            "pkey -in key.pem -pubout -out key.pub.pem' the public key of it."
        )
    return parsed


def _list_keys(keys: KeyFiles) -> Sequence[KeyFile]:
    listed = [keys] if isinstance(keys, str | os.PathLike) else list(keys)
    if not listed:
        raise ParameterError("verify=[]: name at least one public key, or give verify=None.")
    return listed


def _read_signature(folder: Path) -> bytes:
    try:
        stated = parse_document(read_file(folder / SIGNATURE, most=10_000), SIGNATURE)
        if stated.keys() == {"algorithm", "signature"} and stated["algorithm"] == "ed25519":
            return base64.b64decode(stated["signature"], validate=True)
    except FileNotFoundError:
        raise UntrustedModel(
            f"{folder} is not signed, and {VERIFY} asks for a signature: save it with {SIGN}."
        ) from None
    except (ValueError, TypeError, AttributeError):
        pass
    raise UntrustedModel(f"{folder / SIGNATURE} is not a signature of reviewml.")


def _is_signed(public: Any, signature: bytes, signed: bytes) -> bool:
    exceptions = plugins.optional("cryptography.exceptions", NEEDED_FOR)
    try:
        public.verify(signature, signed)
    except exceptions.InvalidSignature:
        return False
    return True
