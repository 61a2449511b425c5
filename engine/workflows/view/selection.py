"""A selection: which mark of which figure somebody chose, as a value that is written into an address and read back.

What a mark stands for is told by its kind and the values of its fields: `journey_step/loan/2/dropped/all/all`. Who the
customers behind it are is answered in `engine.workflows.view.selected`, by one statement for count and list alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from engine.domain.access import Right
from engine.domain.errors import UnknownName
from engine.workflows.view.eligibility import GATES_OF_RISK

_BETWEEN: Final = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What kind of mark can be chosen: its fields in their order, and what the rows behind it are.

    unit : customers, where every row is another customer; else what each row is, of which a customer may have several.
    columns : what a list shows of each row beside the customer, each with how it is told (see `ui.views.people`).
    order : how a list is sorted, before the customer's id.
    moment : the column that says since when, around which paths are followed; None: the run's date.
    rights : those that even the count needs.
    """

    fields: tuple[str, ...]
    columns: tuple[tuple[str, str], ...] = ()
    unit: str = "customers"
    order: str = ""
    moment: str | None = None
    rights: tuple[Right, ...] = ()


_RISK: Final = (Right.SEE_RISK,)
_OFFER: Final = (("product_id", "product"), ("channel", "channel"), ("rank", "number"), ("propensity", "share"))
_CREDIT: Final = (("family", "family"), ("outcome", "credit_outcome"), ("price_band", "price_band"),
                  ("limit_minor", "money"))  # fmt: skip

