"""Evaluate the models that recommend on a file of holdings: no workspace, no set-up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import holding_files, profiles
from engine.intake.holding_files import HoldingRoles, Holdings
from engine.numerics.intervals import Interval
from engine.numerics.ratios import or_none
from engine.recommendations import evaluate as evaluation
from engine.recommendations import race
from engine.recommendations.encoding import encode, words
from engine.recommendations.evaluate import Evaluation, Judged
from engine.recommendations.frame import View
from engine.recommendations.metrics import MAP_VARIANT
from engine.workflows import session

_MOST_GROUPS: Final = 50


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The file, which column plays which role, and how many products are looked at: by default 7, or all if fewer."""

    path: Path
    customer: str
    products: tuple[str, ...]
    profile: tuple[str, ...] = ()
    segment: str | None = None
    time: str | None = None
    time_format: str | None = None
    k: int | None = None
    seed: int | None = None
    encoding: str | None = None
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=_silent, compare=False)


def evaluate(question: Question) -> dict[str, Any]:
    """Return how each model did, as the command writes it.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The file or its columns cannot be used; one sentence says why.
    """
    faults = list(_faults(question))
    if faults:
        raise SettingsFault("wayline recommend evaluate", faults)
    settings = session.settings(session.workspace_at(question.home), RecommendationSettings, "recommendations")
    with session.files_aside(question.home) as aside:
        spool = aside.folder("file")
        found = holding_files.read(
            question.path, aside.engine, spool, aside.rules, _roles(question), encoding=question.encoding
        )
    notes = [*found.notes, *_on_k(question)]
    for note in notes:
        question.say(note)
    return _answer(question, found, settings) | {"notes": notes}


def _faults(question: Question) -> list[str]:
    """Return what is wrong with the question itself."""
    found = []
    if len(question.products) < 2:
        found.append(
            f"--products names {len(question.products)} column{'s' * (len(question.products) != 1)}: expected at least "
            "two, separated by commas, since a product is to be told from the others"
        )
    if question.k is not None and question.k < 1:
        found.append(f"--k {question.k}: expected how many products are looked at, 1 or more")
    roles = [question.customer, *question.products, *question.profile, *([question.time] if question.time else [])]
    # one of the profile may be what customers are grouped by, but a product would give itself away
    roles += [question.segment] if question.segment and question.segment not in question.profile else []
    return [*found, *profiles.named_twice(roles)]


def _roles(question: Question) -> HoldingRoles:
    return HoldingRoles(
        customer=question.customer,
        products=question.products,
        profile=question.profile,
        segment=question.segment,
        time=question.time,
        time_format=question.time_format,
    )


def _answer(question: Question, found: Holdings, settings: RecommendationSettings) -> dict[str, Any]:
    seed, customers = settings_seed(question), len(found.owned)
    k = min(question.k or race.K, len(question.products))
    _refuse_nothing_to_tell(found, len(question.products))
    split: dict[str, Any]
    if found.times is None:
        judge = evaluation.drawn_customers(customers, seed)
        learn, split = ~judge, {"kind": "random", "seed": seed}
    else:
        known = ~np.isnat(found.times)
        _refuse_one_time(found.times[known], str(question.time))
        judge, cut = evaluation.later_customers(found.times)
        if not known.all():
            question.say(f"{int((~known).sum()):,} customers without a time were left out.")
        learn, split = ~judge & known, {"kind": "later_cohort", "from": str(cut.astype("datetime64[s]"))}
    group, segment = _group(found)
    x, features = encode(found.profile, learn)
    trainer = race.Trainer(product_ids=question.products, features=features, settings=settings, seed=seed)
    view = View(owned=found.owned, x=x, group=group)
    done = evaluation.evaluate(view, learn, judge, trainer, k=k, clock=time.process_time)
    split |= {"learned_from": done.learned_from, "judged_on": done.judged_on, "seed": seed}
    return {
        "rows": customers,
        "products": len(question.products),
        "split": split,
        "models": [_model(kind, done) for kind in done.models],
        "champion": done.champion,
        "k": k,
        "map_variant": MAP_VARIANT,
        "seconds": "processor time, one thread",
        "segment": segment if segment is not None else question.segment,
    }


def _on_k(question: Question) -> list[str]:
    products = len(question.products)
    if question.k is None or question.k <= products:
        return []
    return [
        f"--k {question.k}: there are {products} products, so all of them are looked at and recall is 1 for every "
        "model; a lower --k tells models apart by it."
    ]


def _refuse_nothing_to_tell(found: Holdings, products: int) -> None:
    """Refuse holdings of which none can be hidden, or of which what is hidden is always the only one left."""
    held = found.owned.sum(axis=1)
    several = int((held >= 2).sum())
    if several == 0:
        raise NotEnoughData(
            "evaluation",
            f"none of {len(held):,} customers holds two of the {products} products",
            "customers with at least two, so that one can be hidden",
        )
    if not ((held >= 2) & (held < products)).any():
        raise NotEnoughData(
            "evaluation",
            f"each of {several:,} customers with two products or more holds all {products}, so that what is hidden is "
            "the only one left and every model names it",
            "customers who lack a product, or further product columns",
        )


def _refuse_one_time(times: Any, name: str) -> None:
    if len(times) and times.min() == times.max():
        raise NotEnoughData(
            "later cohort",
            f'all {len(times):,} times in "{name}" are the same',
            "customers who came at different times; without --time a fifth of the customers is drawn and judged on",
        )


def settings_seed(question: Question) -> int:
    """Return the seed of the question, by default 1."""
    return 1 if question.seed is None else question.seed


def _group(found: Holdings) -> tuple[Any, str | None]:
    """Return the group of each customer and the column it is of: the one named, else the first of few words."""
    if found.segment is not None:
        return words(found.segment)[1] + 1, None
    for name in found.profile.column_names:
        if pa.types.is_string(found.profile[name].type):
            values, codes = words(found.profile[name])
            if len(values) <= _MOST_GROUPS:
                return codes + 1, name
    return np.zeros(len(found.owned), dtype=np.int64), None


def _model(kind: str, done: Evaluation) -> dict[str, Any]:
    judged, results = done.models[kind], {name: one.result for name, one in done.models.items()}
    result, gain = judged.result, race.advantage(results, kind)
    answer: dict[str, Any] = {
        "name": kind,
        "map_at_k": or_none(result.map_at_k),
        "interval": _ends(result.interval),
        "recall_at_k": or_none(result.recall_at_k),
        "ece": or_none(result.calibration_error),
        "fit_seconds": or_none(judged.fit_seconds),
        "score_seconds_per_million": or_none(judged.score_seconds_per_million),
        "recall_interval": _ends(result.recall_interval),
        "ece_interval": _ends(result.calibration_interval),
        "coverage": or_none(result.coverage),
    }
    if kind != "popularity":
        answer |= {"gain_over_popularity": _ends(gain), "beats_popularity": bool(gain.lower > 0)}
    if _why(judged):
        answer["why"] = _why(judged)
    return answer


def _why(judged: Judged) -> str:
    result = judged.result
    if result.note:
        return result.note
    if not result.interval.is_defined:
        return "one customer to judge on gives no interval"
    return ""


def _ends(interval: Interval) -> list[float] | None:
    return [interval.lower, interval.upper] if interval.is_defined else None
