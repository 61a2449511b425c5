"""Try a policy on a run before it goes live: what would reach whom, at what worth, and who gains and who loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import RiskSettings
from engine.config.risk_oversight import FairnessSettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.numerics.ratios import or_none
from engine.recommendations import columns, fairness, simulation, tracks
from engine.recommendations.bundle import Bundle
from engine.recommendations.fairness import Groups
from engine.recommendations.gates import GATES
from engine.recommendations.products import Catalogue
from engine.recommendations.sensitivity import FACTORS
from engine.recommendations.simulation import MOVES, Comparison, Reached
from engine.risk.fairness_words import attribute_name, group_name
from engine.workflows import frozen, kept_decisions, policy_changes, session
from engine.workflows.stages.offer_fairness import groups as protected_groups

_BLOCK: Final = 50_000
_READ: Final = ("features", "credit_decisions", kept_decisions.LOOKED_AT)
_PRICED: Final = (
    "The run held all offers together to limits: both policies are charged its shadow prices, and neither is repaired "
    "to hold the limits to the last offer."
)
_SHARED: Final = "In the run some of a household gave way to others within its caps; both policies leave that out."
_DRAWN: Final = "The run draws offers: both policies draw with the same numbers, so that only the policy differs."

Progress = Callable[[int, int], None]
"""Called with how many customers are done and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is set otherwise than in the run, under [recommendations], and what to call it in a fault."""

    values: Mapping[str, Any]
    source: str

    @classmethod
    def of_file(cls, path: Path) -> Policy:
        """Return the policy of a file; raises SettingsFault."""
        return cls(values=policy_changes.read(path), source=path.name)


def simulate(
    home: Path,
    policy: Policy,
    *,
    against: Policy | None = None,
    run_id: str | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Decide every customer of a run under two policies and return both and what lies between them.

    The first policy is the run's own, or `against`. Nothing is written. Amounts are minor units of the base currency;
    what is undefined is None.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing, CheckFailed, BundleOfAnotherVersion
        As for a replay: the run must be whole.
    SettingsFault
        A policy is wrong, cannot be tried on a run, or changes nothing.
    NotEnoughData
        The run decided for nobody.
    """
    workspace = session.workspace_at(home)
    run, own = kept_decisions.opened(workspace, run_id, marts=_READ)
    before = own if against is None else policy_changes.under(own, against.values, against.source)
    after = policy_changes.under(own, policy.values, policy.source)
    changes = tuple(policy_changes.changes(before.settings, after.settings))
    if not changes:
        told = (
            "it changes nothing: every value is that of the policy it is compared with. Write what should be otherwise."
        )
        raise SettingsFault(policy.source, [told])
    settings = session.settings(workspace, RiskSettings, "risk").fairness
    ids, protected, segments = _groups(workspace, run, settings)
    if not len(ids):
        raise NotEnoughData("simulation", "the run decided for no customer", "a run with customers")
    found = simulation.compare(
        frozen.blocks(run, own, min(_BLOCK, own.settings.block_customers)),
        before,
        after,
        protected=protected,
        breakdowns=segments,
        progress=None if progress is None else lambda done: progress(done, len(ids)),
    )
    return {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "policy": policy.source,
        "against": "the run's own" if against is None else against.source,
        "changes": [asdict(one) for one in changes],
        **_told(found, before, settings),
        "notes": _notes(run, own),
    }


def _notes(run: Run, bundle: Bundle) -> list[str]:
    gave_way = run.has("withheld_contacts") and run.read("withheld_contacts", limit=1).num_rows > 0
    holds = ((_PRICED, bundle.prices is not None), (_DRAWN, bundle.evidence is not None), (_SHARED, gave_way))
    return [note for note, known in holds if known]


def _groups(workspace: Workspace, run: Run, settings: FairnessSettings) -> tuple[pa.Array, Groups, Groups]:
    """Return the customers, their protected groups as loaded now, and their segments, in the order of the blocks."""
    known = run.read(kept_decisions.LOOKED_AT, columns=["customer_id", "age"])
    ids, ages = columns.plain(known["customer_id"]), columns.values(known["age"], np.nan)
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        protected = protected_groups(engine, tables, ids, ages, settings)
    named = {}
    if run.has("segments"):
        rows = columns.aligned(run.read("segments", columns=["customer_id", "cluster_id"]), ids)
        named["cluster"] = pc.fill_null(pc.cast(rows["cluster_id"], pa.string()), "none")
    return ids, protected, fairness.groups_of(named)


def _told(found: Comparison, bundle: Bundle, settings: FairnessSettings) -> dict[str, Any]:
    before, after = found.before, found.after
    assert before is not None
    assert after is not None
    catalogue, channels = bundle.catalogue, tuple(bundle.settings.contact_cost_minor)
    return {
        "customers": before.customers,
        "totals": [_total(name, *ends) for name, ends in _totals(before, after).items()],
        "gates": _gates(before, after),
        "products": _products(before, after, catalogue),
        "channels": _counted("channel", channels, before.channels, after.channels),
        "tracks": _tracks(before, after),
        "bias": list(_bias(before, after, catalogue, settings)),
        "moves": _moves(found),
        "sensitivity": _sensitivity(before, after),
        "under_served": _under_served(found),
    }


def _totals(before: Reached, after: Reached) -> dict[str, tuple[float, float]]:
    def both(of: Callable[[Reached], float]) -> tuple[float, float]:
        return of(before), of(after)

    return {
        "customers_reached": both(lambda one: one.reached),
        "offers": both(lambda one: int(one.offers.sum())),
        "pairs_passed": both(lambda one: one.gates.passed),
        "expected_value_minor": both(lambda one: int(one.value.sum())),
        "expected_loss_minor": both(lambda one: round(float(one.loss.sum()))),
    }


