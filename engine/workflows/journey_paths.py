"""Answer what is asked of the paths of a log of events, wherever it lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import pyarrow as pa

from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import flows, histories, patterns, step_matrix, transitions, variants
from journeys.flows import AtStep
from journeys.outcomes import Status
from journeys.paths import GROUP, Wanted
from journeys.spec import Funnel

_COPY = "attribute: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The paths around a step of a funnel, numbered from 1, of those whom `status` names.

    products : those that the funnel is about, to which all events are narrowed; none: all.
    """

    funnel: Funnel
    step: int
    status: Status
    side: flows.Side
    products: tuple[str, ...] = ()


def transition_graph(source: LogSource, wanted: Wanted) -> dict[str, Any]:
    """Return the transitions of a log as a mapping, the most frequent first.

    Keys: transitions, of `from`, `to` (`transitions.START` and `END` at the ends of a path), count, customers, shares,
    percentiles of the wait in seconds, and whether the event follows itself; by, the same for each group, or None.
    """
    with _asked(source, wanted) as log:
        graphs = _by_group(transitions.graph(log.mapped(partial(transitions.count_block, wanted=log.whole))))
        answer: dict[str, Any] = {"transitions": _edges(graphs.get(None, []))}
        answer["by"] = None
        if wanted.by is not None:
            grouped = transitions.graph(log.mapped(partial(transitions.count_block, wanted=log.wanted)))
            answer["by"] = {str(value): {"transitions": _edges(rows)} for value, rows in _by_group(grouped).items()}
    return answer


def most_frequent_variants(source: LogSource, wanted: Wanted, top: int) -> dict[str, Any]:
    """Return the variants of a log as a mapping.

    Keys: cases (paths), variants (how many different ones), mean_seconds and median_seconds of all paths, top (path,
    count, customers, share, median_seconds); by, the same for each group, or None.
    """
    with _asked(source, wanted) as log:
        names = patterns.vocabulary(log.names, wanted.rewriting)

        def counted(of: Wanted) -> dict[str | None, variants.Variants]:
            blocks = log.mapped(partial(variants.count_block, wanted=of, names=names))
            return variants.most_frequent(blocks, names, top)

        answer = asdict(counted(log.whole)[None])
        answer["by"] = None
        if wanted.by is not None:
            answer["by"] = {str(value): asdict(found) for value, found in counted(log.wanted).items()}
    return answer


def flow(
    source: LogSource, wanted: Wanted, places: int, *, around: Around | None = None, top: int | None = None
) -> dict[str, Any]:
    """Return how paths run on over some places, as a mapping.

    Places count from 1, the first event; for paths that lead to an event, down to 0, which is that event.

    Parameters
    ----------
    around : follow the customers at a step of a funnel instead of `wanted.start` and `wanted.end`.
    top : how many events of a place go by their names, the others together as `flows.OTHER`; None: all.

    Keys: paths, of which a customer has one unless a gap cuts sessions; nodes (place, event, reached, went_on,
    arrived, dropped); links (place, event, next, paths, customers); by, the same for each group, or None.
    """
    back = around.side is flows.Side.BEFORE if around else bool(wanted.end and not wanted.start)
    first, last = (1 - places, 0) if back else (0, places - 1)
    with _asked(source, wanted, around) as log:
        shift = 0 if back else 1

        def counted(of: Wanted) -> dict[str | None, dict[str, Any]]:
            found = flows.table(log.mapped(_flow_of_block(of, around, log.open.as_of, first, last)))
            return _flows(found if top is None or not len(found) else flows.trimmed(found, top), shift)

        answer = counted(log.whole).get(None) or {"paths": 0, "nodes": [], "links": []}
        answer["by"] = None
        if wanted.by is not None:
            answer["by"] = {str(value): found for value, found in counted(log.wanted).items()}
    return answer


def matrix(
    source: LogSource, wanted: Wanted, places: int, *, centre: tuple[str, ...] = (), before: int = 0
) -> dict[str, Any]:
    """Return the step matrix of a log as a mapping.

    centre : patterns of the event that is place 0; none: place 1 is the first event of a path.
    before : places before the centre.

    Keys: paths; places, each with the share of the paths at each event, of those that have not begun and of those
    that have ended, which add up to 1; by, the same for each group, or None.
    """
    first, last, shift = (-before, places - 1, 0) if centre else (0, places - 1, 1)
    with _asked(source, wanted, patterns_of_result=centre) as log:

        def counted(of: Wanted) -> dict[str | None, dict[str, Any]]:
            function = partial(step_matrix.count_block, wanted=of, centre=centre, first=first, last=last)
            rows = _by_group(step_matrix.matrix(log.mapped(function)))
            return {value: _places(found, shift) for value, found in rows.items()}

        answer = counted(log.whole).get(None) or {"paths": 0, "places": []}
        answer["by"] = None
        if wanted.by is not None:
            answer["by"] = {str(value): found for value, found in counted(log.wanted).items()}
    return answer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """An open log, the names of its events, and the question with the columns of the log that it reads."""

    open: OpenLog
    names: tuple[str, ...]
    wanted: Wanted
    attributes: tuple[str, ...]

    @property
    def whole(self) -> Wanted:
        """The question without its groups."""
        return replace(self.wanted, by=None)

    def mapped(self, function: Callable[[pa.Table], pa.Table]) -> pa.Table:
        """Read all events in blocks of whole customers."""
        return self.open.log.map_blocks(self.open.engine, function, self.open.as_of, attributes=self.attributes)


