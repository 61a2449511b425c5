"""What persons decided on experiments in place of the rules: beside the result that a run keeps, never in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from experiments import report_words
from experiments.report_words import Language

if TYPE_CHECKING:
    from engine.store.records import ExperimentDecisionRecord

Facts = Mapping[str, Any]

ACTIONS: Final = ("ship", "roll_back", "continue", "review")
"""What a person may decide."""


def in_run(decisions: Sequence[ExperimentDecisionRecord], run_id: str) -> ExperimentDecisionRecord | None:
    """Return the decision that stands in a run, out of all on an experiment, the newest first; None: the rules' own."""
    return next((one for one in decisions if one.run_id == run_id), None)


def action_of_rules(facts: Facts) -> str:
    """Return what the rules decided, also where a person decided otherwise since."""
    taken = facts["decision"].get("override")
    return str(facts["decision"]["action"] if taken is None else taken["instead_of"])


def told(facts: Facts, person: ExperimentDecisionRecord | None) -> dict[str, Any]:
    """Return a result with the decision of a person in place of that of the rules, whose reasons stay."""
    if person is None:
        return dict(facts)
    by_rules = facts["decision"]
    said = Decided(action=person.action, before=person.instead_of, owner=person.owner, note=person.note)
    override = {
        "owner": person.owner,
        "note": person.note,
        "instead_of": person.instead_of,
        "decided_at": person.decided_at.isoformat(),
    }
    decision = {
        **by_rules,
        "action": person.action,
        "variant": by_rules["variant"] if person.action == "ship" else None,
        "days": by_rules["days"] if person.action == "continue" else None,
        "headline": report_words.say(person.action, "en"),
        "headline_zh": report_words.say(person.action, "zh"),
        "reasons": [said.sentence("en"), *by_rules["reasons"]],
        "reasons_zh": [said.sentence("zh"), *by_rules["reasons_zh"]],
        "override": override,
    }
    return {**facts, "decision": decision}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a person decided in place of the rules."""

    action: str
    before: str
    owner: str
    note: str

    def sentence(self, language: Language) -> str:
        """Return it as a reason of the decision."""
        before = report_words.say(self.before, language)
        if language == "en":
            return f"{self.owner} decided otherwise than the rules ({before.lower()}): {self.note}"
        return f"{self.owner} 未采用规则的结论（{before}）：{self.note}"
