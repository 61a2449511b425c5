"""Changes of the policy in the reader's words: what is set otherwise, and how each change stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import pandas as pd

from engine.store.work_records import PolicyChangeRecord
from engine.ui.words import UNDEFINED, Words

Standing = tuple[PolicyChangeRecord, str]
"""A change and how it stands now; one that waits may be stale."""
Badge = Literal["green", "red", "orange", "blue", "gray"]
BADGES: Final[dict[str, Badge]] = {
    "waiting": "blue",
    "stale": "orange",
    "approved": "green",
    "refused": "red",
    "withdrawn": "gray",
    "revoked": "gray",
}
_SHARES: Final = ("max_debt_service_ratio", "max_default_probability")
_NAMED: Final = (*_SHARES, "min_expected_value_minor", "top_n", "max_contacts")


def settings(changes: Sequence[Mapping[str, Any]], w: Words) -> pd.DataFrame:
    """Return what is set otherwise: the setting, its value now and then."""
    return pd.DataFrame(
        {
            w.t("policies.setting"): [_setting(str(one["setting"]), w) for one in changes],
            w.t("policies.before"): [_value(one, "before", w) for one in changes],
            w.t("policies.after"): [_value(one, "after", w) for one in changes],
        }
    )


def in_short(changes: Sequence[Mapping[str, Any]], w: Words) -> str:
    """Return what is set otherwise in one line."""
    told = [
        f"{_setting(str(one['setting']), w)}: {_value(one, 'before', w)} → {_value(one, 'after', w)}" for one in changes
    ]
    return w.t("word.semicolon").join(told)


def decided(standings: Sequence[Standing], w: Words) -> pd.DataFrame:
    """Return the changes that wait no more, the newest first."""
    return pd.DataFrame(
        {
            w.t("policies.number"): [str(one.number) for one, _ in standings],
            w.t("policies.what"): [in_short(one.changes, w) for one, _ in standings],
            w.t("policies.status"): [w.label("change_status", standing) for _, standing in standings],
            w.t("policies.author"): [one.author for one, _ in standings],
            w.t("policies.by"): [one.revoked_by or one.decided_by or UNDEFINED for one, _ in standings],
            w.t("policies.day"): [w.day(one.effective_from) for one, _ in standings],
            w.t("policies.why"): [one.revoke_note or one.decision_note or one.note for one, _ in standings],
        }
    )


def _setting(name: str, w: Words) -> str:
    last = name.rpartition(".")[2]
    return w.t(f"policy_setting.{last}") if last in _NAMED else name


def _value(change: Mapping[str, Any], when: str, w: Words) -> str:
    last, value = str(change["setting"]).rpartition(".")[2], change[when]
    if last in _SHARES:
        return w.share(value)
    if last == "min_expected_value_minor":
        return w.money(value, 2)
    return UNDEFINED if value is None else str(value)
