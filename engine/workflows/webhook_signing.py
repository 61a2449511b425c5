"""Signatures of webhooks as Standard Webhooks has them: HMAC-SHA256 of id, timestamp and body, one a secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

PREFIX: Final = "whsec_"
_BYTES: Final = 32


def new_secret() -> str:
    """Return a fresh secret of 256 random bits, as both sides keep it."""
    return PREFIX + b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(message_id: str, body: bytes, sent_at: datetime, keys: Sequence[str]) -> dict[str, str]:
    """Return the headers of an attempt; with several secrets the receiver may go by any of them."""
    stamp = str(int(sent_at.timestamp()))
    signed = message_id.encode() + b"." + stamp.encode() + b"." + body
    signatures = [hmac.digest(b64decode(key.removeprefix(PREFIX)), signed, hashlib.sha256) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{b64encode(one).decode()}" for one in signatures),
    }
