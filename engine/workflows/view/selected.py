"""The rows behind a selection: one statement each, which the count, the list, an audience and the paths all begin with.

A row is a customer, or what the kind's unit says (an offer, a refusal, a decision), with the columns that a list shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.config.experiments import Experiments, ExperimentSettings
from engine.domain.curated import CURATED
from engine.domain.errors import NotEnoughData, UnknownName
from engine.exports import members
from engine.lake import memberships
from engine.lake.engine import DuckDBEngine
from engine.lake.runs import Run
from engine.lake.schema import unbound
from engine.lake.workspace import Workspace
from engine.store import BundleRecord, Store
from engine.workflows import export_states, session
from engine.workflows.view import eligibility, journeys, reading, risk_lending, risk_watch
from engine.workflows.view.selection import Selection
from experiments import metrics, spec, units


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A SELECT over Parquet files or folders, each under its name, with the values of its question marks."""

    sources: Mapping[str, Path]
    text: str
    values: tuple[object, ...] = ()


def rows(workspace: Workspace, run: Run, one: Selection) -> Rows:
    """Return the rows behind a selection.

    Raises
    ------
    MartMissing, NotEnoughData
        The run lacks what it is about.
    UnknownName
        It names what there is not: a gate, a journey's outcome, an experiment, a run on which an audience was built.
    """
    return _OF[one.kind](workspace, run, one)


def _marts(run: Run, text: str, *marts: str, values: tuple[object, ...] = ()) -> Rows:
    return Rows(sources={mart: run.require(mart) for mart in marts}, text=text, values=values)


def _number(one: Selection, field: str) -> int:
    try:
        return int(one[field])
    except ValueError:
        raise UnknownName(field, one[field], ["a whole number"]) from None


def _among(one: Selection, field: str, known: Mapping[str, str]) -> str:
    if one[field] not in known:
        raise UnknownName(field, one[field], sorted(known))
    return known[one[field]]


def _journey_step(_: Workspace, run: Run, one: Selection) -> Rows:
    bar = journeys.Bar(
        journey=one["journey"],
        step_index=_number(one, "step"),
        outcome=one["outcome"],
        breakdown=one["breakdown"],
        group=one["group"],
    )
    marts, chosen, values = journeys.standing_behind(run, bar)
    text = f"""SELECT customer_id, step, current_step, next_step, status, entered_at, stage_since {chosen}"""
    return _marts(run, text, *marts, values=tuple(values))


