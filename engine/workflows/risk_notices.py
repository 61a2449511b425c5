"""Letters to those whom a cut-off refused, from the very reasons that were given with their scores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.regimes import NoticeSettings, Regime, Regimes
from engine.domain.errors import RefusedByPolicy, SettingsFault
from engine.intake.applicant_files import ROW
from engine.lake.files import replace_folder
from engine.risk import changes, notices
from engine.risk.file_model import FileModel
from engine.risk.file_scorer import FileScorer
from engine.risk.notices import Notice, NoticeReason, Refusal, UsedScore
from engine.workflows import risk_changes, session

if TYPE_CHECKING:
    from engine.workflows.risk_score import ScoreQuestion

_MOST_LETTERS: Final = 100_000


class Letters(Protocol):
    """What takes scored blocks and writes a letter for each refused row."""

    written: int

    def write(self, block: pa.Table, scored: pa.Table) -> None:
        """Write the letters of a block."""


class _None:
    """No letters are asked for."""

    written = 0

    def write(self, block: pa.Table, scored: pa.Table) -> None:
        """Write nothing."""


@contextmanager
def letters(question: ScoreQuestion, scorer: FileScorer, cut_off: int) -> Iterator[Letters]:
    """Yield what writes letters into the folder that the question names: all of them, or none at all.

    Raises
    ------
    RefusedByPolicy
        The folder holds something already.
    SettingsFault
        The creditor has no name.
    """
    if question.notices is None:
        yield _None()
        return
    if question.notices.exists() and (not question.notices.is_dir() or any(question.notices.iterdir())):
        raise RefusedByPolicy(f"{question.notices} is not empty, and letters are not mixed. Name a new folder.")
    building = question.notices.with_name(f"_building-{question.notices.name}")
    if building.exists():
        shutil.rmtree(building)
    building.mkdir(parents=True)
    try:
        yield _Letters(question, scorer, cut_off, building)
        replace_folder(building, question.notices)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


class _Letters:
    """Writes one text file for each refused row, named by its number."""

    def __init__(self, question: ScoreQuestion, scorer: FileScorer, cut_off: int, folder: Path) -> None:
        self.written = 0
        self._question, self._scorer, self._cut_off, self._folder = question, scorer, cut_off, folder
        self._model = scorer.model
        self._settings, self._regimes = rules(question.home, question.creditor)
        self._ways = risk_changes.ways(self._model, question.home, question.changeable)
        if question.received is None:
            question.say(
                "No --received column: the clock of the notices runs from the day of the decision, "
                f"{question.decided_on}."
            )

    def write(self, block: pa.Table, scored: pa.Table) -> None:
        """Write the letters of a block."""
        refused = pc.fill_null(pc.equal(scored["outcome"], "decline"), False)
        received = days(block, self._question.received, self._question.decided_on)
        places = pc.indices_nonzero(refused)
        columns = {name: block[name].take(places) for name in self._model.inputs}
        change = changes.of_file(self._model, columns, len(places), self._cut_off, self._ways)
        for place, smallest in zip(places.to_pylist(), change, strict=True):
            row = {name: scored[name][place].as_py() for name in scored.column_names}
            notice = self._notice(row, received[place], smallest.text())
            self.written += 1
            if self.written > _MOST_LETTERS:
                raise SettingsFault("--notice", [f"more than {_MOST_LETTERS:,} letters; score the file in parts"])
            (self._folder / f"notice-{row['row']:08d}.txt").write_text(notice.text(), encoding="utf-8")

    def _notice(self, row: dict[str, Any], received: date, change: tuple[str, str] | None) -> Notice:
        places = [row[f"_{rank + 1}"] for rank in range(self._question.reasons)]
        reasons = self._scorer.told(places)
        return write(
            self._model,
            reference=row.get("id") or f"row {row['row']}",
            points=row["points"],
            reasons=reasons,
            received=received,
            decided=self._question.decided_on,
            settings=self._settings,
            regimes=self._regimes,
            language=self._question.language,
            change=change,
        )


def rules(home: Path, creditor: str | None) -> tuple[NoticeSettings, tuple[Regime, ...]]:
    """Return what a notice says of the bank, and the rules that are known."""
    workspace = session.workspace_at(home)
    flags = {"creditor_name": creditor} if creditor else None
    settings = session.settings(workspace, NoticeSettings, "notices", flags)
    return settings, session.settings(workspace, Regimes, "regimes").regimes


def write(
    model: FileModel,
    *,
    reference: str,
    points: int,
    reasons: list[dict[str, Any]],
    received: date,
    decided: date,
    settings: NoticeSettings,
    regimes: tuple[Regime, ...],
    language: Any,
    change: tuple[str, str] | None = None,
) -> Notice:
    """Return the notice of one refused row."""
    lowest, highest = model.range
    refusal = Refusal(
        reference=reference,
        action="decline",
        received_on=received,
        decided_on=decided,
        reasons=[
            NoticeReason(
                code=one["code"], source="score", text_en=one["text_en"], text_zh=one["text_zh"], bureau=one["bureau"]
            )
            for one in reasons
        ],
        used_bureau=model.uses_bureau,
        score=UsedScore(points=points, lowest=lowest, highest=highest, made_on=decided),
        change=change,
    )
    return notices.write(refusal, settings, regimes, protected=model.protected, language=language)


def days(block: pa.Table, column: str | None, otherwise: date) -> list[date]:
    """Return the day of each row's column as ISO dates have it; `otherwise` without a column.

    Raises
    ------
    SettingsFault
        A value is no date.
    """
    if column is None:
        return [otherwise] * block.num_rows
    found = []
    for row, text in zip(block[ROW].to_pylist(), block[column].cast(pa.string()).to_pylist(), strict=True):
        try:
            found.append(date.fromisoformat(str(text)[:10]))
        except ValueError:
            raise SettingsFault(
                "--received", [f'"{column}" has no date in row {row:,}; write dates as 2026-06-30']
            ) from None
    return found
