"""Why each product came out as it did for a customer: terms of the score, gates, what comes next, what turns it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from engine.domain.errors import WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations import flips, gates
from engine.recommendations.contributions import contributions
from engine.recommendations.flips import Flip, Standing
from engine.recommendations.frame import DecisionBlock
from engine.workflows import customer_risk_told, decision_told, kept_decisions
from engine.workflows.decision_told import Naming


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What is told of each product by its id, and why nothing is where the run does not keep enough."""

    products: dict[str, dict[str, Any]]
    missing: tuple[str, str] | None = None


def explained(workspace: Workspace, run: Run, customer_id: str) -> Explained:
    """Return for each product its contributions, its gates, the runner-up and what would turn the decision.

    What is turned, and who is next, is by value inside the gates: before any draw, and before limits on all offers.
    """
    try:
        run, bundle = kept_decisions.opened(workspace, run.run_id, marts=())
        block = kept_decisions.block_of(run, bundle, [customer_id])
    except WaylineError as fault:
        return Explained(products={}, missing=decision_told.unexplained(fault.sentence))
    if block is None:
        return Explained(products={})
    naming = Naming(bundle=bundle, block=block, currency=customer_risk_told.naming(workspace).currency)
    now, terms = flips.standing(block, bundle), contributions(block, bundle)
    return Explained(
        products={
            product: {
                "contributions": asdict(terms[place]),
                "gates": _gates(now, place),
                "runner_up": _runner_up(now, place, naming),
                **_flips(block, now, place, naming),
            }
            for place, product in enumerate(bundle.catalogue.product_ids)
        }
    )


def _gates(now: Standing, place: int) -> dict[str, str]:
    mask = int(now.found.masks[0, place])
    return {gate.name: "refuses" if mask >> bit & 1 else "open" for bit, gate in enumerate(gates.GATES)}


def _runner_up(now: Standing, place: int, naming: Naming) -> dict[str, Any] | None:
    """Return the next product by value after one that could be offered; None for one that could not."""
    worth = now.worth[0]
    if not np.isfinite(worth[place]):
        return None
    order = [int(at) for at in np.argsort(-worth, kind="stable") if np.isfinite(worth[at])]
    after = order[order.index(place) + 1 :]
    product = naming.bundle.catalogue.product_ids[after[0]] if after else None
    behind = float(worth[place] - worth[after[0]]) if after else float("nan")
    text = decision_told.runner_up(product, behind, naming)
    return {
        "product_id": product,
        "behind_minor": int(behind) if after else None,
        "text_en": text[0],
        "text_zh": text[1],
    }


def _flips(block: DecisionBlock, now: Standing, place: int, naming: Naming) -> dict[str, Any]:
    """Return what would turn the decision, the smallest change first, with a sentence for each."""
    before = now.outcome(place)
    found = [_flip(one, naming, before=before) for one in flips.flips(block, naming.bundle, place, now)]
    text = (found[0]["text_en"], found[0]["text_zh"]) if found else decision_told.steady()
    return {"flips": found, "smallest_change_en": text[0], "smallest_change_zh": text[1]}


def _flip(one: Flip, naming: Naming, *, before: str) -> dict[str, Any]:
    text = decision_told.flip(one, naming, before=before)
    return {
        "changes": [_change(each) for each in one.changes],
        "outcome": one.outcome,
        "refused_by": list(one.refused_by),
        "first_product_id": one.first or None,
        "never_opens": list(one.shut),
        "text_en": text[0],
        "text_zh": text[1],
    }


def _change(one: Any) -> dict[str, Any]:
    told = {name: value for name, value in asdict(one).items() if name not in ("direction", "step")}
    numbers = {name: _known(told[name]) for name in ("then", "now", "within_days")}
    return told | numbers | {"subject": one.subject or None}


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
