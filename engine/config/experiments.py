"""The experiments of the bank: variants, planned weights, and the metrics that decide, all fixed before the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator

from engine.config.load import Fault, Settings, faults
from engine.domain.curated import CUSTOMERS

Name = Annotated[str, Field(min_length=1)]
Days = Annotated[float, Field(gt=0, le=3_650)]
Direction = Literal["increase", "decrease"]
Nulls = Literal["drop", "zero", "error"]
Measured = Literal["value", "count"]

_DAY_SECONDS: Final = 86_400

AGE_GROUP: Final = "age_group"
"""An attribute of customers that a run makes of their date of birth: by ten years of age, at the date of the run."""


class MetricSettings(Settings):
    """What every metric says, whatever its kind.

    `direction` says which way is better. `nulls` is what becomes of a customer whose value is not known: left out
    ("drop"), counted as 0 ("zero"), or a reason to show nothing ("error"); how many there are is told in any case.
    A guardrail may have a `margin`: the harm that is still accepted, as a share of control's value
    (`margin_is = "relative"`) or in the metric's own unit ("absolute"). `covariates` names those of the experiment
    that the metric is adjusted by; all of them where it names none. `planned_effect` is the smallest difference that
    matters, in the metric's unit: a goal that can no longer reach it is over.
    """

    metric: Name
    kind: str
    role: Literal["goal", "secondary", "guardrail"] = "goal"
    direction: Direction = "increase"
    nulls: Nulls = "drop"
    margin: Annotated[float, Field(gt=0)] | None = None
    margin_is: Literal["absolute", "relative"] = "relative"
    covariates: tuple[Name, ...] | None = None
    planned_effect: Annotated[float, Field(gt=0)] | None = None

    @property
    def events(self) -> tuple[str, ...]:
        """The events that it reads; none where it reads columns of a table of units."""
        return tuple(
            name
            for name in (getattr(self, "event", None), getattr(self, "denominator_event", None))
            if name is not None
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a table of units that it reads; none where it reads events."""
        return tuple(
            name
            for name in (getattr(self, key, None) for key in ("column", "denominator_column", "happened_column"))
            if name is not None
        )

    @property
    def opens_seconds(self) -> int:
        """How long after exposure its window opens, in whole seconds."""
        return 0

    @property
    def window_seconds(self) -> int | None:
        """How long after exposure its window closes, in whole seconds; None when it never does."""
        return _seconds(getattr(self, "window_days", None))


class Windowed(MetricSettings):
    """A metric of an event, within a window after the first exposure, or of a column of a table of units.

    Without `window_days` all the time until as_of counts, which is fair only when all were exposed at about the
    same time.
    """

    event: Name | None = None
    column: Name | None = None
    window_days: Days | None = None


class Capped(Windowed):
    """A metric whose values may be capped: at `cap`, or at the percentile `cap_percentile` of all variants together.

    The cap limits single customers that would decide everything; the metric without it is shown beside it.
    """

    cap: float | None = None
    cap_percentile: Annotated[float, Field(gt=50, lt=100)] | None = None


class Mean(Capped):
    """The sum of the events' values (or their number) per customer, 0 for customers without any."""

    kind: Literal["mean"] = "mean"
    measured: Measured = "value"


class Proportion(Windowed):
    """Whether the event happened."""

    kind: Literal["proportion"] = "proportion"


class Ratio(Windowed):
    """The sum of one measure over the sum of another, such as amount per transaction: both are the customer's."""

    kind: Literal["ratio"] = "ratio"
    measured: Measured = "value"
    denominator_event: Name | None = None
    denominator_measured: Measured = "count"
    denominator_column: Name | None = None


class Quantile(Windowed):
    """A quantile over the customers of the sum of the events' values, 0 for customers without any."""

    kind: Literal["quantile"] = "quantile"
    measured: Measured = "value"
    quantile: Annotated[float, Field(gt=0, lt=1)]


