"""Roles: who holds what, and what a refusal says."""

from __future__ import annotations

import pytest

from engine.domain import labels
from engine.domain.access import RIGHTS, Right, Role, Viewer
from engine.domain.errors import NotAllowed


def test_the_owner_of_a_machine_holds_every_right() -> None:
    assert RIGHTS[Role.OWNER] == frozenset(Right)


def test_marketing_sees_whether_risk_allows_an_offer_and_not_how_likely_default_is() -> None:
    ann = Viewer(name="ann", role=Role.MARKETING)
    ann.require(Right.SEE_CUSTOMERS, Right.SEE_ELIGIBILITY)
    with pytest.raises(NotAllowed) as refused:
        ann.require(Right.SEE_CUSTOMERS, Right.SEE_RISK)
    assert refused.value.right == "see_risk"
    assert refused.value.holders == ("risk", "auditor")
    assert refused.value.exit_code == 4


def test_an_auditor_changes_nothing() -> None:
    may = RIGHTS[Role.AUDITOR]
    assert {right for right in may if not right.startswith("see_")} == {Right.COMMENT}


def test_who_asks_for_an_export_and_who_approves_it_have_different_roles() -> None:
    assert Right.APPROVE_EXPORT not in RIGHTS[Role.MARKETING]
    assert not RIGHTS[Role.ADMIN] & {Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.SEE_CASES, Right.SEE_RISK}


@pytest.mark.parametrize("kind", ["viewer_role", "right"])
def test_every_role_and_right_has_a_name_in_both_languages(kind: str) -> None:
    named = labels.labels()
    for one in Role if kind == "viewer_role" else Right:
        assert all(named[f"{kind}.{one}"])
