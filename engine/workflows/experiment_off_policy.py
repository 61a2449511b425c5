"""What another policy would have brought, from a log of decisions whose propensities were kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from math import inf, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine
from engine.workflows import decision_logs, logged_decisions, session
from engine.workflows.decision_logs import DECISIONS, Columns
from engine.workflows.logged_decisions import NoBatches
from experiments import adaptive_means, off_policy, reward_models
from experiments.adaptive_means import ArmMeans
from experiments.effects import ALPHA, critical_value
from experiments.off_policy import Log, Overlap, PolicyValue

Floats = NDArray[np.float64]

_ASKED: Final = "wayline experiment off-policy"
_MOST_ACTIONS: Final = 100
_MOST_CELLS: Final = 100_000_000
_THIN: Final = 0.1
_HEAVY: Final = 0.05
_OFF: Final = 3.0
_OF_OTHER_WEEKS: Final = (
    "Adaptive weights favour batches in which an arm was given often. Where rewards drift, the means "
    "of two arms are of different times then; the self-normalised values are of all times alike."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which log, its columns, and which policy; without one every action is asked about as if all had got it.

    policy : column of the action that the new policy takes in the row. policy_propensity : column of the chance with
        which the new policy takes the action that the row has. At most one of them.
    model : columns known before the decision, from which rewards are predicted. batch : column of the batches of an
        adaptive experiment. unit : column of the unit, where some have several decisions.
    control : the action that adaptively weighted means are compared with. clip : what a weight is at most.
    """

    path: Path
    action: str
    reward: str
    propensity: str
    policy: str | None = None
    policy_propensity: str | None = None
    model: Sequence[str] = ()
    batch: str | None = None
    unit: str | None = None
    control: str | None = None
    clip: float | None = None
    alpha: float = ALPHA
    seed: int = 7
    encoding: str | None = None
    home: Path = Path("workspace")


def evaluate(question: Question) -> dict[str, Any]:
    """Return what was logged and, for each policy, its value by every method, how far the log speaks for it, warnings.

    Raises
    ------
    SettingsFault, UnknownName
        Columns, actions or limits cannot be used, or a reward or propensity is none.
    UnreadableSource, NotEnoughData
        The file cannot be read, holds no decision to judge by, one action, or far too many.
    """
    _refuse(question)
    with session.files_aside(question.home) as aside:
        engine = aside.engine
        file = event_files.read(question.path, engine, aside.folder("log"), aside.rules, encoding=question.encoding)
        counts = decision_logs.attach(file, _columns(question), engine, aside.scratch)
        answer = _answer(question, engine, file)
        answer["notes"] += file.notes
        return answer | {"counts": asdict(counts)}


def _refuse(question: Question) -> None:
    faults = []
    if question.policy is not None and question.policy_propensity is not None:
        faults.append("--policy names the action, --policy-propensity the chance of the row's action; give one of them")
    if question.clip is not None and not 0 < question.clip < inf:
        faults.append(f"--clip {question.clip:g}: a weight that is kept is a number above 0, such as 20")
    if not 0 < question.alpha < 1:
        faults.append(f"--alpha {question.alpha:g}: expected a share between 0 and 1. For 5 % write 0.05")
    if faults:
        raise SettingsFault(_ASKED, faults)


def _columns(question: Question) -> Columns:
    texts = {"policy": question.policy, "batch": question.batch}
    texts |= {f"model{place}": column for place, column in enumerate(question.model)}
    numbers = {} if question.policy_propensity is None else {"chance": question.policy_propensity}
    return Columns(
        unit=question.unit,
        arm=question.action,
        reward=question.reward,
        propensity=question.propensity,
        texts={name: column for name, column in texts.items() if column is not None},
        numbers=numbers,
    )


# The log and the policies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Policy:
    """One policy. `target` are its chances of every action; where only the logged action's are known `partly` is true.

    everyone : the action that all get; None where it differs.
    """

    name: str
    target: Floats
    partly: bool = False
    everyone: str | None = None


