"""Who may see and do what: roles, rights, and the viewer on whose behalf something is read.

Rights are asked for where data is read or changed, never by a page alone: a page that is hidden is still reached by its
address, and a table that reaches a browser is read there whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.domain.errors import NotAllowed

SMALL_GROUP: Final = 10  # customers; a count below it is hidden from who may not see single customers' facts


class Role(StrEnum):
    """What somebody works as. `owner` is the one person of an installation on one machine, and holds every right."""

    OWNER = "owner"
    MARKETING = "marketing"
    PRODUCT = "product"
    RISK = "risk"
    AUDITOR = "auditor"
    ADMIN = "admin"


class Right(StrEnum):
    """One thing that somebody may see (the first group) or do (the second)."""

    SEE_CUSTOMERS = "see_customers"  # lists of customers, by id
    SEE_NAMES = "see_names"  # a name, masked; without it the id alone
    SEE_PERSONAL = "see_personal"  # personal data in full, once revealed with a reason that is kept
    SEE_ELIGIBILITY = "see_eligibility"  # whether risk lets something be offered, and no more of risk than that
    SEE_RISK = "see_risk"  # scores, default probabilities, tiers, losses
    SEE_CASES = "see_cases"
    SEE_AUDIT = "see_audit"  # what everybody did; without it one's own acts
    SEE_SMALL_GROUPS = "see_small_groups"  # counts below SMALL_GROUP

    BUILD_AUDIENCE = "build_audience"
    VERIFY_AUDIENCE = "verify_audience"
    REQUEST_EXPORT = "request_export"
    APPROVE_EXPORT = "approve_export"
    SUPPRESS = "suppress"
    PLAN_EXPERIMENT = "plan_experiment"
    DECIDE_EXPERIMENT = "decide_experiment"
    REVIEW_EXPERIMENT = "review_experiment"
    PROPOSE_POLICY = "propose_policy"
    APPROVE_POLICY = "approve_policy"
    WORK_CASES = "work_cases"
    COMMENT = "comment"
    LOAD_DATA = "load_data"
    ADMINISTER = "administer"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.OWNER: frozenset(Right),
    Role.MARKETING: frozenset(
        {
            Right.SEE_CUSTOMERS,
            Right.SEE_NAMES,
            Right.SEE_ELIGIBILITY,
            Right.BUILD_AUDIENCE,
            Right.REQUEST_EXPORT,
            Right.SUPPRESS,
            Right.PLAN_EXPERIMENT,
            Right.PROPOSE_POLICY,
            Right.COMMENT,
        }
    ),
    Role.PRODUCT: frozenset(
        {Right.PLAN_EXPERIMENT, Right.DECIDE_EXPERIMENT, Right.PROPOSE_POLICY, Right.SEE_ELIGIBILITY, Right.COMMENT}
    ),
    Role.RISK: frozenset(set(Right) - {Right.LOAD_DATA, Right.ADMINISTER}),
    Role.AUDITOR: frozenset(
        {
            Right.SEE_CUSTOMERS,
            Right.SEE_NAMES,
            Right.SEE_PERSONAL,
            Right.SEE_ELIGIBILITY,
            Right.SEE_RISK,
            Right.SEE_CASES,
            Right.SEE_AUDIT,
            Right.SEE_SMALL_GROUPS,
            Right.COMMENT,
        }
    ),
    Role.ADMIN: frozenset(
        {
            Right.SEE_CUSTOMERS,
            Right.SEE_NAMES,
            Right.SEE_ELIGIBILITY,
            Right.SEE_AUDIT,
            Right.LOAD_DATA,
            Right.ADMINISTER,
            Right.COMMENT,
        }
    ),
}


PAGES: Final[Mapping[str, tuple[Right, ...]]] = {
    "risk": (Right.SEE_RISK,),
    "exports": (Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.SEE_AUDIT),
    "load": (Right.LOAD_DATA,),
    "cases": (Right.SEE_CASES,),
    "settings": (Right.ADMINISTER,),
}
"""Pages of which somebody sees something with one of these rights alone; everybody sees something of the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Somebody at the app: the name that stands in the audit trail, and the role whose rights hold."""

    name: str
    role: Role

    def may(self, right: Right) -> bool:
        """Return whether the viewer's role holds the right."""
        return right in RIGHTS[self.role]

    def opens(self, page: str) -> bool:
        """Return whether the viewer sees anything on the page of that name."""
        rights = PAGES.get(page, ())
        return not rights or any(self.may(right) for right in rights)

    def require(self, *rights: Right) -> None:
        """Raise NotAllowed for the first of these rights that the viewer's role lacks."""
        for right in rights:
            if not self.may(right):
                holders = [role.value for role in Role if role is not Role.OWNER and right in RIGHTS[role]]
                raise NotAllowed(right.value, self.role.value, holders)

    def require_one_of(self, *rights: Right) -> None:
        """Raise NotAllowed, for the first of these rights, where the viewer's role holds none of them."""
        if not any(self.may(right) for right in rights):
            self.require(*rights)
