"""Recommendations: learn from what was opened, judge on a later window, decide for every customer inside the gates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.config.allocation import AllocationSettings
from engine.config.catalogue import CatalogueSettings
from engine.config.journeys import Journeys
from engine.config.recommendations import RecommendationSettings
from engine.domain.allocation_marts import ALLOCATION_MARTS
from engine.domain.contact_marts import CHANNEL_RESPONSES, CONTROL_GROUP, WITHHELD_CONTACTS
from engine.domain.curated import CURATED
from engine.domain.decision_marts import DECISION_INPUTS
from engine.domain.fairness_marts import OFFER_FAIRNESS
from engine.domain.marts import DECISIONS, RECOMMENDATIONS
from engine.features import table as feature_table
from engine.features.table import FEATURES
from engine.lake.schema import arrow_schema
from engine.recommendations import allotment, allotment_rows, credit, inputs, interest, responses, sanity, tracks
from engine.recommendations.contact import CONTACTS
from engine.recommendations.gate_counts import GateCounts, contradiction, no_counts
from engine.recommendations.recommend import Prepared, recommend
from engine.workflows import held_catalogue
from engine.workflows.stages import offer_fairness
from engine.workflows.stages.context import Context, Stage
from engine.workflows.stages.offer_fairness import OfferFairness

MARTS: Final = (
    "product_rules",
    "recommendation_models",
    "recommendations",
    "decisions",
    "decision_inputs",
    "gates",
    CONTROL_GROUP.name,
    CHANNEL_RESPONSES.name,
    OFFER_FAIRNESS.name,
    WITHHELD_CONTACTS.name,
    *(mart.name for mart in ALLOCATION_MARTS),
)
BUNDLE = "decision_bundle.json"
TREATMENT: Final = ("customer_id", "kind", "not_before")
_DOINGS: Final = ("transactions", "events")
_SAMPLE: Final = "_sampled_customers"
_NOT_TO_CONTACT: Final = "_suppressed_customers"


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the offers, every decision and what it looked at, the gates' counts, the models' race, the pair rules."""
    held = context.catalogue
    settings = held.policies if held else context.settings(RecommendationSettings, "recommendations")
    prepared, fair = offer_fairness.before(context, prepare(context, settings))
    limits = context.settings(AllocationSettings, "allocation")
    made = None
    if limits.is_on:
        prepared, made = allotment.within(prepared, limits, context.seed)
    facts["notes"] = [
        *held_catalogue.notes(held),
        *_shut_out(prepared),
        *prepared.notes,
        *([allotment_rows.note(made)] if made else []),
    ]
    context.builder.write_rows("recommendation_models", prepared.models)
    context.builder.write_rows("product_rules", prepared.rules)
    context.builder.write_rows(CHANNEL_RESPONSES.name, prepared.responses)
    withheld = prepared.withheld.table(prepared.base, prepared.bundle.catalogue.product_ids)
    context.builder.write_rows(WITHHELD_CONTACTS.name, withheld)
    context.builder.write_text(BUNDLE, prepared.bundle.to_json())
    facts["bundle"] = prepared.bundle.digest()
    facts["counts_later_contacts"] = context.current
    counts = _decide(context, prepared, fair)
    facts["notes"] += [*fair.notes(), *([told] if (told := contradiction(counts)) else [])]
    context.builder.write_rows(OFFER_FAIRNESS.name, fair.table())
    bundle = prepared.bundle
    channels = tuple(bundle.settings.contact_cost_minor)
    rows = allotment_rows.tables(made, prepared.base.customer_ids, bundle.catalogue.product_ids, channels)
    for mart, table in rows.items():
        context.builder.write_rows(mart, table)


def _shut_out(prepared: Prepared) -> list[str]:
    """Say of products that the catalogue itself keeps from everybody, but for those that are not sold on the day."""
    found = sanity.shut_out(prepared.bundle.catalogue, prepared.bundle.settings)
    return [one.sentence for one in found if one.gate != "not_on_sale"]


def prepare(context: Context, settings: RecommendationSettings) -> Prepared:
    """Gather the bank at instants one horizon apart, and fit and judge the models."""
    held = context.catalogue
    horizon = timedelta(days=settings.horizon_days)
    profile = context.engine.arrow(
        inputs.profile(
            context.tables,
            context.as_of,
            settings,
            context.bank.time_zone,
            contacts=_contacts(context),
            suppressed=_suppressed(context),
        )
    )
    tables = _tables_to_learn_from(context, profile, settings)
    instants = [context.as_of - horizon, context.as_of - 2 * horizon, *_older(context, settings, profile.num_rows)]
    past, earlier, *older = (_to_learn_from(context, tables, moment) for moment in instants)
    return recommend(
        now=_now(context, profile, settings),
        past=past,
        earlier=earlier,
        older=older,
        risk=context.rows("risk") if context.wrote("risk") else None,
        gate=context.rows("risk_gate") if context.wrote("risk_gate") else None,
        credit=context.rows("credit_decisions", credit.COLUMNS) if context.wrote("credit_decisions") else None,
        treatments=context.rows("risk_treatments", TREATMENT) if context.wrote("risk_treatments") else None,
        products=held.products if held else context.engine.arrow(context.tables["products"]),
        offered=held.offered if held else context.settings(CatalogueSettings, "catalogue"),
        settings=settings,
        seed=context.seed,
        chosen_between=[one.products for one in context.settings(Journeys, "journeys").journeys if one.products],
        meanings={name: (feature.meaning, feature.meaning_zh) for name, feature in FEATURES.items()},
    )


