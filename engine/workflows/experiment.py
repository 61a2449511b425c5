"""Read the experiments of a run, and keep what persons decide on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.domain.access import Right, Viewer
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.lake.runs import open_run
from engine.store import NewReview
from engine.store.facade import Store
from engine.store.records import ExperimentDecisionRecord
from engine.workflows import experiment_report, experiment_review, session
from engine.workflows.experiment_decided import ACTIONS, action_of_rules, in_run
from experiments.decide import needs_owner_and_note

_SEVERITY: Final = ("ok", "warning", "stop")


def listing(home: Path, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return one row per experiment: its worst check, the verdict on each goal, the decision, and what was changed."""
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    results = run.read("experiment_results").to_pylist()
    health = run.read("experiment_health").to_pylist()
    with Store(session.database_url(workspace)) as store:
        return [
            _overview(row, results, health, in_run(store.experiment_decisions(row["experiment_id"]), run.run_id))
            for row in run.read("experiment_decisions").to_pylist()
        ]


def _overview(
    decided: dict[str, Any],
    results: list[dict[str, Any]],
    health: list[dict[str, Any]],
    person: ExperimentDecisionRecord | None,
) -> dict[str, Any]:
    name = decided["experiment_id"]
    statuses = [row["status"] for row in health if row["experiment_id"] == name]
    goals = [row for row in results if row["experiment_id"] == name and row["role"] == "goal"]
    action = decided["headline"] if person is None else _told(person)
    return {
        "experiment_id": name,
        "health": max(statuses, key=_SEVERITY.index),
        "goals": "; ".join(f"{row['metric']} ({row['variant']}): {row['verdict'].replace('_', ' ')}" for row in goals),
        "decision": action,
        "plan": f"changed after the first look: {decided['changed']}" if decided["changed"] else "as registered",
    }


def _told(person: ExperimentDecisionRecord) -> str:
    return f"{person.action.replace('_', ' ').capitalize()}, decided by {person.owner}"


def decide(
    home: Path, experiment_id: str, action: str, *, owner: Viewer, note: str, run_id: str | None = None
) -> dict[str, Any]:
    """Keep a person's decision on an experiment beside that of the rules, in the store and in the audit log.

    owner : who answers for it. note : why; it is read by whoever reviews the experiment later.

    Raises
    ------
    NotAllowed, RunMissing, MartMissing, StoreUnavailable
    UnknownName
        The run has no such experiment, or there is no such action.
    RefusedByPolicy
        Nobody is named, no note says why, or the rules decided the same already.
    ApprovalNeeded
        It ships against the advice, and no second person has agreed; see `experiment_review.require`.
    """
    owner.require(Right.DECIDE_EXPERIMENT)
    if action not in ACTIONS:
        raise UnknownName("action", action, ACTIONS)
    facts = experiment_report.of_run(home, experiment_id, run_id=run_id)
    by_rules = action_of_rules(facts)
    needs_owner_and_note(by_rules, owner=owner.name, note=note)
    if action == by_rules:
        raise RefusedByPolicy(
            f'The rules decided "{by_rules.replace("_", " ")}" themselves; there is nothing to decide otherwise. '
            "Keep the decision of the rules, or name another action."
        )
    workspace = session.workspace_at(home)
    wanted = {
        "run_id": facts["run_id"],
        "action": action,
        "instead_of": by_rules,
        "note": note.strip(),
        "spec_hash": facts["spec_hash"],
    }
    with Store(session.database_url(workspace), actor=owner.name) as store:
        agreed = experiment_review.require(store, NewReview(experiment_id=experiment_id, **wanted))
        if agreed is not None:
            wanted["note"] = agreed.note  # what the second person read
        kept = store.decide_experiment(experiment_id, {**wanted, "owner": owner.name.strip()})
    return {
        "experiment_id": experiment_id,
        "run_id": kept.run_id,
        "action": kept.action,
        "instead_of": kept.instead_of,
        "owner": kept.owner,
        "note": kept.note,
        "decided_at": kept.decided_at,
    }
