"""Personal data in free text, replaced by what they are: [phone] for a number. Columns in, columns out.

Names of persons and postal addresses are not found: no small set of patterns can tell them from other words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.texts.patterns import HAS_OTHERS, KINDS, MARK, OPEN, OTHER_DIGITS, STEPS, SUSPICIOUS, Step

Ints = NDArray[np.int64]
_ALONE, _WITH_WORDS = rf"{MARK}\0{MARK}", rf"\1{MARK}\2{MARK}"
_ROUNDS: Final = 6
_LABELS: Final = pa.array([f"[{kind}]" for kind in KINDS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """Texts without personal data, in the order of those given; nothing is nothing again.

    `counts` has a row per text and a column per kind: how many were masked. `cut` marks the texts that were longer
    than the limit.
    """

    texts: pa.Array
    counts: Ints
    cut: NDArray[np.bool_]


def mask(texts: pa.Array, limit_characters: int) -> Masked:
    """Return texts cut at a limit and without e-mails, phones, ids, cards, accounts and links that carry any of these.

    Digits of other scripts are written as 0 to 9. A text that is cut ends before the word or number that the limit
    would have cut through. Masking what is masked changes nothing.
    """
    shorter, cut = _cut(texts, limit_characters)
    counts = np.zeros((len(shorter), len(KINDS)), dtype=np.int64)
    shorter = _plain_digits(shorter)
    left = np.flatnonzero(_true(pc.match_substring_regex(shorter, SUSPICIOUS)))
    # what stands beside a label is judged without its old neighbours: again, until nothing more is found
    for _ in range(_ROUNDS):
        if not len(left):
            break
        masked, found = _once(shorter.take(pa.array(left)))
        changed = found.sum(axis=1) > 0
        counts[left] += found
        shorter = _put(shorter, left, masked)
        left = left[changed]
    return Masked(texts=shorter, counts=counts, cut=cut)


def kinds_counted(masked: Masked, weights: Ints) -> dict[str, int]:
    """Return how many of each kind were masked, a text counted as often as its weight says; others are absent."""
    sums = weights @ masked.counts
    return {kind: int(number) for kind, number in zip(KINDS, sums, strict=True) if number}


def _true(flags: Any) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(flags, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _put(texts: pa.Array, rows: Ints, values: pa.Array) -> pa.Array:
    """Return texts with some rows replaced."""
    place = np.arange(len(texts))
    place[rows] = len(texts) + np.arange(len(rows))
    return pa.concat_arrays([texts, values]).take(pa.array(place))


def _cut(texts: pa.Array, limit: int) -> tuple[pa.Array, NDArray[np.bool_]]:
    """Return texts of at most that many characters, and which were longer."""
    texts = pc.cast(texts, pa.large_string())
    cut = _true(pc.greater(pc.utf8_length(texts), limit))
    rows = np.flatnonzero(cut)
    if not len(rows):
        return texts, cut
    heads = pc.utf8_slice_codeunits(texts.take(pa.array(rows)), 0, limit)
    heads = pc.replace_substring_regex(heads, r"[^\s\p{Han}，。！？；]{1,64}$", "")
    return _put(texts, rows, pc.replace_substring_regex(heads, r"[\p{Nd}\p{P}\p{S}\p{Cf}\s]+$", "")), cut


def _plain_digits(texts: pa.Array) -> pa.Array:
    """Return texts with every digit written as 0 to 9, and without the character that marks finds."""
    rows = np.flatnonzero(_true(pc.match_substring_regex(texts, HAS_OTHERS)))
    if not len(rows):
        return texts
    found = pc.replace_substring(texts.take(pa.array(rows)), MARK, " ")
    for script in OTHER_DIGITS:
        for value, digit in enumerate(script):
            found = pc.replace_substring(found, digit, str(value))
    return _put(texts, rows, found)


def _once(texts: pa.Array) -> tuple[pa.Array, Ints]:
    """Return texts with what all steps find replaced, and how many of each kind were."""
    parts, owner, code = texts, np.arange(len(texts)), np.full(len(texts), OPEN, dtype=np.int8)
    for step in STEPS:
        parts, owner, code = _apart(parts, owner, code, step)
    labels = _LABELS.cast(pa.large_string()).take(pa.array(np.maximum(code, 0)))
    parts = pc.if_else(pa.array(code >= 0), labels, parts)
    starts = np.searchsorted(owner, np.arange(len(texts) + 1))
    joined = _joined(parts, starts)
    cells = owner[code >= 0] * len(KINDS) + code[code >= 0]
    counts = np.bincount(cells, minlength=len(texts) * len(KINDS)).reshape(len(texts), len(KINDS))
    return joined, counts


def _joined(parts: pa.Array, starts: Ints) -> pa.Array:
    """Return texts of whole parts in their order: the same letters, with fewer ends between them."""
    _, ends, letters = parts.buffers()
    offsets = np.frombuffer(ends, dtype=np.int64)[parts.offset :][starts]
    return pa.LargeStringArray.from_buffers(len(starts) - 1, pa.py_buffer(offsets.tobytes()), letters)


def _apart(parts: pa.Array, owner: Ints, code: NDArray[np.int8], step: Step) -> tuple[pa.Array, Ints, NDArray[np.int8]]:
    """Take the finds of one step out of the parts that are open; a text is its owner's parts, one after another."""
    is_open = code == OPEN
    hit = is_open & _true(pc.match_substring_regex(parts, step.pattern))
    rows = np.flatnonzero(hit)
    if not len(rows):
        return parts, owner, code
    marked = pc.replace_substring_regex(
        parts.take(pa.array(rows)), step.pattern, _WITH_WORDS if step.has_words_before else _ALONE
    )
    split = pc.split_pattern(marked, MARK)
    sizes = np.ones(len(parts), dtype=np.int64)
    sizes[rows] = pc.list_value_length(split).to_numpy(zero_copy_only=False)
    begins = np.concatenate([[0], np.cumsum(sizes)])
    of = np.repeat(np.arange(len(parts)), sizes)
    within = np.arange(begins[-1]) - begins[of]
    new_code = code[of]
    place = of.copy()
    place[hit[of]] = len(parts) + np.arange(int(sizes[rows].sum()))
    new_parts = pa.concat_arrays([parts, pc.list_flatten(split)]).take(pa.array(place))
    finds = np.flatnonzero(hit[of] & (within % 2 == 1))
    new_code[finds] = step.judge(new_parts.take(pa.array(finds)))
    return new_parts, owner[of], new_code