KINDS: Final[Mapping[str, Kind]] = {
    "journey_step": Kind(
        fields=("journey", "step", "outcome", "breakdown", "group"),
        columns=(("step", "step"), ("current_step", "step"), ("next_step", "step"), ("status", "status"),
                 ("entered_at", "instant"), ("stage_since", "instant")),
        order="stage_since DESC",
        moment="stage_since",
    ),
    "journey_open": Kind(
        fields=("journey",),
        columns=(("drop_probability", "share"), ("step", "step"), ("next_step", "step"), ("reached_at", "instant"),
                 ("closes_at", "instant")),
        order="as_good_as_lost, drop_probability DESC",
        moment="reached_at",
    ),
    "cluster": Kind(fields=("cluster",), columns=(("value_tier", "value_tier"), ("rfm_cell", "text"))),
    "rfm": Kind(fields=("recency", "frequency"), columns=(("value_tier", "value_tier"), ("rfm_cell", "text"))),
    "value_risk": Kind(
        fields=("value_tier", "risk_tier"), columns=(("cluster_name", "cluster"), ("rfm_cell", "text")), rights=_RISK
    ),
    "audience": Kind(fields=("audience", "run")),
    "audience_moved": Kind(fields=("audience", "way", "run", "against")),
    "gate": Kind(
        fields=("gate", "counted"),
        columns=(("product_id", "product"), ("propensity", "share")),
        unit="refusals",
        order="propensity DESC",
    ),
    "offers": Kind(fields=("product", "channel"), columns=_OFFER, unit="offers", order="propensity DESC"),
    "chosen": Kind(fields=("selection",), columns=_OFFER, order="propensity DESC"),
    "limit_change": Kind(fields=("product", "change")),
    "not_contacted": Kind(fields=("why",)),
    "converted": Kind(
        fields=("experiment", "metric", "arm", "happened"), columns=(("exposed_at", "instant"),), moment="exposed_at"
    ),
    "arm": Kind(fields=("experiment", "arm"), columns=(("exposed_at", "instant"),), moment="exposed_at"),
    "tier": Kind(
        fields=("risk_tier",),
        columns=(("score", "number"), ("default_probability", "share2"), ("exposure_minor", "money")),
        order="default_probability DESC NULLS LAST",
        rights=_RISK,
    ),
    "score": Kind(
        fields=("score_from", "risk_tier"),
        columns=(("score", "number"), ("default_probability", "share2"), ("exposure_minor", "money")),
        order="score",
        rights=_RISK,
    ),
    "answer": Kind(
        fields=("answer", "risk_tier"), columns=(("reason_codes", "text"),), order="reason_codes", rights=_RISK
    ),
    "gate_reason": Kind(
        fields=("reason", "counted"), columns=(("outcome", "gate_answer"), ("reason_codes", "text")), rights=_RISK
    ),
    "credit": Kind(fields=("family", "outcome"), columns=_CREDIT, unit="decisions", rights=_RISK),
    "credit_terms": Kind(
        fields=("family", "price_band", "limit_from"), columns=_CREDIT, unit="decisions", rights=_RISK
    ),
    "credit_reason": Kind(
        fields=("reason", "counted"),
        columns=(*_CREDIT, ("reason_codes", "text")),
        unit="decisions",
        rights=_RISK,
    ),
    "loss_stage": Kind(
        fields=("stage",),
        columns=(("stage_reason", "stage_reason"), ("at_default_minor", "money"), ("allowance_minor", "money")),
        order="allowance_minor DESC NULLS LAST",
        rights=_RISK,
    ),
    "watch": Kind(
        fields=("severity", "status"),
        columns=(("text", "said"), ("next_review_at", "day")),
        order="next_review_at NULLS LAST",
        moment="last_event_at",
        rights=_RISK,
    ),
    "reassessment": Kind(
        fields=("cause", "due"),
        columns=(("risk_tier", "risk_tier"), ("cause", "reassess_cause"), ("reassess_at", "day")),
        order="reassess_at NULLS LAST",
        rights=_RISK,
    ),
    "treatment": Kind(
        fields=("treatment", "treatment_kind"),
        columns=(("reason_en", "said"), ("not_before", "day")),
        order="not_before NULLS LAST",
        rights=_RISK,
    ),
    "attention": Kind(
        fields=("list",),
        columns=(("why", "said"), ("by_when", "day")),
        order="by_when NULLS LAST",
        rights=_RISK,
    ),
    "exported": Kind(fields=("export",)),
    "rejected": Kind(fields=("export",)),
}  # fmt: skip
"""Every kind of mark behind which customers can be listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """One mark: its kind and the values of its fields, in the order of the kind's fields."""

    kind: str
    values: tuple[str, ...]

    def __getitem__(self, field: str) -> str:
        """Return the value of a field."""
        return self.values[KINDS[self.kind].fields.index(field)]

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return the fields with their values."""
        return tuple(zip(KINDS[self.kind].fields, self.values, strict=True))

    @property
    def told(self) -> Kind:
        """What is said of all marks of its kind."""
        return KINDS[self.kind]

    @property
    def rights(self) -> tuple[Right, ...]:
        """Those that even its count needs; a journey broken down by risk, or a gate of risk alone, tells of it too."""
        by_tier = self.kind == "journey_step" and self["breakdown"] == "risk_tier"
        by_gate = self.kind == "gate" and self["gate"] in GATES_OF_RISK
        return _RISK if by_tier or by_gate else self.told.rights

    def written(self) -> str:
        """Return it as text for an address; `read` makes it a selection again."""
        return _BETWEEN.join([self.kind, *(quote(value, safe="") for value in self.values)])


def of(kind: str, **values: object) -> Selection:
    """Return the selection of a kind with these values, one for each of its fields."""
    fields = KINDS[kind].fields
    if set(values) != set(fields):
        raise TypeError(f"{kind} has the fields {', '.join(fields)}")
    return Selection(kind=kind, values=tuple(str(values[field]) for field in fields))


def read(text: str) -> Selection:
    """Return the selection that a text names.

    Raises
    ------
    UnknownName
        There is no such kind, or it has other fields: a link of another version, or cut short.
    """
    kind, *values = text.split(_BETWEEN)
    if kind not in KINDS or len(values) != len(KINDS[kind].fields):
        raise UnknownName("selection", text[:60], sorted(KINDS))
    return Selection(kind=kind, values=tuple(unquote(value) for value in values))
