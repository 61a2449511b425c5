"""Explain one row of a plain file: points by characteristic, reasons, the change that would change the outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import Way
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName, WaylineError
from engine.intake import applicant_files
from engine.intake.applicant_files import ROW
from engine.risk import changes, tiers
from engine.risk.changes import Change
from engine.risk.file_model import FileModel
from engine.risk.file_reasons import bin_text, meaning
from engine.risk.file_scorer import FileScorer, Scores
from engine.risk.reasons import seen
from engine.workflows import risk_changes, risk_notices, risk_sample, risk_score

_REASONS: Final = 4
_ROW: Final = "row of the file"
_NAME_COLUMNS: Final = {
    "en": " Columns are added with --changeable COL, COL=+ or COL=-.",
    "zh": "可用 --changeable COL、COL=+ 或 COL=- 增加列。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainQuestion:
    """The file and the one row of it: by number, or by the value of a column.

    changeable : columns that an applicant can change, and which way, besides those of settings.
    """

    path: Path
    model: Path
    row: int | None = None
    id_column: str | None = None
    value: str | None = None
    cut_off: int | None = None
    changeable: Mapping[str, Way] = field(default_factory=dict)
    creditor: str | None = None
    received: str | None = None
    decided_on: date = date(1970, 1, 1)
    encoding: str | None = None
    language: Literal["en", "zh"] = "en"
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=risk_sample.silent, compare=False)


def explain(question: ExplainQuestion) -> dict[str, Any]:
    """Return how the points of one row come about, its reasons, and the notice where it is refused.

    Raises
    ------
    UnknownName, NotEnoughData
        There is no such row, or several, or none of its values is read by the model.
    UnreadableSource, ModelSpoilt, CheckFailed
        File or model cannot be used.
    """
    model, checksum = risk_score.open_model(question.model)
    cut_off = model.cut_off if question.cut_off is None else question.cut_off
    ways = risk_changes.ways(model, question.home, question.changeable)
    row = _row(question, model)
    columns = {name: row[name] for name in model.inputs}
    scorer = FileScorer(model, _REASONS)
    found = scorer.block(columns, 1)
    if not found.known[0]:
        raise NotEnoughData("score", "no value of this row is read by the model", "a row with at least one of them")
    told = scorer.told(found.reasons[0].tolist())
    reasons = [{**one, "text": one[f"text_{question.language}"]} for one in told]
    points = int(found.points[0])
    refused = points < cut_off
    answer = {
        "row": row[ROW][0].as_py(),
        "points": points,
        "cut_off": cut_off,
        "default_probability": float(found.probability[0]),
        "tier": tiers.TIERS[int(found.tier[0])].value,
        "outcome": "decline" if refused else "approve",
        "model": {"champion": model.champion, "sha256": checksum},
        "characteristics": list(_characteristics(model, found, columns, question.language)),
        "reasons": reasons if refused else [],
        "what_costs_most": reasons,
        "change": None,
        "notice": None,
    }
    if not refused:
        return answer
    change = changes.of_file(model, columns, 1, cut_off, ways)[0]
    return answer | _change(change, question.language) | _notice(question, model, row, answer, change)


def _row(question: ExplainQuestion, model: FileModel) -> pa.Table:
    with risk_sample.opened(question.path, question.home, question.encoding) as (file, engine):
        risk_score.refuse_columns(model, file, id_column=question.id_column, received=question.received)
        kinds: Any = {name: model.kinds[name] for name in model.inputs}
        named = (question.id_column, question.received)
        texts = [name for name in named if name is not None and name not in kinds]
        wanted = []
        for block in applicant_files.batches(file, kinds, engine, texts, size=risk_score.BLOCK):
            wanted.append(block.filter(_is_wanted(question, block)))
        found = pa.concat_tables(wanted)
        if found.num_rows == 0:
            raise _no_row(question, file.rows)
        if found.num_rows > 1:
            have = f'{found.num_rows:,} rows have that value of "{question.id_column}"'
            raise NotEnoughData("explanation of one row", have, "a value that one row has, or --row")
        return found


def _is_wanted(question: ExplainQuestion, block: pa.Table) -> Any:
    if question.id_column is None:
        return pc.equal(block[ROW], question.row)
    return pc.fill_null(pc.equal(block[question.id_column].cast(pa.string()), question.value), False)


def _no_row(question: ExplainQuestion, rows: int) -> Exception:
    if question.id_column is None:
        return UnknownName(_ROW, str(question.row), [f"1 to {rows:,}"])
    # ids are customers' data and are not listed
    return SettingsFault("--value", [f'no row has that value of "{question.id_column}"; check it, or name --row'])


def _characteristics(
    model: FileModel, found: Scores, columns: dict[str, pa.ChunkedArray], language: str
) -> Iterator[dict[str, Any]]:
    """Yield, for each characteristic, what it was and what it gave; the points add up to the score.

    Where the model is no sum, or a calibrator bends it, there are no points that would add up: what it was alone.
    """
    card = model.card
    if card is None or model.bend is not None or found.codes is None:
        for name in model.inputs:
            yield {"characteristic": name, "meaning": meaning(model, name)[language == "zh"]} | _value(columns, name)
        return
    for attribute, points, codes in zip(card.attributes, card.whole_points(), found.codes, strict=True):
        bins, code = attribute.bins, int(codes[0])
        given, best = int(points[code]), int(points[seen(attribute)].max())
        yield {
            "characteristic": bins.name,
            "meaning": meaning(model, bins.name)[language == "zh"],
            **_value(columns, bins.name),
            "bin": bin_text(bins.label(code) if code < bins.size else "missing", language),
            "points": given,
            "best": best,
            "lost": max(best - given, 0),
        }


def _value(columns: dict[str, pa.ChunkedArray], name: str) -> dict[str, Any]:
    return {"value": columns[name][0].as_py()}


def _change(change: Change, language: str) -> dict[str, Any]:
    """Return the smallest change that would change the outcome, or why there is none."""
    told = change.text()
    if told is None:
        assert change.why_not is not None
        return {"no_change": change.why_not[language == "zh"] + _NAME_COLUMNS[language]}
    parts = [
        {"characteristic": one.name, "text": one.text_zh if language == "zh" else one.text_en} for one in change.parts
    ]
    return {"change": {"parts": parts, "text": told[language == "zh"]}}


def _notice(
    question: ExplainQuestion, model: FileModel, row: pa.Table, answer: dict[str, Any], change: Change
) -> dict[str, Any]:
    settings, regimes = risk_notices.rules(question.home, question.creditor)
    received = risk_notices.days(row, question.received, question.decided_on)[0]
    try:
        notice = risk_notices.write(
            model,
            reference=question.value or f"row {answer['row']}",
            points=answer["points"],
            reasons=answer["reasons"],
            received=received,
            decided=question.decided_on,
            settings=settings,
            regimes=regimes,
            language=question.language,
            change=change.text(),
        )
    except WaylineError as fault:
        # the points are explained whether or not a letter can be written
        return {"no_notice": fault.sentence}
    return {
        "notice": {
            "text": notice.text(),
            "due_on": notice.due_on,
            "late": notice.late,
            "regimes": list(notice.regimes),
            "language": notice.language,
        }
    }
