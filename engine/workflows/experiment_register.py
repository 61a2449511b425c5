"""The plan of an experiment as it was at the first look, where any record tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.config.experiments import ExperimentSettings
from engine.workflows import session
from engine.workflows.experiment_question import Question, registered


def first_plan(question: Question, plan: ExperimentSettings) -> Mapping[str, Any] | None:
    """Return the plan at the first look: of the answer that was named, else of the workspace's register; or None.

    Only a plan in a file of its own is looked up in the register, since what options make has no id of its own.
    """
    named = registered(question)
    if named is not None or question.spec is None:
        return named
    workspace = session.workspace_at(question.home)
    if not session.has_register(workspace):
        return None
    from engine.store.facade import Store  # noqa: PLC0415  a second to import, and most have no register

    with Store(session.database_url(workspace)) as store:
        kept = {one.experiment_id: one.spec for one in store.first_experiments()}
    return kept.get(plan.experiment_id)
