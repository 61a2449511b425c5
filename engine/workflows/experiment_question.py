"""What is asked of an experiment in files, and the plan that this makes: from options, or from a plan's own file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from engine.config.experiments import ExperimentSettings, Nulls, Windowed
from engine.config.load import read_toml, validate
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName, UnreadableSource
from experiments.writing import grouped

ASKED: Final = "wayline experiment analyze"

_MOST_ARMS: Final = 100

ADJUSTED: Final = ("mean", "proportion", "ratio", "retention", "composite")
"""The kinds of metrics that covariates adjust."""

WINDOWED: Final = ("mean", "proportion", "ratio", "quantile")
"""The kinds of metrics whose events count within a window after exposure."""


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The metrics that options name: columns of a table of units, or events of a log.

    metrics : name and kind, "proportion" or "mean"; `ratios` numerator and denominator; `quantiles` name and share.
    times : by the name of what happens, the column of days (None in a log) and the horizon in days.
    retentions : events of a log with the days from and to which they count. composites : terms with their weights.
    caps : a value, or a percentile as text such as "p99". nulls : by metric; under "" that of all others.
    """

    metrics: Sequence[tuple[str, str]] = ()
    ratios: Sequence[tuple[str, str]] = ()
    quantiles: Sequence[tuple[str, float]] = ()
    times: Mapping[str, tuple[str | None, int]] = field(default_factory=dict)
    retentions: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    composites: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    caps: Mapping[str, float | str] = field(default_factory=dict)
    nulls: Mapping[str, Nulls] = field(default_factory=dict)
    decrease: Sequence[str] = ()
    guardrails: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of the metrics, in order."""
        return [
            *(name for name, _ in self.metrics),
            *(f"{one}/{other}" for one, other in self.ratios),
            *(quantile_name(name, share) for name, share in self.quantiles),
            *self.retentions,
            *self.times,
            *self.composites,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """The log of events beside the log of exposures, and which column plays which role; None: found by its name.

    exposed_at : of the exposures. `event`, `time`, `value` and `arrived` are of the events. `zone` is that of times
    without an offset. window_days : after exposure, for metrics that have no window of their own.
    """

    path: Path
    exposed_at: str | None = None
    event: str | None = None
    time: str | None = None
    value: str | None = None
    arrived: str | None = None
    zone: str | None = None
    window_days: float | None = None
    activation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The file, which column plays which role, and what is asked.

    unit : None where every row is a unit of its own; in a log, None finds it by its name.
    spec : the file of a plan, which then says all that `measures` and the fields below it say.
    first_look : an earlier answer as JSON, whose plan this one is compared with.
    cluster : what was randomised where that is more than a unit. weights : the planned split; None assumes equal parts
        and says so.
    one_look : the file is looked at once, at the planned end; otherwise the verdict holds however often it is asked.
    as_of : what was not known then does not count; None is the latest instant of a log.
    """

    path: Path
    variant: str | None = None
    control: str | None = None
    unit: str | None = None
    events: EventLog | None = None
    spec: Path | None = None
    first_look: Path | None = None
    measures: Measures = Measures()
    covariates: Sequence[str] = ()
    segments: Sequence[str] = ()
    stratum: str | None = None
    cluster: str | None = None
    weights: Mapping[str, float] | None = None
    alpha: float | None = None
    one_look: bool = False
    as_of: datetime | None = None
    show_withheld: bool = False
    encoding: str | None = None
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=_silent, compare=False)

    @property
    def arm(self) -> str:
        """The column of the arm."""
        return self.variant or "variant"


def quantile_name(name: str, share: float) -> str:
    """Return the name of the quantile of a column or event: "wait.p95"."""
    return f"{name}.p{100 * share:g}"


def draft(question: Question) -> ExperimentSettings:
    """Return the plan, with two arms of no name where options do not tell which arms there are.

    Raises
    ------
    SettingsFault
        The question or the file of the plan cannot be used; every fault is listed.
    """
    found = list(_of_spec(question) if question.spec else _of_options(question))
    if found:
        raise SettingsFault(ASKED, found)
    if question.spec:
        return _read(question.spec)
    return of_arms(question, [str(question.control), f"{question.control}, and others"])


