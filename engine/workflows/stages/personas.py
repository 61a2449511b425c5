"""Personas: a portrait of every behavioural cluster out of all that the run knows of its customers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.journeys import Journeys
from engine.config.personas import PersonaSettings
from engine.domain.errors import NotEnoughData
from engine.domain.persona_marts import PERSONA_FACTS, PERSONAS
from engine.domain.schema import Kind
from engine.features.table import FEATURES
from engine.lake.schema import arrow_schema, to_contract
from engine.numerics.ratios import or_none
from engine.recommendations import columns, inputs
from engine.segments import personas
from engine.segments.personas import Fact, Floats, Labels, Measure
from engine.workflows.stages.context import Context, Stage

MARTS: Final = (PERSONAS.name, PERSONA_FACTS.name)
_WRITTEN: Final[dict[Kind, Literal["money", "percent"]]] = {Kind.MONEY: "money", Kind.SHARE: "percent"}
_RISK_TIERS: Final = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """What measures are taken from: the customers in one order, their clusters, and the bank's own names."""

    context: Context
    settings: PersonaSettings
    ids: pa.Array
    labels: Labels

    def word(self, value: str) -> tuple[str, str]:
        """Return what a value is called; itself where the settings have no word."""
        english, chinese = self.settings.words.get(value, (value, value))
        return english, chinese

    def feature(self, name: str) -> Any:
        """Return a feature of the customers; None where the bank cannot give it."""
        if name not in self.context.columns("features"):
            return None
        rows = columns.aligned(self.context.rows("features", ["customer_id", name]), self.ids)
        return rows[name] if rows[name].null_count < len(rows[name]) else None

    def places(self, rows: pa.Table) -> Labels:
        """Return the place of the customer of every row, -1 for one who is not among them."""
        return columns.places(columns.plain(rows["customer_id"]), self.ids)

    def marked(self, places: Labels, chosen: Any) -> Floats:
        """Return 1 for every customer with a row that is chosen, 0 for the others; `places` are those of the rows."""
        found, named = np.zeros(len(self.ids)), places[columns.flags(chosen)]
        found[named[named >= 0]] = 1.0
        return found


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the portraits and the figures behind them."""
    settings = context.settings(PersonaSettings, "personas")
    members = context.rows("segments", ["customer_id", "cluster_id", "cluster_name", "cluster_name_zh"])
    labels = columns.values(members["cluster_id"], -1).astype(np.int64)
    if labels.max(initial=-1) < 0:
        raise NotEnoughData("personas", "no customer with a behavioural cluster", "clusters")
    sources = _Sources(context=context, settings=settings, ids=columns.plain(members["customer_id"]), labels=labels)
    found = personas.facts(labels, _measures(sources), settings, context.bank.base_currency)
    sizes = np.bincount(labels[labels >= 0]).tolist()
    names = _names(members)
    rows = [
        {
            "cluster_id": one.cluster,
            "cluster_name": names[one.cluster][0],
            "cluster_name_zh": names[one.cluster][1],
            "customers": sizes[one.cluster],
            "portrait": one.portrait[0],
            "portrait_zh": one.portrait[1],
            "approach": one.approach[0],
            "approach_zh": one.approach[1],
        }
        for one in personas.portraits(found, sizes, settings)
    ]
    context.builder.write_rows(PERSONAS.name, to_contract(PERSONAS, pa.Table.from_pylist(rows, arrow_schema(PERSONAS))))
    context.builder.write_rows(PERSONA_FACTS.name, _rows(found))
    facts["notes"] = []


def _names(members: pa.Table) -> dict[int, tuple[str, str]]:
    named = members.select(["cluster_id", "cluster_name", "cluster_name_zh"]).group_by(
        ["cluster_id", "cluster_name", "cluster_name_zh"]
    )
    return {
        row["cluster_id"]: (row["cluster_name"], row["cluster_name_zh"])
        for row in named.aggregate([]).to_pylist()
        if row["cluster_id"] is not None
    }


def _rows(found: list[Fact]) -> pa.Table:
    rows = [
        {
            "cluster_id": one.cluster,
            "kind": one.kind,
            "subject": one.subject,
            "inside": or_none(one.inside),
            "outside": or_none(one.outside),
            "known_inside": one.known_inside,
            "known_outside": one.known_outside,
            "effect_size": or_none(one.effect),
            "lower": or_none(one.lower),
            "upper": or_none(one.upper),
            "told": one.told,
            "text": one.text[0],
            "text_zh": one.text[1],
        }
        for one in found
    ]
    rows.sort(key=lambda row: (row["cluster_id"], row["kind"], row["subject"]))
    return to_contract(PERSONA_FACTS, pa.Table.from_pylist(rows, arrow_schema(PERSONA_FACTS)))


def _measures(sources: _Sources) -> Iterator[Measure]:
    """Yield one measure after the other: one column of all customers is in memory at a time."""
    yield from _of_features(sources)
    yield from _of_work(sources)
    yield from _of_products(sources)
    yield from _of_channels(sources)
    yield from _of_journeys(sources)
    yield from _of_risk(sources)


def _of_features(sources: _Sources) -> Iterator[Measure]:
    for kind, names in (("life", sources.settings.life), ("behaviour", sources.settings.behaviours)):
        for name in names:
            values = sources.feature(name)
            if values is None:
                continue
            feature = FEATURES[name]
            # what follows the first clause tells when the feature is empty
            said, said_zh = feature.meaning.split(";")[0], feature.meaning_zh.split("，")[0]
            yield Measure(
                kind=kind,
                subject=name,
                text=(
                    f"{said[0].upper()}{said[1:]}: {{inside}} on average, {{outside}} for everyone else.",
                    f"{said_zh}：平均{{inside}}，其余客户{{outside}}。",
                ),
                values=columns.values(values, np.nan),
                written=_WRITTEN.get(feature.kind, "number"),
            )


def _of_work(sources: _Sources) -> Iterator[Measure]:
    name = sources.settings.employment
    values = sources.feature(name) if name else None
    if values is None:
        return
    known = columns.known(values)
    for value in sorted(word for word in pc.unique(values).to_pylist() if word is not None):
        english, chinese = sources.word(value)
        yield Measure(
            kind="life",
            subject=f"{name}: {value}",
            text=(
                f"{{inside}} are {english}, {{outside}} of everyone else.",
                f"{{inside}}为{chinese}，其余客户{{outside}}。",
            ),
            values=np.where(known, columns.flags(pc.equal(values, value)), np.nan),
            is_share=True,
        )


def _of_products(sources: _Sources) -> Iterator[Measure]:
    context = sources.context
    if "holdings" not in context.tables or "products" not in context.tables:
        return
    held = context.engine.arrow(inputs.holdings(context.tables, context.as_of).select("customer_id", "product_id"))
    sold = context.engine.arrow(context.tables["products"].select("product_id", "name_en", "name_zh"))
    names = {row["product_id"]: (row["name_en"], row["name_zh"] or row["name_en"]) for row in sold.to_pylist()}
    places = sources.places(held)
    for product, (english, chinese) in sorted(names.items()):
        yield Measure(
            kind="product",
            subject=product,
            text=(
                f"{{inside}} hold {english}, {{outside}} of everyone else.",
                f"{{inside}}持有{chinese}，其余客户{{outside}}。",
            ),
            values=sources.marked(places, pc.equal(held["product_id"], product)),
            is_share=True,
        )
    yield from _of_offers(sources, names)


def _of_offers(sources: _Sources, names: dict[str, tuple[str, str]]) -> Iterator[Measure]:
    context = sources.context
    if not context.wrote("recommendations"):
        return
    offers = context.rows("recommendations", ["customer_id", "rank", "product_id"])
    first = offers.filter(pc.equal(offers["rank"], 1))
    places = sources.places(first)
    for product in sorted(pc.unique(first["product_id"]).to_pylist()):
        english, chinese = names[product]
        yield Measure(
            kind="offer",
            subject=product,
            text=(
                f"The first offer to {{inside}} of them is {english}, to {{outside}} of everyone else.",
                f"{{inside}}的首选推荐为{chinese}，其余客户{{outside}}。",
            ),
            values=sources.marked(places, pc.equal(first["product_id"], product)),
            is_share=True,
        )


def _of_channels(sources: _Sources) -> Iterator[Measure]:
    counts = {channel: sources.feature(name) for channel, name in sorted(sources.settings.channels.items())}
    known = {channel: columns.values(values, 0.0) for channel, values in counts.items() if values is not None}
    if len(known) < 2:
        return
    table = np.column_stack(list(known.values()))
    used, most = table.max(axis=1) > 0, table.argmax(axis=1)
    for place, channel in enumerate(known):
        english, chinese = sources.word(channel)
        yield Measure(
            kind="channel",
            subject=channel,
            text=(
                f"{{inside}} of those who came in 90 days use {english} most, {{outside}} of everyone else.",
                f"近90天有往来者中{{inside}}最常用{chinese}，其余客户{{outside}}。",
            ),
            values=np.where(used, most == place, np.nan),
            is_share=True,
        )


def _of_journeys(sources: _Sources) -> Iterator[Measure]:
    context = sources.context
    if not context.wrote("journey_stages"):
        return
    stages = context.rows("journey_stages", ["customer_id", "journey", "status"])
    places = sources.places(stages)
    said = (
        ("in_progress", "are under way in", "正处于", "之中"),
        ("dropped", "dropped out of", "曾中途退出", ""),
    )
    for journey in sorted(context.settings(Journeys, "journeys").journeys, key=lambda one: one.journey):
        own = pc.equal(stages["journey"], journey.journey)
        chinese = journey.name_zh or journey.name_en
        for status, english, before, after in said:
            yield Measure(
                kind="journey",
                subject=f"{journey.journey}: {status}",
                text=(
                    f"{{inside}} {english} the journey {journey.name_en}, {{outside}} of everyone else.",
                    f"{{inside}}{before}旅程“{chinese}”{after}，其余客户{{outside}}。",
                ),
                values=sources.marked(places, pc.and_(own, pc.equal(stages["status"], status))),
                is_share=True,
            )


def _of_risk(sources: _Sources) -> Iterator[Measure]:
    if not sources.context.wrote("risk"):
        return
    tiers = columns.aligned(sources.context.rows("risk", ["customer_id", "risk_tier"]), sources.ids)["risk_tier"]
    known = columns.flags(pc.is_in(tiers, value_set=pa.array(_RISK_TIERS)))
    for tier in _RISK_TIERS:
        english, chinese = sources.word(tier)
        yield Measure(
            kind="risk",
            subject=tier,
            text=(
                f"{{inside}} of those whose risk is known are of {english} risk, {{outside}} of everyone else.",
                f"风险已知者中{{inside}}为{chinese}风险，其余客户{{outside}}。",
            ),
            values=np.where(known, columns.flags(pc.equal(tiers, tier)), np.nan),
            is_share=True,
        )


STAGE = Stage(name="personas", write=write, marts=MARTS, needs_marts=("segments", "features"))
