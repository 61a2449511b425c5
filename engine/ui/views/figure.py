"""What a view returns, and the few colours and parts that all charts share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.workflows.view import selection
from engine.workflows.view.selection import Selection

CONTINUED: Final = "#0846C2"
DROPPED: Final = "#E8A79B"
WAITING: Final = "#F2CE7E"
GOOD: Final = "#1E7B4F"
BAD: Final = "#B42318"
NEUTRAL: Final = "#6B7785"
PALE: Final = "#EDF0F5"
INK_ON_PALE: Final = "#1B2430"  # on a coloured cell; elsewhere text takes the colour of the theme
TIER_COLOURS: Final = {"low": "#7FB69A", "medium": "#E9B44C", "high": "#C8553D", "unknown": "#A9B2BD"}
DIVERGING: Final = ("#2F63D1", "#EDF0F5", "#CC5A33")
BAND: Final = {"band": 0.68}  # of the room a category has, so that bars never touch
_LEGEND: Final = 30  # letters in one row of a legend, the mark before each name counted as three
SEQUENTIAL: Final = ("#EEF3FD", "#0846C2")


MARK: Final = "mark"
"""The name of the selection in every chart whose marks lead to the customers behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One mark of a chart behind which customers can be listed.

    label, count : what it is called and how many it stands for. at : the fields of the chart's data that tell it from
    the other marks, as a click gives them back.
    """

    selection: Selection
    label: str
    count: int
    at: Mapping[str, Any]

    def is_at(self, clicked: Mapping[str, Any]) -> bool:
        """Return whether a click was on this mark."""
        return all(str(clicked.get(name)) == str(value) for name, value in self.at.items())


def clickable(chart: Any, *fields: str) -> Any:
    """Return a chart whose marks can be clicked, told apart by columns of its data that nothing aggregates."""
    return chart.add_params(alt.selection_point(name=MARK, fields=list(fields)))


def marked(
    rows: pd.DataFrame, kind: str, *, label: Sequence[str], count: str, at: Sequence[str], **fields: str
) -> tuple[Mark, ...]:
    """Return a mark for every row that stands for anybody.

    Parameters
    ----------
    kind : of the selections. fields : for each of the kind's fields, the column that holds its value.
    label : the columns that name a mark. count : the column of what it counts. at : the columns that tell marks apart.
    """
    return tuple(
        Mark(
            selection=selection.of(kind, **{field: row[column] for field, column in fields.items()}),
            label=", ".join(str(row[column]) for column in label),
            count=int(row[count]),
            at={column: row[column] for column in at},
        )
        for row in rows.to_dict("records")
        if row[count] > 0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A chart with what it found in a sentence, a text for those who cannot see it, and the same numbers as a table.

    `chart` is None where there is nothing to draw; the finding then says so. `marks` are those that lead to customers.
    `uncounted` are columns of the table whose whole numbers count nobody, such as a score.
    """

    finding: str
    chart: Any
    alt: str
    table: pd.DataFrame
    note: str = ""
    marks: tuple[Mark, ...] = ()
    uncounted: tuple[str, ...] = ()


def nothing(sentence: str) -> Figure:
    """Return a figure of nothing: the sentence that says why."""
    return Figure(finding=sentence, chart=None, alt=sentence, table=pd.DataFrame())


def ordered(title: str, values: list[str]) -> dict[str, Any]:
    """Return the options of an axis of categories in exactly this order."""
    return {"title": title, "sort": values}


def scale(colours: dict[str, str]) -> Any:
    """Return a scale that gives each category its own colour."""
    return alt.Scale(domain=list(colours), range=list(colours.values()))


def legend(names: Iterable[str]) -> Any:
    """Return a legend above the chart, in as many columns as a phone has room for beside the names of the bars."""
    letters = sorted((len(name) * (1 if name.isascii() else 2) + 3 for name in names), reverse=True)
    columns = len(letters) if sum(letters) <= _LEGEND else 2 if sum(letters[:2]) <= _LEGEND else 1
    return alt.Legend(title=None, orient="top", labelLimit=300, columns=max(1, columns))


def text_colour(field: str, threshold: float, domain: str = "datum") -> Any:
    """Return white text where a cell is darker than the threshold, dark text elsewhere."""
    return alt.condition(f"{domain}.{field} > {threshold}", alt.value("#FFFFFF"), alt.value(INK_ON_PALE))


def height_of(rows: int, each: int = 30, around: int = 70) -> int:
    """Return the height in pixels of a chart with one row per category; `around` is what axis and legend take."""
    return rows * each + around


def axis(**options: Any) -> Any:
    """Return an axis of counts or amounts: few marks, whole numbers."""
    return alt.Axis(**{"tickCount": 6, "tickMinStep": 1, "format": ",.0f", **options})


def signed_axis(form: str, **options: Any) -> Any:
    """Return an axis of differences: a sign at every number but zero, which has none."""
    plain = form.replace("+", "")
    return alt.Axis(
        **{
            "tickCount": 6,
            "labelExpr": f"datum.value == 0 ? format(0, '{plain}') : format(datum.value, '{form}')",
            **options,
        }
    )


def peak(rows: pd.DataFrame, column: str) -> dict[str, Any]:
    """Return the row with the largest value of a column, the first of equals."""
    place = int(rows[column].to_numpy(dtype=float, na_value=float("-inf")).argmax())
    return {str(name): value for name, value in rows.iloc[place].to_dict().items()}
