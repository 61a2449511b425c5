"""Manifests that carry a signature over themselves."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from engine.domain.errors import CheckFailed
from engine.exports import signing
from engine.exports.signing import SigningKey
from engine.numerics.chain import canonical


class Signed(BaseModel):
    """A document with the public key and an Ed25519 signature over all the rest; both None where there is no key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_key: str | None = None
    signature: str | None = None

    def text(self) -> str:
        """Return the document as it is written: the same one always gives the same text."""
        return self.model_dump_json(indent=1) + "\n"

    def signed_bytes(self) -> bytes:
        """Return what the signature is over: all of it but the signature itself."""
        told: dict[str, Any] = self.model_dump(mode="json", exclude={"signature"})
        return canonical(told).encode()

    def signed(self, key: SigningKey | None) -> Self:
        """Return the document with the key and its signature; as it is without a key."""
        if key is None:
            return self
        named = self.model_copy(update={"public_key": key.public})
        return named.model_copy(update={"signature": key.sign(named.signed_bytes())})

    def signed_by(self, expected: str | None) -> str | None:
        """Return the id of the key that signed it, None without a signature.

        expected : the public key that it must be signed by, where somebody asks for one.

        Raises
        ------
        CheckFailed
            The signature does not hold, is by another key than expected, or is missing and expected.
        """
        own, signature = self.public_key, self.signature
        if own is None or signature is None:
            if expected is not None or own is not None or signature is not None:
                raise CheckFailed("signature: the bundle is not signed. Do not load it; ask for a signed one.")
            return None
        if expected is not None and own != expected:
            raise CheckFailed(
                f"signature: the bundle is signed by the key {signing.key_id(own)}, expected "
                f"{signing.key_id(expected)}. Do not load it; ask the bank which key is its own."
            )
        signing.check(own, signature, self.signed_bytes())
        return signing.key_id(own)
