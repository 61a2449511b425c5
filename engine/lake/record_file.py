"""Records of customers in a file that processes map: found by id with no index in memory, read with no parsing.

A folder holds `records.npy` (one structured record per customer, sorted by id), `ids.bin` and `offsets.npy` (the ids
one after the other, and where each begins), `homes.npy` (a number for each customer's household, -1 for none),
`members.npy` (the rows of who has a household, in the order of those numbers) and `starts.npy` (where each household
begins in it). It is complete when `facts.json` is there, which is written last. All processes of a machine share the
pages that they touch; none holds more in its own memory than it copies out.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.lake.files import write_synced

FACTS: Final = "facts.json"
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RecordFile:
    """An opened folder; reading is safe from several threads."""

    folder: Path
    facts: Mapping[str, Any]
    records: NDArray[Any]
    ids: NDArray[np.uint8]
    offsets: Rows
    homes: NDArray[np.int32]
    members: NDArray[np.int32]
    starts: Rows

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.homes)

    def row_of(self, customer_id: str) -> int | None:
        """Return the row of a customer, None where there is none of that id."""
        wanted = customer_id.encode("utf-8", "surrogatepass")
        # plain numbers and bytes: an array costs several times as much at each of the twenty halvings
        offsets, ids = self.offsets.data, self.ids.data
        low, high = 0, self.size
        while low < high:
            middle = (low + high) // 2
            if ids[offsets[middle] : offsets[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < self.size and self._id(low) == wanted else None

    def id_of(self, row: int) -> str:
        """Return the id of a row."""
        return self._id(row).decode()

    def household(self, row: int) -> tuple[int, ...]:
        """Return the rows of all who live in a customer's household, in order, the customer's own among them."""
        home = int(self.homes[row])
        if home < 0:
            return (row,)
        return tuple(self.members[self.starts[home] : self.starts[home + 1]].tolist())

    def _id(self, row: int) -> bytes:
        return self.ids[self.offsets[row] : self.offsets[row + 1]].tobytes()


def opened(folder: Path) -> RecordFile | None:
    """Return a complete folder, mapped; None where there is none."""
    if not (folder / FACTS).is_file():
        return None
    # plain views of what is mapped: NumPy's own class for maps costs ten times more at every step
    arrays: dict[str, Any] = {
        name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))
        for name in ("records", "offsets", "homes", "members", "starts")
    }
    ids = np.asarray(np.memmap(folder / "ids.bin", dtype=np.uint8, mode="r"))
    return RecordFile(folder=folder, facts=json.loads((folder / FACTS).read_bytes()), ids=ids, **arrays)


def write(
    folder: Path, blocks: Iterable[tuple[Sequence[str], NDArray[Any]]], size: int, homes: NDArray[Any], facts: Any
) -> RecordFile:
    """Write the records of customers, block by block in the order of their ids, and open them.

    Written aside and renamed when complete: whoever is killed leaves nothing that is read. `homes` has one number per
    customer, those of households counting from 0, -1 for none; `facts` is what `RecordFile.facts` gives back.

    Raises
    ------
    ValueError
        The ids are not in order, or there are not `size` of them.
    """
    building = folder.with_name(f"_building-{folder.name}-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    lengths, last, done, records = np.zeros(size, dtype=np.int64), b"", 0, None
    with (building / "ids.bin").open("wb") as names:
        for ids, part in blocks:
            if records is None:
                records = np.lib.format.open_memmap(building / "records.npy", "w+", part.dtype, (size,))
            encoded = [one.encode() for one in ids]
            if any(one >= other for one, other in pairwise([last, *encoded] if done else encoded)):
                raise ValueError("ids must rise from one record to the next")
            behind = done + len(encoded)
            if behind > size:
                raise ValueError(f"more than {size} records")
            names.write(b"".join(encoded))
            records[done:behind] = part
            lengths[done:behind] = [len(one) for one in encoded]
            last, done = encoded[-1], behind
    if done != size or records is None:
        raise ValueError(f"{done} records, expected {size}")
    records.flush()
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    housed = np.flatnonzero(homes >= 0)
    members = housed[np.argsort(homes[housed], kind="stable")].astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(homes[housed]))]).astype(np.int64)
    for name, values in (
        ("offsets", offsets),
        ("homes", homes.astype(np.int32)),
        ("members", members),
        ("starts", starts),
    ):
        np.save(building / f"{name}.npy", values)
    write_synced(building / FACTS, json.dumps(facts).encode())
    try:
        building.rename(folder)
    except OSError:  # another process was first, and its folder holds the same
        shutil.rmtree(building)
    kept = opened(folder)
    assert kept is not None
    return kept


def sweep(root: Path, keep: Iterable[str]) -> None:
    """Remove all folders but those named; who still reads from one keeps what it has mapped."""
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.is_dir() and folder.name not in keep and not folder.name.startswith("_building-"):
            shutil.rmtree(folder, ignore_errors=True)