@contextmanager
def _asked(
    source: LogSource, wanted: Wanted, around: Around | None = None, patterns_of_result: tuple[str, ...] = ()
) -> Iterator[_Log]:
    """Open a log for a question whose patterns its events fit.

    Raises
    ------
    UnknownName
        No event fits a pattern, or there is no column of that name to group by.
    """
    with opened(source) as found:
        log, table = found.log, found.log.table
        if wanted.by is not None:
            log.require(wanted.by)
        if wanted.by in histories.ROLES:
            # as a column of a block it would be taken for the role of that name
            table = table.mutate(**{_COPY + wanted.by: table[wanted.by]})
            wanted = replace(wanted, by=_COPY + wanted.by)
        conditions = around.funnel.attributes() if around else ()
        if "lifecycle" in conditions and log.lifecycle is not None:
            table = table.mutate(lifecycle=table[log.lifecycle])
        if around and around.products and log.product is not None:
            table = table.filter(table[log.product].isin(around.products))
        log = replace(log, table=table)
        names = log.event_names(found.engine, found.as_of)
        wanted.check(names)
        for pattern in patterns_of_result:
            patterns.known(patterns.vocabulary(names, wanted.rewriting), pattern)
        read = {*((wanted.by,) if wanted.by else ()), *conditions}
        yield _Log(open=replace(found, log=log), names=names, wanted=wanted, attributes=tuple(sorted(read)))


def _flow_of_block(
    wanted: Wanted, around: Around | None, as_of: Any, first: int, last: int
) -> Callable[[pa.Table], pa.Table]:
    if around is None:
        return partial(flows.count_block, wanted=wanted, first=first, last=last)
    at_step = AtStep(funnel=around.funnel, step=around.step, as_of=as_of, status=around.status, side=around.side)
    return partial(flows.count_block_at_step, wanted=wanted, at_step=at_step, first=first, last=last)


def _by_group(rows: pa.Table) -> dict[str | None, list[dict[str, Any]]]:
    found: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows.to_pylist():
        found.setdefault(row.pop(GROUP), []).append(row)
    return found


def _edges(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "from": transitions.written(row["from"], transitions.START),
            "to": transitions.written(row["to"], transitions.END),
            "self_loop": row["from"] == row["to"],
        }
        for row in rows
    ]


def _flows(found: pa.Table, shift: int) -> dict[str | None, dict[str, Any]]:
    """Return the flows of each group, the links in the order of the nodes that they leave."""
    nodes, links = _by_group(flows.nodes(found)) if len(found) else {}, _by_group(found)
    return {
        group: {
            "paths": sum(node["reached"] for node in nodes[group] if node["place"] == 0),
            "nodes": [{**node, "place": node["place"] + shift} for node in nodes[group]],
            "links": [
                {
                    "place": link["place"] + shift,
                    **{name: link[name] for name in ("event", "next", "paths", "customers")},
                }
                for link in sorted(rows, key=lambda link: (link["place"], -link["paths"], link["event"]))
                if link["fate"] == flows.WENT_ON
            ],
        }
        for group, rows in links.items()
    }


def _places(rows: list[dict[str, Any]], shift: int) -> dict[str, Any]:
    """Return the places of one group's matrix, the events of each by their share."""
    places = []
    for place in sorted({row["place"] for row in rows}):
        here = [row for row in rows if row["place"] == place]
        fates = {row["fate"]: row["share"] for row in here}
        events = sorted(
            (row for row in here if row["event"] is not None), key=lambda row: (-row["count"], row["event"])
        )
        places.append(
            {
                "place": place + shift,
                "events": [{name: row[name] for name in ("event", "count", "share")} for row in events],
                "not_begun_share": fates.get(step_matrix.NOT_BEGUN, 0.0),
                "ended_share": fates.get(step_matrix.ENDED, 0.0),
            }
        )
    return {"paths": sum(row["count"] for row in rows if row["place"] == rows[0]["place"]), "places": places}
