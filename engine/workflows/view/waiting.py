"""What waits for one viewer: cases, changes of the policy, exports and reviews that a second person has to look at."""

from __future__ import annotations

from engine.domain.access import Right, Viewer
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.store.persons import same
from engine.workflows import experiment_review, policy_approvals, session
from engine.workflows.view import cases
from engine.workflows.view.today import Attention


def for_viewer(workspace: Workspace, run: Run, viewer: Viewer, _stamp: str = "") -> tuple[Attention, ...]:
    """Return what the viewer's rights let the viewer do now; what is one's own waits for somebody else.

    `_stamp` is what tells a remembered answer from that of before; see `cases.stamp`.
    """
    found: list[Attention] = []
    if viewer.may(Right.SEE_CASES):
        found += _cases(workspace, run, viewer)
    if viewer.may(Right.APPROVE_POLICY):
        for change, standing in policy_approvals.standings(workspace):
            if standing == policy_approvals.WAITING and not same(change.author, viewer.name):
                totals = {one["measure"]: one for one in change.effect["totals"]}
                value = totals["expected_value_minor"]
                found.append(
                    Attention(
                        kind="policy_waiting",
                        count=change.number,
                        page="risk",
                        filters={"r_part": "changes"},
                        facts={"author": change.author, "note": change.note},
                        money_minor=abs(int(value["after"] - value["before"])),
                    )
                )
    if viewer.may(Right.APPROVE_EXPORT):
        found += _exports(workspace, viewer)
    if viewer.may(Right.REVIEW_EXPERIMENT):
        found += [
            Attention(
                kind="review_waiting",
                count=one.number,
                page="experiments",
                filters={"e_id": one.experiment_id, "e_part": "decision"},
                facts={"experiment": one.experiment_id, "author": one.asked_by},
            )
            for one in experiment_review.listed(workspace)
            if one.agreed is None and one.run_id == run.run_id and not same(one.asked_by, viewer.name)
        ]
    return tuple(found)


def _exports(workspace: Workspace, viewer: Viewer) -> list[Attention]:
    if not session.has_register(workspace):
        return []
    with Store(session.database_url(workspace)) as store:
        if not store.audit_trail(1, action="export.refused"):
            return []
    from engine.workflows import export_approvals  # noqa: PLC0415  seconds to import, and most banks wait for none

    return [
        Attention(
            kind="export_waiting",
            count=one.members,
            page="exports",
            facts={"name": one.name, "name_zh": one.name_zh or "", "author": one.asked_by},
        )
        for one in export_approvals.waiting(workspace)
        if one.approved_by is None and not same(one.asked_by, viewer.name)
    ]


def _cases(workspace: Workspace, run: Run, viewer: Viewer) -> list[Attention]:
    counted = cases.counts(cases.summary(workspace, run, viewer))
    found = []
    if counted["mine"]:
        found.append(Attention(kind="cases_mine", count=counted["mine"], page="cases", filters={"q_view": "mine"}))
    if counted["late"]:
        at_stake = cases.at_stake(workspace, run, viewer) if viewer.may(Right.SEE_RISK) else None
        late = {"q_view": "late"}
        found.append(
            Attention(kind="cases_late", count=counted["late"], page="cases", filters=late, money_minor=at_stake)
        )
    return found