class Retention(MetricSettings):
    """Whether the event happened from `from_days` after exposure on, and before `to_days`; a column says so itself."""

    kind: Literal["retention"] = "retention"
    event: Name | None = None
    column: Name | None = None
    from_days: Annotated[float, Field(ge=0, le=3_650)]
    to_days: Days

    @property
    def opens_seconds(self) -> int:
        """How long after exposure its window opens, in whole seconds."""
        return round(self.from_days * _DAY_SECONDS)

    @property
    def window_seconds(self) -> int:
        """How long after exposure its window closes, in whole seconds."""
        return round(self.to_days * _DAY_SECONDS)


class TimeToEvent(MetricSettings):
    """Whether the event has happened by `horizon_days`, judged also by customers who have not got that far.

    In a table of units `column` holds the days from the start to the event, or for how many the unit was watched
    without it, and `happened_column` says which of the two.
    """

    kind: Literal["time_to_event"] = "time_to_event"
    event: Name | None = None
    column: Name | None = None
    happened_column: Name | None = None
    horizon_days: Annotated[int, Field(ge=1, le=3_650)]

    @property
    def window_seconds(self) -> int:
        """The horizon in whole seconds."""
        return self.horizon_days * _DAY_SECONDS


class Composite(MetricSettings):
    """A weighted sum of other metrics of each customer, such as margin - 0.45 x default - 12 x complaint."""

    kind: Literal["composite"] = "composite"
    terms: Annotated[dict[Name, float], Field(min_length=1)]


Metric = Annotated[
    Mean | Proportion | Ratio | Quantile | Retention | TimeToEvent | Composite, Field(discriminator="kind")
]

SUMMED: Final = ("mean", "proportion", "retention")
"""The kinds that have one value per customer, of which a composite can be made."""


class CovariateSettings(Settings):
    """What was known of a customer before exposure: the events of the `days` before it, or a column of the units."""

    covariate: Name
    event: Name | None = None
    measured: Measured = "value"
    days: Days = 30
    column: Name | None = None


class LookSettings(Settings):
    """When results may be looked at: every day, or when these shares of the planned customers are complete."""

    shares: Literal["daily"] | Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = "daily"
    spending: Literal["obrien_fleming", "pocock", "power"] = "obrien_fleming"
    exponent: Annotated[float, Field(gt=0)] = 2.0
    days: Annotated[int, Field(ge=1, le=3_650)] = 28


class DecisionSettings(Settings):
    """The rules that turn results into a decision, written before the start."""

    goals_needed: Literal["any", "all"] = "any"
    harmed_guardrail: Literal["roll_back", "review"] = "roll_back"
    undecided_guardrail: Literal["review", "ship"] = "review"
    no_effect: Literal["roll_back", "review"] = "review"


class FairnessSettings(Settings):
    """Protected attributes within whose groups every goal and guardrail is looked at, and what counts as harm there.

    `margin` is the smallest worsening that matters in a group, as a share of control's value there; a guardrail keeps
    its own. A group with fewer than `smallest` customers in an arm is never shown.
    """

    attributes: tuple[Name, ...] = ()
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.1
    smallest: Annotated[int, Field(ge=5)] = 20


