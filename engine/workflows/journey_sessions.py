"""Answer what is asked of sessions and channels, on a log of events wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv

from engine.domain.errors import MissingColumns, NotEnoughData, SettingsFault, UnreadableSource
from engine.lake.schema import instant
from engine.workflows import session
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import identity, omnichannel, sessions
from journeys.calendar import microseconds
from journeys.histories import CUSTOMER
from journeys.identity import LINKS, Mode
from journeys.omnichannel import Handover, Switching, Unit

_SPANS: Final = "_identity_spans"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stitch:
    """Give events without a customer to whom their identifier belongs.

    links : a CSV or Parquet file of id_type, id_value, customer and perhaps since, until; None: the identities of the
        workspace, from when each was first seen.
    id_type, id_value : columns of the log.
    """

    mode: Mode
    links: Path | None = None
    id_type: str = "id_type"
    id_value: str = "id_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionQuestion:
    """Sessions: the time-out, whether each channel has its own, and a Parquet file to write them to."""

    timeout_seconds: float = sessions.TIMEOUT_SECONDS
    per_channel: bool = False
    out: Path | None = None
    stitch: Stitch | None = None


def visits(source: LogSource, question: SessionQuestion) -> dict[str, Any]:
    """Return what the sessions of a log are like, of all and by the channel in which they begin."""
    with _ready(source, question.stitch) as (open_log, stitched):
        channel = _channel(open_log, source, needed=question.per_channel)
        asked: dict[str, Any] = {
            "as_of_us": microseconds(open_log.as_of),
            "timeout_seconds": question.timeout_seconds,
            "channel": channel,
            "per_channel": question.per_channel,
        }
        attributes = () if channel is None else (channel,)
        measures = _mapped(open_log, partial(sessions.measures_of_block, **asked), attributes)
        answer: dict[str, Any] = {
            "timeout_seconds": question.timeout_seconds,
            "per_channel": question.per_channel,
            "as_of": open_log.as_of,
            **_plain(sessions.metrics(measures)),
            "by_first_channel": [
                {"channel": name, **_plain(found)} for name, found in sessions.by_first_channel(measures)
            ]
            if channel
            else [],
            "stitched": stitched,
        }
        if question.out is not None:
            answer["written"] = _write(open_log, partial(sessions.of_block, **asked), attributes, question.out)
        return answer


def _write(open_log: OpenLog, function: Any, attributes: tuple[str, ...], out: Path) -> dict[str, Any]:
    if out.exists():
        raise SettingsFault("--out", [f"{out} is there already; name another file"])
    rows = _mapped(open_log, function, attributes)
    pq.write_table(rows.sort_by([("customer", "ascending"), ("start", "ascending")]), out, compression="zstd")
    return {"file": str(out), "sessions": rows.num_rows}


def _plain(found: sessions.Metrics) -> dict[str, Any]:
    return {name: getattr(found, name) for name in sessions.Metrics.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelQuestion:
    """Channels: of which journeys, which goal, and the hand-over from which digital step to the branch.

    handover_step : events of the digital step; None: hand-overs are not asked for.
    """

    unit: Unit = Unit.SESSION
    timeout_seconds: float = sessions.TIMEOUT_SECONDS
    goal: tuple[str, ...] = ()
    handover_step: tuple[str, ...] | None = None
    digital: tuple[str, ...] = ("web", "app")
    branch: tuple[str, ...] = ("branch",)
    within_seconds: float = 14 * 86_400
    stitch: Stitch | None = None


def moves(source: LogSource, question: ChannelQuestion) -> dict[str, Any]:
    """Return how customers move between channels and, where asked, how digital steps are handed to the branch."""
    with _ready(source, question.stitch) as (open_log, stitched):
        channel = str(_channel(open_log, source, needed=True))
        as_of_us = microseconds(open_log.as_of)
        asked = Switching(
            channel=channel,
            as_of_us=as_of_us,
            unit=question.unit,
            timeout_seconds=question.timeout_seconds,
            goal=question.goal,
        )
        found = omnichannel.channels(
            _mapped(open_log, partial(omnichannel.moves_of_block, asked=asked), (channel,), ordered=True),
            _mapped(open_log, partial(omnichannel.journeys_of_block, asked=asked), (channel,), ordered=True),
            asked,
        )
        answer: dict[str, Any] = {
            "journey": question.unit.value,
            "goal": list(question.goal),
            "as_of": open_log.as_of,
            "journeys": found.journeys,
            "switched": found.switched,
            "ping_pong": found.ping_pong,
            "matrix": list(found.matrix),
            "success": found.success,
            "handover": None,
            "stitched": stitched,
        }
        if question.handover_step is not None:
            handed = Handover(
                channel=channel,
                as_of_us=as_of_us,
                digital=question.digital,
                branch=question.branch,
                step=question.handover_step,
                goal=question.goal,
                within_seconds=question.within_seconds,
            )
            rows = _mapped(open_log, partial(omnichannel.handovers_of_block, asked=handed), (channel,), ordered=True)
            answer["handover"] = omnichannel.quality(rows, handed)
        return answer


def _mapped(open_log: OpenLog, function: Any, attributes: tuple[str, ...], *, ordered: bool = False) -> pa.Table:
    return open_log.log.map_blocks(open_log.engine, function, open_log.as_of, attributes=attributes, ordered=ordered)


def _channel(open_log: OpenLog, source: LogSource, *, needed: bool) -> str | None:
    column = open_log.log.channel
    if column is None or column not in open_log.log.table.columns:
        if needed:
            raise NotEnoughData("channels", "the log has no column of the channel", "--channel with its name")
        source.say("The log has no column of the channel; --channel names one.")
        return None
    return column


@contextmanager
def _ready(source: LogSource, stitch: Stitch | None) -> Iterator[tuple[OpenLog, dict[str, Any] | None]]:
    with opened(source) as open_log:
        if stitch is None:
            yield open_log, None
        else:
            yield _stitched(open_log, source, stitch)


def _stitched(open_log: OpenLog, source: LogSource, stitch: Stitch) -> tuple[OpenLog, dict[str, Any]]:
    """Return the log with more of its events' customers known, and what was joined and what was not."""
    log, engine = open_log.log, open_log.engine
    if log.prepared is not None:
        raise SettingsFault("--stitch", ["a prepared log holds no events without a customer; name the log itself"])
    for column in (stitch.id_type, stitch.id_value):
        log.require(column)
    links = _links(open_log, source) if stitch.links is None else _read_links(stitch.links)
    found = identity.spans(links, stitch.mode, open_log.as_of)
    engine.attach(_SPANS, found.table)
    kinds = {name: "timestamp(6)" if name in ("since", "until") else "string" for name in LINKS.names}
    joined = identity.stitched(log, ibis.table(kinds, name=_SPANS), stitch.id_type, stitch.id_value)
    before, after = (_without_customer(open_log, one.table, log.customer, log.time) for one in (log, joined))
    told = {
        "mode": stitch.mode.value,
        "events_without_customer": before,
        "events_joined": before - after,
        "identifiers_shared": found.shared,
    }
    return replace(open_log, log=joined), told