def _answer(question: Question, engine: DuckDBEngine, file: EventFile) -> dict[str, Any]:
    logged = _logged(question, engine, file.name)
    actions = logged + _unlogged(question, engine, logged)
    cells = first_row(engine, f"SELECT count(*) FROM {DECISIONS}")[0] * len(actions)
    if cells > _MOST_CELLS:
        told = f"{cells:,} chances, one for each row and action; at most {_MOST_CELLS:,} are looked at"
        raise NotEnoughData("estimate from so large a log", told, "a sample of its rows, or fewer actions")
    rows = logged_decisions.text_columns(engine, _names(question))
    log = logged_decisions.log_of(rows, actions, logged)
    predictions, notes = _predictions(question, rows, log)
    means = _means(engine, question, logged)
    as_it_was = off_policy.inverse_propensity(log, log.propensities, alpha=question.alpha)
    control = question.control
    if control is not None and control not in logged:
        raise UnknownName("action", control, logged)
    return {
        "reward": question.reward,
        "actions": {
            name: int(n) for name, n in zip(actions, np.bincount(log.arm, minlength=len(actions)), strict=True)
        },
        "logged": {"value": float(log.reward.mean()), "interval": _interval(as_it_was.lower, as_it_was.upper)}
        | ({"why": as_it_was.reason} if as_it_was.lower is None else {}),
        "policies": [
            _judged(question, log, policy, predictions, means) for policy in _policies(question, rows, log, logged)
        ],
        **({} if control is None else {"contrasts": _contrasts(question, means, control, logged)}),
        "notes": [*notes, *_of_batches(means)],
    }


def _names(question: Question) -> list[str]:
    names = ["arm", "unit", "reward", "propensity", *(f"model{place}" for place in range(len(question.model)))]
    names += ["policy"] if question.policy is not None else []
    return names + (["chance"] if question.policy_propensity is not None else [])


def _logged(question: Question, engine: DuckDBEngine, name: str) -> list[str]:
    logged = logged_decisions.actions_of(engine, "arm", _MOST_ACTIONS)
    if len(logged) > _MOST_ACTIONS:
        have = f'"{question.action}" of {name} has more than {_MOST_ACTIONS} different values, too many for actions'
        raise NotEnoughData("estimate", have, f"the column of the action, with at most {_MOST_ACTIONS}")
    if len(logged) == 1:
        have = f'"{question.action}" of {name} holds one action only, "{logged[0]}"'
        raise NotEnoughData("estimate", have, "a log in which another action had a chance as well")
    return logged


def _unlogged(question: Question, engine: DuckDBEngine, logged: Sequence[str]) -> list[str]:
    """Return the actions that the policy takes and the log never holds."""
    if question.policy is None:
        return []
    missing, first = first_row(engine, f"SELECT count(*), min(row_number) FROM {DECISIONS} WHERE policy IS NULL")
    if missing:
        told = f'"{question.policy}": {missing:,} rows have no action of the new policy, the first in row {first + 1:,}'
        raise SettingsFault(_ASKED, [f"{told}. A policy takes an action in every row"])
    taken = logged_decisions.actions_of(engine, "policy", _MOST_ACTIONS)
    if not set(taken) & set(logged) or len(taken) > _MOST_ACTIONS:
        raise UnknownName(f'action in "{question.policy}"', taken[0], logged)
    return [action for action in taken if action not in logged]


def _policies(question: Question, rows: pa.Table, log: Log, logged: Sequence[str]) -> Iterator[_Policy]:
    actions, n = log.arms, len(log.reward)
    if question.policy is not None:
        taken = logged_decisions.places(rows.column("policy"), actions)
        target = logged_decisions.spread(taken, np.ones(n), len(actions), range(len(actions)))
        yield _Policy(name=f'as in "{question.policy}"', target=target)
        return
    if question.policy_propensity is not None:
        chance = rows.column("chance").to_numpy(zero_copy_only=False)
        wrong = ~((chance >= 0) & (chance <= 1))
        if wrong.any():
            told = f'"{question.policy_propensity}": {int(wrong.sum()):,} values are no chances from 0 to 1'
            raise SettingsFault(_ASKED, [f"{told}. It is the chance that the new policy takes the row's action"])
        target = logged_decisions.spread(log.arm, chance, len(actions), range(len(actions)))
        yield _Policy(name=f'by "{question.policy_propensity}"', target=target, partly=len(actions) > 2)
        return
    for action in logged:
        target = (np.array(actions) == action).astype(np.float64)
        yield _Policy(name=f'"{action}" to all', target=target, everyone=action)


# Estimates


def _predictions(question: Question, rows: pa.Table, log: Log) -> tuple[Floats | None, list[str]]:
    if not question.model:
        return None, []
    features, notes = logged_decisions.features(rows, question.model)
    group = np.arange(len(log.reward)) if log.unit is None else log.unit
    fold = reward_models.folds(group, question.seed)
    return reward_models.cross_fitted(features, log.arm, log.reward, fold, n_arms=len(log.arms)), notes


def _means(engine: DuckDBEngine, question: Question, logged: Sequence[str]) -> ArmMeans | NoBatches:
    found = logged_decisions.batches(engine, logged, question.batch)
    return found if isinstance(found, NoBatches) else adaptive_means.adaptive_means(found)


