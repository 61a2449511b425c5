"""Make the whole bank: chunk by chunk, on one or more processes, published only when it is complete."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.config.simulation import SimulationSettings
from engine.domain.curated import CURATED
from engine.domain.errors import SettingsFault
from engine.intake import mapping
from engine.intake.simulation import (
    bureau,
    contacts,
    contracts,
    credit,
    demand,
    dirt,
    frictions,
    identities,
    ids,
    money,
    people,
    standing,
    tables,
    touches,
    trials,
    truth,
    visits,
    world,
)
from engine.intake.simulation import vocabulary as say
from engine.intake.simulation.people import People
from engine.intake.simulation.tables import FileFormat
from engine.intake.simulation.world import DAY, World

PARTS = "truth-parts"
SUCCESS = "_SUCCESS"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSummary:
    """What was made: the folder, the mapping file to load it with, and the rows of each source table."""

    out: Path
    mapping_file: Path
    customers: int
    seed: int
    until: date
    rows: dict[str, int]


def simulate_bank(
    customers: int,
    seed: int,
    out: Path,
    *,
    catalogue: Catalogue,
    bank: BankSettings,
    rules: SimulationSettings | None = None,
    until: date = date(2026, 6, 30),
    months: int = 24,
    file_format: FileFormat = "parquet",
    workers: int = 1,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Write a seeded bank with known truth to the folder `out`; the same arguments give the same bytes.

    `out` holds the sources, `truth/`, `mapping.toml` and, last, `_SUCCESS`. It is made beside itself and renamed, so
    a simulation that is killed leaves nothing that looks finished. A simulated bank that is there already is replaced.
    The history is `months` calendar months, the last one up to the day `until`, which is best the end of a month.
    `workers` changes the time it takes and nothing else; CSV is written by one. `progress` is called with the
    customers done and with those there are.

    Raises
    ------
    SettingsFault
        A number is out of range, or `out` holds something that is not a simulated bank.
    """
    made = world.make(
        customers=customers,
        seed=seed,
        until=until,
        months=months,
        catalogue=catalogue,
        rates=bank.rates,
        base_currency=bank.base_currency,
        time_zone=bank.time_zone,
        rules=rules or load(SimulationSettings, "simulation"),
    )
    _check_replaceable(out)
    aside = out.parent / f".{out.name}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    rows = _make_chunks(made, aside, file_format, workers, progress)
    rows |= _write_lists(made, aside, file_format)
    _finish(made, aside, file_format)
    if out.exists():
        shutil.rmtree(out)
    aside.rename(out)
    listed = {name: rows.get(name, 0) for name in CURATED}
    where = out / "mapping.toml"
    return SimulationSummary(out=out, mapping_file=where, customers=customers, seed=seed, until=until, rows=listed)


def _check_replaceable(out: Path) -> None:
    empty = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if not empty and not (out / SUCCESS).exists():
        fault = f"{out.name} exists and is not a simulated bank. Name a folder that is new or empty."
        raise SettingsFault("simulation, out", [fault])


def _make_chunks(
    made: World, aside: Path, file_format: FileFormat, workers: int, progress: Progress | None
) -> dict[str, int]:
    rows: dict[str, int] = {}
    # rows of a CSV file follow each other, so that its chunks cannot be written at the same time
    parallel = workers > 1 and made.chunks > 1 and file_format == "parquet"
    results = _in_processes(made, aside, workers) if parallel else _one_by_one(made, aside, file_format)
    for chunk, counts in results:
        rows = {name: rows.get(name, 0) + count for name, count in counts.items()}
        if progress is not None:
            progress(min((chunk + 1) * made.rules.chunk_customers, made.customers), made.customers)
    return rows


def _one_by_one(made: World, aside: Path, file_format: FileFormat) -> Iterator[tuple[int, dict[str, int]]]:
    before: dict[str, int] = {}
    for chunk in range(made.chunks):
        counts = make_chunk(made, chunk, aside, file_format, before)
        before = {name: before.get(name, 0) + count for name, count in counts.items()}
        yield chunk, counts


def _in_processes(made: World, aside: Path, workers: int) -> Iterator[tuple[int, dict[str, int]]]:
    # spawn, not fork: the caller may hold threads of DuckDB or Arrow, which a fork would break
    context = multiprocessing.get_context("spawn")
    # each process is one worker: threads of Arrow inside it would only compete
    with ProcessPoolExecutor(workers, mp_context=context, initializer=pa.set_cpu_count, initargs=(1,)) as pool:
        waiting = [pool.submit(make_chunk, made, chunk, aside, "parquet", {}) for chunk in range(made.chunks)]
        for chunk, future in enumerate(waiting):
            yield chunk, future.result()


