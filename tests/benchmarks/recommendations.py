"""How long recommendations take: candidates beside the library that they are learned with, and whole decisions.

    python -m tests.benchmarks.recommendations [customers]

Customers and their holdings of 24 products are drawn. `implicit` names seven products to each by its own `recommend`,
from the same matrix and the same factors in the same process as `implicit_models.top`; the ratio is what to look at.
All seconds are of CPU, one thread, the best of three where a step is short. Decisions are those of a bank of drawn
customers with consents, risk and the answers of its gate; what is learned comes from 6,000 of another draw.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import ItemItemRecommender, bm25_weight
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from engine.recommendations import fairness, frame, implicit_models, ledger, simulation
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import decide
from engine.recommendations.recommend import Prepared, blocks_of, rows_of
from tests.engine.recommendations import builders

PRODUCTS, NAMED, LEARNED_FROM = 24, 7, 6_000
FURTHER = 56  # features beside the three of the small banks, as many as a run learns from
Row = dict[str, Any]


def run(customers: int = 100_000) -> list[Row]:
    """Return one row per measurement: CPU seconds, per 100,000 customers, and how many times faster than implicit."""
    with threadpool_limits(1):
        return [*_candidates(customers), *_decisions(customers)]


def holdings(customers: int) -> np.ndarray:
    """Return who holds what: 2.6 of 24 products on average, some far more common than others, nobody without any."""
    draw = np.random.default_rng(42)
    chance = 0.45 * np.arange(1, PRODUCTS + 1) ** -0.65
    owned = draw.random((customers, PRODUCTS)) < chance * (2.63 / chance.sum())
    owned[~owned.any(axis=1), 0] = True
    return owned


def _candidates(customers: int) -> list[Row]:
    owned, settings = holdings(customers), builders.settings().candidates
    matrix, everyone = csr_matrix(owned.astype(np.float64)), np.arange(customers)
    ours, fitting = _timed(lambda: implicit_models.fit_als(owned, settings, 1))
    theirs = AlternatingLeastSquares(
        factors=ours.factors.shape[1],
        regularization=settings.als_regularization,
        alpha=settings.als_alpha,
        iterations=settings.als_iterations,
        num_threads=1,
        random_state=1,
        dtype=np.float64,
    )
    _, fitting_theirs = _timed(lambda: theirs.fit(matrix, show_progress=False))
    # the library's own factors of each customer, and factors solved anew from the holdings as ours are
    named = _best(lambda: implicit_models.top(ours, owned, NAMED))
    stored = _timed(lambda: theirs.recommend(everyone, matrix, N=NAMED))[1]
    solved = _timed(lambda: theirs.recommend(everyone, matrix, N=NAMED, recalculate_user=True))[1]
    neighbours = implicit_models.fit_item_knn(owned, tuple(f"p{at:02d}" for at in range(PRODUCTS)), settings)
    alike = ItemItemRecommender(K=PRODUCTS, num_threads=1)
    alike.fit(csr_matrix(bm25_weight(matrix.T, K1=settings.knn_k1, B=settings.knn_b).T), show_progress=False)
    named_alike = _best(lambda: implicit_models.top(neighbours, owned, NAMED))
    stored_alike = _timed(lambda: alike.recommend(everyone, matrix, N=NAMED))[1]
    return [
        _row("learn factors (ALS)", customers, fitting, fitting_theirs),
        _row("name seven by ALS, against stored factors", customers, named, stored),
        _row("name seven by ALS, against factors solved anew", customers, named, solved),
        _row("name seven by item neighbours", customers, named_alike, stored_alike),
    ]


def _decisions(customers: int) -> list[Row]:
    learned = _learned()
    bundle, digest = learned.bundle, learned.bundle.digest()
    now, _, _, risk = builders.bank(customers, seed=8, further=FURTHER)
    told = {"gate": builders.answers(risk), "decided": builders.lent(risk), "treatments": builders.treated(risk)}
    base, aligning = _timed(
        lambda: frame.align(now, bundle.catalogue.product_ids, grouping=bundle.grouping, risk=risk, **told)
    )
    blocks = list(blocks_of(base, bundle))
    # one block's decisions at a time are held, as in a run
    decided, chosen = (
        _best(lambda made=made: deque((decide(block, made) for block in blocks), maxlen=1))
        for made in (bundle, builders.responding(bundle))
    )
    pairs = [(block, decide(block, bundle)) for block in blocks[:4]]
    few = sum(block.size for block, _ in pairs)
    written = _best(lambda: [rows_of(block, table, bundle, digest) for block, table in pairs]) * customers / few
    kept = _best(lambda: [ledger.input_rows(block) for block, _ in pairs]) * customers / few
    one = next(frame.blocks(base, bundle.features, bundle.settings, 1))
    singly = _best(lambda: [decide(one, bundle) for _ in range(200)]) / 200
    return [
        _row("align what is known of customers", customers, aligning, None),
        _row(f"decide 24 products with reasons ({bundle.fitted.ranker.kind})", customers, decided, None),
        _row("decide the same, with channels chosen by responses", customers, chosen, None),
        _row("make the rows of decisions, offers and what was looked at", customers, written, None),
        _row("of these, what was looked at", customers, kept, None),
        _row("decide for one customer", 1, singly, None),
        _row("decide under two policies and compare", customers, _compared(blocks, bundle, customers), None),
    ]


def _compared(blocks: list[frame.DecisionBlock], bundle: Bundle, customers: int) -> float:
    """Return the seconds of a policy tried on the base, with four protected groups and nine segments counted."""
    stricter = bundle.settings.gates.model_copy(update={"max_debt_service_ratio": 0.3})
    other = replace(bundle, settings=bundle.settings.model_copy(update={"gates": stricter, "top_n": 2}))
    random = np.random.default_rng(9)
    groups, segments = (
        fairness.groups_of({"one": pa.array(random.choice(list(names), customers))}) for names in ("abcd", "rstuvwxyz")
    )
    return _timed(lambda: simulation.compare(blocks, bundle, other, protected=groups, breakdowns=segments))[1]


def _learned() -> Prepared:
    return builders.prepared(LEARNED_FROM, further=FURTHER)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def _best(work: Callable[[], Any]) -> float:
    return min(_timed(work)[1] for _ in range(3))


def _row(what: str, customers: int, seconds: float, theirs: float | None) -> Row:
    return {
        "what": what,
        "customers": customers,
        "cpu_seconds": round(seconds, 6 if seconds < 0.01 else 3),
        "seconds_per_100_000": round(seconds / customers * 100_000, 3),
        "cpu_seconds_of_implicit": theirs and round(theirs, 3),
        "times_faster_than_implicit": theirs and round(theirs / seconds, 1),
    }


if __name__ == "__main__":
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print("  ".join(f"{name}={value}" for name, value in row.items()))
