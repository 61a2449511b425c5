"""Free text on its own: what a run found in it, how often the model errs, and a line or a file masked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import NotEnoughData, UnreadableSource
from engine.domain.text_marts import CUSTOMER_TEXTS, STEP_FEELINGS, TEXT_CONTACTS
from engine.intake.simulation import vocabulary
from engine.lake.runs import open_run
from engine.texts import corpus, evaluate, masking, model
from engine.workflows import session

_NEWEST: Final = 20
LARGEST_FILE_BYTES: Final = 64 * 2**20


def show(home: Path, run_id: str | None, customer: str | None) -> dict[str, Any]:
    """Return what customers wrote about and how they felt, topic by topic and step by step, or one customer's share.

    Raises
    ------
    WorkspaceMissing, UnknownName
        There is no such run.
    NotEnoughData
        The run read no texts, or the customer was not in contact.
    """
    run = open_run(session.workspace_at(home), run_id)
    if TEXT_CONTACTS.name not in run.manifest["marts"]:
        raise NotEnoughData(
            "texts of that run", "it has no table text_contacts", "the table interactions, and another `wayline run`"
        )
    contacts = pq.read_table(run.folder / TEXT_CONTACTS.name)
    if customer is not None:
        return {"run_id": run.run_id, **_customer(run.folder, contacts, customer)}
    read = contacts.filter(pc.is_valid(contacts.column("topic")))
    return {
        "run_id": run.run_id,
        "texts": contacts.num_rows,
        "texts_read": read.num_rows,
        "topics": _topics(read),
        "steps": pq.read_table(run.folder / STEP_FEELINGS.name).to_pylist(),
    }


def _topics(read: pa.Table) -> list[dict[str, Any]]:
    negative = pc.equal(read.column("sentiment"), "negative").cast(pa.float64())
    sums = read.append_column("negative", negative).group_by("topic")
    rows = sums.aggregate([("interaction_id", "count"), ("sentiment_score", "mean"), ("negative", "mean")])
    named = rows.rename_columns(["topic", "texts", "sentiment_mean", "negative_share"])
    return list(named.sort_by([("texts", "descending"), ("topic", "ascending")]).to_pylist())


def _customer(folder: Path, contacts: pa.Table, customer: str) -> dict[str, Any]:
    whole = pq.read_table(folder / CUSTOMER_TEXTS.name, filters=[("customer_id", "=", customer)]).to_pylist()
    if not whole:
        raise NotEnoughData(
            "texts of that customer", "no contact up to the run's date", "the id of a customer who was in contact"
        )
    own = contacts.filter(pc.equal(contacts.column("customer_id"), customer)).sort_by([("occurred_at", "descending")])
    return {"customer": whole[0], "newest": own.slice(0, _NEWEST).to_pylist()}


def error_rates() -> dict[str, Any]:
    """Return how often the model errs on texts that it has not learnt from: held out, and of the simulated bank."""
    held_out = corpus.read(corpus.HELD_OUT)
    rates = [
        *evaluate.error_rates(held_out, "held out"),
        *evaluate.error_rates(simulated_sentences(), "simulated bank"),
    ]
    return {
        "learnt_from": len(corpus.read(corpus.TRAINING)),
        "error_rates": rates,
        "topics": evaluate.by_topic(held_out),
    }


def simulated_sentences() -> tuple[corpus.Sentence, ...]:
    """Return what customers of the simulated bank say, with the topic and the feeling that it was written for."""
    return tuple(
        corpus.Sentence(text=text, topic=topic, feeling=feeling, language=language)
        for topic, said in vocabulary.SAID.items()
        for feeling, pair in zip(model.FEELINGS, said, strict=True)
        for language, text in zip(model.LANGUAGES, pair, strict=True)
    )


def mask(home: Path, content: bytes, name: str) -> dict[str, Any]:
    """Return the lines of a text with personal data masked, and how many of each kind were.

    Raises
    ------
    UnreadableSource
        It is not UTF-8, or larger than 64 MiB.
    """
    if len(content) > LARGEST_FILE_BYTES:
        raise UnreadableSource(name, "is larger than 64 MiB", "Split it, or load it with `wayline data load`.")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as fault:
        raise UnreadableSource(name, "is not UTF-8", "Save it as UTF-8 and try again.") from fault
    limit = session.settings(session.workspace_at(home), IntakeSettings, "intake").limits.text_characters
    masked = masking.mask(pa.array(lines, pa.string()), limit)
    return {
        "lines": masked.texts.to_pylist(),
        "kinds": masking.kinds_counted(masked, np.ones(len(lines), dtype=np.int64)),
        "cut_lines": int(masked.cut.sum()),
        "limit_characters": limit,
    }
