"""An audience: who is meant, for what purpose, by whom, and the rule that decides who belongs to it.

A rule is one table: `all`, `any` or `not` of other rules, or one condition, told by the key that says what it is about.
Every condition is true or false of every customer: what is unknown of a customer fulfils no condition, so that `not`
turns exactly the others in. Ask for `known = true` where that matters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, ValidationError, model_validator

from engine.config.load import FAULT, Settings, faults
from engine.numerics.chain import canonical, digest


def _many(given: Any) -> Any:
    return (given,) if isinstance(given, str) else given


def _readable(given: str) -> str:
    """Refuse what turns text around or cannot be seen: such a name would read as another one in a list."""
    hidden = [sign for sign in given if sign in _TURNING or unicodedata.category(sign) == "Cc"]
    if hidden:
        raise ValueError(f"has the invisible sign U+{ord(hidden[0]):04X}. Take it out; letters of any script may stay")
    if not given.strip():
        raise ValueError("is empty. Say in a few words who is meant")
    return given.strip()


_TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Signs that set the direction of what follows; right-to-left letters need none of them."""

Readable: TypeAlias = Annotated[str, AfterValidator(_readable), Field(max_length=120)]
Value: TypeAlias = bool | int | float | str
Values: TypeAlias = Annotated[tuple[Value, ...], Field(min_length=1)]
Days: TypeAlias = Annotated[float, Field(gt=0)]
Times: TypeAlias = Annotated[int, Field(ge=0)]
Schedule: TypeAlias = Literal["every_run", "daily", "weekly", "monthly", "manual"]
Names: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_many), Field(min_length=1)]
"""One name, or a list of them of which any will do."""


def _wrong(where: str, sentence: str) -> ValidationError:
    return faults("Audience", [((where,), sentence)])


class AllOf(Settings):
    """Every one of the rules holds; of none at all that is true of everybody."""

    key: ClassVar[str] = "all"
    all: tuple[Rule, ...]


class AnyOf(Settings):
    """At least one of the rules holds; of none at all that is true of nobody."""

    key: ClassVar[str] = "any"
    any: tuple[Rule, ...]


class NotOf(Settings):
    """The rule does not hold."""

    key: ClassVar[str] = "not"
    rule: Rule = Field(alias="not")


class Compared(Settings):
    """How a value is compared; all that is given must hold, and an unknown value holds to none but `known = false`."""

    is_: Value | None = Field(default=None, alias="is")
    is_not: Value | None = None
    one_of: Values | None = None
    none_of: Values | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    known: bool | None = None

    @model_validator(mode="after")
    def _compares_and_can_hold(self) -> Compared:
        given = {name: value for name in _COMPARISONS if (value := getattr(self, name)) is not None}
        if not given:
            names = ", ".join(name.rstrip("_") for name in _COMPARISONS)
            raise _wrong("known", f"nothing to compare with: give one of {names}")
        if self.known is False and len(given) > 1:
            raise _wrong("known", "false, and yet a value is asked for: nobody can have both. Take one of them out")
        low = max((one for one in (self.at_least, self.above) if one is not None), default=None)
        high = min((one for one in (self.at_most, self.below) if one is not None), default=None)
        if low is not None and high is not None and low > high:
            raise _wrong("at_most", f"from {low:g} up and to {high:g} at most: nobody can be both. Swap the limits")
        return self


_COMPARISONS: Final = ("is_", "is_not", "one_of", "none_of", "at_least", "above", "at_most", "below", "known")


class Feature(Compared):
    """A column of the feature table."""

    key: ClassVar[str] = "feature"
    feature: str


class Segment(Compared):
    """A column of the segments: value tier, scores, cluster."""

    key: ClassVar[str] = "segment"
    segment: str


class Segmentation(Settings):
    """In one of the groups of a named segmentation, such as a life stage."""

    key: ClassVar[str] = "segmentation"
    segmentation: str
    group: Names


class Risk(Settings):
    """The risk tier; no default probability, which is not for marketing to select by."""

    key: ClassVar[str] = "risk_tier"
    risk_tier: Annotated[
        tuple[Literal["low", "medium", "high", "unknown"], ...], BeforeValidator(_many), Field(min_length=1)
    ]


class Journey(Settings):
    """Where a customer stands in a journey: its stage, its status, or in it at all."""

    key: ClassVar[str] = "journey"
    journey: str
    stage: Names | None = None
    status: Names | None = None


class Experiment(Settings):
    """Exposed to an experiment, in one of the arms or in any."""

    key: ClassVar[str] = "experiment"
    experiment: str
    arm: Names | None = None


class Recommendation(Settings):
    """A product is offered, as the first or among the first few; or it was refused, which `refused = true` asks for."""

    key: ClassVar[str] = "recommendation"
    recommendation: str
    rank_at_most: Annotated[int, Field(ge=1)] | None = None
    refused: bool = False

    @model_validator(mode="after")
    def _refused_has_no_rank(self) -> Recommendation:
        if self.refused and self.rank_at_most is not None:
            raise _wrong("rank_at_most", "what is refused has no rank. Take one of the two out")
        return self


class Member(Settings):
    """A member of another audience, whose rule is looked at in its place."""

    key: ClassVar[str] = "audience"
    audience: str


