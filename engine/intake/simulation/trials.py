"""The three running experiments: who saw which variant, and what followed, at true rates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from engine.config.simulation import ExperimentTruth, SimulationSettings
from engine.intake.simulation import ids
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, Bools, Floats, Ints, World, expand, seconds

WINDOW = 30  # days after the first exposure within which a metric counts
FIRST, LAST = 90, WINDOW + 2  # days before the end of the extract between which customers are first exposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """Exposures, repeats included, and the metric events. `event` indexes `event_names`; `value` is NaN for none."""

    who: Ints
    experiment: Ints
    variant: Ints
    exposed: Ints
    event_who: Ints
    event: Ints
    event_when: Ints
    event_value: Floats

    def first_exposure(self, experiment: int, customers: int) -> Ints:
        """Return when each customer was first exposed, NEVER if not."""
        first = np.full(customers, NEVER)
        rows = np.flatnonzero(self.experiment == experiment)[::-1]
        order = rows[np.argsort(-self.exposed[rows], kind="stable")]
        first[self.who[order]] = self.exposed[order]
        return first


def event_names(rules: SimulationSettings) -> list[str]:
    """Return the names of the metric events of all experiments."""
    return [metric.event for experiment in rules.experiments for metric in experiment.metrics]


def make(world: World, chunk: int, people: People) -> Trials:
    """Return the experiments' share of one chunk; only customers who were there all the time take part."""
    eligible = (people.closed == NEVER) & (people.joined < world.end - (FIRST + 1) * DAY)
    return run(world.rng(chunk, "experiments"), world.rules, eligible, world.end)


def run(rng: np.random.Generator, rules: SimulationSettings, eligible: Bools, end: int) -> Trials:
    """Randomise the eligible customers and draw what follows."""
    shown: list[tuple[Ints, Ints, Ints, Ints]] = []
    events: list[tuple[Ints, Ints, Ints, Floats]] = []
    place = 0
    for code, truth in enumerate(rules.experiments):
        who = np.flatnonzero(eligible & (rng.random(len(eligible)) < truth.eligible_share))
        variant = rng.integers(0, 2, len(who))
        first = end - rng.integers(LAST * DAY, FIRST * DAY, len(who))
        logged = (variant == 0) | (rng.random(len(who)) >= truth.lost_share)
        shown.append(_exposures(rng, code, who[logged], variant[logged], first[logged]))
        events.append(_events(rng, truth, place, who=who, variant=variant, first=first))
        place += len(truth.metrics)
    who, experiment, variant, exposed = (np.concatenate(part) for part in zip(*shown, strict=True))
    event_who, event, when, value = (np.concatenate(part) for part in zip(*events, strict=True))
    return Trials(
        who=who,
        experiment=experiment,
        variant=variant,
        exposed=exposed,
        event_who=event_who,
        event=event,
        event_when=when,
        event_value=value,
    )


def _exposures(
    rng: np.random.Generator, code: int, who: Ints, variant: Ints, first: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return the first exposures, and up to two repeats for some customers within the next ten days."""
    row, place = expand(1 + np.minimum(rng.poisson(0.4, len(who)), 2))
    exposed = first[row] + np.where(place > 0, rng.integers(3600, 10 * DAY, len(row)) + place, 0)
    return who[row], np.full(len(row), code), variant[row], exposed


def _events(
    rng: np.random.Generator, truth: ExperimentTruth, place: int, *, who: Ints, variant: Ints, first: Ints
) -> tuple[Ints, Ints, Ints, Floats]:
    parts = []
    for number, metric in enumerate(truth.metrics):
        chance = np.where(variant == 0, metric.control, metric.variant)
        row = np.flatnonzero(rng.random(len(who)) < chance)
        when = first[row] + 60 + (rng.random(len(row)) ** 1.5 * (WINDOW - 0.5) * DAY).astype(np.int64)
        value = np.full(len(row), np.nan)
        if metric.amount is not None:
            value = np.round(metric.amount * np.exp(rng.normal(0, 0.8, len(row))), 2)
        parts.append((who[row], np.full(len(row), place + number), when, value))
    found, event, when, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, event, when, value


def columns(world: World, people: People, trials: Trials) -> dict[str, pa.Array | Ints]:
    """Return the columns of the exposures table, sorted by customer and time."""
    order = np.lexsort((trials.exposed, trials.experiment, trials.who))
    experiment, variant = trials.experiment[order], trials.variant[order]
    names = [name for each in world.rules.experiments for name in (each.control, each.variant)]
    return {
        "experiment_id": ids.words(experiment, [each.experiment_id for each in world.rules.experiments]),
        "customer_id": people.ids.take(pa.array(trials.who[order])),
        "variant": ids.words(experiment * 2 + variant, names),
        "exposed_at": trials.exposed[order],
    }


def effects(rules: SimulationSettings) -> dict[str, list[str] | list[float]]:
    """Return the true effects, one row per metric; for a mean, the true mean per exposed customer."""
    rows = [(each, metric) for each in rules.experiments for metric in each.metrics]
    size = [1.0 if metric.amount is None else metric.amount * float(np.exp(0.8**2 / 2)) for _, metric in rows]
    control = [metric.control * scale for (_, metric), scale in zip(rows, size, strict=True)]
    variant = [metric.variant * scale for (_, metric), scale in zip(rows, size, strict=True)]
    return {
        "experiment_id": [each.experiment_id for each, _ in rows],
        "metric": [metric.metric for _, metric in rows],
        "true_control": control,
        "true_variant": variant,
        "true_effect": [after - before for before, after in zip(control, variant, strict=True)],
    }


def simulate_experiments(
    customers: int, seed: int, *, rules: SimulationSettings, until: date = date(2026, 6, 30)
) -> tuple[pa.Table, pa.Table]:
    """Return exposures and metric events of a bank that only runs the experiments: fast enough for hundreds of seeds.

    Instants are naive UTC microseconds, as in curated tables.
    """
    end = seconds(until) + DAY - 1
    trials = run(np.random.default_rng([seed, 0]), rules, np.ones(customers, dtype=np.bool_), end)
    names = [name for each in rules.experiments for name in (each.control, each.variant)]
    exposures = pa.table(
        {
            "experiment_id": ids.words(trials.experiment, [each.experiment_id for each in rules.experiments]),
            "customer_id": ids.numbered("C", trials.who + 1, 8),
            "variant": ids.words(trials.experiment * 2 + trials.variant, names),
            "exposed_at": pa.array(trials.exposed * 1_000_000, pa.timestamp("us")),
        }
    )
    events = pa.table(
        {
            "event_id": ids.numbered("E", np.arange(len(trials.event)), 11),
            "customer_id": ids.numbered("C", trials.event_who + 1, 8),
            "occurred_at": pa.array(trials.event_when * 1_000_000, pa.timestamp("us")),
            "event_name": ids.words(trials.event, event_names(rules)),
            "value": pa.array(trials.event_value, from_pandas=True),
        }
    )
    return exposures, events
