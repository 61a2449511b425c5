"""A flow: bands from node to node as wide as the customers who went that way, on screen and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import altair as alt
import pandas as pd

_GAP: Final = 0.02  # of the height, between the nodes of one column
_WIDE: Final = 0.05  # of the room between two columns, that a node takes
_POINTS: Final = 24  # along the edge of a band


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node: its name, which no other has, its column from the left, how many are in it, and what it reads."""

    name: str
    column: int
    count: int
    colour: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A band: the names of the nodes that it joins, how many went that way, and its colour."""

    source: str
    target: str
    count: int
    colour: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Nodes in the order of columns and, within one, from top to bottom; and the bands between them."""

    PLACE: ClassVar[str] = "place"
    """The field of a click: the name of a node, or those of the two ends of a band with `>` between."""

    nodes: tuple[Node, ...]
    bands: tuple[Band, ...]

    def clicked(self, kind: str, index: int) -> dict[str, str] | None:
        """Return what was clicked, of ECharts' kinds `node` and `edge`; None for what there is not."""
        if kind == "node" and index < len(self.nodes):
            return {self.PLACE: self.nodes[index].name}
        if kind == "edge" and index < len(self.bands):
            return {self.PLACE: f"{self.bands[index].source}>{self.bands[index].target}"}
        return None

    @property
    def height(self) -> int:
        """The height in pixels that its fullest column needs."""
        columns = [node.column for node in self.nodes]
        most = max((columns.count(one) for one in set(columns)), default=1)
        return max(320, 46 * most + 60)

    def spec(self, ink: str) -> dict[str, Any]:
        """Return what ECharts draws: no script in it, one mark chosen at a time, names in the colour of text."""
        data = [
            {
                "name": node.name,
                "depth": node.column,
                "value": node.count,
                "itemStyle": {"color": node.colour},
                "label": {"formatter": node.label.replace("{", "(").replace("}", ")")},  # braces would be a template
            }
            for node in self.nodes
        ]
        links = [
            {
                "source": band.source,
                "target": band.target,
                "value": band.count,
                "lineStyle": {"color": band.colour, "opacity": 0.4},
            }
            for band in self.bands
        ]
        last = max((node.column for node in self.nodes), default=0)
        return {
            "tooltip": {"trigger": "item"},
            "series": [
                {
                    "type": "sankey",
                    "nodeAlign": "left",
                    "selectedMode": "single",
                    "layoutIterations": 0,  # nodes stay in the order in which they are given
                    "draggable": False,
                    "nodeGap": 14,
                    "nodeWidth": 14,
                    "left": 8,
                    "right": 150,
                    "top": 12,
                    "bottom": 12,
                    "data": data,
                    "links": links,
                    "label": {"fontSize": 12, "color": ink, "width": 150, "overflow": "truncate"},
                    "levels": [{"depth": depth} for depth in range(last + 1)],
                    "emphasis": {"focus": "adjacency"},
                    "select": {"itemStyle": {"borderWidth": 3}, "lineStyle": {"opacity": 0.8}},
                }
            ],
        }

    def vega(self) -> dict[str, Any]:
        """Return the picture as Vega-Lite has it."""
        made: dict[str, Any] = self.picture().to_dict()
        return made

    def picture(self) -> Any:
        """Return the same flow as a chart without any script, for a picture made on the server."""
        places = _places(self.nodes)
        used = {node.name: [0.0, 0.0] for node in self.nodes}
        total = _largest(self.nodes)
        rows: list[dict[str, Any]] = []
        for at, band in enumerate(self.bands):
            (left, top), (right, below) = places[band.source], places[band.target]
            width = band.count / total
            start, end = top + used[band.source][1], below + used[band.target][0]
            used[band.source][1] += width
            used[band.target][0] += width
            for step in range(_POINTS + 1):
                share = step / _POINTS
                eased = share * share * (3 - 2 * share)
                high = start + (end - start) * eased
                x = left + _WIDE + (right - left - _WIDE) * share
                rows.append({"band": at, "x": x, "y": high, "y2": high + width, "colour": band.colour})
        boxes = pd.DataFrame(
            [
                {"x": places[node.name][0], "x2": places[node.name][0] + _WIDE, "y": places[node.name][1],
                 "y2": places[node.name][1] + node.count / total, "name": node.label, "colour": node.colour}
                for node in self.nodes
            ]
        )  # fmt: skip
        down = alt.Scale(reverse=True, zero=False, nice=False)
        own = alt.Color("colour:N", scale=None)
        across = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, float(boxes["x2"].max()) + 0.6], nice=False))
        bands = (
            alt.Chart(pd.DataFrame(rows, columns=["band", "x", "y", "y2", "colour"]))
            .mark_area(opacity=0.4)
            .encode(x=across, y=alt.Y("y:Q", axis=None, scale=down), y2="y2:Q", color=own, detail="band:N")
        )
        nodes = (
            alt.Chart(boxes).mark_rect().encode(x=across, x2="x2:Q", y=alt.Y("y:Q", scale=down), y2="y2:Q", color=own)
        )
        middle = alt.Chart(boxes.assign(y=(boxes["y"] + boxes["y2"]) / 2))
        names = middle.mark_text(align="left", dx=4, fontSize=11).encode(x=alt.X("x2:Q"), y="y:Q", text="name:N")
        return (bands + nodes + names).properties(height=self.height)


def _largest(nodes: Sequence[Node]) -> float:
    """Return the count that is as high as the picture: that of the fullest column."""
    sums: dict[int, int] = {}
    for node in nodes:
        sums[node.column] = sums.get(node.column, 0) + node.count
    return float(max(sums.values(), default=1) or 1)


def _places(nodes: Sequence[Node]) -> dict[str, tuple[float, float]]:
    """Return the left upper corner of every node: columns one apart, nodes of a column below each other."""
    total, below = _largest(nodes), dict[int, float]()
    places = {}
    for node in nodes:
        top = below.get(node.column, 0.0)
        places[node.name] = (float(node.column), top)
        below[node.column] = top + node.count / total + _GAP
    return places
