"""What is left of a personal value that somebody may not see: enough to recognise it, too little to use it."""

from __future__ import annotations

import re
from typing import Final

STARS: Final = "***"


def mask(field: str, value: str) -> str:
    """Return a personal value masked by its kind: `J*** D***`, `j***@***`, `***92`, and nothing but stars of the rest.

    >>> mask("full_name", "Jane Doe"), mask("full_name", "何伟梅"), mask("phone", "+86107369492")
    ('J*** D***', '何***', '***92')
    """
    if field == "full_name":
        return " ".join(part[0] + STARS for part in value.split()) or STARS
    if field == "email":
        return f"{value[:1]}{STARS}@{STARS}" if re.fullmatch(r"[^@\s]{3,}@[^@\s]+", value) else STARS
    if field in ("phone", "card", "account"):
        return STARS + value[-2:] if len(value) >= 8 else STARS
    return STARS
