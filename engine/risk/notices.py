"""Notices of adverse action: what a refused applicant is told, built from the numbers that refused.

A notice names the reasons that the decision had, at most four, the bank's own rules apart from what weighed in the
score. It never gives a protected attribute, and never "the score was too low", which tells nobody anything. Whether the
wording satisfies a rule is for counsel to say; which rules count, and from when, is data (`engine/config/regimes.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal

from engine.config.regimes import NoticeRule, NoticeSettings, Regime
from engine.domain.errors import NotEnoughData, RefusedByPolicy, SettingsFault
from engine.risk.characteristics import MISSING_SUFFIX, SPECIAL_SUFFIX
from engine.risk.notice_words import TEXTS, day

Language = Literal["en", "zh"]
Action = Literal["decline", "counter_offer"]

_MOST_REASONS: Final = 4
_EMPTY_REASONS: Final = frozenset({"score", "low_score", "credit_score", "score_below_cut_off", "insufficient_points"})
"""What some systems give for a reason and is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeReason:
    """One principal reason: a rule of the bank (`policy`), or what weighed in the score (`score`).

    `bureau` tells that it was read from the report of a credit bureau.
    """

    code: str
    source: Literal["policy", "score"]
    text_en: str
    text_zh: str
    bureau: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedScore:
    """The score that the decision used, the least and the most that anybody can have, and the day it was made."""

    points: int
    lowest: int
    highest: int
    made_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What was decided about one application, and all that the decision went by.

    reference : what applicant and bank both know the application by.
    received_on : the day on which the application was complete; the clock runs from it.
    used_bureau : whether any attribute of a credit bureau was an input, given as a reason or not.
    change : the smallest change that would have changed the outcome, in both languages, where there is one.
    """

    reference: str
    action: Action
    received_on: date
    decided_on: date
    reasons: Sequence[NoticeReason]
    used_bureau: bool
    score: UsedScore | None = None
    change: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice in one language: paragraphs in order, reasons as a list, and the last day on which it is in time."""

    language: Language
    title: str
    opening: tuple[str, ...]
    policy_reasons: tuple[str, ...]
    score_reasons: tuple[str, ...]
    rights: tuple[str, ...]
    reference: str
    decided_on: date
    due_on: date | None
    late: bool
    regimes: tuple[str, ...]

    def text(self) -> str:
        """Return the whole letter as plain text."""
        return "\n\n".join(part for part in self._parts() if part) + "\n"

    def _parts(self) -> Iterator[str]:
        words = TEXTS[self.language]
        yield self.title
        yield from self.opening
        if self.policy_reasons:
            yield "\n".join([words["policy_reasons"], *(f"- {one}" for one in self.policy_reasons)])
        if self.score_reasons:
            yield "\n".join([words["score_reasons"], *(f"- {one}" for one in self.score_reasons)])
        yield from self.rights


def write(
    refusal: Refusal,
    settings: NoticeSettings,
    regimes: Sequence[Regime],
    *,
    protected: Sequence[str] = (),
    language: Language = "en",
) -> Notice:
    """Return the notice of a refusal under the rules that settings name and that are in force on its day.

    Policy reasons come first; of those of the score the heaviest come first and the least are left out beyond four.

    Raises
    ------
    SettingsFault
        The creditor has no name, a rule is not known, or a bureau was used and has no name.
    NotEnoughData
        There is no reason: a refusal without one must not be sent.
    RefusedByPolicy
        A reason is a protected attribute, or says only that the score was too low.
    """
    ruling = _in_force(refusal, settings, regimes)
    rules = [one.notice for one in ruling if one.notice is not None]
    _refuse_unfit(refusal, settings, rules, protected)
    reasons = _principal(refusal.reasons, min([_MOST_REASONS, *(one.most_reasons or _MOST_REASONS for one in rules)]))
    days = [one.days for one in rules if one.days is not None]
    due_on = refusal.received_on + timedelta(days=min(days)) if days else None
    words = TEXTS[language]
    return Notice(
        language=language,
        title=words[f"title_{refusal.action}"],
        opening=tuple(_opening(refusal, settings, words, language)),
        policy_reasons=tuple(_text(one, language) for one in reasons if one.source == "policy"),
        score_reasons=tuple(_text(one, language) for one in reasons if one.source == "score"),
        rights=tuple(_rights(refusal, settings, rules, language)),
        reference=refusal.reference,
        decided_on=refusal.decided_on,
        due_on=due_on,
        late=due_on is not None and refusal.decided_on > due_on,
        regimes=tuple(one.regime for one in ruling),
    )


