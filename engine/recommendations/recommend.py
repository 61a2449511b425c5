"""From the bank at some instants to decisions for every customer, a block at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.catalogue import CatalogueSettings
from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import NotEnoughData
from engine.recommendations import (
    channels,
    contact,
    explain,
    fairness,
    frame,
    households,
    interest,
    ledger,
    offers,
    race,
    rules,
)
from engine.recommendations import grouping as groups
from engine.recommendations import panel as panels
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import DecisionTable, control_rows, decide, decision_rows, recommendation_rows
from engine.recommendations.explore import Evidence
from engine.recommendations.gate_counts import GateCounts
from engine.recommendations.grouping import Grouping
from engine.recommendations.households import NOBODY, Withheld
from engine.recommendations.inputs import Inputs
from engine.recommendations.products import Catalogue

_NAMED: Final = 5  # unknown products that a note names


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockResult:
    """One block decided: rows of the run's tables, `inputs` those of decision_inputs, and what the gates refused.

    `by_group` counts the offers by protected group, where groups are known.
    """

    recommendations: pa.Table
    decisions: pa.Table
    control: pa.Table
    inputs: pa.Table
    counts: GateCounts
    by_group: fairness.GroupCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Models fitted and judged, customers aligned: ready to decide, block by block, in the order of customer ids.

    `models`, `rules` and `responses` are the marts recommendation_models, product_rules and channel_responses.
    `withheld` are the customers who give way to others of their household; `allotted`, shape (n, P), the pairs that
    limits on all offers together let through, None without limits. `groups` are the customers' protected groups, to
    count by; no decision sees them.
    """

    bundle: Bundle
    models: pa.Table
    rules: pa.Table
    responses: pa.Table
    notes: tuple[str, ...]
    base: frame.Base
    withheld: Withheld = NOBODY
    allotted: frame.Flags | None = None
    groups: fairness.Groups | None = None

    def decision_blocks(self) -> Iterator[frame.DecisionBlock]:
        """Return the customers as blocks."""
        return blocks_of(self.base, self.bundle)

    def blocks(self) -> Iterator[BlockResult]:
        """Decide for all customers and return the rows block by block; blocks follow each other in key order."""
        digest, begins = self.bundle.digest(), 0
        withheld, products = self.withheld.flags(self.base.size), self.bundle.catalogue.size
        for block in self.decision_blocks():
            ends = begins + len(block.customer_ids)
            allotted = None if self.allotted is None else self.allotted[begins:ends]
            if (gives_way := withheld[begins:ends]).any():
                everything = np.ones((len(gives_way), products), dtype=bool) if allotted is None else allotted
                allotted = everything & ~gives_way[:, None]
            table = decide(block, self.bundle, allotted)
            counted = None
            if self.groups is not None:
                counted = fairness.count(self.groups.rows(slice(begins, ends)), table.masks, table.rank)
            yield replace(rows_of(block, table, self.bundle, digest), by_group=counted)
            begins = ends

    def among(self, groups: fairness.Groups) -> Prepared:
        """Return the same with the customers' protected groups, in the order of the base."""
        return replace(self, groups=groups)

    def offers_by_group(self) -> fairness.GroupCounts | None:
        """Count whom each product would be offered, group by group; None without groups, or without customers."""
        if self.groups is None:
            return None
        total, begins = None, 0
        for block in self.decision_blocks():
            table = decide(block, self.bundle)
            part = self.groups.rows(slice(begins, begins + block.size))
            counted = fairness.count(part, table.masks, table.rank)
            total, begins = counted if total is None else total + counted, begins + block.size
        return total

    def holding_back(self, products: frame.Flags) -> Prepared:
        """Return the same with some products, shape (P,), held back from everybody for review."""
        bundle = replace(self.bundle, catalogue=replace(self.bundle.catalogue, under_review=products))
        # what is held back may be what a member of a household was contacted for
        return replace(self, bundle=bundle, withheld=households.resolve(self.base, bundle))


