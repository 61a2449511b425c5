"""What live decisions look at: the current run's bundle and one record per customer, all changed at once.

The records of a run are made when a process first meets it, in the folder `live` of the workspace, and mapped by every
process from then on. A million customers are about 0.9 GB there; a process holds none of it but what it touches in the
system's cache, which all share.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import RunMissing, WaylineError
from engine.lake import record_file
from engine.lake.record_file import RecordFile
from engine.lake.runs import MANIFEST, Run, folder_digest, open_run
from engine.lake.workspace import Workspace
from engine.recommendations import columns, records
from engine.recommendations.bundle import Bundle
from engine.recommendations.contact import CONTACTS
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.records import Settled
from engine.workflows.kept_decisions import LOOKED_AT, blocks_of, opened
from engine.workflows.reported import FILE as REPORTED

OF_ALL: Final = ("withheld_contacts", "allocation_changes")
"""Marts of a run that hold what was settled by a look at all customers."""

MARTS: Final = ("features", "credit_decisions", LOOKED_AT, "recommendations", *OF_ALL)
"""What a snapshot is made of; each file is proven to be what the run wrote."""

_LOG: Final = logging.getLogger("wayline.live")
_AT_ONCE: Final = 20_000  # customers turned into records at a time
_KEPT: Final = 2  # runs whose records stay: the current one and the one before, which a slower process still serves


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One run as live decisions look at it; nothing in it changes.

    `counted` are the reports of contacts that the run's own counts hold already, as rising numbers of their ids.
    `looks_back` is the longest window of a cap or of fatigue.
    """

    run_id: str
    as_of: datetime
    finished_at: datetime
    bundle: Bundle
    digest: str
    kept: RecordFile
    counted: NDArray[np.uint64]

    @property
    def channels(self) -> tuple[str, ...]:
        """The contact channels in the order of the settings."""
        return tuple(self.bundle.settings.contact_cost_minor)

    @property
    def looks_back(self) -> timedelta:
        """The longest window of a cap or of fatigue."""
        return looks_back(self.bundle.settings)

    def block(self, rows: Sequence[int], customer_ids: Sequence[str]) -> tuple[DecisionBlock, Settled]:
        """Return the block of some rows, as the run decided on them, and what the run settled for them."""
        return records.block_of(self.kept.records[list(rows)], customer_ids)

    def fingerprint(self, row: int, customer_id: str) -> str:
        """Return the sha256 of what the run says of one customer."""
        return records.fingerprint(self.kept.records[row : row + 1], customer_id)

    def has_counted(self, event_ids: Sequence[str]) -> bool:
        """Whether the run's own counts hold a contact that was reported under any of these ids."""
        if not len(self.counted) or not event_ids:
            return False
        wanted = _numbers(event_ids)
        places = np.minimum(np.searchsorted(self.counted, wanted), len(self.counted) - 1)
        return bool((self.counted[places] == wanted).any())


def looks_back(settings: RecommendationSettings) -> timedelta:
    """Return the longest window of a cap or of fatigue."""
    policy = settings.contact
    return timedelta(days=max(policy.fatigue.window_days, *(cap.days for cap in policy.caps.values())))


def snapshot(workspace: Workspace, run_id: str | None = None) -> Snapshot:
    """Return the current run, or the one named, for live decisions; its records are made where nobody has made them.

    Raises
    ------
    RunMissing, MartMissing, NotEnoughData
        There is no run, or it made no decisions.
    CheckFailed, BundleOfAnotherVersion
        The run is not what was written, or of another version.
    """
    run, bundle = opened(workspace, run_id, marts=())
    name = f"{run.run_id}-{hashlib.sha256((run.folder / MANIFEST).read_bytes()).hexdigest()[:12]}-{records.SCHEMA}"
    folder = workspace.home / "live" / name
    kept = record_file.opened(folder)
    if kept is None:
        opened(workspace, run.run_id, marts=MARTS)
        kept = _written(workspace, run, bundle, folder.name)
    return Snapshot(
        run_id=run.run_id,
        as_of=run.as_of,
        finished_at=datetime.fromisoformat(run.manifest["finished_at"]),
        bundle=bundle,
        digest=bundle.digest(),
        kept=kept,
        counted=np.array(kept.facts["counted"], dtype=np.uint64),
    )


def _written(workspace: Workspace, run: Run, bundle: Bundle, name: str) -> RecordFile:
    root = workspace.home / "live"
    root.mkdir(parents=True, exist_ok=True)
    ids = columns.plain(run.read(LOOKED_AT, columns=["customer_id"])["customer_id"])
    facts = {"run_id": run.run_id, "counted": _counted(workspace, run, bundle).tolist()}
    kept = record_file.write(root / name, _records(run, bundle), len(ids), _homes(workspace, ids), facts)
    complete = [folder for folder in root.iterdir() if (folder / record_file.FACTS).is_file()]
    newest = sorted(complete, key=lambda folder: (folder / record_file.FACTS).stat().st_mtime_ns)[-_KEPT:]
    record_file.sweep(root, {folder.name for folder in newest})
    return kept


def _records(run: Run, bundle: Bundle) -> Iterator[tuple[list[str], NDArray[Any]]]:
    for_all = {mart: run.read(mart) for mart in OF_ALL if run.has(mart)}
    for block in blocks_of(run, bundle, _AT_ONCE):
        yield block.customer_ids.to_pylist(), records.records_of(block, settled(block, bundle, for_all))