def _without_customer(open_log: OpenLog, table: Any, customer: str, time: str) -> int:
    rows = table.filter(table[customer].isnull(), table[time] <= instant(open_log.as_of))
    return int(open_log.engine.arrow(rows.aggregate(n=rows.count())).column("n")[0].as_py())


def _links(open_log: OpenLog, source: LogSource) -> pa.Table:
    tables = session.workspace_at(source.home).attach(open_log.engine) if source.path is None else {}
    if "identities" not in tables:
        raise NotEnoughData("links of identifiers", "there is no table of identities", "--links with a file of them")
    known = tables["identities"]
    rows = open_log.engine.arrow(known.select("id_type", "id_value", "customer_id", "first_seen_at"))
    until = pa.nulls(rows.num_rows, pa.timestamp("us"))
    return pa.table(
        [*(rows.column(name) for name in ("id_type", "id_value", "customer_id", "first_seen_at")), until],
        names=LINKS.names,
    ).cast(LINKS)


def _read_links(path: Path) -> pa.Table:
    """Read a file of links; times without an offset are UTC."""
    try:
        if path.suffix == ".parquet":
            rows = pq.read_table(path)
        else:
            kinds = {name: pa.string() for name in ("id_type", "id_value", CUSTOMER)}
            rows = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=kinds))
    except (OSError, pa.ArrowInvalid):
        problem = "no file of links can be read there"
        raise UnreadableSource(path.name, problem, "Name a CSV or Parquet file that is there.") from None
    missing = [name for name in LINKS.names[:3] if name not in rows.column_names]
    if missing:
        raise MissingColumns(path.name, "links", missing, rows.column_names)
    for name in ("since", "until"):
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(rows.num_rows, pa.timestamp("us")))
    try:
        return rows.select(LINKS.names).cast(LINKS, safe=False)
    except pa.ArrowInvalid:
        wrong = "a column is not of its kind: id_type, id_value and customer are text, since and until instants"
        raise UnreadableSource(path.name, wrong, "Write instants like 2026-06-30T16:00:00Z.") from None