def recommend(
    *,
    now: Inputs,
    past: Inputs,
    earlier: Inputs | None,
    older: Sequence[Inputs] = (),
    risk: pa.Table | None,
    gate: pa.Table | None,
    credit: pa.Table | None = None,
    treatments: pa.Table | None = None,
    products: pa.Table,
    settings: RecommendationSettings,
    seed: int,
    offered: CatalogueSettings | None = None,
    chosen_between: Sequence[Sequence[str]] = (),
    meanings: Mapping[str, tuple[str, str]] | None = None,
    learn_from: Collection[str] | None = None,
) -> Prepared:
    """Fit and judge the models, choose one, and make ready to decide for every customer of `now`.

    Parameters
    ----------
    now, past, earlier : the bank at as_of, one horizon before, and two horizons before. `past` and `earlier` may hold
        a sample of the customers. Without `earlier` the logistic model cannot be judged, so it is not used.
    older : the bank at further instants, each one horizon before the one in front of it, the newest first: more
        windows to learn from where one has few openings.
    risk : the mart risk as of now; None when there is no signal, so that the value of credit is unknown.
    gate : the mart risk_gate as of now; None when risk gave no answer, and nothing at all is offered then.
    credit : the mart credit_decisions as of now: the price and limit of each family; without it credit has the
        catalogue's terms.
    treatments : the mart risk_treatments as of now; None when risk chose none, and nothing at all is offered then.
    products : the curated table products.
    offered : the bank's offers and levers; without any each product is its own offer.
    chosen_between : products that customers choose between, such as those of one journey; none: those of a family.
    meanings : English and Chinese meaning of each feature, for the reasons given.
    learn_from : names of the features that models may see; None for every number in the table.

    Raises
    ------
    NotEnoughData
        The bank sells nothing or has no customers, or nobody opened anything in the last window.
    LabelsInFeatures
        The instants do not lie one horizon apart.
    SettingsFault
        Offers or levers do not fit the products: see `offers.catalogue`.
    """
    if products.num_rows == 0 or now.profile.num_rows == 0:
        raise NotEnoughData(
            "recommendations",
            f"{products.num_rows} products, {now.profile.num_rows} customers",
            "at least one product and one customer",
        )
    catalogue = offers.catalogue(products, now.as_of, settings, offered or CatalogueSettings())
    features = panels.model_features(now.features, settings.training.excluded_features, learn_from)
    instants = [past, *([] if earlier is None else [earlier, *older])]
    grouping = groups.learn(now.features, settings.training)
    together = interest.labels(catalogue.product_ids, catalogue.families, chosen_between)

    def panel(before: Inputs, after: Inputs) -> panels.Panel:
        return panels.build(
            before,
            after,
            catalogue,
            features=features,
            settings=settings,
            seed=seed,
            grouping=grouping,
            together=together,
        )

    trainer = race.Trainer(product_ids=catalogue.product_ids, features=features, settings=settings, seed=seed)
    latest = panel(past, now)
    before = [panel(first, second) for second, first in pairwise(instants)]
    everything = panels.joined([latest, *before][: _windows_to_learn(latest, before, settings)])
    raced = race.run(latest, panels.joined(before) if before else None, trainer, everything)
    base = frame.align(
        now,
        catalogue.product_ids,
        grouping=grouping,
        together=together,
        risk=risk,
        gate=gate,
        decided=credit,
        treatments=treatments,
    )
    told = tuple(settings.contact_cost_minor), catalogue.families
    learned = channels.learn(now.responses, *told, settings.responses)
    spoken = explain.phrases(
        raced.winner.ranker.term_names, catalogue, meanings or {}, settings.training.unspoken_features
    )
    bundle = Bundle(
        as_of=now.as_of,
        catalogue=catalogue,
        settings=settings,
        fitted=raced.winner,
        features=features,
        phrases=spoken,
        grouping=grouping,
        evidence=_evidence(everything, settings, seed),
        responses=learned,
    )
    return Prepared(
        bundle=bundle,
        models=raced.models,
        rules=rules.find(base.owned, catalogue.product_ids, settings.candidates, seed),
        responses=channels.rows_of(now.responses, learned, *told),
        notes=raced.notes
        + _notes(risk, gate, grouping)
        + _silences(now.profile, settings)
        + channels.notes(now.responses, learned, settings.responses)
        + _untreated(treatments)
        + _unknown_holdings(now.holdings, catalogue),
        base=base,
        withheld=households.resolve(base, bundle),
    )