class Lookalike(Settings):
    """Among those most like the seeds, who are none of them: members of another audience, or customers listed by id.

    `size` says how many, `share` what part of all who are no seeds. `draw` is the number that the model's random draws
    descend from: the same on the same run chooses the same customers.
    """

    key: ClassVar[str] = "lookalike"
    lookalike: str | Annotated[tuple[str, ...], Field(min_length=1)]
    size: Annotated[int, Field(ge=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    draw: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _one_size(self) -> Lookalike:
        if (self.size is None) == (self.share is None):
            raise _wrong("size", "how many are wanted? Give one of size and share, such as size = 1000")
        return self

    @property
    def table(self) -> str:
        """The name of the table (customer_id) that holds whom it chooses on a run."""
        return f"lookalike_{digest(canonical(self.model_dump(mode='json')))[:16]}"


class Frozen(Settings):
    """One of the very customers of a list that was kept on a day, whatever becomes of them later.

    `frozen` is the sha256 of the list, which lies in the workspace; `what` says what it was made of, `customers` tells
    how many it names.
    """

    key: ClassVar[str] = "frozen"
    frozen: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    what: Annotated[str, Field(max_length=500)]
    customers: Times

    @property
    def table(self) -> str:
        """The name of the table (customer_id) that holds the list."""
        return f"frozen_{self.frozen[:16]}"


class Step(Settings):
    """One thing that happens: an event of one of the names, on a channel, carrying a value."""

    event: Names
    channel: Names | None = None
    value_at_least: float | None = None
    value_at_most: float | None = None


class Period(Settings):
    """When something is looked for: the last days before the date, or between two days (UTC, both whole)."""

    in_last_days: Days | None = None
    since: date | None = None
    until: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Period:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise _wrong("since", f"{self.since} is after until = {self.until}: no day lies between. Swap the dates")
        return self


class Happened(Step, Period):
    """An event happened so many times, all of them within some days of each other where `within_days` is given."""

    key: ClassVar[str] = "event"
    times_at_least: Times = 1
    times_at_most: Times | None = None
    within_days: Days | None = None

    @model_validator(mode="after")
    def _can_be(self) -> Happened:
        if self.times_at_most is not None and self.times_at_most < self.times_at_least:
            told = f"at least {self.times_at_least} times and at most {self.times_at_most}: never both"
            raise _wrong("times_at_most", f"{told}. For none at all write times_at_least = 0 and times_at_most = 0")
        if self.within_days is not None and (self.times_at_most is not None or self.times_at_least < 2):
            told = "tells how close repeats lie: it needs times_at_least = 2 or more, and no times_at_most"
            raise _wrong("within_days", told)
        return self


class Sequence(Period):
    """Events one after the other, each later than the one before, and perhaps none of another kind between or after.

    `within_days` counts from the first to the last of them. `without` must not happen between these two,
    `not_followed_by` not after the last.
    """

    key: ClassVar[str] = "sequence"
    sequence: Annotated[tuple[Step, ...], Field(min_length=2, max_length=8)]
    within_days: Days | None = None
    without: Step | None = None
    not_followed_by: Step | None = None


CONDITIONS: Final = (
    AllOf, AnyOf, NotOf, Feature, Segment, Segmentation, Risk, Journey, Experiment, Recommendation, Member, Lookalike,
    Frozen, Happened, Sequence,
)  # fmt: skip
KEYS: Final = tuple(one.key for one in CONDITIONS)


def _kind(given: Any) -> str | None:
    """Return the key that says what a rule is about; None where there is none or more than one."""
    if not isinstance(given, Mapping):
        return getattr(given, "key", None)
    found = [key for key in KEYS if key in given]
    return found[0] if len(found) == 1 else None


Rule: TypeAlias = Annotated[
    Annotated[AllOf, Tag("all")] | Annotated[AnyOf, Tag("any")] | Annotated[NotOf, Tag("not")]
    | Annotated[Feature, Tag("feature")] | Annotated[Segment, Tag("segment")]
    | Annotated[Segmentation, Tag("segmentation")] | Annotated[Risk, Tag("risk_tier")]
    | Annotated[Journey, Tag("journey")] | Annotated[Experiment, Tag("experiment")]
    | Annotated[Recommendation, Tag("recommendation")] | Annotated[Member, Tag("audience")]
    | Annotated[Lookalike, Tag("lookalike")] | Annotated[Frozen, Tag("frozen")]
    | Annotated[Happened, Tag("event")] | Annotated[Sequence, Tag("sequence")],
    Discriminator(
        _kind,
        custom_error_type=FAULT,
        custom_error_message=f"a rule has exactly one of the keys {', '.join(KEYS)}",
    ),
]  # fmt: skip
for _model in (AllOf, AnyOf, NotOf):
    _model.model_rebuild()


class Audience(Settings):
    """A group of customers that a campaign can use: its rule and all that is needed to answer for it.

    `purpose` and `channels` say what it may be used for, and stand in every snapshot of it. `schedule` says on which
    runs it is built; after `retires_on` it is built no more.
    """

    audience: Annotated[str, Field(pattern="^[a-z0-9_]{1,60}$")]
    name: Readable
    name_zh: Readable | None = None
    owner: Readable
    purpose: str = "marketing"
    channels: Names = ("email",)
    schedule: Schedule = "every_run"
    retires_on: date | None = None
    rule: Rule
