"""Champion and challengers: one person proposes a model, another approves it, and the next run goes by it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.compliance import card_document
from engine.compliance.card_words import Language
from engine.compliance.model_card import Approval, ModelCard
from engine.config.risk import RiskSettings
from engine.domain.errors import RefusedByPolicy, UnreadableSource
from engine.exports import model_folders
from engine.lake.files import write_synced
from engine.lake.runs import SUCCESS
from engine.lake.workspace import Workspace
from engine.risk.model import RiskModel
from engine.risk.scorecard import NAME as SCORECARD
from engine.store import ModelRecord, NewModel, Store, persons
from engine.workflows import session
from engine.workflows.risk_score import open_model

RUN_MODEL: Final = "risk_model.json"
"""The file of a run that holds the model which graded its customers."""
RUNS: Final = "runs"
FILES: Final = "files"
_FIGURES: Final = ("auc", "ks", "brier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """The model that grades the customers of runs, and who answers for it; `content` is it as it was approved."""

    record: ModelRecord
    model: RiskModel
    content: str

    @property
    def note(self) -> str:
        """Which model graded, in a sentence."""
        one = self.record
        return (
            f"graded by model {one.model_id}, learned as of {self.model.as_of:%Y-%m-%d} in {one.source}: proposed by "
            f"{one.owner}, approved by {one.approver} on {one.approved_at:%Y-%m-%d}"
        )


def in_force(workspace: Workspace, as_of: datetime, settings: RiskSettings) -> Approved | None:
    """Return the approved model that a run of that date grades by, under today's settings; None where there is none.

    Raises
    ------
    ModelSpoilt
        It is not what was approved.
    RefusedByPolicy
        It was learned from what that date could not know, or reads what the settings protect.
    """
    with Store(session.database_url(workspace)) as store:
        found = store.champion(RUNS)
    if found is None:
        return None
    record, content = found
    model = RiskModel.from_json(content, f"Model {record.model_id}")
    if model.as_of > as_of:
        raise RefusedByPolicy(
            f"Model {record.model_id}, which is approved, was learned from what was known by {_day(model.as_of)}, and "
            f"this run looks from {_day(as_of)}: it would look ahead. Look from a later date with --as-of, or retire "
            "the model, so that the run learns its own."
        )
    forbidden = sorted(set(model.scorecard.inputs) & set(settings.protected))
    if forbidden:
        raise RefusedByPolicy(
            f"Model {record.model_id}, which is approved, reads {', '.join(forbidden)}, and protected under [risk] "
            "says that no model may. Approve a model without it, or retire this one."
        )
    return Approved(record=record, model=replace(model, settings=settings), content=content)


def facts(approved: Approved | None) -> dict[str, Any]:
    """Return what a run's manifest says of the approved model it went by; nothing where it learns its own."""
    if approved is None:
        return {}
    one = approved.record
    kept = ("model_id", "content_hash", "source", "owner", "approver")
    moments = {"learned_until": approved.model.as_of.isoformat(), "approved_at": one.approved_at}
    told = {name: getattr(one, name) for name in kept} | moments
    return {"risk_model": {**told, "approved_at": None if one.approved_at is None else one.approved_at.isoformat()}}


def propose(home: Path, where: Path, owner: str, note: str) -> dict[str, Any]:
    """Propose a model: of a run's folder or id, to grade the customers of runs; or of a folder of `wayline risk fit`.

    Raises
    ------
    UnreadableSource, ModelSpoilt, CheckFailed
        There is no model there, or not the one that was written.
    RefusedByPolicy
        No owner or note, or it is proposed already.
    """
    workspace = session.workspace_at(home)
    with _store(home, owner, note, "--owner") as store:
        return _shown(store.propose_model(_read(workspace, where, note)))


def approve(home: Path, model_id: int, approver: str, note: str) -> dict[str, Any]:
    """Approve a model that somebody else proposed: the next run goes by it, and the champion before it retires.

    Raises
    ------
    UnknownName
        There is no such model.
    RefusedByPolicy
        The approver is the owner, no name or note, or it is no challenger any more.
    ModelSpoilt
        It is not what was proposed.
    """
    with _store(home, approver, note, "--approver") as store:
        return _shown(store.approve_model(model_id, note))


def retire(home: Path, model_id: int, owner: str, note: str) -> dict[str, Any]:
    """Retire a model; without a champion, the next run learns its own. Raises UnknownName or RefusedByPolicy."""
    with _store(home, owner, note, "--owner") as store:
        return _shown(store.retire_model(model_id, note))


