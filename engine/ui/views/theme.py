"""Charts on a dark ground: views choose colours for a light one, and each of those has a counterpart here."""

from __future__ import annotations

from typing import Any, Final

from altair import SchemaBase

GROUND: Final = {"light": "#FFFFFF", "dark": "#0F141B"}
ON_DARK: Final = {
    "#0846C2": "#4F83F1",
    "#2F63D1": "#4F83F1",
    "#3566CF": "#6E93E8",
    "#5C8DE8": "#A9C3FB",
    "#1E7B4F": "#3FAE78",
    "#B42318": "#E0554A",
    "#8A2F1F": "#B0475F",
    "#CC5A33": "#E07B50",
    "#B4542C": "#E08A5D",
    "#6B7785": "#9AA7B5",
    "#7A5AA6": "#A98AD6",
    "#EDF0F5": "#1F2A3A",
    "#EEF3FD": "#16233B",
    "#DDE3EC": "#4A586B",
    "#E6F1EA": "#1D3A2B",
    "#F3C4BA": "#6B2F28",
    "#1B2430": "#E4E9F0",
}
_EDGE: Final = "stroke"  # white as an edge is the ground between cells; white as text stays


def on_dark(part: Any) -> Any:
    """Return a chart, or a part of one, with every colour of a light ground replaced by its counterpart.

    The chart that is passed stays as it is. Rows of data are not looked through: colours in them are somebody's values.
    """
    if isinstance(part, SchemaBase):
        copied = part.copy(deep=False)
        copied._kwds.update({key: _named(key, value) for key, value in part._kwds.items()})
        return copied
    if isinstance(part, str):
        return ON_DARK.get(part, part)
    if isinstance(part, dict):
        return {key: _named(key, value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)(on_dark(one) for one in part)
    return part


def _named(key: str, value: Any) -> Any:
    if key in ("data", "datasets"):
        return value
    if key == _EDGE and value == GROUND["light"]:
        return GROUND["dark"]
    return on_dark(value)
