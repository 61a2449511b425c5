"""Risk: learn the scorecard on earlier loans, try it on later ones, grade every customer.

Without enough defaults to learn from, every customer's tier is unknown, so that the gates refuse credit.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.risk import gate as gates
from engine.risk import model, table
from engine.risk.gate import Say, Watch
from engine.risk.standing import standing
from engine.workflows.stages import risk_oversight
from engine.workflows.stages.context import Context, Stage
from engine.workflows.stages.risk_oversight import Overseen

MARTS = ("risk", "risk_scorecard", "risk_validation", "risk_gate", "risk_gate_reasons", *risk_oversight.WRITES)
MODEL = "risk_model.json"


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the grades and, where a model could be learned, its scorecard, validation and JSON."""
    settings = context.settings(RiskSettings, "risk")
    fitted = _fit(context, settings, facts)
    scoring = context.engine.arrow(table.scoring(context.tables, context.as_of, settings, context.bank))
    graded = model.ungraded(scoring) if fitted is None else fitted.score(scoring)
    context.builder.write_rows("risk", graded)
    if fitted is not None:
        facts["notes"] = list(fitted.notes)
    overseen = risk_oversight.oversee(context, settings, fitted, graded, facts)
    _answer(context, settings, graded, overseen)
    if fitted is not None:
        context.builder.write_rows("risk_scorecard", fitted.scorecard_table())
        context.builder.write_rows("risk_validation", fitted.validation_table())
        context.builder.write_text(MODEL, fitted.to_json())


def _answer(context: Context, settings: RiskSettings, graded: pa.Table, overseen: Overseen) -> None:
    """Write what the gate answers for every customer, and the reasons it gave."""
    known = context.engine.arrow(standing(context.tables, context.as_of, settings.staging))
    watch = Watch.of(overseen.cautions, graded.num_rows, overseen.reassess_at)
    block = gates.block_of(graded, known, watch, Say.nothing(graded.num_rows))
    answers = gates.gate(block, settings.gate, context.as_of, settings.signal_max_age_days)
    context.builder.write_rows("risk_gate", answers.table())
    context.builder.write_rows("risk_gate_reasons", gates.count(answers, settings.gate))


def _fit(context: Context, settings: RiskSettings, facts: dict[str, Any]) -> model.RiskModel | None:
    try:
        training: pa.Table = context.engine.arrow(table.training(context.tables, context.as_of, settings))
        return model.fit(training, settings, context.as_of, context.seed)
    except NotEnoughData as fault:
        # not a failed stage: the grades are written, all unknown, and the reason stands beside them
        facts["notes"] = [f"{fault.sentence} Every tier is unknown, so all credit is refused."]
        facts["absent"] = {"risk_scorecard": fault.sentence, "risk_validation": fault.sentence}
        return None


STAGE = Stage(name="risk", write=write, marts=MARTS, needs_tables=("customers",))
