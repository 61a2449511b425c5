"""The customers behind a mark: the selection in a sentence, how many there are, and a page of them as a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pandas as pd

from engine.ui.words import UNDEFINED, Words, is_undefined
from engine.workflows.view.people import Counted
from engine.workflows.view.selection import Selection

_NAMED: Final = {"journey": "journey", "product": "product", "experiment": "experiment", "cluster": "cluster",
                 "metric": "metric"}  # fmt: skip
"""Fields whose values the bank names; all others are values of the vocabulary."""
_PLAIN: Final = frozenset(
    {"stage", "score_from", "recency", "frequency", "audience", "run", "against", "export", "reason"}
)
"""Fields whose values are told as they are."""
_LABELLED: Final = {"arm": "variant", "list": "risk_list", "answer": "gate_answer", "cause": "reassess_cause"}
_OWN: Final = {("credit", "outcome"): "credit_outcome", ("watch", "status"): "watch_status"}
"""Fields of a kind whose values have their words under another name than the field's."""


def sentence(one: Selection, found: Counted | None, w: Words) -> str:
    """Say what a selection is, in a sentence without how many it holds."""
    told = {field: _value(one, field, value, w) for field, value in one.items()}
    if one.kind == "journey_step":
        told["step"] = w.label("step", found.step) if found and found.step else w.t("people.step_n", n=one["step"])
        told["group"] = "" if one["breakdown"] == "all" else w.t("people.of_group", group=told["group"])
    return w.t(f"selected.{one.kind}", **told)


def how_many(one: Selection, found: Counted, w: Words) -> str:
    """Say how many stand behind a mark; where it counts something else than customers, how many of both."""
    customers, rows = w.number(found.customers), w.number(found.rows)
    if found.is_rounded:
        customers, rows = w.t("people.about", n=customers), w.t("people.about", n=rows)
    if one.told.unit == "customers":
        return w.t("people.count", customers=customers)
    return w.t(f"people.count_{one.told.unit}", n=rows, customers=customers)


def table(one: Selection, rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return a page of the rows behind a selection as a table."""
    shown = {w.t("control.customer"): list(rows["customer_id"])}
    for column, how in one.told.columns:
        values = _said(rows, column, w) if how == "said" else [_CELLS[how](value, w) for value in rows[column]]
        shown[w.t(f"people_column.{column}")] = values
    return pd.DataFrame(shown)


def suggested_id(one: Selection) -> str:
    """Return an id for an audience of these customers: letters, digits and underscores."""
    text = "_".join([one.kind, *(value for value in one.values if value != "all")]).lower()
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in text)
    return "_".join(part for part in plain.split("_") if part)[:60].rstrip("_")


def _value(one: Selection, field: str, value: str, w: Words) -> str:
    if one.kind == "journey_step" and field == "group":
        return w.label(one["breakdown"], value)
    if (one.kind, field) in _OWN:
        return w.label(_OWN[one.kind, field], value)
    if value == "all" and field in ("channel", "cause"):
        return w.t(f"people.any_{field}")
    if field == "limit_from":
        return w.money(int(value)) if value.isdigit() else value
    if field in _NAMED:
        return w.name(_NAMED[field], value)
    return value if field in _PLAIN else w.label(_LABELLED.get(field, field), value)


def _said(rows: pd.DataFrame, column: str, w: Words) -> list[str]:
    chinese = column.removesuffix("_en") + "_zh"
    return [
        UNDEFINED if is_undefined(en) else w.pick(en, zh) for en, zh in zip(rows[column], rows[chinese], strict=True)
    ]


def _labelled(kind: str) -> Callable[[Any, Words], str]:
    return lambda value, w: w.label(kind, value)


_CELLS: Final[Mapping[str, Callable[[Any, Words], str]]] = {
    "text": lambda value, w: UNDEFINED if is_undefined(value) or value == "" else str(value),
    "number": lambda value, w: w.number(value),
    "share": lambda value, w: w.share(value),
    "share2": lambda value, w: w.share(value, 2),
    "money": lambda value, w: w.money(value),
    "day": lambda value, w: w.day(value),
    "instant": lambda value, w: w.instant(value),
    "product": lambda value, w: w.name("product", value),
    "cluster": lambda value, w: w.name("cluster", value),
    **{
        kind: _labelled(kind)
        for kind in (
            "step", "status", "value_tier", "risk_tier", "channel", "family", "credit_outcome", "price_band",
            "stage_reason", "gate_answer", "reassess_cause",
        )
    },
}  # fmt: skip
