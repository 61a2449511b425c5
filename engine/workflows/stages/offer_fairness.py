"""Whom each product is offered to, group by group, and which products are held back for it.

The screening is that of the credit process: a group's offer rate against the highest one, four fifths as a screening
figure, groups too small not judged. A difference counts as explained where the groups whom law, risk and the product
itself let pass are offered it alike; what is left is corrected for all products and groups that were looked at.

With `fairness = "report"` the offers of the run are counted while they are written. With "refuse" everybody is decided
twice: once to count, then again with the products held back whose difference between groups of `fairness_attributes` is
neither explained nor chance; the figures are those of the first time. Holding one product back moves others up for some
customers, so a difference may arise that was not there before; it is looked at in the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.risk import RiskSettings
from engine.config.risk_oversight import FairnessSettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.domain.fairness_marts import OFFER_FAIRNESS
from engine.lake.schema import arrow_schema, to_contract
from engine.numerics import multiplicity
from engine.recommendations import columns, fairness
from engine.recommendations.fairness import GroupCounts
from engine.recommendations.recommend import Prepared
from engine.risk.fairness import age_bands, screen
from engine.risk.fairness_figures import Figure
from engine.risk.fairness_words import attribute_name, group_name
from engine.workflows.stages.context import Context

UNEXPLAINED: Final = "unexplained"
_SAID: Final = {
    UNEXPLAINED: (
        "beyond chance and not explained by what law and risk demand",
        "超出偶然，且无法由法规与风险要求解释",
    ),
    "may_be_chance": ("it may be chance", "可能出于偶然"),
    "explained": ("explained by what law and risk demand", "可由法规与风险要求解释"),
    "pass": ("not below the screening figure", "不低于筛查标准"),
    "reference": ("the group that others are compared with", "作为比较基准"),
    "insufficient": ("too few customers to judge from", "客户过少，不作判断"),
    "not_assessable": (
        "not assessable: too few are eligible, or nobody was offered it",
        "无法评估：符合条件者过少，或无人获推荐",
    ),
}


@dataclass(slots=True, kw_only=True)
class OfferFairness:
    """The counts of a run's offers by group, added up block by block.

    `decisive` are the attributes for which products are held back; `measured` says that the counts were made before.
    """

    settings: FairnessSettings
    products: tuple[str, ...]
    counts: GroupCounts | None = None
    decisive: tuple[str, ...] = ()
    measured: bool = False

    def add(self, counts: GroupCounts | None) -> None:
        """Count a block; where products were held back for counts made before, these stand."""
        if counts is not None and not self.measured:
            self.counts = counts if self.counts is None else self.counts + counts

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the mart offer_fairness."""
        counts = self.counts
        return [] if counts is None else list(judged(counts, self.products, self.settings, self.decisive))

    def table(self) -> pa.Table:
        """Return the mart offer_fairness; no rows where no group is known."""
        return to_contract(OFFER_FAIRNESS, pa.Table.from_pylist(self.rows(), schema=arrow_schema(OFFER_FAIRNESS)))

    def notes(self) -> list[str]:
        """Return a sentence for the products that need a look, if there are any."""
        rows = [row for row in self.rows() if row["verdict"] == UNEXPLAINED]
        held = ", ".join(sorted({row["product_id"] for row in rows if row["held_back"]}))
        reported = sorted({(row["attribute"], row["product_id"]) for row in rows if not row["held_back"]})
        many = Counter(attribute for attribute, _ in reported)
        told = ", ".join(f"of {count} products by {attribute}" for attribute, count in many.items())
        return [
            *([f"fairness: held back from everybody until a person has looked: {held}."] if held else []),
            *([f"fairness: offers {told} differ beyond chance, unexplained: see offer_fairness."] if told else []),
        ]


def before(context: Context, prepared: Prepared) -> tuple[Prepared, OfferFairness]:
    """Return what is prepared with its customers' groups, and products held back where the policy refuses."""
    settings, policy = context.settings(RiskSettings, "risk").fairness, prepared.bundle.settings.gates
    base = prepared.base
    prepared = prepared.among(groups(context.engine, context.tables, base.customer_ids, base.ages, settings))
    products = prepared.bundle.catalogue.product_ids
    fair = OfferFairness(settings=settings, products=products)
    if policy.fairness == "refuse":
        _check(policy.fairness_attributes, prepared)
        fair.decisive, fair.counts, fair.measured = policy.fairness_attributes, prepared.offers_by_group(), True
        held = [row["product_id"] for row in fair.rows() if row["held_back"]]
        prepared = prepared.holding_back(np.isin(np.array(products), held))
    return prepared, fair


def _check(decisive: tuple[str, ...], prepared: Prepared) -> None:
    known = () if prepared.groups is None else tuple(prepared.groups.names)
    told = [
        f"gates.fairness_attributes: {UnknownName('attribute that groups are compared by', name, known).sentence} "
        "Name it in [risk.fairness] attributes too, with a column of that name in customers, or take it out."
        for name in decisive
        if name not in known
    ]
    if told:
        raise SettingsFault("recommendations settings", told)