def of_arms(question: Question, arms: Sequence[str]) -> ExperimentSettings:
    """Return the plan that the options make for the arms that there are, control first."""
    name = question.path.name
    source = "event" if question.events else "column"
    plan: dict[str, Any] = {
        "experiment_id": name.partition(".")[0] or name,
        "name_en": name,
        "weights": question.weights or dict.fromkeys(arms, 1.0),
        "weights_assumed": question.weights is None,
        "control": question.control,
        "unit": question.unit or ("customer_id" if question.events else "row"),
        "randomised_by": question.cluster,
        "metrics": _metrics(question),
        "strata": (question.stratum,) if question.stratum else (),
        "segments": question.segments,
        "covariates": [{"covariate": one, source: one} for one in question.covariates],
        "alpha": 0.05 if question.alpha is None else question.alpha,
    }
    if question.events:
        plan["activation_event"] = question.events.activation
    return validate(ExperimentSettings, plan, ASKED)


def registered(question: Question) -> Mapping[str, Any] | None:
    """Return the plan of an earlier answer; None where none was named.

    Raises
    ------
    UnreadableSource
        The file is no answer of an experiment.
    """
    path = question.first_look
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        plan = found["plan"]
    except (OSError, ValueError, KeyError, TypeError):
        plan = None
    if not isinstance(plan, Mapping):
        remedy = "Name the JSON that `wayline experiment analyze --json` wrote at the first look, or its .json report."
        raise UnreadableSource(path.name, "holds no plan of an experiment", remedy)
    return plan


# From a file


def _of_spec(question: Question) -> Iterator[str]:
    """Return what cannot be asked beside a file that holds the plan."""
    beside = {
        "--control": question.control,
        "--metric, --ratio and their like": question.measures.names,
        "--covariate": question.covariates,
        "--segment": question.segments,
        "--stratum": question.stratum,
        "--cluster": question.cluster,
        "--weights": question.weights,
        "--alpha": question.alpha,
        "--one-look": question.one_look,
        "--window": question.events and question.events.window_days,
        "--activation": question.events and question.events.activation,
    }
    plan = "" if question.spec is None else question.spec.name
    yield from (f"{option}: the plan in {plan} says so; take it out" for option, value in beside.items() if value)


def _read(path: Path) -> ExperimentSettings:
    values = read_toml(path)
    listed = values.get("experiments")
    if isinstance(listed, list):
        if len(listed) != 1 or not isinstance(listed[0], dict):
            raise SettingsFault(path.name, [f"holds {len(listed)} experiments; write one in a file"])
        values = listed[0]
    stem = path.name.partition(".")[0] or path.name
    values = {"experiment_id": stem, "name_en": str(values.get("experiment_id", stem)), **values}
    return validate(ExperimentSettings, values, path.name)


def unit_faults(plan: ExperimentSettings) -> Iterator[str]:
    """Return what a plan asks that a table of units cannot answer."""
    for metric in plan.metrics:
        if metric.events:
            yield f'metric "{metric.metric}" reads an event; name its column, or the log with --events'
        if isinstance(metric, Windowed) and metric.window_days is not None:
            yield f'metric "{metric.metric}" has window_days; a table of units holds one value, so leave it out'
    for one in plan.covariates:
        if one.column is None:
            yield f'covariate "{one.covariate}" reads an event; name its column, or the log with --events'
    if plan.activation_event is not None:
        yield "activation_event needs the log of events; name it with --events, or leave out who never came so far"
    if plan.covariates and not any(metric.kind in ADJUSTED for metric in plan.metrics):
        yield f"covariates adjust metrics of the kinds {', '.join(ADJUSTED)}, and there is none"


def log_faults(plan: ExperimentSettings) -> Iterator[str]:
    """Return what a plan asks that logs of exposures and events cannot answer."""
    for metric in plan.metrics:
        if metric.columns:
            yield f'metric "{metric.metric}" reads a column of a table of units; name its event, or leave out --events'
    for one in plan.covariates:
        if one.event is None:
            yield f'covariate "{one.covariate}" reads a column of a table of units; name its event'


# From options


