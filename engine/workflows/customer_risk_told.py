"""What risk answers of one customer, in sentences, English and Chinese."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final

from engine.domain.labels import Both, filled, label, texts
from engine.domain.money import minor_digits
from engine.domain.words import PRODUCT_FAMILIES
from engine.lake.workspace import Workspace
from engine.workflows.customer_risk import TOPICS, RiskAnswers
from engine.workflows.view import desk

_UNKNOWN: Final = "—"
_LISTED: Final = (", ", "、")
_APART: Final = ("; ", "、")
_SPACED: Final = (" ", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One sentence of a topic of TOPICS; one that `leads` is an answer, those after it say why and on which terms."""

    topic: str
    leads: bool
    text_en: str
    text_zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """The currency of all amounts, and what characteristics are called, in English and Chinese."""

    currency: str
    characteristics: Mapping[str, Both]


Told = Iterator[tuple[bool, Both]]
_LEAD, _MORE = True, False


def naming(workspace: Workspace) -> Naming:
    """Return the currency and the names that sentences about a workspace use."""
    return Naming(currency=desk.base_currency(workspace), characteristics=desk.names(workspace)["characteristic"])


def statements(answers: RiskAnswers, naming: Naming) -> list[Statement]:
    """Return everything that risk answers of one customer; every topic has at least one sentence that leads.

    Where the run lacks a table, the sentence is the reason why.
    """
    return [
        Statement(topic=topic, leads=leads, text_en=text[0], text_zh=text[1])
        for topic in TOPICS
        for leads, text in _topic(topic, answers, naming)
    ]


def _topic(topic: str, answers: RiskAnswers, naming: Naming) -> Told:
    if topic in answers.missing:
        yield _LEAD, _say("missing.mart", reason=answers.missing[topic])
        return
    rows = answers.rows[topic]
    if not rows:
        yield _LEAD, _say("gate.no_answer" if topic == "gate" else f"{topic}.none")
    if topic == "credit":
        yield from _credits(rows, naming)
        return
    for row in rows:
        yield from _gate(row, answers) if topic == "gate" else _TELLERS[topic](row, naming)


def _gate(row: dict[str, Any], answers: RiskAnswers) -> Told:
    yield _LEAD, _allowed(row, [one["family"] for one in answers.rows.get("credit", ())])
    for reason in row["reasons"]:
        yield _MORE, (reason["text_en"], reason["text_zh"])
    if not row["reasons"]:
        yield _MORE, _say("gate.no_reason")
    if row["needs_person"]:
        yield _MORE, _say("gate.needs_person")
    yield _MORE, _say("gate.expires", instant=_instant(row["expires_at"]))


def _allowed(row: dict[str, Any], lent: list[str]) -> Both:
    """Say what the gate lets pass; `lent` are the families that the bank lends, all of them where that is not known."""
    if row["outcome"] != "allow":
        return _say(f"gate.{row['outcome']}")
    families = [name for name in PRODUCT_FAMILIES if not lent or name in lent]
    refused = [name for name in families if row["refused_families"] >> PRODUCT_FAMILIES.index(name) & 1]
    if not refused:
        return _say("gate.allow")
    if refused == families:
        return _say("gate.no_credit")
    return _say("gate.some_credit", families=_list((), [label("family", name) for name in refused]))


def _credits(rows: list[dict[str, Any]], naming: Naming) -> Told:
    """Tell the decisions of credit; families of which the very same is to be said share one sentence."""
    alike: dict[tuple[Any, ...], list[Both]] = {}
    for row in rows:
        known = row["outcome"] != "decline" and row["limit_minor"] is not None
        lead = row["outcome"] + ("_limit" if known else ""), _money(row["limit_minor"], naming)
        alike.setdefault((*lead, *_why(row, naming)), []).append(label("family", row["family"]))
    for (outcome, limit, *more), families in alike.items():
        yield _LEAD, _say(f"credit.{outcome}", family=_list(families[:1], families[1:]), limit=limit)
        for text in more:
            yield _MORE, text


def _why(row: dict[str, Any], naming: Naming) -> Iterator[Both]:
    if row["reasons"]:
        yield _join([(one["text_en"], one["text_zh"]) for one in row["reasons"]], _SPACED)
    if row["outcome"] != "decline" and row["annual_rate"] is not None:
        yield from _terms(row, naming)
    causes = [row[f"score_reason_{place}"] for place in (1, 2, 3)]
    named = [naming.characteristics.get(one, label("characteristic", one)) for one in causes if one]
    if named:
        yield _say("credit.points", causes=_join([_lower(one) for one in named], _APART))
    if row["override_id"] is not None:
        most = row["policy_limit_minor"]
        yield _say(
            "credit.by_override" if most is None else "credit.by_override_limit",
            number=str(row["override_id"]),
            outcome=_lower(label("credit_outcome", row["policy_outcome"])),
            limit=_money(most, naming),
        )
    if row.get("change"):
        yield _say("credit.change", change=(row["change"]["text_en"], row["change"]["text_zh"]))
    elif row.get("no_change"):
        yield row["no_change"]["text_en"], row["no_change"]["text_zh"]


def _terms(row: dict[str, Any], naming: Naming) -> Iterator[Both]:
    yield _say("credit.price", rate=_share(row["annual_rate"]), band=row["price_band"] or _UNKNOWN)
    if row["instalment_minor"] is not None:
        kind, months = ("term", row["term_months"]) if row["term_months"] else ("line", 0)
        yield _say(f"credit.{kind}", months=str(months), instalment=_money(row["instalment_minor"], naming))
    if row["collateral"] not in (None, "none"):
        yield _say("credit.collateral", collateral=_lower(label("collateral", row["collateral"])))
    if row["verify"]:
        yield _say("credit.verify")