def make_chunk(
    made: World, chunk: int, aside: Path, file_format: FileFormat, rows_before: dict[str, int]
) -> dict[str, int]:
    """Write one chunk of every table and of the truth, and return the rows written by table."""
    folks = people.make(made, chunk)
    reports = bureau.make(made, chunk, folks)
    wishes = demand.make(made, chunk, folks, reports)
    held = contracts.make(made, chunk, folks, wishes)
    asked = credit.make(made, chunk, folks, demand=wishes, contracts=held, reports=reports)
    ledger = money.make(made, chunk, folks, held)
    tests = trials.make(made, chunk, folks)
    talks = contacts.talk(made, chunk, folks, tests)
    answers = contacts.answer(made, chunk, folks)
    has_card = held.of(made.product("debit_card"), len(folks)) >= 0

    def seen() -> visits.Visits:
        return visits.make(made, chunk, folks, ledger=ledger, attempts=wishes.attempts, talks=talks, tests=tests)

    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "customers": lambda: people.columns(folks),
        "identities": lambda: identities.columns(made, chunk, folks, has_card),
        "holdings": lambda: contracts.columns(made, folks, held, ledger.closing_balance),
        "transactions": lambda: money.columns(made, chunk, folks, held, ledger),
        "events": lambda: visits.columns(made, chunk, folks, seen()),
        "interactions": lambda: contacts.talk_columns(chunk, folks, talks),
        "bureau": lambda: bureau.columns(made, folks, reports),
        "applications": lambda: credit.application_columns(made, folks, asked),
        "outcomes": lambda: credit.outcome_columns(made, folks, asked),
        "consents": lambda: contacts.consent_columns(folks, answers),
        "exposures": lambda: trials.columns(made, folks, tests),
        "offers_feedback": lambda: contacts.feedback_columns(made, chunk, folks, answers, wishes.propensity),
        "standing": lambda: standing.columns(
            folks, standing.make(made, chunk, folks, contracts=held, credit=asked, reports=reports, ledger=ledger)
        ),
    }

    def planted(numbers_before: int) -> dict[str, Any]:
        tries = wishes.attempts
        troubles, enquiries = frictions.make(made, chunk, folks, tries), touches.make(made, chunk, folks, tries)
        found = visits.in_order(made, folks, [*troubles, enquiries])
        stream = made.rng(chunk, "touches").spawn(1)[0]
        return visits.told(stream, made, chunk, folks, found, numbers_before=numbers_before)

    counts, faults = _write_tables(
        made, chunk, aside, file_format=file_format, makers=makers, later={"events": planted}, rows_before=rows_before
    )
    told = truth.of_chunk(made, chunk, folks, reports=reports, demand=wishes, credit=asked, ledger=ledger)
    truth.write_part({**told, "planted_faults": faults}, aside / PARTS, chunk)
    return counts


def _write_tables(
    made: World,
    chunk: int,
    aside: Path,
    *,
    file_format: FileFormat,
    makers: dict[str, Callable[[], dict[str, Any]]],
    later: dict[str, Callable[[int], dict[str, Any]]],
    rows_before: dict[str, int],
) -> tuple[dict[str, int], pa.Table]:
    counts, faults = {}, [dirt.FAULT_SCHEMA.empty_table()]
    for name, columns in makers.items():
        contract = CURATED[name]
        clean = tables.table_of(contract, columns())
        rows, planted = dirt.plant(made, chunk, contract, clean, tables.file_name(contract, chunk, file_format))
        if name in later:
            # after the dirt, so that the dirt falls on the same rows whatever comes later
            rows = pa.concat_tables([rows, tables.table_of(contract, later[name](clean.num_rows))]).combine_chunks()
        if rows.num_rows:
            tables.write(contract, rows, _source(aside, file_format), chunk, file_format)
        shift = rows_before.get(name, 0) if file_format == "csv" else 0
        numbers = pa.array(planted.column("row_number").to_numpy() + shift, pa.int64())
        faults.append(planted.set_column(planted.schema.get_field_index("row_number"), "row_number", numbers))
        counts[name] = rows.num_rows
    return counts, pa.concat_tables(faults)


def _source(aside: Path, file_format: FileFormat) -> Path:
    return aside / "source" if file_format == "parquet" else aside


def _write_lists(made: World, aside: Path, file_format: FileFormat) -> dict[str, int]:
    """Write the tables that are not about customers: the catalogue and the watchlists."""
    counts = {}
    for name, columns in (("products", _products(made)), ("watchlists", _watchlists(made))):
        rows = tables.table_of(CURATED[name], columns)
        tables.write(CURATED[name], rows, _source(aside, file_format), 0, file_format)
        counts[name] = rows.num_rows
    return counts


def _products(made: World) -> dict[str, Any]:
    rows = [product.model_dump() for product in made.products]
    fixed: dict[str, Any] = {"sold_since": date(made.until.year - 12, 1, 1), "sold_until": None}
    schema = tables.source_schema(CURATED["products"])
    return {
        field.name: pa.array([row[field.name] if field.name in row else fixed[field.name] for row in rows], field.type)
        for field in schema
    }


def _watchlists(made: World) -> dict[str, Any]:
    """Sixty names of nobody, and three of the bank's own customers."""
    rng = made.rng(0, "watchlists")
    folks: People = people.make(made, 0)
    own = rng.choice(len(folks), min(3, len(folks)), replace=False)
    born = np.concatenate([folks.born[own], made.end // DAY - rng.integers(25 * 365, 80 * 365, 60)])
    strangers = people.names(rng, rng.integers(0, 2, 60), 60)
    size = len(born)
    return {
        "entry_id": ids.numbered("W", np.arange(size), 6),
        "list_name": ids.words(rng.integers(0, len(say.LISTS), size), say.LISTS),
        "full_name": pa.concat_arrays([folks.name.take(pa.array(own)), strangers]),
        "birth_date": born,
        "country": ids.words(rng.integers(0, len(say.COUNTRIES), size), say.COUNTRIES),
    }


def _finish(made: World, aside: Path, file_format: FileFormat) -> None:
    """Join the truth, write the mapping, and mark the bank as complete."""
    truth.write_part(truth.of_bank(made), aside / PARTS, 0)
    truth.merge(aside / PARTS, aside / "truth")
    shutil.rmtree(aside / PARTS)
    until = datetime.fromtimestamp(made.end, UTC)
    present = {
        name: mapping.TableMapping(source=f"source/{name}/*.parquet" if file_format == "parquet" else f"{name}.csv")
        for name in CURATED
        if (_source(aside, file_format) / (name if file_format == "parquet" else f"{name}.csv")).exists()
    }
    mapping.write(mapping.Mapping(extract=mapping.Extract(until=until), tables=present), aside / "mapping.toml")
    (aside / SUCCESS).write_text("", encoding="utf-8")