def _total(name: str, before: float, after: float) -> dict[str, Any]:
    change = or_none(simulation.change_of(before, after))
    return {"measure": name, "before": before, "after": after, "change": after - before, "change_share": change}


def _gates(before: Reached, after: Reached) -> list[dict[str, Any]]:
    return [
        {
            "gate": gate.name,
            "kind": gate.kind,
            "text_en": gate.text_en,
            "text_zh": gate.text_zh,
            "refused_before": int(before.gates.pairs[bit]),
            "refused_after": int(after.gates.pairs[bit]),
            "change": int(after.gates.pairs[bit] - before.gates.pairs[bit]),
            "alone_before": int(before.gates.only[bit]),
            "alone_after": int(after.gates.only[bit]),
            "customers_before": int(before.gates.customers[bit]),
            "customers_after": int(after.gates.customers[bit]),
        }
        for bit, gate in enumerate(GATES)
    ]


def _products(before: Reached, after: Reached, catalogue: Catalogue) -> list[dict[str, Any]]:
    return [
        {
            "product_id": product,
            "offers_before": int(before.offers[place]),
            "offers_after": int(after.offers[place]),
            "first_before": int(before.first[place]),
            "first_after": int(after.first[place]),
            "expected_value_before_minor": int(before.value[place]),
            "expected_value_after_minor": int(after.value[place]),
            "expected_loss_before_minor": round(float(before.loss[place])),
            "expected_loss_after_minor": round(float(after.loss[place])),
        }
        for place, product in enumerate(catalogue.product_ids)
    ]


def _counted(name: str, words: tuple[str, ...], before: np.ndarray, after: np.ndarray) -> list[dict[str, Any]]:
    return [
        {name: word, "offers_before": int(before[place]), "offers_after": int(after[place])}
        for place, word in enumerate(words)
    ]


def _tracks(before: Reached, after: Reached) -> list[dict[str, Any]]:
    names = tuple(dict.fromkeys(reason.track for reason in tracks.REASONS if reason.track != tracks.NO_OFFER))
    places = [[reason.track == name for reason in tracks.REASONS] for name in names]
    then, now = (np.array([one.tracks[np.array(place)].sum() for place in places]) for one in (before, after))
    return _counted("track", names, then, now)


def _bias(before: Reached, after: Reached, catalogue: Catalogue, settings: FairnessSettings) -> Any:
    """Return for any offer, product None, and for each product how often a group is offered it over all others.

    Of a group smaller than is shown nothing is told.
    """
    for attribute, names in before.by_group.names.items():
        customers = before.by_group.customers[attribute]
        sides = [one.by_group.offered[attribute] for one in (before, after)]
        for place, product in enumerate((*catalogue.product_ids, None)):
            ratios = [fairness.rate_ratios(side[:, place], customers) for side in sides]
            for group, name in enumerate(names):
                if customers[group] < settings.smallest_shown:
                    continue
                names_of = {"attribute": attribute_name(attribute), "group": group_name(name)}
                yield {
                    "product_id": product,
                    "attribute": attribute,
                    "group": name,
                    **{f"{kind}_en": english for kind, (english, _) in names_of.items()},
                    **{f"{kind}_zh": chinese for kind, (_, chinese) in names_of.items()},
                    "customers": int(customers[group]),
                    "assessed": bool(customers[group] >= settings.smallest_assessed),
                    "offer_rate_before": float(sides[0][group, place] / customers[group]),
                    "offer_rate_after": float(sides[1][group, place] / customers[group]),
                    "rate_ratio_before": or_none(float(ratios[0][group])),
                    "rate_ratio_after": or_none(float(ratios[1][group])),
                }


def _moves(found: Comparison) -> dict[str, Any]:
    moved = found.moved
    everybody = next(iter(moved.counts.values())).sum(axis=0)
    return {
        "customers": dict(zip(MOVES, map(int, everybody), strict=True)),
        "by": [
            {
                "breakdown": breakdown,
                "group": name,
                **dict(zip(MOVES, map(int, counts[place]), strict=True)),
                "expected_value_change_minor": int(moved.value[breakdown][place]),
            }
            for breakdown, counts in moved.counts.items()
            for place, name in enumerate(moved.names[breakdown])
            if counts[place].any()
        ],
        "named": {
            move: [{"customer_id": one, "expected_value_change_minor": int(gained)} for gained, one in named]
            for move, named in moved.named.items()
        },
    }


def _sensitivity(before: Reached, after: Reached) -> list[dict[str, Any]]:
    rows = []
    for place, factor in enumerate(FACTORS):
        row: dict[str, Any] = {"factor": factor}
        for name, side in (("before", before.sensitivity), ("after", after.sensitivity)):
            row |= {
                f"customers_{name}": side.customers,
                f"first_offer_changes_{name}": side.changed[place],
                f"share_changed_{name}": or_none(side.share_changed(factor)),
                f"value_lost_{name}_minor": int(side.lost[place]),
                f"share_lost_{name}": or_none(side.share_lost(factor)),
            }
        rows.append(row)
    return rows


def _under_served(found: Comparison) -> dict[str, Any]:
    threshold = found.threshold
    return {
        "share": simulation.UNDER_SERVED_SHARE,
        "threshold": or_none(threshold),
        "before": found.served_before.counts(threshold),
        "after": found.served_after.counts(threshold),
        "lowest_after": [{"customer_id": one, "best_propensity": best} for best, one in found.served_after.lowest],
    }