def _journey_open(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, drop_probability, step, next_step, reached_at, closes_at,
                     drop_probability > 0.995 AS as_good_as_lost
              FROM journey_open WHERE journey = ?"""
    return _marts(run, text, "journey_open", values=(one["journey"],))


def _cluster(_: Workspace, run: Run, one: Selection) -> Rows:
    text = "SELECT customer_id, value_tier, rfm_cell FROM segments WHERE coalesce(cluster_name, 'unknown') = ?"
    return _marts(run, text, "segments", values=(one["cluster"],))


def _rfm(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, value_tier, rfm_cell FROM segments
              WHERE recency_score = ? AND frequency_score = ?"""
    return _marts(run, text, "segments", values=(_number(one, "recency"), _number(one, "frequency")))


def _value_risk(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, cluster_name, rfm_cell FROM segments LEFT JOIN risk USING (customer_id)
              WHERE coalesce(value_tier, 'none') = ? AND coalesce(risk_tier, 'unknown') = ?"""
    return _marts(run, text, "segments", "risk", values=(one["value_tier"], one["risk_tier"]))


def _audience(workspace: Workspace, _: Run, one: Selection) -> Rows:
    kept = memberships.of_run(workspace, one["audience"], one["run"])
    return Rows(sources={"members": kept.rows}, text="SELECT customer_id FROM members")


def _audience_moved(workspace: Workspace, _: Run, one: Selection) -> Rows:
    now = memberships.of_run(workspace, one["audience"], one["run"])
    before = memberships.of_run(workspace, one["audience"], one["against"])
    later, earlier = (
        ("now", "before") if _among(one, "way", {"entered": "e", "left": "l"}) == "e" else ("before", "now")
    )
    text = f"SELECT customer_id FROM {later} ANTI JOIN {earlier} USING (customer_id)"
    return Rows(sources={"now": now.rows, "before": before.rows}, text=text)


def _gate(_: Workspace, run: Run, one: Selection) -> Rows:
    run.require("gates")
    mask = eligibility.mask_of_gate(run, one["gate"])
    text = f"SELECT customer_id, product_id, propensity FROM decisions WHERE {_bit('refused_mask', mask, one)}"
    return _marts(run, text, "decisions", "gates")


def _bit(column: str, mask: int, one: Selection) -> str:
    """Return the condition that a bit of a mask is set, whatever else is; none beside it; or others too."""
    conditions = {
        "all": f"({column} & {mask:d}) <> 0",
        "only": f"({column} & {mask:d}) <> 0 AND ({column} & ~{mask:d}) = 0",
        "also": f"({column} & {mask:d}) <> 0 AND ({column} & ~{mask:d}) <> 0",
    }
    return _among(one, "counted", conditions)


def _offers(_: Workspace, run: Run, one: Selection) -> Rows:
    text, values = f"SELECT {_OFFER} FROM recommendations WHERE product_id = ?", [one["product"]]
    if one["channel"] != "all":
        text, values = f"{text} AND coalesce(channel, 'none') = ?", [*values, one["channel"]]
    return _marts(run, text, "recommendations", values=tuple(values))


_OFFER: Final = "customer_id, product_id, channel, rank, propensity"


def _chosen(_: Workspace, run: Run, one: Selection) -> Rows:
    text = f"SELECT {_OFFER} FROM recommendations WHERE rank = 1 AND selection = ?"
    return _marts(run, text, "recommendations", values=(one["selection"],))


def _limit_change(_: Workspace, run: Run, one: Selection) -> Rows:
    told = _among(
        one, "change", {"gave_way": "without_limits AND NOT offered", "came_in": "offered AND NOT without_limits"}
    )
    text = f"SELECT customer_id FROM allocation_changes WHERE product_id = ? AND {told}"
    return _marts(run, text, "allocation_changes", values=(one["product"],))


def _not_contacted(_: Workspace, run: Run, one: Selection) -> Rows:
    text = _among(
        one,
        "why",
        {
            "control": "SELECT customer_id FROM control_group",
            "held_out": "SELECT customer_id FROM control_group WHERE serves = 'nothing'",
            "giving_way": "SELECT customer_id FROM withheld_contacts",
        },
    )
    return _marts(run, text, "control_group", "withheld_contacts")


def _arm(workspace: Workspace, run: Run, one: Selection) -> Rows:
    experiment, sources, seen = _compared(workspace, run, one["experiment"])
    if one["arm"] not in experiment.weights:
        raise UnknownName("arm", one["arm"], sorted(experiment.weights))
    return _compiled(sources, seen.filter(seen.variant == one["arm"]).select("customer_id", "exposed_at"))


def _converted(workspace: Workspace, run: Run, one: Selection) -> Rows:
    """Return the customers of an arm of whom a metric says yes or no, as the result counts them, or nothing yet."""
    experiment, sources, seen = _compared(workspace, run, one["experiment"])
    known = {metric.metric: metric for metric in experiment.metrics if metric.kind in ("proportion", "retention")}
    if one["metric"] not in known:
        raise UnknownName("metric that says yes or no", one["metric"], sorted(known))
    text = (
        "SELECT count(*) AS n FROM experiment_results WHERE experiment_id = ? AND metric = ? AND verdict <> 'withheld'"
    )
    told = reading.marts(run, text, "experiment_results", parameters=(one["experiment"], one["metric"]))
    if not told["n"].iloc[0]:
        raise NotEnoughData("customers by a metric", "its results are withheld", "a check that holds")
    if "events" not in sources:
        raise NotEnoughData("customers by a metric", "there are no events", "a table of events, loaded")
    alone = experiment.model_copy(update={"metrics": (known[one["metric"]],), "covariates": ()})
    rows = metrics.values(seen.mutate(of_customer=seen.customer_id), unbound(CURATED["events"]), alone, run.as_of)
    conditions = {"yes": "value_0 > 0 AND matured_0", "no": "value_0 = 0 AND matured_0", "open": "NOT matured_0"}
    wanted = _among(one, "happened", conditions)
    inner = _compiled(sources, rows.filter(rows.variant == one["arm"]))
    text = f"SELECT of_customer AS customer_id, exposed_at FROM ({inner.text}) WHERE {wanted}"
    return Rows(sources=sources, text=text)


def _compared(workspace: Workspace, run: Run, name: str) -> tuple[ExperimentSettings, dict[str, Path], Any]:
    """Return the plan of an experiment, the tables that tell who takes part, and who is compared, as an expression.

    Raises
    ------
    UnknownName, NotEnoughData
        There is no such experiment, nobody was exposed, or its plan is not that of the run any more.
    """
    planned = {each.experiment_id: each for each in session.settings(workspace, Experiments, "experiments").experiments}
    if name not in planned:
        raise UnknownName("experiment", name, sorted(planned))
    experiment = planned[name]
    specs = {each: value for stage in run.manifest["stages"] for each, value in stage.get("specs", {}).items()}
    if specs.get(name, spec.fingerprint(experiment)) != spec.fingerprint(experiment):
        raise NotEnoughData(
            "customers of an experiment", f'the plan of "{name}" was changed after the run', "a new run: wayline run"
        )
    names = [table for table in ("exposures", "events", "customers") if workspace.curated(table).is_dir()]
    if "exposures" not in names:
        raise NotEnoughData("customers of an experiment", "there are no exposures", "a table of exposures, loaded")
    seen = units.exposed(unbound(CURATED["exposures"]), experiment, run.as_of)
    if experiment.randomised_by is not None:
        seen = units.with_attributes(seen, unbound(CURATED["customers"]), [experiment.randomised_by])
        seen = units.drawn_together(seen, experiment.randomised_by)
    seen = units.single(seen, experiment)
    if experiment.activation_event is not None and "events" in names:
        seen = units.activated(seen, unbound(CURATED["events"]), experiment, run.as_of)
    return experiment, {table: workspace.curated(table) for table in names}, seen


def _compiled(sources: Mapping[str, Path], rows: Any) -> Rows:
    with DuckDBEngine(memory_limit="100MB") as compiler:
        return Rows(sources=sources, text=compiler.compile(rows))


def _tier(_: Workspace, run: Run, one: Selection) -> Rows:
    text = f"SELECT {_RISK} FROM risk WHERE risk_tier = ?"
    return _marts(run, text, "risk", values=(one["risk_tier"],))


_RISK: Final = "customer_id, score, default_probability, exposure_minor"


def _score(_: Workspace, run: Run, one: Selection) -> Rows:
    text = f"SELECT {_RISK} FROM risk WHERE score >= ? AND score < ? + 10 AND risk_tier = ?"
    start = _number(one, "score_from")
    return _marts(run, text, "risk", values=(start, start, one["risk_tier"]))


def _answer(_: Workspace, run: Run, one: Selection) -> Rows:
    told = risk_lending.answer(run)
    text = f"""SELECT customer_id, reason_codes FROM risk_gate JOIN risk USING (customer_id)
               WHERE {told} = ? AND risk_tier = ?"""
    return _marts(run, text, "risk_gate", "risk", values=(one["answer"], one["risk_tier"]))


def _gate_reason(_: Workspace, run: Run, one: Selection) -> Rows:
    mask = _reason(run, "risk_gate_reasons", one)
    text = f"SELECT customer_id, outcome, reason_codes FROM risk_gate WHERE {_bit('reason_mask', mask, one)}"
    return _marts(run, text, "risk_gate", "risk_gate_reasons")


def _reason(run: Run, mart: str, one: Selection) -> int:
    run.require(mart)
    known = {row["reason_code"]: row["bit"] for row in run.read(mart, columns=["reason_code", "bit"]).to_pylist()}
    if one["reason"] not in known:
        raise UnknownName("reason", one["reason"], sorted(known))
    return 1 << int(known[one["reason"]])


_CREDIT: Final = "customer_id, family, outcome, price_band, limit_minor"


def _credit(_: Workspace, run: Run, one: Selection) -> Rows:
    text = f"SELECT {_CREDIT} FROM credit_decisions WHERE family = ? AND outcome = ?"
    return _marts(run, text, "credit_decisions", values=(one["family"], one["outcome"]))


def _credit_terms(_: Workspace, run: Run, one: Selection) -> Rows:
    text = f"""SELECT {_CREDIT} FROM credit_decisions
               WHERE family = ? AND coalesce(price_band, 'none') = ? AND limit_minor > 0
                 AND {risk_lending.LIMIT_FROM} = ?"""
    return _marts(run, text, "credit_decisions", values=(one["family"], one["price_band"], _number(one, "limit_from")))


def _credit_reason(_: Workspace, run: Run, one: Selection) -> Rows:
    mask = _reason(run, "credit_reasons", one)
    text = f"SELECT {_CREDIT}, reason_codes FROM credit_decisions WHERE {_bit('reason_mask', mask, one)}"
    return _marts(run, text, "credit_decisions", "credit_reasons")


def _loss_stage(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, stage_reason, at_default_minor, allowance_minor FROM risk_losses
              WHERE ifrs9_stage = ?"""
    return _marts(run, text, "risk_losses", values=(_number(one, "stage"),))


def _watch(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, text, text_zh, next_review_at, last_event_at FROM risk_watch_list
              WHERE severity = ? AND status = ?"""
    return _marts(run, text, "risk_watch_list", values=(one["severity"], one["status"]))


def _reassessment(_: Workspace, run: Run, one: Selection) -> Rows:
    due = _among(one, "due", {"due": "is_due", "later": "NOT is_due"})
    values: list[object] = []
    text = f"SELECT customer_id, risk_tier, cause, reassess_at FROM risk_reassessment WHERE {due}"
    if one["cause"] != "all":
        text, values = f"{text} AND cause = ?", [one["cause"]]
    return _marts(run, text, "risk_reassessment", values=tuple(values))


def _attention(_: Workspace, run: Run, one: Selection) -> Rows:
    mart, columns, condition = risk_watch.LISTED[_among(one, "list", {name: name for name in risk_watch.LISTED})]
    return _marts(run, f"SELECT {columns} FROM {mart} WHERE {condition}", mart)


def _treatment(_: Workspace, run: Run, one: Selection) -> Rows:
    text = """SELECT customer_id, reason_en, reason_zh, not_before FROM risk_treatments
              WHERE treatment = ? AND kind = ?"""
    return _marts(run, text, "risk_treatments", values=(one["treatment"], one["treatment_kind"]))


def _exported(workspace: Workspace, _: Run, one: Selection) -> Rows:
    bundle, _rejected = _bundle(workspace, one["export"])
    return Rows(sources={"held": _state(workspace, bundle)}, text=f"SELECT {members.ID} AS customer_id FROM held")


def _rejected(workspace: Workspace, _: Run, one: Selection) -> Rows:
    bundle, rejected = _bundle(workspace, one["export"])
    text = f"SELECT {members.ID} AS customer_id FROM held WHERE {members.ID} IN (SELECT unnest(?))"
    return Rows(sources={"held": _state(workspace, bundle)}, text=text, values=(list(rejected),))


def _bundle(workspace: Workspace, key: str) -> tuple[BundleRecord, tuple[str, ...]]:
    if not session.has_register(workspace):
        raise UnknownName("export", key, [])
    with Store(session.database_url(workspace)) as store:
        found = {f"bundle-{one.number}": one for one in store.export_bundles()}
        rejected = {f"bundle-{one.bundle.number}": one.rejected for one in store.export_acks()}
    if key not in found:
        raise UnknownName("export to a tool", key, [])
    return found[key], rejected.get(key, ())


def _state(workspace: Workspace, one: BundleRecord) -> Path:
    place = export_states.path(workspace, one.audience, one.run_id, one.destination, one.content_sha256)
    if not place.is_file():
        have = "who was in this export is not remembered any more"
        raise NotEnoughData("list of members", have, "the export made again, from the same run")
    return place


_OF: Final[Mapping[str, Callable[[Workspace, Run, Selection], Rows]]] = {
    "journey_step": _journey_step,
    "journey_open": _journey_open,
    "cluster": _cluster,
    "rfm": _rfm,
    "value_risk": _value_risk,
    "audience": _audience,
    "audience_moved": _audience_moved,
    "gate": _gate,
    "offers": _offers,
    "chosen": _chosen,
    "limit_change": _limit_change,
    "not_contacted": _not_contacted,
    "arm": _arm,
    "converted": _converted,
    "tier": _tier,
    "score": _score,
    "answer": _answer,
    "gate_reason": _gate_reason,
    "credit": _credit,
    "credit_terms": _credit_terms,
    "credit_reason": _credit_reason,
    "loss_stage": _loss_stage,
    "watch": _watch,
    "reassessment": _reassessment,
    "treatment": _treatment,
    "attention": _attention,
    "exported": _exported,
    "rejected": _rejected,
}


def read(found: Rows, text: str, values: tuple[object, ...] = ()) -> pd.DataFrame:
    """Return the rows of a SELECT over the rows behind a selection, which it calls `chosen`."""
    return reading.sql(found.sources, f", chosen AS ({found.text}) {text}", (*found.values, *values))