def _windows_to_learn(latest: panels.Panel, before: Sequence[panels.Panel], settings: RecommendationSettings) -> int:
    """Return how many windows, the newest first, hold no more rows together than models are to learn from."""
    rows = np.cumsum([window.view.size for window in (latest, *before)])
    return max(int(np.searchsorted(rows, settings.training.sample, side="right")), 1)


def _evidence(learned: panels.Panel, settings: RecommendationSettings, seed: int) -> Evidence | None:
    """Return what draws rest on: what the models learned from."""
    if not settings.exploration.draws:
        return None
    cases, positives = (part.sum(axis=0).astype(np.float64) for part in (learned.eligible, learned.labels))
    return Evidence(seed=seed, cases=cases, positives=positives)


def _notes(risk: pa.Table | None, gate: pa.Table | None, grouping: Grouping) -> tuple[str, ...]:
    notes = []
    if gate is None:
        notes.append("No answer of the risk gate: nothing is offered to anybody.")
    if risk is None:
        notes.append("No risk signal: all credit is refused.")
    if not grouping.edges:
        notes.append(f"Groups are decades of age alone: too few customers have the feature {grouping.feature}.")
    return tuple(notes)


def _untreated(treatments: pa.Table | None) -> tuple[str, ...]:
    return () if treatments is not None else ("No treatments of risk: nothing is offered to anybody.",)


def _unknown_holdings(holdings: pa.Table, catalogue: Catalogue) -> tuple[str, ...]:
    """Say which holdings are of products that the bank's table of products does not have."""
    strange = pc.invert(pc.is_in(holdings["product_id"], value_set=pa.array(catalogue.product_ids, pa.string())))
    unknown = holdings["product_id"].filter(strange)
    if len(unknown) == 0:
        return ()
    names = sorted(str(name) for name in pc.unique(unknown).to_pylist())
    told = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return (
        f"{len(unknown):,} holdings are of products that the table products does not have ({told}): they are passed "
        "over, so no rule sees that they are held. Add these products, with sold_until in the past if none is sold.",
    )


def _silences(profile: pa.Table, settings: RecommendationSettings) -> tuple[str, ...]:
    """Say which history of contacts is missing, so that nobody may be contacted."""
    asked = settings.contact.quiet_after_complaint_days > 0
    missing = {
        contact.CONTACTS: ("earlier contacts", pc.all(pc.is_null(profile["unanswered"])).as_py()),
        contact.COMPLAINTS: ("complaints", asked and not pc.any(profile["complaints_known"]).as_py()),
    }
    return tuple(
        f"No record of {what}, so nothing is offered to anybody: load the table {table}, or name it under "
        "[recommendations.assumptions] empty_histories if there were none."
        for table, (what, absent) in missing.items()
        if absent
    )


def blocks_of(base: frame.Base, bundle: Bundle) -> Iterator[frame.DecisionBlock]:
    """Cut aligned customers into the blocks that a bundle decides."""
    return frame.blocks(base, bundle.features, bundle.settings, bundle.settings.block_customers)


def rows_of(block: frame.DecisionBlock, table: DecisionTable, bundle: Bundle, digest: str) -> BlockResult:
    """Return the rows of the marts that a decided block makes."""
    return BlockResult(
        recommendations=recommendation_rows(table, bundle, digest),
        decisions=decision_rows(table, bundle),
        control=control_rows(table, bundle),
        inputs=ledger.input_rows(block),
        counts=table.counts,
    )
