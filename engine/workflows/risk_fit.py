"""Learn default models out of a plain file, try them on rows they have not seen, and write the one that decides."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.compliance import card_document
from engine.config.load import read_toml
from engine.config.regimes import Regimes
from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.exports import model_folders
from engine.risk.challengers.training import Training
from engine.risk.file_model import FileModel
from engine.risk.file_scorer import FileScorer
from engine.risk.reject_comparison import RejectReport
from engine.risk.rejects import Method
from engine.workflows import risk_card, risk_rejects, risk_sample, session
from engine.workflows.risk_sample import RiskSample, SampleQuestion
from engine.workflows.risk_trials import Trials, tried

Floats = NDArray[np.float64]
INFERRED: Final = "scorecard_with_refused.csv"
_SECTION: Final = "risk"
_SENSITIVE: Final = re.compile(
    r"(^|.*[_ .-])(sex|gender|race|ethnicity|religion|marital.*|marriage|nationality|disability|language)",
    re.IGNORECASE,
)
"""Names of columns that credit law protects in many places; age is not among them, since it often may be an input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitQuestion:
    """What to learn from, and how.

    special : values that are codes; each gets a bin of its own. monotone : 1 where a higher value is riskier, -1 safer.
    meanings : a TOML file that says what columns mean. cut_off : points; None takes the one that parts goods and bads
    best. reject_inference : how those who were not accepted are guessed at, where the sample has any.
    """

    sample: SampleQuestion
    out: Path | None = None
    special: tuple[str, ...] = ()
    monotone: Mapping[str, int] = field(default_factory=dict)
    bureau: tuple[str, ...] = ()
    meanings: Path | None = None
    cut_off: int | None = None
    reject_inference: Method = "fuzzy"
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A model with all that is told of it."""

    question: FitQuestion
    sample: RiskSample
    settings: RiskSettings
    training: Training
    trials: Trials
    meanings: Mapping[str, tuple[str, str]]

    @cached_property
    def model(self) -> FileModel:
        """The model as a folder holds it."""
        sample, settings = self.sample, self.settings
        return FileModel(
            champion=self.trials.champion,
            models=self.trials.models,
            kinds=sample.kinds,
            seen={name: _words(sample.columns[name]) for name, kind in sample.kinds.items() if kind == "category"},
            meanings=self.meanings,
            bureau=self.question.bureau,
            protected=settings.protected,
            never_a_reason=settings.never_a_reason,
            scaling=settings.scaling,
            tiers=settings.tiers,
            cut_off=self.cut_off,
            learned_from={
                "file": sample.name,
                "sha256": sample.digest,
                "target": self.question.sample.target,
                "bad": list(self.question.sample.bad),
                "rows": len(sample.bad),
                "bads": sample.bads,
                "bad_rate": sample.bads / len(sample.bad),
                "refused": sample.refused.rows if sample.refused else 0,
            },
        )

    @property
    def cut_off(self) -> int:
        """The points below which an applicant is refused."""
        named = self.question.cut_off
        return self.trials.best_cut_off(self.settings.scaling) if named is None else named

    @cached_property
    def rejects(self) -> RejectReport | None:
        """The scorecard with the refused guessed at, beside the one without; None where the file holds loans alone."""
        return risk_rejects.compared(
            self.sample, self.training, self.trials, self.question.reject_inference, self.cut_off
        )


def fit(question: FitQuestion) -> dict[str, Any]:
    """Learn, try, write where a folder was named, and return the answer as the command gives it.

    Raises
    ------
    UnreadableSource, NotEnoughData, UnknownName, SettingsFault
        File, columns, outcome or settings cannot be used; one sentence says why.
    LooksAhead
        A row is later than the day asked as of, or its outcome is told before its window has closed.
    RefusedByPolicy
        The folder to write to holds something else.
    """
    if question.out is not None:
        model_folders.refuse_taken(question.out)  # before an hour's work rather than after it
    fitted = learned(question)
    answer = _answer(fitted)
    if question.out is not None:
        model_folders.write(question.out, files(fitted))
    return answer


def learned(question: FitQuestion) -> Fitted:
    """Learn and try, and write nothing; raises as `fit` does for what cannot be learned from."""
    sample = risk_sample.read(question.sample)
    for sentence in told(sample):
        question.sample.say(sentence)
    _refuse_unknown(question, sample)
    settings = _settings(question, sample)
    meanings = _meanings(question.meanings)
    training = Training(
        columns=sample.columns, bad=sample.bad, settings=settings, seed=question.seed, monotone=question.monotone
    )
    trials = tried(training, sample.times)
    return Fitted(
        question=question, sample=sample, settings=settings, training=training, trials=trials, meanings=meanings
    )


def files(fitted: Fitted) -> dict[str, str]:
    """Return the files of the model folder: model, points, validation, settings, and the card in both languages."""
    workspace = session.workspace_at(fitted.question.sample.home)
    rules = session.settings(workspace, Regimes, "regimes").regimes
    card = risk_card.card(fitted, settings_used(fitted), rules, installed_version("wayline"))
    inferred = {} if fitted.rejects is None else {INFERRED: _points_csv(fitted.rejects.found.inferred.rows())}
    own = risk_card.own_points(fitted)
    return {
        model_folders.MODEL: model_folders.as_json(fitted.model.to_dict()),
        "scorecard.csv": _points_csv(fitted.trials.scorecard.rows()),
        **({f"{fitted.trials.champion}.csv": _points_csv(own)} if own else {}),
        **inferred,
        "validation.json": model_folders.as_json(risk_card.validation(card)),
        "settings.json": model_folders.as_json(settings_used(fitted)),
        "card.json": card.to_json(),
        "card.html": card_document.html(card, "en"),
        "card.md": card_document.text(card, "en"),
        "card.zh.html": card_document.html(card, "zh"),
        "card.zh.md": card_document.text(card, "zh"),
    }


def settings_used(fitted: Fitted) -> dict[str, Any]:
    """Return all that the fit was asked and set, without where its file lay."""
    asked, settings = fitted.question, fitted.settings
    return {
        "target": asked.sample.target,
        "bad": list(asked.sample.bad),
        "good": list(asked.sample.good),
        "protected": list(asked.sample.protected),
        "time": asked.sample.time,
        "window_months": asked.sample.window_months,
        "id": asked.sample.id_column,
        "exclude": list(asked.sample.excluded),
        "category": list(asked.sample.categories),
        "accepted": _accepted(fitted),
        "special": list(asked.special),
        "monotone": dict(asked.monotone),
        "bureau": list(asked.bureau),
        "cut_off": fitted.cut_off,
        "seed": asked.seed,
        "wayline": installed_version("wayline"),
        **{
            name: getattr(settings, name).model_dump(mode="json")
            for name in ("binning", "scaling", "tiers", "challengers")
        },
        "out_of_time_share": settings.out_of_time_share,
        "minimum_bads": settings.minimum_bads,
    }


def _accepted(fitted: Fitted) -> dict[str, Any] | None:
    accepted = fitted.sample.accepted
    if accepted is None:
        return None
    rules = fitted.settings.reject_inference.model_dump(mode="json", exclude={"methods"})
    return {
        "column": accepted.column,
        "values": list(accepted.values),
        "reject_inference": fitted.question.reject_inference,
        **rules,
    }


def _answer(fitted: Fitted) -> dict[str, Any]:
    sample, trials = fitted.sample, fitted.trials
    silent = FileScorer(fitted.model).silent_at(fitted.cut_off)
    return {
        "rows": len(sample.bad),
        "bad_rate": sample.bads / len(sample.bad),
        "models": trials.rows(),
        "champion": trials.champion,
        "reasons": [english for english, _ in trials.reasons],
        "folds": len(np.unique(trials.compared.fold[trials.compared.fold >= 0])),
        "seed": fitted.question.seed,
        "out_of_time": trials.out_of_time_rows(),
        "reject_inference": None if fitted.rejects is None else fitted.rejects.to_dict(),
        "cut_off": fitted.cut_off,
        "characteristics": list(trials.models[trials.champion].inputs),
        "left_out": [{"column": one.name, "why": one.why, "values": one.values} for one in sample.left_out],
        "flagged": [{"characteristic": name, "why": why[0]} for name, why in trials.flagged],
        "notes": [*told(sample), *trials.notes, *([silent] if silent else [])],
        "out": None if fitted.question.out is None else str(fitted.question.out),
    }


def told(sample: RiskSample) -> list[str]:
    """Return what was left out or read as missing, and which inputs are protected in many places."""
    sensitive = [f'"{name}"' for name in sample.kinds if _SENSITIVE.fullmatch(name)]
    found = risk_sample.as_words(sample)
    if sensitive:
        are = "is an input, and is" if len(sensitive) == 1 else "are inputs, and are"
        found.append(
            f"{', '.join(sensitive)} {are} protected by law in many places: name such columns with --protected."
        )
    return found


def _settings(question: FitQuestion, sample: RiskSample) -> RiskSettings:
    workspace = session.workspace_at(question.sample.home)
    protected = list(question.sample.protected)
    shipped = session.settings(workspace, RiskSettings, _SECTION)
    never = list(dict.fromkeys([*shipped.never_a_reason, *protected]))
    directions = {1: "rising", -1: "falling"}
    columns = {name: {"direction": directions[way]} for name, way in question.monotone.items()}
    codes: list[float | str] = [_code(text) for text in question.special]
    flags: dict[str, Any] = {"protected": protected, "never_a_reason": never}
    flags["binning"] = {"special_values": codes} | ({"columns": columns} if columns else {})
    settings = session.settings(workspace, RiskSettings, _SECTION, flags)
    if sample.bads < settings.minimum_bads:
        raise NotEnoughData(
            "default model",
            f"{sample.bads:,} of {len(sample.bad):,} rows are bad",
            f"{settings.minimum_bads} bad rows or more",
        )
    return settings


def _code(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _refuse_unknown(question: FitQuestion, sample: RiskSample) -> None:
    known = list(sample.kinds)
    for option, names in (("--monotone", question.monotone), ("--bureau", question.bureau)):
        for name in names:
            if name not in sample.kinds:
                raise UnknownName(f"characteristic of {option}", name, known[:50])
    faults = [
        f'--monotone "{name}": it holds words, which have no order; code it as a number first'
        for name in question.monotone
        if sample.kinds[name] != "number"
    ]
    if faults:
        raise SettingsFault("wayline risk fit", faults)


def _meanings(path: Path | None) -> dict[str, tuple[str, str]]:
    """Return what columns mean, out of a TOML file with a table `en`, `zh` for each."""
    if path is None:
        return {}
    faults, found = [], {}
    for name, told in read_toml(path).items():
        if not isinstance(told, dict) or not isinstance(told.get("en"), str) or set(told) - {"en", "zh"}:
            faults.append(f'[{name}]: expected en = "...", and zh = "..." if you like')
            continue
        found[name] = (told["en"], str(told.get("zh", told["en"])))
    if faults:
        raise SettingsFault(path.name, faults)
    return found


def _words(column: pa.ChunkedArray) -> tuple[str, ...]:
    return tuple(sorted(value for value in pc.unique(column).to_pylist() if value is not None))


def _points_csv(rows: list[dict[str, Any]]) -> str:
    """Return a table of points as people read it."""
    lines = [",".join(rows[0])]
    for row in rows:
        lines.append(",".join(_cell(value) for value in row.values()))
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if text[:1] in ("=", "+", "@") and isinstance(value, str):
        text = f"'{text}"  # a spreadsheet would run it as a formula
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in ',"\n') else text
