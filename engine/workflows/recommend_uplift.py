"""Learn from a file of a randomised test on whom the treatment works: no workspace, no set-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.domain.errors import SettingsFault
from engine.intake import profiles, trial_files
from engine.intake.trial_files import TrialRoles, TrialRows
from engine.numerics.intervals import Interval
from engine.numerics.ratios import or_none
from engine.recommendations import uplift
from engine.recommendations.encoding import encode
from engine.recommendations.uplift import Trial
from engine.recommendations.uplift_metrics import Measured
from engine.workflows import session

QINI: Final = "0 as good as drawing customers at random, 1 the best order in hindsight"


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The file, which column plays which role, and how many customers come first."""

    path: Path
    treatment: str
    outcome: str
    profile: tuple[str, ...]
    control: str | None = None
    treated: str | None = None
    share: float = 0.3
    seed: int | None = None
    encoding: str | None = None
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=_silent, compare=False)


def evaluate(question: Question) -> dict[str, Any]:
    """Return what the test says and how each learner orders customers, as the command writes it.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The file or its columns cannot be used; one sentence says why.
    """
    faults = list(_faults(question))
    if faults:
        raise SettingsFault("wayline recommend uplift", faults)
    roles = TrialRoles(
        treatment=question.treatment,
        outcome=question.outcome,
        profile=question.profile,
        control=question.control,
        treated=question.treated,
    )
    with session.files_aside(question.home) as aside:
        spool = aside.folder("file")
        found = trial_files.read(question.path, aside.engine, spool, aside.rules, roles, encoding=question.encoding)
    for note in found.notes:
        question.say(note)
    return _answer(question, found)


def _faults(question: Question) -> list[str]:
    found = []
    if not question.profile:
        found.append("--profile names no column: expected what was known of the customers before the treatment")
    if not 0 < question.share <= 1:
        found.append(f"--share {question.share:g}: expected a share above 0 and at most 1. For 30 % write 0.3")
    if question.control is not None and question.control == question.treated:
        found.append("--control and --treated name the same value")
    roles = [question.treatment, question.outcome, *question.profile]
    return [*found, *profiles.named_twice(roles)]


def _answer(question: Question, found: TrialRows) -> dict[str, Any]:
    seed = 1 if question.seed is None else question.seed
    # what a word or a tenth of a number stands for is no outcome, so that all rows may say it
    x, _ = encode(found.profile, np.ones(len(found.treated), dtype=bool))
    trial = Trial(x=x, treated=found.treated, outcome=found.outcome)
    done = uplift.evaluate(trial, share=question.share, seed=seed)
    return {
        "rows": len(found.treated),
        "treated": _side(trial, found.treated) | {"arms": list(found.treated_arms)},
        "control": _side(trial, ~found.treated) | {"arms": [found.control] if found.control else []},
        "outcome": "yes_or_no" if trial.is_yes_or_no else "amount",
        "effect": _measured(done.effect),
        "randomised": {
            "statistic": or_none(done.balance.statistic),
            "degrees_of_freedom": done.balance.freedom,
            "p_value": or_none(done.balance.p_value),
        },
        "learned_from": done.learned_from,
        "judged_on": done.judged_on,
        "models": [
            {
                "name": kind,
                "qini": _measured(one.qini),
                "uplift_auc": _measured(one.uplift_auc),
                "uplift_of_first": _measured(one.uplift_of_first),
                "beats_random": one.beats_random,
            }
            for kind, one in done.models.items()
        ],
        "champion": done.champion,
        "why": done.why or None,
        "share": question.share,
        "seed": seed,
        "qini_scale": QINI,
        "notes": list(found.notes),
    }


def _side(trial: Trial, which: Any) -> dict[str, Any]:
    outcome = trial.outcome[which]
    return {"customers": len(outcome), "mean_outcome": or_none(float(outcome.mean())) if len(outcome) else None}


def _measured(found: Measured) -> dict[str, Any]:
    answer: dict[str, Any] = {"value": or_none(found.value), "interval": _ends(found.interval)}
    return answer | ({"why": found.why} if found.why else {})


def _ends(interval: Interval) -> list[float] | None:
    return [interval.lower, interval.upper] if interval.is_defined else None
