"""What is true of the simulated bank and no engine may read: written beside the sources, one Parquet file a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.intake.simulation import bureau as bureaus
from engine.intake.simulation import frictions, ids, journeys, money, touches, trials
from engine.intake.simulation.bureau import Bureau
from engine.intake.simulation.credit import Credit
from engine.intake.simulation.demand import Demand
from engine.intake.simulation.money import Ledger
from engine.intake.simulation.people import People
from engine.intake.simulation.world import NEVER, Floats, Ints, World, logistic


def of_chunk(
    world: World, chunk: int, people: People, *, reports: Bureau, demand: Demand, credit: Credit, ledger: Ledger
) -> dict[str, pa.Table]:
    """Return the truth about one chunk of customers, by table."""
    return {
        "segments": pa.table(
            {"customer_id": people.ids, "segment": ids.words(people.segment, [s.segment for s in world.rules.segments])}
        ),
        "default_probability": pa.table(
            {
                "application_id": credit.ids,
                "customer_id": people.ids.take(pa.array(credit.who)),
                "true_pd": credit.true_pd,
            }
        ),
        "customer_default_probability": pa.table(
            {"customer_id": people.ids, "true_pd": _pd_at_the_end(world, people, reports)}
        ),
        "journey_attempts": _attempts(world, people, demand),
        "propensities": _propensities(world, people, demand.propensity),
        "fraud_labels": _fraud(chunk, ledger),
        "identity_clusters": _clusters(people),
    }


def of_bank(world: World) -> dict[str, pa.Table]:
    """Return the truth that holds for the whole bank, by table."""
    return {
        "journey_hazards": _hazards(world),
        "journey_frictions": pa.table(frictions.effects(world)),
        "channel_effects": pa.table(touches.effects(world.rules.touches)),
        "treatment_effects": pa.table(trials.effects(world.rules)),
    }


def _pd_at_the_end(world: World, people: People, reports: Bureau) -> Floats:
    rows = np.arange(len(people))
    return logistic(bureaus.default_logit(world, people, reports, rows, np.full(len(people), world.months - 1)))


def _attempts(world: World, people: People, demand: Demand) -> pa.Table:
    """One row per attempt that the extract shows. `closed` is true when its window had ended by then."""
    tries = demand.attempts
    depth = journeys.observed_depth(world, tries)
    entered = tries.times[:, 0]
    windows = np.array([journey.window_days * 86_400 for journey in world.rules.journeys])[tries.journey]
    table = pa.table(
        {
            "customer_id": people.ids.take(pa.array(tries.who)),
            "journey": ids.words(tries.journey, [journey.journey for journey in world.rules.journeys]),
            "product_id": ids.words(tries.product, [product.product_id for product in world.products]),
            "segment": ids.words(people.segment[tries.who], [s.segment for s in world.rules.segments]),
            "entered_at": _instants(entered),
            "depth": depth,
            "closed": entered + windows <= world.end,
        }
    )
    return table.filter(pa.array(depth > 0)).sort_by([("customer_id", "ascending"), ("journey", "ascending")])


def _hazards(world: World) -> pa.Table:
    columns: dict[str, list[object]] = {
        name: [] for name in ("journey", "step_from", "step_to", "segment", "probability")
    }
    for code, journey in enumerate(world.rules.journeys):
        chance = journeys.hazards(world, code)
        for place, segment in enumerate(world.rules.segments):
            for step, (before, after) in enumerate(zip(journey.steps, journey.steps[1:], strict=False)):
                row = (journey.journey, before, after, segment.segment, float(chance[place, step]))
                for column, value in zip(columns.values(), row, strict=True):
                    column.append(value)
    return pa.table(columns)


def _propensities(world: World, people: People, propensity: Floats) -> pa.Table:
    sold = {product.product_id: propensity[:, place] for place, product in enumerate(world.products)}
    return pa.table({"customer_id": people.ids, **{name: pa.array(v, pa.float32()) for name, v in sold.items()}})


def _fraud(chunk: int, ledger: Ledger) -> pa.Table:
    rows = np.flatnonzero(ledger.bookings.fraud)
    return pa.table({"transaction_id": money.transaction_ids(chunk, rows)})


def _clusters(people: People) -> pa.Table:
    """person_id is the smallest customer id of the person."""
    size = len(people)
    first = np.where(people.twin_of >= 0, people.twin_of, np.arange(size))
    smallest = np.arange(size)
    np.minimum.at(smallest, first, np.arange(size))
    person = np.minimum(smallest[first], first)
    return pa.table({"customer_id": people.ids, "person_id": people.ids.take(pa.array(person))})


def _instants(when: Ints) -> pa.Array:
    return pa.array(np.where(when == NEVER, 0, when) * 1_000_000, pa.timestamp("us", tz="UTC"))


def write_part(tables: dict[str, pa.Table], folder: Path, part: int) -> None:
    """Write a chunk's truth aside; `merge` makes one file of each table."""
    for name, table in tables.items():
        path = folder / name / f"{part:05d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="zstd")


def merge(parts: Path, into: Path) -> None:
    """Join the parts of every table, in order, into one file each, a part at a time."""
    into.mkdir(parents=True, exist_ok=True)
    for folder in sorted(parts.iterdir()):
        paths = sorted(folder.iterdir())
        with pq.ParquetWriter(into / f"{folder.name}.parquet", pq.read_schema(paths[0]), compression="zstd") as sink:
            for path in paths:
                sink.write_table(pq.read_table(path))