class ExperimentSettings(Settings):
    """One experiment. `weights` is the planned split, in any unit: 1 and 1 is the same as 0.5 and 0.5.

    `weights_assumed` marks a split that nobody wrote down: the ratio check runs and says that it is a guess.
    `exposed_as` is the id that its exposures carry where that is not its own. With an `activation_event` a customer
    counts from the first such event at or after exposure, and not at all without one. Exposures before `starts_at`
    or from `ends_at` on do not count. `unit` is what is counted; `randomised_by` is what was drawn, where that is
    more than one unit, such as a household. `strata` and `segments` are attributes of the unit known before exposure.
    `guardrail_alpha` is the one-sided budget of error of the guardrails, apart from that of the goals; `alpha` where
    none is given.
    """

    experiment_id: Name
    name_en: str
    name_zh: str | None = None
    weights: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=2)]
    weights_assumed: bool = False
    control: Name
    unit: Name = "customer_id"
    randomised_by: Name | None = None
    exposed_as: Name | None = None
    activation_event: Name | None = None
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)]
    strata: tuple[Name, ...] = ()
    segments: tuple[Name, ...] = ()
    covariates: tuple[CovariateSettings, ...] = ()
    looks: LookSettings | None = None
    fairness: FairnessSettings = FairnessSettings()
    decision: DecisionSettings = DecisionSettings()
    guardrail_alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05

    @model_validator(mode="wrap")
    @classmethod
    def _hangs_together(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Check the parts one by one and against each other, and tell the faults of both together."""
        try:
            made = check(values)
        except ValidationError as fault:
            found = list(_between_parts(values)) if isinstance(values, Mapping) else []
            raise faults(cls.__name__, found, fault) from None
        if found := list(_between_parts(made.model_dump())):
            raise faults(cls.__name__, found)
        return made

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that are compared with control, in the order of the file."""
        return tuple(name for name in self.weights if name != self.control)


class Experiments(Settings):
    """Every experiment, in the order in which screens list them. None at all is allowed."""

    experiments: tuple[ExperimentSettings, ...]

    @field_validator("experiments")
    @classmethod
    def _named_once(cls, experiments: tuple[ExperimentSettings, ...]) -> tuple[ExperimentSettings, ...]:
        if len({one.experiment_id for one in experiments}) < len(experiments):
            raise ValueError("two experiments have one id; give each its own")
        return experiments

    @field_validator("experiments")
    @classmethod
    def _fit_a_run(cls, experiments: tuple[ExperimentSettings, ...]) -> tuple[ExperimentSettings, ...]:
        """A run has events and customers, and no table of units."""
        found = [((place, *where), what) for place, one in enumerate(experiments) for where, what in _run_faults(one)]
        if found:
            raise faults("Experiments", found)
        return experiments


def _run_faults(one: ExperimentSettings) -> Iterable[Fault]:
    for part, entries in (("metrics", one.metrics), ("covariates", one.covariates)):
        for number, entry in enumerate(entries):
            if entry.columns if isinstance(entry, MetricSettings) else entry.column:
                yield (part, number, "column"), "a run reads events; name the event, or analyse the file of units"
    known = [*(column.name for column in CUSTOMERS if not column.personal), AGE_GROUP]
    named: list[tuple[tuple[str | int, ...], str]] = [
        ((part, number), name)
        for part, names in (("strata", one.strata), ("segments", one.segments))
        for number, name in enumerate(names)
    ]
    named += [(("fairness", "attributes", number), name) for number, name in enumerate(one.fairness.attributes)]
    if one.randomised_by is not None:
        named.append((("randomised_by",), one.randomised_by))
    for where, name in named:
        if name not in known:
            yield where, f'customers have no column "{name}" to group by. They have: {", ".join(known)}'
    if one.unit != "customer_id":
        yield ("unit",), "a run counts customers; leave it out"


def _seconds(days: float | None) -> int | None:
    return None if days is None else round(days * _DAY_SECONDS)


# Faults between the parts, of values that may not be right in themselves: only what can be read is checked


def _between_parts(values: Mapping[str, Any]) -> Iterable[Fault]:
    yield from _arm_faults(values)
    metrics = [dict(one) if isinstance(one, Settings | Mapping) else {} for one in _list(values.get("metrics"))]
    kinds = {one.get("metric"): one.get("kind") for one in metrics}
    covariates = [dict(one) if isinstance(one, Settings | Mapping) else {} for one in _list(values.get("covariates"))]
    yield from _twice("metrics", "metric", metrics, "two metrics of an experiment have one name; name each metric once")
    yield from _twice("covariates", "covariate", covariates, "two covariates have one name; name each once")
    known = [str(one.get("covariate")) for one in covariates]
    for place, one in enumerate(metrics):
        for key, sentence in _metric_faults(one, kinds, known):
            yield ("metrics", place, key), sentence
        if values.get("randomised_by") is not None and one.get("kind") in ("quantile", "time_to_event"):
            sentence = f"a {one['kind']} is not answered for clusters; leave it out, or randomised_by"
            yield ("metrics", place, "kind"), sentence
    for place, one in enumerate(covariates):
        if (one.get("event") is None) == (one.get("column") is None):
            yield ("covariates", place), "name the event of before exposure, or the column of the units; one of them"
    for key in ("strata", "segments"):
        names = _list(values.get(key))
        yield from (((key, place), "stands twice") for place, name in enumerate(names) if names.index(name) != place)
    yield from _time_faults(values)


def _arm_faults(values: Mapping[str, Any]) -> Iterable[Fault]:
    weights = values.get("weights")
    if not isinstance(weights, Mapping) or not weights:
        return
    if len(weights) > 1 and sum(isinstance(one, int | float) and one > 0 for one in weights.values()) < 2:
        sentence = "fewer than two variants have a weight above 0; an experiment compares at least two"
        yield ("weights",), sentence
    control = values.get("control")
    if isinstance(control, str) and control and control not in weights:
        yield ("control",), f"not one of the variants in weights: {', '.join(map(str, weights))}"


def _metric_faults(
    one: Mapping[str, Any], kinds: Mapping[Any, Any], covariates: list[str]
) -> Iterable[tuple[str, str]]:
    kind = one.get("kind")
    yield from _source_faults(one)
    if one.get("cap") is not None and one.get("cap_percentile") is not None:
        yield "cap_percentile", "a value is capped once: give cap or cap_percentile"
    if one.get("margin") is not None and one.get("role") != "guardrail":
        yield "margin", 'only a metric of the role "guardrail" has a margin'
    if kind == "retention" and _number(one.get("from_days")) >= _number(one.get("to_days")) > 0:
        yield "to_days", "the window ends before it begins; it must be more than from_days"
    if kind == "composite" and isinstance(one.get("terms"), Mapping):
        for name in one["terms"]:
            if name not in kinds:
                yield "terms", f'no metric "{name}" in this experiment. It has: {", ".join(map(str, kinds))}'
            elif kinds[name] not in SUMMED:
                yield "terms", f'"{name}" is a {kinds[name]}; a composite adds metrics of the kinds {", ".join(SUMMED)}'
    for name in _list(one.get("covariates")):
        if name not in covariates:
            yield "covariates", f'no covariate "{name}" in this experiment. It has: {", ".join(covariates) or "none"}'


def _source_faults(one: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Return what is wrong with the events or columns that a metric reads."""
    kind = one.get("kind")
    if kind != "composite" and (one.get("event") is None) == (one.get("column") is None):
        yield "event", "name the event that is measured, or the column of a table of units; one of them"
    if kind == "time_to_event" and (one.get("column") is None) != (one.get("happened_column") is None):
        yield "happened_column", "a column of days and one that says whether the event came belong together; name both"
    if one.get("column") is not None and one.get("measured") == "count":
        yield "measured", "a column holds values, no events to count; leave it out"
    if kind == "ratio":
        wanted = "denominator_event" if one.get("event") is not None else "denominator_column"
        other = "denominator_column" if wanted == "denominator_event" else "denominator_event"
        if one.get(wanted) is None or one.get(other) is not None:
            yield wanted, "a ratio needs what it is divided by, from where its numerator comes; nothing else"


def _time_faults(values: Mapping[str, Any]) -> Iterable[Fault]:
    first, last = values.get("starts_at"), values.get("ends_at")
    if isinstance(first, datetime) and isinstance(last, datetime) and first.tzinfo and last.tzinfo and first >= last:
        yield ("ends_at",), "the experiment ends before it starts; give a later instant"
    looks = values.get("looks")
    shares = dict(looks).get("shares") if isinstance(looks, Settings | Mapping) else None
    numbers = [one for one in _list(shares) if isinstance(one, int | float)]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        yield ("looks", "shares"), "each look comes after the one before; write the shares in rising order"


def _twice(part: str, key: str, entries: list[dict[str, Any]], sentence: str) -> Iterable[Fault]:
    names = [one.get(key) for one in entries]
    return [
        ((part, place, key), sentence)
        for place, name in enumerate(names)
        if name is not None and names.index(name) != place
    ]


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