def _in_force(refusal: Refusal, settings: NoticeSettings, regimes: Sequence[Regime]) -> list[Regime]:
    known = {one.regime: one for one in regimes}
    unknown = [name for name in settings.regimes if name not in known]
    if unknown:
        listed = ", ".join(known)
        raise SettingsFault("[notices] regimes", [f'"{name}": no such rule. Known: {listed}' for name in unknown])
    return [known[name] for name in settings.regimes if known[name].holds_on(refusal.decided_on)]


def _refuse_unfit(
    refusal: Refusal, settings: NoticeSettings, rules: Sequence[NoticeRule], protected: Sequence[str]
) -> None:
    faults = []
    if not settings.creditor_name:
        faults.append('creditor_name: a notice says who refused. Write creditor_name = "..." under [notices]')
    if refusal.used_bureau and any(one.bureau_copy_days for one in rules) and not settings.bureau_name:
        faults.append('bureau_name: a report of a credit bureau was used. Write bureau_name = "..." under [notices]')
    if faults:
        raise SettingsFault("[notices]", faults)
    if not refusal.reasons:
        raise NotEnoughData(
            "notice of adverse action", "the decision has no reason", "at least one specific principal reason"
        )
    for one in refusal.reasons:
        if one.code.removesuffix(MISSING_SUFFIX).removesuffix(SPECIAL_SUFFIX) in protected:
            raise RefusedByPolicy(
                f'"{one.code}" is a protected attribute and can be no reason of a refusal. '
                "Take it out of the model, or name it under [risk] never_a_reason."
            )
        if one.code in _EMPTY_REASONS:
            raise RefusedByPolicy(
                f'"{one.code}" is no specific reason: it says that the score was too low, not why. '
                "Give what cost the applicant points."
            )


def _principal(reasons: Sequence[NoticeReason], most: int) -> list[NoticeReason]:
    policy = [one for one in reasons if one.source == "policy"]
    return [*policy, *(one for one in reasons if one.source == "score")][:most]


def _text(reason: NoticeReason, language: Language) -> str:
    return reason.text_zh if language == "zh" else reason.text_en


def _opening(refusal: Refusal, settings: NoticeSettings, words: dict[str, str], language: Language) -> Iterator[str]:
    lines = (settings.creditor_name, settings.creditor_address, settings.creditor_contact)
    yield "\n".join(line for line in lines if line)
    yield words["head"].format(date=day(refusal.decided_on, language), reference=refusal.reference)
    yield words[f"opening_{refusal.action}"].format(received=day(refusal.received_on, language))


def _rights(
    refusal: Refusal, settings: NoticeSettings, rules: Sequence[NoticeRule], language: Language
) -> Iterator[str]:
    words = TEXTS[language]
    copy_days = [one.bureau_copy_days for one in rules if one.bureau_copy_days is not None]
    if refusal.score is not None:
        yield words["score"].format(
            points=refusal.score.points,
            lowest=refusal.score.lowest,
            highest=refusal.score.highest,
            made=day(refusal.score.made_on, language),
        )
    if refusal.used_bureau and copy_days:
        contact = f" ({settings.bureau_contact})" if settings.bureau_contact else ""
        yield words["bureau"].format(bureau=settings.bureau_name + contact, days=max(copy_days))
    if refusal.change is not None and any(one.smallest_change for one in rules):
        yield words["change"].format(change=refusal.change[language == "zh"])
    if any(one.human_review for one in rules):
        yield words["review"].format(contact=settings.creditor_contact or settings.creditor_name)
    if any(one.days is not None for one in rules):
        supervisor = words["supervisor"].format(supervisor=settings.supervisor) if settings.supervisor else ""
        yield words["equal"] + supervisor
