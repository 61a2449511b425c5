"""How many of an audience a campaign reaches: a waterfall by the gates of the run, a reason for everybody removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds

from engine.config.audiences import Audience
from engine.domain.errors import NotEnoughData, UnknownName
from engine.lake.runs import Run
from engine.recommendations import columns, inputs, ledger, reachable
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import Flags
from engine.recommendations.gates import Masks
from engine.recommendations.reachable import NOT_DECIDED, Waterfall
from engine.workflows import kept_decisions, suppressed
from engine.workflows.audiences import Opened, opened

_NOBODY: Final = np.zeros(0, dtype=np.uint64)
_ROWS: Final = 50_000  # customers looked at together; changes memory, never a result


def reach(
    home: Path, name: str, channel: str | None = None, run_id: str | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Return the reach of a kept audience on a run: see `of_definition`.

    Raises
    ------
    UnknownName
        No such audience, or it is not for that channel, or the bank contacts nobody on it.
    NotEnoughData, MartMissing
        The run decided nothing.
    RunMissing, WorkspaceMissing, SettingsFault
    """
    with opened(home, run_id) as held:
        return of_definition(held, held.kept(name).definition, channel, out)


def of_definition(
    held: Opened, definition: Audience, channel: str | None = None, out: Path | None = None
) -> dict[str, Any]:
    """Return how many members are left after consent, suppression, contact policy and risk gate, on a channel or any.

    Parameters
    ----------
    channel : one of the audience's channels; by default any of them counts, and each is told beside.
    out : a CSV file for one row per member: customer_id, the first reason code, empty for who is reachable, and all of
        them as the mask of the gates.
    """
    bundle = kept_decisions.bundle_of(held.run)
    held.run.require(kept_decisions.LOOKED_AT)
    known = list(bundle.settings.contact_cost_minor)
    meant = _channels(definition, known, channel)
    ids = columns.plain(held.engine.arrow(held.members(held.root(definition)).order_by("customer_id"))["customer_id"])
    people = _people(held, bundle, known)
    chosen = {"": meant, **({name: [name] for name in meant} if channel is None else {})}
    found = {name: reachable.waterfall(_NOBODY) for name in chosen}
    told: list[pa.Table] = []
    for some, masks in _masks(held.run, bundle, ids, people, chosen):
        for name in chosen:
            found[name] += reachable.waterfall(masks[name])
        if out is not None:
            told.append(_rows(some, masks[""]))
    if out is not None:
        pa_csv.write_csv(pa.concat_tables(told).sort_by("customer_id") if told else _rows(ids, _NOBODY), out)
    whole = found.pop("")
    return {
        "audience": definition.audience,
        "run_id": held.run.run_id,
        "as_of": held.run.as_of,
        "channels": meant,
        **_shown(whole),
        "steps": list(whole.steps()),
        "by_channel": [{"channel": name, **_shown(one), "steps": list(one.steps())} for name, one in found.items()],
        "notes": _notes(definition, known),
    }


def member_masks(held: Opened, ids: pa.Array, channel: str | None) -> Iterator[tuple[pa.Array, Masks]]:
    """Return some customers at a time with their reasons not to be contacted on a channel, on any where it is None.

    The reasons are bits as `engine.recommendations.reachable` has them; 0 is reachable. `ids` are sorted, and all of
    them come, in no order.

    Raises
    ------
    NotEnoughData, MartMissing
        The run decided nothing.
    """
    bundle = kept_decisions.bundle_of(held.run)
    held.run.require(kept_decisions.LOOKED_AT)
    known: list[str] = list(bundle.settings.contact_cost_minor)
    chosen = {"": known if channel is None else [channel]}
    for some, masks in _masks(held.run, bundle, ids, _people(held, bundle, known), chosen):
        yield some, masks[""]


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    """Who took a consent back, on which channel (a place in the settings), and who is kept out of offers."""

    opted_out: pa.Table
    held_out: pa.Array
    channels: int

    def left(self, ids: pa.Array) -> Flags:
        """Return the channels on which each customer took a consent back, shape (n, C)."""
        flags = np.zeros((len(ids), self.channels), dtype=bool)
        rows = columns.places(self.opted_out["customer_id"], ids)
        places = self.opted_out["place"].to_numpy()
        here = (rows >= 0) & (places >= 0)
        flags[rows[here], places[here]] = True
        return flags

    def out(self, ids: pa.Array) -> Flags:
        """Return who is kept out of offers, shape (n,)."""
        kept: Flags = columns.places(ids, self.held_out) >= 0
        return kept


