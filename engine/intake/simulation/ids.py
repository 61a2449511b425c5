"""Text ids for millions of rows at once: a prefix and zero-padded digits, written as bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.intake.simulation.world import Ints


def numbered(prefix: str, numbers: Ints, width: int, suffix: str = "") -> pa.Array:
    """Return `prefix` + digits + `suffix` per number, with the digits zero-padded to `width`."""
    head, tail = prefix.encode(), suffix.encode()
    text = np.empty((len(numbers), len(head) + width + len(tail)), dtype=np.uint8)
    text[:, : len(head)] = np.frombuffer(head, dtype=np.uint8)
    text[:, len(head) + width :] = np.frombuffer(tail, dtype=np.uint8)
    _write_digits(text[:, len(head) : len(head) + width], numbers)
    return _fixed_width(text)


def scrambled(numbers: Ints, width: int, salt: int) -> Ints:
    """Return each number as another of at most `width` digits, one to one, so that ids do not show their order."""
    modulus = 10**width
    # a factor that ends in 7 has no common divisor with a power of ten, so no two numbers meet
    factor = 7_368_787 + 10 * salt
    scattered: Ints = (numbers % modulus * factor + 131 * salt) % modulus
    return scattered


def words(codes: Ints, choices: tuple[str, ...] | list[str]) -> pa.Array:
    """Return the word of each code; a negative code becomes null."""
    return pa.array(choices, pa.string()).take(pa.array(codes.astype(np.int32), mask=codes < 0))


def _write_digits(into: NDArray[np.uint8], numbers: Ints) -> None:
    rest = numbers.astype(np.uint64)
    for place in range(into.shape[1] - 1, -1, -1):
        rest, digit = np.divmod(rest, np.uint64(10))
        into[:, place] = digit + np.uint64(48)


def _fixed_width(text: NDArray[np.uint8]) -> pa.Array:
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text.tobytes()))