def _losses(row: dict[str, Any], naming: Naming) -> Told:
    stage, allowance = str(row["ifrs9_stage"]), row["allowance_minor"]
    yield _LEAD, _say("losses.stage", stage=stage, cause=_lower(label("stage_reason", row["stage_reason"])))
    year, life = row["expected_loss_12m_minor"], row["expected_loss_lifetime_minor"]
    if year is None or life is None:
        yield _LEAD, _say("losses.unknown")
    else:
        yield _LEAD, _say("losses.expected", year=_money(year, naming), life=_money(life, naming))
    if allowance is not None:
        yield _MORE, _say(f"losses.allowance_{stage}", allowance=_money(allowance, naming))
    now, then = row["default_probability"], row["probability_at_origination"]
    if now is not None:
        name = "probability" if then is None else "probability_then"
        yield _MORE, _say(f"losses.{name}", now=_share(now), then=_share(then))
    owed = {name: _money(row[f"{column}_minor"], naming) for name, column in _OWED.items()}
    yield _MORE, _say("losses.owed", **owed)
    if row["days_past_due"]:
        yield _MORE, _say("losses.late", days=f"{row['days_past_due']:,}")


_OWED: Final = {"drawn": "drawn", "exposure": "at_default", "loss": "loss"}


def _treatment(row: dict[str, Any], naming: Naming) -> Told:
    reason = row["reason_en"], row["reason_zh"]
    yield _LEAD, _say("treatment.lead", treatment=label("treatment", row["treatment"]), reason=reason)
    if row["channel"] is not None:
        kind = "contact_person" if row["needs_person"] else "contact"
        yield (
            _MORE,
            _say(f"treatment.{kind}", channel=_lower(label("channel", row["channel"])), day=_day(row["not_before"])),
        )
    else:
        yield _MORE, _say("treatment.person" if row["needs_person"] else "treatment.no_contact")
    if row["limit_minor"] is not None:
        kind = "not_approved" if row["limit_reason"] == "not_approved" else row["limit_change"]
        limit, proposed = (_money(row[name], naming) for name in ("limit_minor", "proposed_limit_minor"))
        yield _MORE, _say(f"treatment.{kind}", limit=limit, proposed=proposed)
    if row["terms_change"] not in (None, "none"):
        yield _MORE, _say("treatment.terms", terms=_lower(label("terms_change", row["terms_change"])))


def _watch(row: dict[str, Any], _: Naming) -> Told:
    watched = row["status"] == "watched"
    day = _day(row["entered_at"] if watched else row["left_at"])
    kind = "watched" if watched else "left"
    yield _LEAD, _say(f"watch.{kind}", day=day, severity=_lower(label("severity", row["severity"])))
    yield _MORE, (row["text"], row["text_zh"])
    if watched and row["escalated"]:
        yield _MORE, _say("watch.escalated")
    if row["next_review_at"] is not None:
        yield _MORE, _say("watch.review", day=_day(row["next_review_at"]))


def _reassessment(row: dict[str, Any], _: Naming) -> Told:
    if row["reassess_at"] is None:
        yield _LEAD, _say("reassessment.none")
    else:
        yield _LEAD, _say(f"reassessment.{'due' if row['is_due'] else 'next'}", day=_day(row["reassess_at"]))
        yield _MORE, _say("reassessment.cause", cause=_lower(label("reassess_cause", row["cause"])))
    if row["last_assessed_at"] is not None:
        yield _MORE, _say("reassessment.last", day=_day(row["last_assessed_at"]))


def _override(row: dict[str, Any], naming: Naming) -> Told:
    yield (
        _LEAD,
        _say(
            "overrides.override" if row["limit_minor"] is None else "overrides.override_limit",
            number=str(row["override_id"]),
            family=_lower(label("family", row["family"])) if row["family"] else _say("overrides.all_families"),
            kind=label("override_kind", row["kind"]),
            limit=_money(row["limit_minor"], naming),
            begins=_day(row["made_at"]),
            ends=_day(row["expires_at"]),
        ),
    )
    named = "people" if row["second"] else "owner"
    yield _MORE, _say(f"overrides.{named}", owner=row["owner"], second=row["second"] or _UNKNOWN)


_TELLERS: Final = {
    "losses": _losses,
    "treatment": _treatment,
    "watch": _watch,
    "reassessment": _reassessment,
    "overrides": _override,
}


@cache
def _sentences() -> Mapping[str, Both]:
    return texts("engine.workflows", "customer_risk.toml")


def _say(key: str, **values: str | Both) -> Both:
    """Return a sentence with its values, one text for both languages or one for each."""
    return filled(_sentences()[key], **values)


def _list(first: Sequence[Both], rest: Sequence[Both]) -> Both:
    """Return names in a row, the first as they are, at the beginning of a sentence, the rest within it."""
    return _join([*first, *map(_lower, rest)], _LISTED)


def _lower(text: Both) -> Both:
    """Return a text that goes on within a sentence; abbreviations, such as SMS, keep their capitals."""
    english, chinese = text
    return english if english[1:2].isupper() else english[:1].lower() + english[1:], chinese


def _join(parts: Sequence[Both], between: Both) -> Both:
    return between[0].join(one[0] for one in parts), between[1].join(one[1] for one in parts)


def _money(minor: int | None, naming: Naming) -> str:
    if minor is None:
        return _UNKNOWN
    return f"{minor / 10 ** minor_digits(naming.currency):,.0f} {naming.currency}"


def _share(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value * 100:.2f} %"


def _day(moment: datetime | None) -> str:
    return _UNKNOWN if moment is None else f"{moment:%Y-%m-%d}"


def _instant(moment: datetime | None) -> str:
    return _UNKNOWN if moment is None else f"{moment:%Y-%m-%d %H:%M}"