def _of_batches(means: ArmMeans | NoBatches) -> Iterator[str]:
    if isinstance(means, ArmMeans) and means.moved:
        yield _OF_OTHER_WEEKS


def _judged(
    question: Question, log: Log, policy: _Policy, predictions: Floats | None, means: ArmMeans | NoBatches
) -> dict[str, Any]:
    alpha, clip = question.alpha, inf if question.clip is None else question.clip
    by_weight = off_policy.inverse_propensity(log, policy.target, alpha=alpha, clip=clip)
    normed = off_policy.self_normalised(log, policy.target, alpha=alpha, clip=clip)
    if predictions is None:
        robust = {"method": "doubly_robust"} | _nothing("no column to predict rewards from; name some with --model")
    elif policy.partly:
        robust = {"method": "doubly_robust"} | _nothing(
            "of the new policy only the chance of the logged action is known, and every action's is needed"
        )
    else:
        robust = _told(off_policy.doubly_robust(log, policy.target, predictions, alpha=alpha, clip=clip))
    return {
        "policy": policy.name,
        "estimates": [_told(by_weight), _told(normed), robust, _adaptive(question, policy, means)],
        "overlap": asdict(by_weight.overlap),
        "warnings": list(_warnings(by_weight.overlap, log, policy, clip)),
    }


def _told(found: PolicyValue) -> dict[str, Any]:
    made = {
        "method": found.method,
        "value": found.value,
        "interval": _interval(found.lower, found.upper),
        "standard_error": found.standard_error,
        "gain": {"value": found.gain, "interval": _interval(found.gain_lower, found.gain_upper)},
    }
    return made | ({"why": found.reason} if found.reason else {})


def _nothing(why: str) -> dict[str, Any]:
    return {"value": None, "interval": None, "standard_error": None, "why": why}


def _interval(lower: float | None, upper: float | None) -> list[float] | None:
    return None if lower is None or upper is None else [lower, upper]


def _adaptive(question: Question, policy: _Policy, means: ArmMeans | NoBatches) -> dict[str, Any]:
    named = {"method": "adaptive_aipw"}
    if policy.everyone is None:
        return named | _nothing("adaptive weights are worked out for one action to all; leave the policy out for them")
    if isinstance(means, NoBatches):
        return named | _nothing(means.reason)
    place = means.arms.index(policy.everyone)
    error = sqrt(max(float(means.covariance[place, place]), 0.0))
    if not error:
        return named | _nothing("every decision says the same, so there is no spread to judge by")
    value, half = float(means.value[place]), critical_value(question.alpha, inf) * error
    return named | {"value": value, "interval": [value - half, value + half], "standard_error": error}


def _contrasts(
    question: Question, means: ArmMeans | NoBatches, control: str, logged: Sequence[str]
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for action in logged:
        if action == control:
            continue
        named = {"action": action, "control": control, "method": "adaptive_aipw"}
        if isinstance(means, NoBatches):
            nothing = {"difference": None, "interval": None, "p_value": None}
            made.append(named | nothing | {"why": means.reason})
            continue
        effect = means.compare(action, control, alpha=question.alpha)
        found = {"difference": effect.difference, "interval": _interval(effect.lower, effect.upper)}
        why = {"why": effect.reason} if effect.reason else {}
        made.append(named | found | {"p_value": effect.p_value} | why)
    return made


def _warnings(found: Overlap, log: Log, policy: _Policy, clip: float) -> Iterator[str]:
    """Say where the log hardly speaks for a policy."""
    taken = policy.target.reshape(-1, len(log.arms)).max(axis=0).tolist()
    times = np.bincount(log.arm, minlength=len(log.arms)).tolist()
    never = [f'"{action}"' for action, does, n in zip(log.arms, taken, times, strict=True) if does and not n]
    if never:
        yield f"The log never holds {', '.join(never)}, which the policy takes."
    if found.effective_n < _THIN * found.n:
        yield (
            f"Of {found.n:,} decisions as many count for this policy as {found.effective_n:,.0f} of an even log would: "
            "it does what was seldom done."
        )
    if found.largest_weight > _HEAVY:
        yield f"One decision carries {100 * found.largest_weight:.0f} % of all weight."
    error = found.mean_weight_error
    if error is not None and abs(found.mean_weight - 1) > max(_OFF * error, 1e-6):
        yield (
            f"Weights average {found.mean_weight:.3f}, and near 1 where propensities are right and every action of the "
            "policy had a chance: check how propensities were logged."
        )
    if found.clipped:
        yield (
            f"{found.clipped:,} weights above {clip:g} were clipped, which took {100 * found.cut:.1f} % of all weight "
            "away: values lean towards decisions that were likely."
        )