def _of_options(question: Question) -> Iterator[str]:
    """Return what is wrong with the question itself."""
    asked = question.measures
    named = asked.names
    for option, value in (("--variant", question.variant), ("--control", question.control)):
        if value is None:
            yield f"{option} is missing; name it, or the file of a plan with --spec"
    if not named:
        yield (
            "no metric: name one with --metric COL:proportion or --metric COL:mean, with --ratio NUM/DEN, or a whole "
            "plan with --spec FILE"
        )
    yield from (f'metric "{name}" is named twice' for name in dict.fromkeys(named) if named.count(name) > 1)
    for option, names in (
        ("--decrease", asked.decrease),
        ("--guardrail", asked.guardrails),
        ("--cap", asked.caps),
        ("--nulls", [name for name in asked.nulls if name]),
    ):
        yield from (
            f'{option} "{name}": no such metric. Metrics are: {", ".join(named)}' for name in names if name not in named
        )
    means = [name for name, kind in asked.metrics if kind == "mean"]
    yield from (f'--cap "{name}": only a mean has a cap' for name in asked.caps if name in named and name not in means)
    roles = {"--unit": question.unit, "--variant": question.variant}
    for option, columns in (("--segment", question.segments), ("--stratum", [question.stratum])):
        for role, column in roles.items():
            if column is not None and column in columns:
                yield f'{option} "{column}" is the column of {role}; name one that was known before the start'
    yield from _time_faults(question)


def _time_faults(question: Question) -> Iterator[str]:
    for name, (days, _) in question.measures.times.items():
        if (days is None) != (question.events is not None):
            form = "EVENT:HORIZON" if question.events else "DAYS/HAPPENED:HORIZON, two columns"
            yield f'--time-to-event "{name}": write {form}'
    if question.events is None and question.measures.retentions:
        yield "--retention reads a log of events; a column that is 0 or 1 is --metric COL:proportion"


def _metrics(question: Question) -> list[dict[str, Any]]:
    asked = question.measures
    log = question.events
    source, below = ("event", "denominator_event") if log else ("column", "denominator_column")
    made: list[dict[str, Any]] = [{"metric": name, "kind": kind, source: name} for name, kind in asked.metrics]
    made += [{"metric": f"{one}/{two}", "kind": "ratio", source: one, below: two} for one, two in asked.ratios]
    made += [
        {"metric": quantile_name(name, share), "kind": "quantile", source: name, "quantile": share}
        for name, share in asked.quantiles
    ]
    made += [
        {"metric": name, "kind": "retention", "event": name, "from_days": first, "to_days": last}
        for name, (first, last) in asked.retentions.items()
    ]
    for name, (days, horizon) in asked.times.items():
        read = {"event": name} if log else {"column": days, "happened_column": name}
        made.append({"metric": name, "kind": "time_to_event", "horizon_days": horizon, **read})
    made += [{"metric": name, "kind": "composite", "terms": terms} for name, terms in asked.composites.items()]
    for one in made:
        if log and log.window_days is not None and one["kind"] in WINDOWED:
            one["window_days"] = log.window_days
    return [one | _details(asked, one["metric"]) for one in made]


def _details(asked: Measures, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if name in asked.decrease:
        made["direction"] = "decrease"
    if name in asked.guardrails:
        made |= {"role": "guardrail", "margin": asked.guardrails[name]}
    policy = asked.nulls.get(name, asked.nulls.get(""))
    if policy is not None:
        made["nulls"] = policy
    cap = asked.caps.get(name)
    if isinstance(cap, str):
        made["cap_percentile"] = float(cap.removeprefix("p"))
    elif cap is not None:
        made["cap"] = cap
    return made


# The arms that there are


def check_arms(found: Sequence[str], plan: ExperimentSettings, column: str, *, planned: bool) -> list[str]:
    """Return the arms in order, control first; with `planned` only those of the plan count.

    Raises
    ------
    UnknownName, NotEnoughData
        Control is none of them, or there are none beside it, or too many.
    """
    if len(found) > _MOST_ARMS:
        raise NotEnoughData(
            "comparison",
            f"the column {column} has {grouped(len(found))} different values, too many for arms of one experiment",
            f"the column of the arm, with at most {_MOST_ARMS}",
        )
    if plan.control not in found:
        raise UnknownName("arm", plan.control, sorted(found))
    arms = [plan.control, *sorted(arm for arm in found if arm != plan.control and (not planned or arm in plan.weights))]
    if len(arms) == 1:
        others = f' of the plan, "{plan.control}"' if planned and len(found) > 1 else f', "{found[0]}"'
        raise NotEnoughData(
            "comparison", f"the column {column} has one arm only{others}", "rows of at least one other arm"
        )
    return arms