def listed(home: Path) -> list[dict[str, Any]]:
    """Return every model ever proposed, the oldest first, with its figures and who answers for it."""
    with Store(session.database_url(session.workspace_at(home))) as store:
        return [_shown(one) for one in store.models()]


def card(home: Path, model_id: int, language: Language, out: Path | None = None) -> dict[str, Any]:
    """Return the card of a model with who proposed, approved and retired it; written to a file where one is named.

    Raises
    ------
    UnknownName
        There is no such model.
    UnreadableSource
        It has no card.
    ModelSpoilt
        It is not what was proposed.
    """
    with Store(session.database_url(session.workspace_at(home))) as store:
        record, _, text = store.model(model_id)
    if text is None:
        raise UnreadableSource(
            f"Model {model_id}",
            f"there is no card of it: it was learned in {record.source}",
            "Its figures are in `wayline risk models --json`, its points in the table risk_scorecard of that run.",
        )
    whole = ModelCard.from_json(text, f"Model {model_id}").approved(approvals(record))
    answer = {"model_id": model_id, "approvals": [asdict(one) for one in whole.approvals]}
    if out is None:
        return {**answer, "card": card_document.text(whole, language)}
    write = card_document.html if out.suffix.lower() in (".html", ".htm") else card_document.text
    write_synced(out, write(whole, language).encode())
    return {**answer, "out": str(out)}


def approvals(one: ModelRecord) -> tuple[Approval, ...]:
    """Return who said what about a model, in the order of time."""
    found = [Approval(by=one.owner, on=one.proposed_at.date(), decision="proposed", note=one.note)]
    if one.approver is not None and one.approved_at is not None:
        found.append(
            Approval(by=one.approver, on=one.approved_at.date(), decision="approved", note=one.approval_note or "")
        )
    if one.retired_by is not None and one.retired_at is not None:
        found.append(
            Approval(by=one.retired_by, on=one.retired_at.date(), decision="retired", note=one.retirement_note or "")
        )
    return tuple(found)


def _store(home: Path, person: str, note: str, option: str) -> Store:
    if not person.strip() or not note.strip():
        raise RefusedByPolicy(
            f"Whoever answers for a model needs a name, and the step a reason. Give them with {option} and --note."
        )
    return Store(session.database_url(session.workspace_at(home)), actor=persons.name(person))


def _read(workspace: Workspace, where: Path, note: str) -> NewModel:
    folder = where if where.is_dir() or len(where.parts) > 1 else workspace.runs / where
    if not folder.is_dir():
        raise UnreadableSource(
            str(where),
            "no such folder, and no run of that name",
            "Name a run, or the folder that `wayline risk fit --out` wrote.",
        )
    return _of_run(folder, note) if (folder / RUN_MODEL).is_file() else _of_files(folder, note)


def _of_run(folder: Path, note: str) -> NewModel:
    if not (folder / SUCCESS).is_file():
        raise UnreadableSource(
            folder.name, "the run is not complete", "Let it end with `wayline run`, or name another."
        )
    content = (folder / RUN_MODEL).read_text(encoding="utf-8", errors="replace")
    model = RiskModel.from_json(content, f"{folder.name}/{RUN_MODEL}")
    tried = [one for one in model.measures if one.sample == "out_of_time"]
    measured = {one.measure: one.to_row()["value"] for one in tried if one.measure in _FIGURES}
    return NewModel(
        purpose=RUNS,
        model=SCORECARD,
        source=folder.name,
        learned_until=model.as_of,
        content=content,
        card=None,
        figures={"rows": model.loans, "bads": model.bads, "sample": "out_of_time", **measured},
        note=note,
    )


def _of_files(folder: Path, note: str) -> NewModel:
    model, _ = open_model(folder)
    trials = json.loads((folder / "validation.json").read_bytes())["trials"]
    own = [one for one in trials if one["name"] == model.champion]
    # later rows say more than rows of the same time
    best = next((one for one in own if one["sample"] == "out_of_time"), own[0])
    measured = {name: best[name]["value"] if isinstance(best[name], dict) else best[name] for name in _FIGURES}
    learned = model.learned_from
    path = folder / "card.json"
    return NewModel(
        purpose=FILES,
        model=model.champion,
        source=str(learned["file"]),
        learned_until=None,
        content=(folder / model_folders.MODEL).read_text(encoding="utf-8"),
        card=path.read_text(encoding="utf-8") if path.is_file() else None,
        figures={"rows": learned["rows"], "bads": learned["bads"], "sample": best["sample"], **measured},
        note=note,
    )


def _shown(one: ModelRecord) -> dict[str, Any]:
    return asdict(one)


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
