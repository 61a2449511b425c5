"""Free text: what customers wrote about and how they felt, by contact, by customer and by step of a journey."""

from __future__ import annotations

from typing import Any, Final

import ibis

from engine.config.texts import TextSettings
from engine.domain.schema import Table
from engine.domain.text_marts import CUSTOMER_TEXTS, STEP_FEELINGS, TEXT_CONTACTS, TEXT_MARTS
from engine.lake.schema import empty, naive_utc, to_contract
from engine.texts import model, summaries
from engine.workflows.stages.context import Context, Stage

MARTS: Final = tuple(mart.name for mart in TEXT_MARTS)
_SAID: Final = "_said"


def write(context: Context, facts: dict[str, Any]) -> None:
    """Read every distinct text once, and write what it says of contacts, customers and steps."""
    settings = context.settings(TextSettings, "texts")
    interactions = context.tables["interactions"]
    known = interactions.filter(interactions.occurred_at <= ibis.timestamp(naive_utc(context.as_of)))
    written = known.filter(known.text.notnull())
    texts = context.engine.arrow(written.select("text").distinct().order_by("text"))
    found = model.classify(texts.column("text").combine_chunks())
    context.engine.attach(_SAID, found.append_column("text", texts.column("text")))
    types = {"text": "string", "topic_probability": "float64", "sentiment_score": "float64"}
    said = ibis.table({name: types.get(name, "string") for name in (*found.column_names, "text")}, name=_SAID)
    told = written.select("interaction_id", "customer_id", "occurred_at", "text").inner_join(said, "text")
    _write(context, TEXT_CONTACTS, told.select(*TEXT_CONTACTS.names))
    contacts = context.attached(TEXT_CONTACTS.name)
    customers = summaries.by_customer(known, contacts).select(*CUSTOMER_TEXTS.names)
    _write(context, CUSTOMER_TEXTS, customers)
    _write_steps(context, known, contacts, settings)
    unread = found.filter(found.column("topic").is_null()).num_rows
    facts["notes"] = [f"{unread} of {texts.num_rows} distinct texts could not be read: see reason."] if unread else []


def _write(context: Context, mart: Table, rows: Any) -> None:
    context.builder.write_rows(mart.name, to_contract(mart, context.engine.arrow(rows)))


def _write_steps(context: Context, known: Any, contacts: Any, settings: TextSettings) -> None:
    """Write the steps; an empty table where the run made no journeys."""
    if context.wrote("journey_stages"):
        sums = context.engine.arrow(summaries.by_step(context.attached("journey_stages"), known, contacts, settings))
        rows = to_contract(STEP_FEELINGS, summaries.means(sums, settings))
    else:
        rows = empty(STEP_FEELINGS)
    context.builder.write_rows(STEP_FEELINGS.name, rows)


STAGE: Final = Stage(name="texts", write=write, marts=MARTS, needs_tables=("interactions",))
