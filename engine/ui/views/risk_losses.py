"""What may be lost: exposure, stages, expected losses and the allowance for them."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import Figure, axis, clickable, legend, marked, scale
from engine.ui.words import Words

MONEY: Final = ("expected_loss_12m_minor", "expected_loss_lifetime_minor", "allowance_minor")
_MILLION: Final = 1_000_000
_COLOURS: Final = ("#8FB0F0", "#0846C2", "#E9B44C")


def tiles(rows: pd.DataFrame, w: Words) -> tuple[list[tuple[str, str, str]], str]:
    """Return exposure, losses and allowance of the whole portfolio (label, value, what it means), and their unit.

    Large portfolios are told in millions: whole amounts would not fit a phone.
    """
    names = ("at_default_minor", *MONEY)
    known = {name: rows[name].dropna() for name in names}
    sums = {name: w.major(known[name].sum()) if len(known[name]) else None for name in names}
    shorter = max((amount for amount in sums.values() if amount is not None), default=0.0) >= 10 * _MILLION
    told = {
        name: w.number(amount / _MILLION, 1) if shorter and amount is not None else w.number(amount)
        for name, amount in sums.items()
    }
    unit = w.t("risk.in_millions" if shorter else "risk.in_units", currency=w.currency)
    return [(w.t(f"risk.{name}"), text, w.t(f"risk.{name}_help")) for name, text in told.items()], unit


def stages(rows: pd.DataFrame, w: Words) -> Figure:
    """Return expected losses and allowance by stage of IFRS 9, with what puts customers there in the table."""
    table = _table(rows, w)
    by_stage = rows.groupby("ifrs9_stage", as_index=False)[["customers", "at_default_minor", *MONEY]].sum()
    total = float(by_stage["allowance_minor"].sum())
    if by_stage.empty:
        nothing = w.t("risk.finding_no_credit")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    names = {name: w.t(f"risk.{name}") for name in MONEY}
    tidy = by_stage.melt(id_vars=["ifrs9_stage"], value_vars=list(MONEY), var_name="kind", value_name="minor")
    tidy = tidy.assign(
        stage_name=[w.t("risk.stage_n", n=int(stage)) for stage in tidy["ifrs9_stage"]],
        kind_name=[names[kind] for kind in tidy["kind"]],
        amount=[w.major(minor) for minor in tidy["minor"].fillna(0)],
        text=[w.money(minor) for minor in tidy["minor"]],
    )
    colours = dict(zip(names.values(), _COLOURS, strict=True))
    chart = (
        alt.Chart(tidy)
        .mark_bar(cornerRadius=2)
        .encode(
            x=alt.X("amount:Q", title=w.t("risk.axis_money", currency=w.currency), axis=axis()),
            y=alt.Y("stage_name:N", title=None),
            yOffset=alt.YOffset("kind_name:N", sort=list(colours)),
            color=alt.Color("kind_name:N", scale=scale(colours), legend=legend(colours)),
            tooltip=[
                alt.Tooltip("stage_name:N", title=w.t("risk.stage")),
                alt.Tooltip("kind_name:N", title=w.t("risk.measure")),
                alt.Tooltip("text:N", title=w.t("customer.amount")),
            ],
        )
        .properties(height=260)
    )
    later = by_stage[by_stage["ifrs9_stage"] > 1]
    finding = w.t(
        "risk.finding_stages",
        customers=w.number(later["customers"].sum()),
        share=w.share(later["customers"].sum() / by_stage["customers"].sum()),
        allowance=w.share(float(later["allowance_minor"].sum()) / total if total else None),
        total=w.money(total),
    )
    note = w.t("risk.unknown_probability", customers=w.number(rows["unknown"].sum())) if rows["unknown"].sum() else ""
    marks = marked(
        by_stage.assign(stage_name=[w.t("risk.stage_n", n=int(stage)) for stage in by_stage["ifrs9_stage"]]),
        "loss_stage", label=("stage_name",), count="customers", at=("ifrs9_stage",), stage="ifrs9_stage",
    )  # fmt: skip
    drawn = clickable(chart, "ifrs9_stage")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, note=note, marks=marks)


def _table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("risk.stage"): [w.t("risk.stage_n", n=int(stage)) for stage in rows["ifrs9_stage"]],
            w.t("risk.stage_reason"): [w.label("stage_reason", reason) for reason in rows["stage_reason"]],
            w.t("word.customers"): rows["customers"],
            **{w.t(f"risk.{name}"): [w.money(minor) for minor in rows[name]] for name in ("at_default_minor", *MONEY)},
        }
    )
