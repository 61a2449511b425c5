"""Texts as a campaign tool may have them: no mark-up, no control characters, no longer than it takes."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# what an HTML reader takes for a tag; "a < b" is none. Braze and others put texts into a message as they are
_TAG: Final = "</?[A-Za-z!][^<>]*>"


def without_markup(column: Any) -> Any:
    """Return texts without HTML tags; an unknown text stays unknown."""
    return pc.replace_substring_regex(column, _TAG, "")


def cut(column: Any, most_bytes: int) -> tuple[Any, int]:
    """Return texts of at most so many bytes of UTF-8, none cut within a character, and how many were cut."""
    long = pc.fill_null(pc.greater(pc.binary_length(column), most_bytes), False)
    count = int(pc.sum(pc.cast(long, pa.int64())).as_py() or 0)
    if not count:
        return column, 0
    coded = pc.dictionary_encode(column)
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    # texts are few and many customers share each: only the distinct ones are looked at one by one
    short = [_shortened(text, most_bytes) for text in coded.dictionary.to_pylist()]
    return pa.array(short, pa.string()).take(coded.indices), count


def _shortened(text: str, most_bytes: int) -> str:
    return text.encode()[:most_bytes].decode(errors="ignore")


def parts_by_bytes(sizes: Any, most_rows: int, most_bytes: int) -> list[tuple[int, int]]:
    """Return where to cut rows into parts, as (start, length), given each row's bytes; no part breaks a limit.

    A row that is larger than the limit alone is a part of its own.
    """
    ends = np.cumsum(np.asarray(sizes, dtype=np.int64))
    parts: list[tuple[int, int]] = []
    start = 0
    while start < len(ends):
        spent = int(ends[start - 1]) if start else 0
        fits = int(np.searchsorted(ends, spent + most_bytes, side="right")) - start
        length = max(1, min(fits, most_rows))
        parts.append((start, length))
        start += length
    return parts
