"""Shipping against the advice of the rules takes a second person: asked for by one, answered by another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.domain.access import Right, Viewer
from engine.domain.errors import ApprovalNeeded, RefusedByPolicy, UnknownName
from engine.lake.workspace import Workspace
from engine.store import ExperimentReviewRecord, ExperimentReviews, NewReview, Store
from engine.store.persons import same
from engine.workflows import session

NEEDS: Final = ("ship",)
"""Decisions that take a second person where the rules advise another."""


def require(store: Store, wanted: NewReview) -> ExperimentReviewRecord | None:
    """Return the second person's agreement with a decision, None where it takes none.

    Raises
    ------
    ApprovalNeeded
        Nobody has answered yet; the question is entered.
    RefusedByPolicy
        A second person did not agree.
    """
    if wanted.action not in NEEDS:
        return None
    reviews = ExperimentReviews(store)
    asked = [one for one in reviews.every(wanted.experiment_id) if _is_of(one, wanted, store.actor)]
    answered = next((one for one in asked if one.agreed is not None), None)
    waits = next((one for one in asked if one.agreed is None), None)
    if answered is None or waits is not None:
        one = waits or reviews.ask(wanted)
        raise ApprovalNeeded(
            f"Shipping against the advice of the rules ({wanted.instead_of.replace('_', ' ')}) takes a second person. "
            f"Somebody other than {one.asked_by} answers with `wayline experiment review {one.number} --agree "
            "--by NAME --note WHY`.",
            {"review": one.number, "experiment_id": wanted.experiment_id, "run_id": wanted.run_id},
        )
    if not answered.agreed:
        raise RefusedByPolicy(
            f"{answered.reviewer} did not agree to ship ({answered.review_note}). Keep the advice, or wait for data."
        )
    return answered


def answer(home: Path, viewer: Viewer, number: int, note: str, *, agreed: bool) -> dict[str, Any]:
    """Answer a request; what is agreed to is decided by it, in the name of who asked.

    Raises
    ------
    NotAllowed, UnknownName
    RefusedByPolicy
        It is one's own request, answered already, or no note says why.
    """
    viewer.require(Right.REVIEW_EXPERIMENT)
    if not viewer.name.strip() or not note.strip():
        raise RefusedByPolicy("An answer needs the name of a person and a note that says why.")
    with Store(session.database_url(session.workspace_at(home)), actor=viewer.name) as store:
        reviews = ExperimentReviews(store)
        if number not in {one.number for one in reviews.every()}:
            raise UnknownName("review", str(number), [str(one.number) for one in reviews.every()[:5]])
        one = reviews.answer(number, note.strip(), agreed=agreed)
        if agreed:
            decided(store, one)
    return told(one)


def decided(store: Store, one: ExperimentReviewRecord) -> None:
    """Keep the decision that a second person agreed to."""
    decision = {
        "run_id": one.run_id,
        "action": one.action,
        "instead_of": one.instead_of,
        "owner": one.asked_by,
        "note": one.note,
        "spec_hash": one.spec_hash,
    }
    store.decide_experiment(one.experiment_id, decision)


def listed(workspace: Workspace, experiment_id: str | None = None) -> tuple[ExperimentReviewRecord, ...]:
    """Return the requests of one experiment or of all, the newest first; looking makes no database."""
    if not session.has_register(workspace):
        return ()
    with Store(session.database_url(workspace)) as store:
        return tuple(ExperimentReviews(store).every(experiment_id))


def told(one: ExperimentReviewRecord) -> dict[str, Any]:
    """Return a request as a command tells it."""
    return {
        "review": one.number,
        "experiment_id": one.experiment_id,
        "run_id": one.run_id,
        "action": one.action,
        "instead_of": one.instead_of,
        "asked_by": one.asked_by,
        "note": one.note,
        "reviewer": one.reviewer,
        "agreed": one.agreed,
        "review_note": one.review_note,
        "reviewed_at": one.reviewed_at,
    }


def _is_of(one: ExperimentReviewRecord, wanted: NewReview, owner: str) -> bool:
    of: Mapping[str, str] = {"run_id": wanted.run_id, "action": wanted.action, "spec_hash": wanted.spec_hash}
    return same(one.asked_by, owner) and all(getattr(one, name) == value for name, value in of.items())
