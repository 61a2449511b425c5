"""What the customers behind a selection did before and after, as a flow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, Literal

import pandas as pd

from engine.ui.views.figure import BAD, CONTINUED, NEUTRAL, Figure
from engine.ui.views.flow import Band, Flow, Node
from engine.ui.words import Words
from engine.workflows.view.selected_paths import PLACES, Paths
from journeys import flows

Side = Literal["before", "after"]
_OTHER: Final = flows.OTHER


def paths(found: Paths, side: str, w: Words) -> Figure:
    """Return the flow of one side, `before` or `after`: places from left to right, as wide as customers went that way.

    After, who had no further event ends in a red node.
    """
    told = found.before if side == "before" else found.after
    first = min(node["place"] for node in told["nodes"])
    nodes, bands = [], []
    for node in told["nodes"]:
        column = node["place"] - first
        name = _name(node["place"], node["event"], w)
        read = _event(node["event"], w)
        nodes.append(Node(name=name, column=column, count=node["reached"], colour=_colour(node["event"]), label=read))
        if side == "after" and node["dropped"]:
            end = f"{w.t('people.paths_end')} ({node['place'] + 1})"
            bands.append(Band(source=name, target=end, count=node["dropped"], colour=BAD))
            read = w.t("people.paths_end")
            nodes.append(Node(name=end, column=column + 1, count=node["dropped"], colour=BAD, label=read))
    last = max(node["place"] for node in told["nodes"])
    for link in told["links"]:
        if link["place"] < last:
            source, target = _name(link["place"], link["event"], w), _name(link["place"] + 1, link["next"], w)
            bands.append(Band(source=source, target=target, count=link["paths"], colour=_colour(link["event"])))
    flow = Flow(nodes=_joined(nodes, w), bands=tuple(bands))
    finding = _finding(told, side, found, w)
    rows = [row for row in told["links"] if row["place"] < last]
    table = pd.DataFrame(
        {
            w.t("people.paths_place"): [row["place"] for row in rows],
            w.t("people.paths_event"): [_event(row["event"], w) for row in rows],
            w.t("people.paths_next"): [_event(row["next"], w) for row in rows],
            w.t("word.customers"): [row["paths"] for row in rows],
        }
    )
    return Figure(
        finding=finding,
        chart=flow if bands else None,
        alt=finding,
        table=table,
        note=_note(found, w) if bands else "",
        uncounted=(w.t("people.paths_place"),),
    )


def _note(found: Paths, w: Words) -> str:
    told = w.t("people.paths_note", places=PLACES)
    if found.followed == found.customers:
        return told
    drawn = w.t("people.paths_drawn", followed=w.number(found.followed), customers=w.number(found.customers))
    return f"{drawn} {told}"


def _joined(nodes: list[Node], w: Words) -> tuple[Node, ...]:
    """Return the nodes with those of one name as one, column by column, the red ones below."""
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.name] = counts.get(node.name, 0) + node.count
    known = {node.name: node for node in nodes}
    made = [
        replace(known[name], count=count, label=f"{known[name].label} {w.number(count)}")
        for name, count in counts.items()
    ]
    return tuple(sorted(made, key=lambda node: (node.column, node.colour == BAD)))


def _finding(told: dict[str, Any], side: str, found: Paths, w: Words) -> str:
    near = [row for row in told["links"] if row["place"] == (-1 if side == "before" else 0)]
    sums: dict[tuple[str, str], int] = {}
    for row in near:
        key = (row["event"], row["next"])
        sums[key] = sums.get(key, 0) + row["paths"]
    if not sums:
        return w.t("people.paths_nothing")
    (source, target), most = max(sums.items(), key=lambda item: (item[1], item[0]))
    here, other = (target, source) if side == "before" else (source, target)
    return w.t(
        f"people.paths_{side}",
        event=_event(here, w),
        other=_event(other, w),
        share=w.share(most / found.known),
        known=w.number(found.known),
    )


def _name(place: int, event: str, w: Words) -> str:
    return f"{_event(event, w)} ({place:+d})" if place else _event(event, w)


def _event(event: str, w: Words) -> str:
    return w.t("people.paths_other") if event == _OTHER else w.label("event", event)


def _colour(event: str) -> str:
    return NEUTRAL if event == _OTHER else CONTINUED