def groups(
    engine: Any, tables: dict[str, Any], customer_ids: pa.Array, ages: columns.Floats, settings: FairnessSettings
) -> fairness.Groups:
    """Return the protected groups of customers in their order; whom the table customers lacks is not recorded."""
    customers = tables["customers"]
    recorded = [name for name in settings.attributes if name in customers.columns]
    rows = columns.aligned(engine.arrow(customers.select("customer_id", *recorded)), customer_ids)
    found = {name: rows[name] for name in recorded}
    if "age_band" in settings.attributes:
        found["age_band"] = pa.array(age_bands(ages, settings))
    return fairness.groups_of(found)


def judged(
    counts: GroupCounts, products: tuple[str, ...], settings: FairnessSettings, decisive: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    """Return a row for every product and group, with its verdict; `decisive` attributes hold a product back."""
    for attribute, names in counts.names.items():
        cells = list(_screened(counts, attribute, len(products), settings))
        p_values = [
            np.nan if among.p_value is None or whole.verdict != "below" else among.p_value for _, whole, among in cells
        ]
        for (place, whole, among), adjusted in zip(cells, multiplicity.holm(p_values), strict=True):
            product, group = divmod(place, len(names))
            verdict = _verdict(whole, among, float(adjusted), settings)
            row = {
                "product_id": products[product],
                "attribute": attribute,
                "group": names[group],
                "verdict": verdict,
                "held_back": verdict == UNEXPLAINED and attribute in decisive,
            }
            if verdict != "suppressed":
                row |= _figures(whole, among) | {
                    "customers": int(counts.customers[attribute][group]),
                    "eligible": int(counts.eligible[attribute][group, product]),
                    "offered_customers": int(counts.offered[attribute][group, product]),
                    "adjusted_p_value": None if np.isnan(adjusted) else float(adjusted),
                }
            yield row | _told(row, settings)


def _screened(
    counts: GroupCounts, attribute: str, products: int, settings: FairnessSettings
) -> Iterator[tuple[int, Figure, Figure]]:
    """Return for every product and group the screening of all customers and that of the eligible alone."""
    names = counts.names[attribute]
    customers = dict(zip(names, map(int, counts.customers[attribute]), strict=True))
    for product in range(products):
        offered = dict(zip(names, map(int, counts.offered[attribute][:, product]), strict=True))
        eligible = dict(zip(names, map(int, counts.eligible[attribute][:, product]), strict=True))
        whole, among = screen(offered, customers, settings), screen(offered, eligible, settings)
        for group in range(len(names)):
            yield product * len(names) + group, whole[group], among[group]


def _verdict(whole: Figure, among: Figure, adjusted: float, settings: FairnessSettings) -> str:
    if whole.verdict != "below":
        return whole.verdict
    if among.verdict != "below":
        return "explained" if among.verdict in ("pass", "reference") else "not_assessable"
    return UNEXPLAINED if adjusted < settings.significance else "may_be_chance"


def _figures(whole: Figure, among: Figure) -> dict[str, Any]:
    return {
        "offer_rate": whole.value,
        "reference": whole.reference,
        "ratio": whole.ratio,
        "ratio_lower": whole.ratio_lower,
        "ratio_upper": whole.ratio_upper,
        "eligible_ratio": among.ratio,
        "eligible_reference": among.reference,
    }


def _told(row: dict[str, Any], settings: FairnessSettings) -> dict[str, str]:
    who, who_zh = group_name(row["group"])
    of, of_zh = attribute_name(row["attribute"])
    if row["verdict"] == "suppressed":
        few = settings.smallest_shown
        return {
            "text": f"{of}, {who}: not shown, fewer than {few} customers.",
            "text_zh": f"{of_zh}「{who_zh}」：不显示，不足 {few} 位客户。",
        }
    rate = "—" if row["offer_rate"] is None else f"{row['offer_rate']:.2%}"
    text = f"{of}, {who}: offered to {rate}"
    text_zh = f"{of_zh}「{who_zh}」：推荐率 {rate}"
    if row["ratio"] is not None:
        other, other_zh = group_name(row["reference"])
        text += f", {row['ratio']:.2f} of the rate of {other}"
        text_zh += f"，为「{other_zh}」的 {row['ratio']:.2f}"
        if row["eligible_ratio"] is not None:
            text += f", {row['eligible_ratio']:.2f} among the eligible"
            text_zh += f"，符合条件者中为 {row['eligible_ratio']:.2f}"
    said, said_zh = _SAID[row["verdict"]]
    held, held_zh = (" Held back for review.", "已暂停，待复核。") if row["held_back"] else ("", "")
    return {"text": f"{text}: {said}.{held}", "text_zh": f"{text_zh}：{said_zh}。{held_zh}"}
