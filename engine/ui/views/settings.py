"""What whoever administers looks after, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from engine.config.access import AccessSettings
from engine.domain.access import Right, Role
from engine.ui.words import UNDEFINED, Words, capital
from engine.workflows.view.settings import Hook, Rule

HELD, NOT_HELD = "✓", ""


def rights(held: Mapping[Right, frozenset[Role]], w: Words) -> pd.DataFrame:
    """Return who may what: a row per right, a column per role."""
    columns: dict[str, list[str]] = {w.t("settings.right"): [capital(w.label("right", right)) for right in held]}
    for role in Role:
        columns[w.label("viewer_role", role)] = [HELD if role in roles else NOT_HELD for roles in held.values()]
    return pd.DataFrame(columns)


def groups(rules: AccessSettings, w: Words) -> pd.DataFrame:
    """Return which groups of the sign-in have which role."""
    mapped = [role for role in Role if rules.roles.get(role)]
    named = [w.label("viewer_role", role) for role in mapped]
    return pd.DataFrame(
        {
            w.t("settings.role"): named,
            w.t("settings.groups"): [w.t("word.comma").join(rules.roles[role]) for role in mapped],
        }
    )


def keys(rows: Sequence[Mapping[str, Any]], w: Words) -> pd.DataFrame:
    """Return the keys: what each opens, until when, and how it stands."""
    return pd.DataFrame(
        {
            w.t("settings.key"): [one["name"] for one in rows],
            w.t("settings.status"): [w.label("key_status", one["status"]) for one in rows],
            w.t("settings.scopes"): [w.t("word.comma").join(sorted(one["scopes"])) for one in rows],
            w.t("settings.destination"): [one["destination"] for one in rows],
            w.t("settings.made_by"): [one["created_by"] for one in rows],
            w.t("settings.expires"): [w.day(one["expires_at"]) for one in rows],
            w.t("settings.last_used"): [w.instant(one["last_used_at"]) for one in rows],
        }
    )


def rules(rows: Sequence[Rule], w: Words) -> pd.DataFrame:
    """Return the rules in force, in words, and where each is set."""
    return pd.DataFrame(
        {
            w.t("settings.rule"): [w.t(f"settings.rule_{one.name}", n=one.value) for one in rows],
            w.t("settings.set_in"): [one.setting or w.t("settings.fixed") for one in rows],
        }
    )


def presets(found: Mapping[str, Mapping[str, Any]], w: Words) -> pd.DataFrame:
    """Return what one file may hold at each vendor."""
    return pd.DataFrame(
        {
            w.t("settings.preset"): list(found),
            w.t("settings.rows"): [w.number(one["rows"]) for one in found.values()],
            w.t("settings.megabytes"): [w.number(one["bytes"] / 1e6) for one in found.values()],
        }
    )


def schedules(rows: Sequence[Mapping[str, Any]], w: Words) -> pd.DataFrame:
    """Return what runs at set times."""
    last = [one["last"] or {} for one in rows]
    return pd.DataFrame(
        {
            w.t("settings.name"): [one["name"] for one in rows],
            w.t("settings.job"): [one["job"] for one in rows],
            w.t("settings.cron"): [f"{one['cron']} ({one['time_zone']})" for one in rows],
            w.t("settings.next"): [w.instant(one["next_at"]) for one in rows],
            w.t("settings.last"): [w.instant(one.get("due_at")) for one in last],
            w.t("settings.went"): [w.label("turn_status", one.get("status")) for one in last],
        }
    )


def hooks(rows: Sequence[Hook], w: Words) -> pd.DataFrame:
    """Return the addresses that are told of events."""
    return pd.DataFrame(
        {
            w.t("settings.name"): [one.name for one in rows],
            w.t("settings.host"): [one.host or UNDEFINED for one in rows],
            w.t("settings.events"): [w.t("word.comma").join(one.events) or w.t("settings.all_events") for one in rows],
            w.t("settings.delivered"): [w.number(one.delivered) for one in rows],
            w.t("settings.pending"): [w.number(one.pending) for one in rows],
            w.t("settings.dead"): [w.number(one.dead) for one in rows],
        }
    )
