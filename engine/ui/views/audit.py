"""What was done, as tables and sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pandas as pd

from engine.compliance.audit import Verification
from engine.store import AuditRecord
from engine.ui.words import Words, readable
from engine.workflows.audit_report import Check
from engine.workflows.view.audit import Change

MARKS: Final = {"pass": "✓", "open": "!", "unknown": "–"}
_LONGEST: Final = 90  # signs of a detail in a table


def act(action: str, w: Words) -> str:
    """Return what was done in words, such as `Export: approved`."""
    kind, _, done = action.partition(".")
    named = w.label("audit_kind", kind)
    return w.t("audit.act_of", kind=named, done=w.label("audit_done", done)) if done else named


def acts(rows: Sequence[AuditRecord], w: Words) -> pd.DataFrame:
    """Return entries as a table, the newest first."""
    return pd.DataFrame(
        {
            w.t("audit.seq"): [str(one.seq) for one in rows],
            w.t("audit.at"): [w.instant(one.at) for one in rows],
            w.t("audit.actor"): [one.actor for one in rows],
            w.t("audit.act"): [act(one.action, w) for one in rows],
            w.t("audit.subject"): [one.subject for one in rows],
            w.t("audit.reason"): [_reason(one.details, w) for one in rows],
        }
    )


def called(one: AuditRecord, w: Words) -> str:
    """Return an entry as a picker names it."""
    return f"{one.seq} · {w.instant(one.at)} · {one.actor} · {act(one.action, w)}"


def changed(rows: Sequence[Change], w: Words) -> pd.DataFrame:
    """Return what an entry says, and what the one before it on the same subject said."""
    return pd.DataFrame(
        {
            w.t("audit.detail"): [readable(one.detail) for one in rows],
            w.t("audit.before"): [_written(one.before) for one in rows],
            w.t("audit.after"): [_written(one.after) for one in rows],
        }
    )


def whole(found: Verification | None, w: Words) -> tuple[str, Literal["gray", "green", "red"], str]:
    """Return what a check of the chain says: its words, its colour and its icon."""
    if found is None:
        return w.t("audit.no_log"), "gray", ":material/hourglass_empty:"
    if found.whole:
        return w.t("audit.whole", n=w.number(found.entries)), "green", ":material/verified:"
    return w.t("audit.broken", n=w.number(found.broken_at)), "red", ":material/gpp_bad:"


def finding(checks: Sequence[Check], w: Words) -> str:
    """Say how many checks hold and how many are open."""
    counted = {status: sum(one.status == status for one in checks) for status in MARKS}
    return w.t(
        "audit.finding_checks",
        held=w.number(counted["pass"]),
        open=w.number(counted["open"]),
        unknown=w.number(counted["unknown"]),
    )


def checks(rows: Sequence[Check], w: Words) -> pd.DataFrame:
    """Return every check: what must hold, how it stands, what was found; the open ones first."""
    order = sorted(rows, key=lambda one: ("open", "unknown", "pass").index(one.status))
    return pd.DataFrame(
        {
            w.t("audit.check"): [w.pick(*one.question()) for one in order],
            w.t("audit.status"): [f"{MARKS[one.status]} {w.label('check_status', one.status)}" for one in order],
            w.t("audit.found"): [w.pick(*one.answer()) for one in order],
        }
    )


def replayed(found: Mapping[str, Any], w: Words) -> tuple[str, pd.DataFrame]:
    """Say whether a decision comes out the same, and return every product that does not."""
    products = found["products"]
    apart = [one for one in products if not one["equal"]]
    key = "audit.replay_equal" if found["equal"] else "audit.replay_differs"
    told = w.t(key, products=w.number(len(products)), apart=w.number(len(apart)), run=found["run_id"])
    named = [w.name("product", one["product_id"]) for one in apart]
    columns = [", ".join(f"{each['table']}.{each['column']}" for each in one.get("differences", ())) for one in apart]
    return told, pd.DataFrame({w.t("recommendations.product"): named, w.t("audit.differs_in"): columns})


def _reason(details: Mapping[str, Any], w: Words) -> str:
    told = [str(details[name]) for name in ("reason", "note", "comment") if details.get(name)]
    told = [w.label("reveal_reason", one) for one in told]
    return _written(": ".join(told)) if told else ""


def _written(value: object) -> str:
    if value is None:
        return ""
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