def _people(held: Opened, bundle: Bundle, known: Sequence[str]) -> _People:
    words = inputs.opted_out(held.tables, held.run.as_of)
    rows = pa.table({"customer_id": pa.array([], pa.string()), "channel": pa.array([], pa.string())})
    rows = rows if words is None else held.engine.arrow(words).select(rows.column_names)
    rows = pa.concat_tables([rows, suppressed.pairs(suppressed.table(held.workspace), known)])
    places = pc.fill_null(pc.index_in(rows["channel"], value_set=pa.array(known, pa.string())), -1)
    kept = pa.array([], pa.string())
    if held.run.has("control_group"):
        kept = columns.plain(
            held.run.read("control_group", ["customer_id"], where={"serves": "nothing"})["customer_id"]
        )
    opted = pa.table({"customer_id": rows["customer_id"], "place": places.cast(pa.int64())})
    return _People(opted_out=opted, held_out=kept, channels=len(known))


def _masks(
    run: Run, bundle: Bundle, ids: pa.Array, people: _People, chosen: dict[str, list[str]]
) -> Iterator[tuple[Any, dict[str, Masks]]]:
    """Return some members at a time with their reasons for each choice of channels; `ids` are sorted."""
    dataset = ds.dataset(run.path(kept_decisions.LOOKED_AT), format="parquet")
    for start in range(0, len(ids), _ROWS):
        wanted = ids.slice(start, _ROWS)
        # both are sorted by customer, so that all but a few row groups are passed over by their bounds
        own = ds.field("customer_id")
        between = (own >= wanted[0]) & (own <= wanted[-1])
        rows = dataset.to_table(filter=between & own.isin(wanted)).combine_chunks()
        lacking = wanted.filter(pc.invert(pc.is_in(wanted, value_set=columns.plain(rows["customer_id"]))))
        if rows.num_rows:
            some = columns.plain(rows["customer_id"])
            block = ledger.block_of(rows, pa.table({"customer_id": some}), (), None)
            left, out = people.left(some), people.out(some)
            # whoever unsubscribed after the run is not reached by it any more
            block = replace(block, consent=block.consent & ~left)
            yield (
                some,
                {
                    name: reachable.masks(block, bundle.catalogue, bundle.settings, meant, opted_out=left, held_out=out)
                    for name, meant in chosen.items()
                },
            )
        if len(lacking):
            silent = np.full(len(lacking), 1 << NOT_DECIDED, dtype=np.uint64)
            yield lacking, dict.fromkeys(chosen, silent)


def _rows(ids: pa.Array, masks: Masks) -> pa.Table:
    first = reachable.first(masks)
    codes = pa.array([one.code for one in reachable.REASONS], pa.string())
    reason = codes.take(pa.array(first, pa.int64(), mask=first < 0))
    return pa.table({"customer_id": ids, "reason_code": reason, "refused_mask": masks.astype(np.int64)})


def _channels(definition: Audience, known: Sequence[str], channel: str | None) -> list[str]:
    if channel is not None:
        if channel not in definition.channels:
            raise UnknownName(f'channel of "{definition.audience}"', channel, definition.channels)
        if channel not in known:
            raise UnknownName("channel that the bank contacts on", channel, known)
        return [channel]
    meant = [name for name in definition.channels if name in known]
    if not meant:
        raise NotEnoughData(
            f'reach of "{definition.audience}"',
            f"the bank contacts nobody on {', '.join(definition.channels)}",
            f"channels among {', '.join(known)}, or a cost of contact for one of these",
        )
    return meant


def _notes(definition: Audience, known: Sequence[str]) -> list[str]:
    others = [name for name in definition.channels if name not in known]
    return [f"No cost of contact is set for {', '.join(others)}, so nobody is reached there."] if others else []


def _shown(one: Waterfall) -> dict[str, Any]:
    share = one.reachable / one.members if one.members else None
    return {"members": one.members, "reachable": one.reachable, "reachable_share": share}
