"""The flow of a journey: the same customers as its funnel, from where they began to where they left."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from engine.ui.views.figure import BAD, CONTINUED, GOOD, NEUTRAL, WAITING, Figure, Mark
from engine.ui.views.flow import Band, Flow, Node
from engine.ui.views.funnel import steps_finding
from engine.ui.words import Words
from engine.workflows.view import selection

TOP: Final = 8
"""Groups that a journey begins with by their names; the others together are one node."""
_EXITS: Final = {"dropped": BAD, "in_progress": WAITING}


def flow(rows: pd.DataFrame, w: Words, journey: str, group: str, *, as_share: bool) -> Figure:
    """Return the flow of a journey, each step's customers going on, leaving, or still on the way.

    Parameters
    ----------
    rows : the funnel of a breakdown, every group of it. group : the group that is looked at; `all` for everybody, whose
        groups then stand at the beginning, the largest TOP by name.
    as_share : tell nodes by their share of those who entered instead of by count.
    """
    breakdown = str(rows["breakdown"].iloc[0]) if len(rows) else "all"
    one = rows if breakdown == "all" else rows[rows["group"] == group] if group != "all" else _summed(rows)
    one = one.sort_values("step_index", ignore_index=True)
    entered = int(one["customers"].iloc[0]) if len(one) else 0
    if not entered:
        finding = w.t("journeys.finding_nobody", journey=w.name("journey", journey))
        return Figure(finding=finding, chart=None, alt=finding, table=pd.DataFrame())
    drawn = _Drawn(w, journey, (breakdown, group), entered, as_share)
    if breakdown != "all" and group == "all":
        drawn.begin(rows[rows["step_index"] == one["step_index"].iloc[0]])
    drawn.steps(one)
    # a step stands above those who left before it
    nodes = sorted(drawn.nodes, key=lambda node: (node.column, node.colour in _EXITS.values()))
    made = Flow(nodes=tuple(nodes), bands=tuple(drawn.bands))
    finding = steps_finding(one, w, journey)
    told = f"{finding} {w.t('journeys.flow_alt')}"
    return Figure(finding=finding, chart=made, alt=told, table=drawn.table(), marks=tuple(drawn.marks))


class _Drawn:
    """Nodes, bands and marks, as they are put together step by step."""

    def __init__(self, w: Words, journey: str, of: tuple[str, str], entered: int, as_share: bool) -> None:
        self.w, self.journey, self.of, self.entered, self.as_share = w, journey, of, entered, as_share
        self.nodes: list[Node] = []
        self.bands: list[Band] = []
        self.marks: list[Mark] = []
        self.column = 0

    def begin(self, first: pd.DataFrame) -> None:
        """Put the groups first that enter the journey, the largest by name and the others together."""
        ordered = first[first["customers"] > 0].sort_values(["customers", "group"], ascending=[False, True])
        target = self.step_name(ordered.iloc[0])
        listed = [(str(row["group"]), int(row["customers"])) for row in ordered.to_dict("records")]
        others = sum(count for _, count in listed[TOP:])
        for group, count in listed[:TOP]:
            label = self.w.label(self.of[0], group)
            node = self.add(label, count, NEUTRAL)
            self.mark(node, label, count, step=1, outcome="reached", group=group)
            self.band(node, target, count, NEUTRAL)
        if others:
            self.band(self.add(self.w.t("journeys.others"), others, NEUTRAL), target, others, NEUTRAL)
        self.column += 1

    def steps(self, rows: pd.DataFrame) -> None:
        """Put every step with those who went on, left after it, or are still on the way."""
        records = rows.to_dict("records")
        for place, row in enumerate(records):
            step, name, last = int(row["step_index"]), self.step_name(row), place == len(records) - 1
            here = self.add(name, int(row["customers"]), GOOD if last else CONTINUED)
            self.mark(here, name, int(row["customers"]), step=step, outcome="reached")
            if last:
                continue
            following = records[place + 1]
            if row["continued"]:
                target = self.step_name(following)
                self.band(here, target, int(row["continued"]), CONTINUED)
                label = self.w.t("journeys.went_on", step=name)
                self.mark(f"{here}>{target}", label, int(row["continued"]), step=step, outcome="continued")
            self.column += 1
            for outcome, colour in _EXITS.items():
                self.leave(here, row, outcome, colour)

    def leave(self, here: str, row: Any, outcome: str, colour: str) -> None:
        count = int(row[outcome])
        if not count:
            return
        label = self.w.t(f"journeys.after_{outcome}", step=self.w.label("step", row["step"]))
        target = self.add(label, count, colour, self.w.label("outcome", outcome))
        self.band(here, target, count, colour)
        for place in (target, f"{here}>{target}"):
            self.mark(place, label, count, step=int(row["step_index"]), outcome=outcome)

    def add(self, label: str, count: int, colour: str, short: str = "") -> str:
        told = self.w.share(count / self.entered) if self.as_share else self.w.number(count)
        read = f"{short or label} {told}"
        self.nodes.append(Node(name=label, column=self.column, count=count, colour=colour, label=read))
        return label

    def band(self, source: str, target: str, count: int, colour: str) -> None:
        self.bands.append(Band(source=source, target=target, count=count, colour=colour))

    def mark(self, place: str, label: str, count: int, *, step: int, outcome: str, group: str = "") -> None:
        breakdown, chosen = self.of
        meant = group or chosen
        one = selection.of(
            "journey_step",
            journey=self.journey,
            step=step,
            outcome=outcome,
            breakdown="all" if meant == "all" else breakdown,
            group=meant,
        )
        if count:
            self.marks.append(Mark(selection=one, label=label, count=count, at={Flow.PLACE: place}))

    def step_name(self, row: Any) -> str:
        return f"{int(row['step_index'])}. {self.w.label('step', row['step'])}"

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                self.w.t("journeys.flow_from"): [band.source for band in self.bands],
                self.w.t("journeys.flow_to"): [band.target for band in self.bands],
                self.w.t("word.customers"): [band.count for band in self.bands],
                self.w.t("journeys.of_first"): [self.w.share(band.count / self.entered) for band in self.bands],
            }
        )


def _summed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the steps of all groups together; a median of medians is none, so that column stays empty."""
    counts = ["customers", "continued", "dropped", "in_progress"]
    made = rows.groupby(["step_index", "step", "stage"], as_index=False)[counts].sum()
    return made.assign(breakdown="all", group="all", median_seconds_from_previous=float("nan"))
