"""Risk: learn the scorecard on earlier loans, try it on later ones, grade every customer.

Where a model was approved it grades, and is tried on the loans of this run; nothing is learned but its challengers.
Without one, and with too few defaults to learn from, every customer's tier is unknown: the gates refuse credit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.numerics.chain import canonical
from engine.risk import behaviour, challenge, model, models, portfolio, table
from engine.risk.gate import Watch
from engine.workflows.risk_registry import RUN_MODEL
from engine.workflows.stages import risk_answers, risk_oversight
from engine.workflows.stages.context import Context, Stage

MARTS = ("risk", "risk_scorecard", "risk_validation", *risk_answers.MARTS, *risk_oversight.WRITES)


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the grades, what follows from them, and, where a model could be learned, it and its challengers."""
    if "transactions" not in context.tables:
        _write(context, facts)
        return
    # asked for at many dates: the bookings are read once
    months = behaviour.customer_months(context.tables)
    with context.with_kept(behaviour.CUSTOMER_MONTHS, months, order_by=("of_customer", "month")) as kept:
        _write(kept, facts)


def _write(context: Context, facts: dict[str, Any]) -> None:
    settings = context.settings(RiskSettings, "risk")
    fitted, training = _fit(context, settings, facts) if context.approved is None else _tried(context, settings)
    scoring = context.engine.arrow(table.scoring(context.tables, context.as_of, settings, context.bank))
    if context.approved is not None:
        context.approved.model.scorecard.require(scoring.column_names, "The bank's tables")
    graded = model.ungraded(scoring) if fitted is None else fitted.score(scoring, context.as_of)
    context.builder.write_rows("risk", graded)
    if fitted is not None:
        facts["notes"] = list(fitted.notes)
    overseen = risk_oversight.oversee(context, settings, fitted, graded, facts)
    originated = None if fitted is None or training is None else portfolio.at_origination(fitted, training)
    watch = Watch.of(overseen.cautions, graded.num_rows, overseen.reassess_at)
    risk_answers.write(context, settings, graded, originated, watch)
    if fitted is not None:
        context.builder.write_rows("risk_scorecard", fitted.scorecard_table())
        own = fitted.to_json() if context.approved is None else context.approved.content
        context.builder.write_text(RUN_MODEL, own)
        _challenge(context, fitted, training, scoring, graded)


def _challenge(
    context: Context, fitted: model.RiskModel, training: pa.Table | None, scoring: pa.Table, graded: pa.Table
) -> None:
    """Write how the model and its challengers hold; without loans to learn from, what was measured when it was made."""
    if training is None:
        context.builder.write_rows("risk_validation", fitted.validation_table())
        return
    watching = challenge.challenge(training, fitted, context.seed)
    context.builder.write_rows("risk_validation", watching.table(fitted, scoring, graded))
    for name, challenger in watching.models.items():
        context.builder.write_text(f"risk_{name}.json", canonical(models.document(challenger)))


def _tried(context: Context, settings: RiskSettings) -> tuple[model.RiskModel | None, pa.Table | None]:
    """Return the approved model, tried on the loans of this run, and these where there are enough to challenge it."""
    approved = context.approved
    if approved is None:
        return None, None
    fitted = replace(approved.model, notes=(approved.note, *approved.model.notes))
    try:
        training: pa.Table = context.engine.arrow(table.training(context.tables, context.as_of, settings))
        return fitted.tried(training), training
    except NotEnoughData as fault:
        few = f"{fault.sentence} The model is not challenged; its figures are those of when it was made."
        return replace(fitted, notes=(*fitted.notes, few)), None


def _fit(
    context: Context, settings: RiskSettings, facts: dict[str, Any]
) -> tuple[model.RiskModel | None, pa.Table | None]:
    """Return the model and the loans it was learned from; nothing where they are too few, and the reason in facts."""
    try:
        training: pa.Table = context.engine.arrow(table.training(context.tables, context.as_of, settings))
        return model.fit(training, settings, context.as_of, context.seed), training
    except NotEnoughData as fault:
        # not a failed stage: the grades are written, all unknown, and the reason stands beside them
        facts["notes"] = [f"{fault.sentence} Every tier is unknown, so all credit is refused."]
        facts["absent"] = {"risk_scorecard": fault.sentence, "risk_validation": fault.sentence}
        return None, None


STAGE = Stage(name="risk", write=write, marts=MARTS, needs_tables=("customers",))
