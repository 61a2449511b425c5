"""Ed25519 keys and signatures: who has the public key can prove that a bundle is the bank's and unchanged."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnreadableSource
from engine.lake.files import write_synced

PRIVATE: Final = "export_ed25519.pem"
PUBLIC: Final = "export_ed25519.pub.pem"
_VERSION: Final = "v1,"
_KIND: Final = "ed25519:"
_REMEDY: Final = "Give the public key in PEM, as `wayline export keys --out FILE` writes it."


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key of a workspace."""

    _key: Ed25519PrivateKey

    @property
    def public(self) -> str:
        """The public key as manifests name it: `ed25519:` and 32 bytes in base64."""
        return _told(self._key.public_key())

    def sign(self, content: bytes) -> str:
        """Return the signature of some bytes: `v1,` and 64 bytes in base64; the same for the same bytes."""
        return _VERSION + base64.b64encode(self._key.sign(content)).decode()


def key_id(public: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of a public key: what people compare over the telephone."""
    return hashlib.sha256(public.encode()).hexdigest()[:16]


def create(folder: Path) -> SigningKey:
    """Make a key pair; an older one is kept beside it under its id, so that old bundles can still be checked.

    Nobody but the owner of the process can read the private key.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = SigningKey(Ed25519PrivateKey.generate())
    old = folder / PUBLIC
    if old.is_file():
        old.replace(folder / f"export_ed25519-{key_id(public_from(old))}.pub.pem")
    content = made._key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    waiting = folder / f"{PRIVATE}.new"
    waiting.unlink(missing_ok=True)
    with os.fdopen(os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())
    waiting.replace(folder / PRIVATE)
    write_synced(folder / PUBLIC, as_pem(made.public))
    return made


def opened(folder: Path) -> SigningKey | None:
    """Return the key of a folder, None where there is none.

    Raises
    ------
    RefusedByPolicy
        Others than its owner can read the private key.
    UnreadableSource
        It is no such key.
    """
    path = folder / PRIVATE
    if not path.is_file():
        return None
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RefusedByPolicy(
            f"The private key {path.name} can be read by others than its owner, so it may be known to anybody. Make a "
            "new one with `wayline export keys --rotate`, or, if nobody saw it, take the permissions away (mode 0600)."
        )
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise UnreadableSource(
            path.name, "is no private key of Ed25519", "Make one with `wayline export keys --rotate`."
        )
    return SigningKey(key)


def public_from(path: Path) -> str:
    """Return the public key in a PEM file as manifests name it; raises UnreadableSource for what is none."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise UnreadableSource(path.name, "is no public key of Ed25519", _REMEDY)
    return _told(key)


def as_pem(public: str) -> bytes:
    """Return a public key, as manifests name it, in PEM."""
    return _key_of(public).public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def check(public: str, signature: str, content: bytes) -> None:
    """Raise CheckFailed unless the signature of the bytes is by that key."""
    try:
        if not signature.startswith(_VERSION):
            raise ValueError
        _key_of(public).verify(base64.b64decode(signature[len(_VERSION) :], validate=True), content)
    except (InvalidSignature, ValueError):
        raise CheckFailed(
            f"signature: it is not that of the key {key_id(public)} over this manifest. It is not what was signed."
        ) from None


def _key_of(public: str) -> Ed25519PublicKey:
    if not public.startswith(_KIND):
        raise ValueError(f"a public key begins with {_KIND}")
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(public[len(_KIND) :], validate=True))


def _told(key: Ed25519PublicKey) -> str:
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return _KIND + base64.b64encode(raw).decode()