def settled(block: DecisionBlock, bundle: Bundle, for_all: Mapping[str, pa.Table]) -> Settled:
    """Return what a run settled for the customers of a block by its marts `OF_ALL`, as far as it has them."""
    withheld, changes = (for_all.get(mart) for mart in OF_ALL)
    given = taken = np.zeros((block.size, bundle.catalogue.size), dtype=bool)
    if changes is not None and changes.num_rows:
        offered, by_prices = columns.flags(changes["offered"]), columns.flags(changes["by_prices"])
        given = _pairs(block, bundle, changes.filter(pa.array(offered & ~by_prices)))
        taken = _pairs(block, bundle, changes.filter(pa.array(by_prices & ~offered)))
    gives_way = np.zeros(block.size, dtype=bool)
    if withheld is not None:
        gives_way = columns.places(block.customer_ids, withheld["customer_id"]) >= 0
    return Settled(withheld=gives_way, given=given, taken=taken)


def _pairs(block: DecisionBlock, bundle: Bundle, rows: pa.Table) -> NDArray[np.bool_]:
    marked = np.zeros((block.size, bundle.catalogue.size), dtype=bool)
    customers = columns.places(columns.plain(rows["customer_id"]), block.customer_ids)
    products = columns.places(columns.plain(rows["product_id"]), pa.array(bundle.catalogue.product_ids, pa.string()))
    here = customers >= 0
    marked[customers[here], products[here]] = True
    return marked


def _homes(workspace: Workspace, ids: pa.Array) -> NDArray[np.int32]:
    """Return a number for the household of each customer as the bank's table has it now, -1 for none."""
    folder = workspace.curated("customers")
    if not folder.is_dir():
        return np.full(len(ids), -1, dtype=np.int32)
    known = ds.dataset(folder, format="parquet").to_table(columns=["customer_id", "household_id"])
    codes = columns.aligned(known, ids)["household_id"].combine_chunks()
    numbers = columns.plain(codes).dictionary_encode().indices
    return np.asarray(pc.fill_null(numbers, -1).to_numpy(zero_copy_only=False), dtype=np.int32)


def _counted(workspace: Workspace, run: Run, bundle: Bundle) -> NDArray[np.uint64]:
    """Return the reports of contacts that the counts of a run hold, as rising numbers of their ids.

    They lie in a file of the curated table. Where that is no longer what the run read, nobody can tell: then none is
    taken for counted, and contacts may count twice until the next run, which is the stricter way to be wrong.
    """
    folder = workspace.curated(CONTACTS)
    path = folder / REPORTED
    if not path.is_file() or run.manifest["inputs"].get(CONTACTS) != folder_digest(folder):
        return np.zeros(0, dtype=np.uint64)
    begins = run.as_of - looks_back(bundle.settings)
    within = (ds.field("event") == "sent") & (ds.field("occurred_at") > begins.astimezone(UTC).replace(tzinfo=None))
    if not any(stage.get("counts_later_contacts") for stage in run.manifest["stages"]):
        within &= ds.field("occurred_at") <= run.as_of.astimezone(UTC).replace(tzinfo=None)
    rows = ds.dataset(path, format="parquet").to_table(columns=["feedback_id"], filter=within)
    # a contact that nobody reported as sent was entered under the id of what told of it
    return np.unique(_numbers([one.removesuffix(":sent") for one in rows["feedback_id"].to_pylist()]))


def _numbers(event_ids: Sequence[str]) -> NDArray[np.uint64]:
    """Return the first 64 bits of the sha256 of each id."""
    digests = b"".join(hashlib.sha256(one.encode()).digest()[:8] for one in event_ids)
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


class NotServable(WaylineError):
    """The current run cannot be made ready for live decisions; `why` says what is wrong with it."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"The current run cannot be served: {why}")


class Snapshots:
    """The snapshot that a process serves from, looked for anew now and then; safe to use from several threads.

    A newer run is made ready beside the one that is served, by a thread of its own, and takes its place at once.
    """

    def __init__(self, workspace: Workspace, look_every_seconds: float) -> None:
        self._workspace, self._every = workspace, look_every_seconds
        self._held: Snapshot | None = None
        self._missing: WaylineError = RunMissing(str(workspace.home))
        self._seen: object = None
        self._looked_at = -float("inf")
        self._lock = threading.Lock()
        self._loading: threading.Thread | None = None

    def current(self) -> Snapshot | WaylineError:
        """Return the snapshot, or why there is none; only the first call waits for one to be made ready."""
        if time.monotonic() - self._looked_at >= self._every:
            with self._lock:
                self._look()
        return self._missing if self._held is None else self._held

    def close(self) -> None:
        """Wait until nothing is being made ready."""
        if self._loading is not None:
            self._loading.join()

    def _look(self) -> None:
        if time.monotonic() - self._looked_at < self._every or (self._loading and self._loading.is_alive()):
            return
        seen = self._pointed_at()
        if seen != self._seen:
            if self._held is None:
                self._load(seen)
            else:
                self._loading = threading.Thread(target=self._load, args=(seen,), name="wayline-snapshot", daemon=True)
                self._loading.start()
        self._looked_at = time.monotonic()

    def _pointed_at(self) -> object:
        """Return what changes when another run becomes the current one, or the same is made again."""
        try:
            run = open_run(self._workspace)
        except (WaylineError, OSError, ValueError):
            return None
        return run.run_id, run.manifest["finished_at"]

    def _load(self, seen: object) -> None:
        try:
            self._held = snapshot(self._workspace)
        except RunMissing as fault:
            self._missing = fault
        except Exception as fault:
            # what was served before goes on being served until it is too old
            told = fault.sentence if isinstance(fault, WaylineError) else type(fault).__name__
            self._missing = NotServable(told)
            _LOG.error("The current run cannot be served: %s", told)
        self._seen = seen