def _contacts(context: Context) -> Any | None:
    """Contacts up to now, where the run decides what is sent next; None where the table as of the date says it."""
    if not context.current or CONTACTS not in context.tables:
        return None
    return inputs.so_far(context.tables[CONTACTS], context.as_of)


def _suppressed(context: Context) -> Any | None:
    """Whom not to contact, as an expression over the rows attached; None where that is nobody."""
    if context.suppressed is None or not context.suppressed.num_rows:
        return None
    context.engine.attach(_NOT_TO_CONTACT, context.suppressed.select(["customer_id", "channel"]))
    return ibis.table({"customer_id": "string", "channel": "string"}, name=_NOT_TO_CONTACT)


def _older(context: Context, settings: RecommendationSettings, customers: int) -> list[datetime]:
    """Return further instants to learn from, the newest first.

    There are as many as hold the customers to learn from together, and none within a horizon of where the tables that
    features look back on begin: customers would look as if they had done nothing before.
    """
    horizon = timedelta(days=settings.horizon_days)
    training = settings.training
    most = min(training.windows, training.sample // max(customers, 1))
    moments = [context.as_of - number * horizon for number in range(3, most + 1)]
    begins = _records_begin(context) if moments else None
    return [moment for moment in moments if begins is None or moment - horizon >= begins]


def _records_begin(context: Context) -> datetime | None:
    """Return from when on the bank tells what customers did; None where it has no such table, or an empty one."""
    firsts = []
    for name in _DOINGS:
        if name in context.tables:
            rows, when = context.tables[name], CURATED[name].time_column
            firsts += context.engine.arrow(rows.aggregate(first=rows[when].min()))["first"].to_pylist()
    known = [first.replace(tzinfo=UTC) for first in firsts if first is not None]
    return max(known, default=None)


def _now(context: Context, profile: pa.Table, settings: RecommendationSettings) -> inputs.Inputs:
    holdings = inputs.holdings(context.tables, context.as_of)
    names = ["customer_id", *feature_table.PROPENSITY_INPUTS]
    return inputs.Inputs(
        as_of=context.as_of,
        features=context.rows("features", names),
        holdings=context.engine.arrow(holdings),
        profile=profile,
        steps=_steps(context, context.tables, context.as_of),
        relationship=_relationship(context),
        responses=_responses(context, settings),
    )


def _steps(context: Context, tables: Mapping[str, Any], moment: datetime) -> pa.Table | None:
    """Who had gone how far towards which product; none where the bank keeps no events."""
    taken = interest.steps(tables, moment)
    return None if taken is None else context.engine.arrow(taken)


def _responses(context: Context, settings: RecommendationSettings) -> pa.Table | None:
    """What was answered on each channel; none where the bank keeps no record of contacts."""
    counted = responses.by_channel(context.tables, context.as_of, settings.responses)
    return None if counted is None else context.engine.arrow(counted)


def _relationship(context: Context) -> pa.Table | None:
    """What tells a customer worth keeping; nobody is, where segments were not worked out."""
    if not context.wrote("segments"):
        return None
    activity = context.rows("features", ["customer_id", "transactions_90d", "transactions_365d"])
    return tracks.relationship(context.rows("segments", ["customer_id", "value_tier"]), activity)


def _tables_to_learn_from(context: Context, profile: pa.Table, settings: RecommendationSettings) -> Mapping[str, Any]:
    """Return the tables of the sampled customers only: to learn from, a sample is enough."""
    most = settings.training.sample
    if profile.num_rows <= most:
        return context.tables
    sampled = inputs.sample_customers(profile["customer_id"].combine_chunks(), most, context.seed)
    context.engine.attach(_SAMPLE, pa.table({"customer_id": sampled}))
    sample = ibis.table({"customer_id": "string"}, name=_SAMPLE)
    return {
        name: one.semi_join(sample, "customer_id") if "customer_id" in one.columns else one
        for name, one in context.tables.items()
    }


def _to_learn_from(context: Context, tables: Mapping[str, Any], moment: datetime) -> inputs.Inputs:
    """The bank at an earlier instant, from tables of the customers to learn from."""
    features = feature_table.build(tables, moment, context.bank)
    return inputs.Inputs(
        as_of=moment,
        features=context.engine.arrow(features.select("customer_id", *feature_table.PROPENSITY_INPUTS)),
        holdings=context.engine.arrow(inputs.holdings(tables, moment)),
        profile=context.engine.arrow(inputs.known_customers(tables, moment)),
        steps=_steps(context, tables, moment),
    )


def _decide(context: Context, prepared: Prepared, fair: OfferFairness) -> GateCounts:
    """Stream the blocks to disk: memory stays that of one block however many customers there are."""
    counts = no_counts()
    builder = context.builder
    with (
        builder.writer("recommendations", arrow_schema(RECOMMENDATIONS)) as offers,
        builder.writer("decisions", arrow_schema(DECISIONS)) as decisions,
        builder.writer(CONTROL_GROUP.name, arrow_schema(CONTROL_GROUP)) as control,
        builder.writer("decision_inputs", arrow_schema(DECISION_INPUTS)) as looked_at,
    ):
        for block in prepared.blocks():
            offers.write_table(block.recommendations)
            decisions.write_table(block.decisions)
            control.write_table(block.control)
            looked_at.write_table(block.inputs)
            counts += block.counts
            fair.add(block.by_group)
    builder.write_rows("gates", counts.table())
    return counts


STAGE = Stage(
    name="recommendations",
    write=write,
    marts=MARTS,
    needs_tables=("customers", "products", "holdings"),
    needs_marts=("features",),
)
