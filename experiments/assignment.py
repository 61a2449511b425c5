"""Give units their variant by hashing their id: the same answer on every machine and every day, nothing stored.

A unit has a bucket between 0 and 1 for every salt. Each arm owns a range of buckets that begins where the weights put
it and is filled to the share that coverage says, so that raising coverage only lengthens ranges: nobody moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.config.assignment import (
    SCHEMES,
    AssignmentSettings,
    ExperimentAssignment,
    NamespaceSlot,
    RampStep,
    Scheme,
    weights_fault,
)
from engine.numerics.hashing import shares_of
from experiments.sample_ratio import Epoch

Floats = NDArray[np.float64]
Words = NDArray[np.uint32]
Range = tuple[float, float]

NO_ARM: Final = -1

REASONS: Final = (
    "assigned",
    "not_eligible",
    "global_holdout",
    "outside_namespace",
    "experiment_holdout",
    "not_started",
    "not_covered",
)
"""Why a unit has its variant or none, in the order in which they are asked; the first that holds is told."""

_OFFSET: Final = 0x811C9DC5
_PRIME: Final = 0x01000193
_MASK: Final = 0xFFFFFFFF
_BLOCK: Final = 65_536
"""Units hashed at a time: their states stay in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assigned:
    """One row per unit, in the order of the units.

    arm : place in `arms`, NO_ARM for units without a variant.
    reason : place in REASONS.
    bucket : in [0, 1), by which the variant was chosen; it is given for every unit, with or without a variant.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int16]
    reason: NDArray[np.int8]
    bucket: Floats

    def variants(self) -> list[str | None]:
        """Return the variant of every unit, None for none."""
        return [None if place == NO_ARM else self.arms[place] for place in self.arm]

    def reasons(self) -> list[str]:
        """Return the reason of every unit."""
        return [REASONS[place] for place in self.reason]

    def counts(self) -> dict[str, int]:
        """Return the number of units of every arm, also of those that got none."""
        found = Counter(self.arm.tolist())
        return {name: found[place] for place, name in enumerate(self.arms)}

    def reason_counts(self) -> dict[str, int]:
        """Return the number of units for every reason that occurs."""
        found = Counter(self.reason.tolist())
        return {name: found[place] for place, name in enumerate(REASONS) if found[place]}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEpoch:
    """A time in which the weights were the same; coverage may have been raised in it.

    starts_at, ends_at : None where it holds from the beginning or until now.
    weights : shares that add up to 1, by arm.
    """

    starts_at: datetime | None
    ends_at: datetime | None
    weights: Mapping[str, float]
    coverage: float


def assign(
    units: Sequence[str],
    rules: ExperimentAssignment,
    weights: Mapping[str, float],
    *,
    bank: AssignmentSettings | None = None,
    at: datetime | None = None,
    eligible: NDArray[np.bool_] | None = None,
) -> Assigned:
    """Give every unit its variant, or the reason why it has none.

    Parameters
    ----------
    units : ids as text, any number, in any order; a unit that occurs twice gets the same answer twice.
    weights : the planned split of the arms, in any unit; a step of the ramp that has its own overrides them.
    bank : what holds for all experiments: the scheme and the global holdout.
    at : the instant whose ramp step counts, the latest step without it. For units that have already been exposed it
        is the instant of their first exposure: then a change of weights moves nobody.
    eligible : shape (n_units,), False for units that the bank's own rules leave out.

    Raises
    ------
    ValueError
        The weights cannot be used, or `eligible` is not of one value per unit.
    """
    bank = bank or AssignmentSettings()
    scheme, salt = scheme_of(rules, bank), salt_of(rules)
    step = step_at(rules.ramp, at)
    planned = in_force(rules.ramp, step, weights)
    if fault := weights_fault(planned, scheme):
        raise ValueError(f"{rules.experiment_id}: {fault}")
    if eligible is not None and eligible.shape != (len(units),):
        raise ValueError(f"eligible has the shape {eligible.shape}; one value per unit is ({len(units)},)")
    bucket = buckets(units, salt, scheme)
    coverage = 0.0 if step is None else rules.ramp[step].coverage
    shares = _shares(planned) if scheme == "sha256" else planned
    arm = choose(bucket, bucket_ranges(len(shares), coverage, tuple(shares.values())))
    held = {
        "not_eligible": None if eligible is None else ~eligible,
        "global_holdout": _held_out(units, bank.holdout_salt, bank.holdout_share, scheme),
        "outside_namespace": None if rules.slot is None else ~in_slot(units, rules.slot, scheme),
        "experiment_holdout": _held_out(units, f"{salt}:holdout", rules.holdout_share, scheme),
        "not_started": np.ones(len(units), dtype=bool) if step is None else None,
        "not_covered": arm == NO_ARM,
    }
    reason = np.zeros(len(units), dtype=np.int8)
    for place in range(len(REASONS) - 1, 0, -1):  # backwards, so that the first that holds is written last
        holds = held[REASONS[place]]
        if holds is not None:
            reason[holds] = place
    arm[reason > 0] = NO_ARM
    return Assigned(arms=tuple(planned), arm=arm, reason=reason, bucket=bucket)


def scheme_of(rules: ExperimentAssignment, bank: AssignmentSettings) -> Scheme:
    """Return the scheme of an experiment: its own, else the bank's."""
    return rules.scheme or bank.scheme


def salt_of(rules: ExperimentAssignment) -> str:
    """Return the salt of an experiment: its own, else its id."""
    return rules.experiment_id if rules.salt is None else rules.salt


# The ramp


def step_at(ramp: Sequence[RampStep], at: datetime | None) -> int | None:
    """Return the place of the step in force at an instant, of the last step without one; None before the first."""
    if at is None:
        return len(ramp) - 1
    begun = [place for place, step in enumerate(ramp) if step.starts_at is None or step.starts_at <= at]
    return begun[-1] if begun else None


def in_force(ramp: Sequence[RampStep], step: int | None, weights: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of a step: its own, else those of the latest step before it that has any, else the plan's."""
    for place in range(-1 if step is None else step, -1, -1):
        own = ramp[place].weights
        if own is not None:
            return dict(own)
    return dict(weights)


def planned_epochs(ramp: Sequence[RampStep], weights: Mapping[str, float]) -> tuple[PlannedEpoch, ...]:
    """Return the times of equal weights, in order: within one the split is fair, between two it must not be pooled.

    Units are judged in the epoch of their first exposure. `coverage` is the highest that the epoch reached.
    """
    made: list[PlannedEpoch] = []
    for place, step in enumerate(ramp):
        shares = _shares(in_force(ramp, place, weights))
        before = made.pop() if made else None
        if before is not None and _same(before.weights, shares):
            made.append(PlannedEpoch(starts_at=before.starts_at, ends_at=None, weights=shares, coverage=step.coverage))
            continue
        if before is not None:
            ended = PlannedEpoch(
                starts_at=before.starts_at, ends_at=step.starts_at, weights=before.weights, coverage=before.coverage
            )
            made.append(ended)
        made.append(PlannedEpoch(starts_at=step.starts_at, ends_at=None, weights=shares, coverage=step.coverage))
    return tuple(made)


def epochs_of_days(
    planned: Sequence[PlannedEpoch], daily: Mapping[date, Mapping[str, int]]
) -> tuple[tuple[Epoch, Mapping[str, float] | None], ...]:
    """Cut the days of first exposures where the log says that the weights changed; each epoch with its planned split.

    Days are those of UTC. A day within which the weights changed is an epoch of its own, and no split is planned for
    it: None. So is the time before the first step. Epochs without a day are left out.
    """
    grouped: dict[int, list[date]] = {}
    for day in sorted(daily):
        start = datetime.combine(day, time.min, tzinfo=UTC)
        first, last = _begun(planned, start), _begun(planned, start + timedelta(days=1), before=True)
        # days of change get numbers between those of the epochs around them
        grouped.setdefault(2 * first if first == last else 2 * first + 1, []).append(day)
    made: list[tuple[Epoch, Mapping[str, float] | None]] = []
    for number, days in grouped.items():
        counts = Counter[str]()
        for day in days:
            counts.update(daily[day])
        is_planned = number >= 0 and number % 2 == 0
        epoch = Epoch(first=days[0], last=days[-1], counts=dict(counts))
        made.append((epoch, planned[number // 2].weights if is_planned else None))
    return tuple(made)


def _begun(planned: Sequence[PlannedEpoch], instant: datetime, *, before: bool = False) -> int:
    """Return the place of the last epoch that has begun at an instant, or before it; -1 before the first."""
    begun = [
        place
        for place, epoch in enumerate(planned)
        if epoch.starts_at is None or epoch.starts_at < instant or (epoch.starts_at == instant and not before)
    ]
    return begun[-1] if begun else -1


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def _same(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    names = one.keys() | other.keys()
    return all(abs(one.get(name, 0.0) - other.get(name, 0.0)) < 1e-9 for name in names)


# Ranges of buckets


def bucket_ranges(arms: int, coverage: float = 1.0, weights: Sequence[float] | None = None) -> tuple[Range, ...]:
    """Return the range of buckets of every arm: from the sum of the weights before it, as long as weight x coverage.

    As published by GrowthBook: coverage is taken within 0 and 1, and weights that are not one per arm or add up to
    less than 0.99 or more than 1.01 are replaced by equal ones. `assign` never lets it come to that: it divides
    weights of another unit by their sum, and refuses those that GrowthBook would replace.
    """
    inside = min(max(coverage, 0.0), 1.0)
    shares = [1 / arms] * arms if weights is None or len(weights) != arms else list(weights)
    if not 0.99 <= sum(shares) <= 1.01:
        shares = [1 / arms] * arms
    ranges, start = [], 0.0
    for share in shares:
        ranges.append((start, start + inside * share))
        start += share
    return tuple(ranges)


def choose(bucket: Floats, ranges: Sequence[Range]) -> NDArray[np.int16]:
    """Return the first range that holds each bucket, its lower end included; NO_ARM where none does."""
    arm = np.full(len(bucket), NO_ARM, dtype=np.int16)
    for place in range(len(ranges) - 1, -1, -1):
        lower, upper = ranges[place]
        arm[(bucket >= lower) & (bucket < upper)] = place
    return arm


def in_slot(units: Sequence[str], slot: NamespaceSlot, scheme: Scheme) -> NDArray[np.bool_]:
    """Tell which units a slot of a namespace holds; slots that do not overlap share no unit.

    GrowthBook hashes namespaces by its first version whatever the experiment's own is.
    """
    if scheme == "sha256":
        place = buckets(units, f"namespace:{slot.namespace}", scheme)
    else:
        place = buckets(units, f"__{slot.namespace}", "growthbook_v1")
    return (place >= slot.lower) & (place < slot.upper)


def _held_out(units: Sequence[str], salt: str, share: float, scheme: Scheme) -> NDArray[np.bool_] | None:
    return buckets(units, salt, scheme) < share if share else None


# Buckets


def buckets(units: Sequence[str], salt: str, scheme: Scheme) -> Floats:
    """Return the bucket in [0, 1) of every unit under a salt.

    sha256 : 52 bits, evenly spread; 0.65 CPU seconds for a million units.
    growthbook_v2 : ten thousand buckets, 0.2 CPU seconds for a million ids of nine characters.
    growthbook_v1 : a thousand buckets; salts that differ in their last character only, such as exp1 and exp2, are not
        independent: with ten equal arms each, some pairs of arms share no unit and others twice their part. For
        experiments that began with it only.

    References
    ----------
    GrowthBook, "Build Your Own SDK", hash versions 1 and 2 over 32-bit FNV-1a (Fowler, Noll and Vo).
    """
    if scheme not in SCHEMES:
        raise ValueError(f'no scheme "{scheme}"; there are {", ".join(SCHEMES)}')
    if scheme == "sha256":
        return shares_of(units, salt)
    made = np.empty(len(units), dtype=np.float64)
    for start in range(0, len(units), _BLOCK):
        block = units[start : start + _BLOCK]
        if scheme == "growthbook_v1":
            made[start : start + len(block)] = _absorb(_fnv1a(block, _OFFSET), salt) % 1_000 / 1_000
        else:
            made[start : start + len(block)] = _of_digits(_fnv1a(block, _scalar(salt))) % 10_000 / 10_000
    return made


def _scalar(text: str) -> int:
    state = _OFFSET
    for unit in _code_units(text):
        state = (state ^ unit) * _PRIME & _MASK
    return state


def _absorb(state: Words, text: str) -> Words:
    """Go on hashing every state with the same text."""
    for unit in _code_units(text):
        state = (state ^ np.uint32(unit)) * np.uint32(_PRIME)
    return state


def _fnv1a(texts: Sequence[str], start: int) -> Words:
    """Return FNV-1a of every text's UTF-16 code units, from a common state: as JavaScript sees the text."""
    codes = np.frombuffer(_utf16("".join(texts)), dtype="<u2").astype(np.uint32)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    if lengths.sum() != len(codes):  # characters beyond the first 65 536, of two code units each
        lengths = np.fromiter((len(_utf16(text)) // 2 for text in texts), dtype=np.int64, count=len(texts))
    begins = np.concatenate(([0], np.cumsum(lengths)[:-1])) if len(texts) else lengths
    order = np.argsort(-lengths, kind="stable")
    longest_first, begins = lengths[order], begins[order]
    state = np.full(len(texts), start, dtype=np.uint32)
    for place in range(int(lengths.max(initial=0))):
        active = int(np.searchsorted(-longest_first, -place))  # those longer than place
        state[:active] ^= codes[begins[:active] + place]
        state[:active] *= np.uint32(_PRIME)
    made = np.empty_like(state)
    made[order] = state
    return made


def _of_digits(numbers: Words) -> Words:
    """Return FNV-1a of every number written in decimal digits."""
    state = np.full(len(numbers), _OFFSET, dtype=np.uint32)
    for power in range(9, -1, -1):
        quotient = numbers // np.uint32(10**power)
        further = (state ^ (quotient % np.uint32(10) + np.uint32(ord("0")))) * np.uint32(_PRIME)
        state = further if power == 0 else np.where(quotient > 0, further, state)
    return state


def _code_units(text: str) -> list[int]:
    return [int(unit) for unit in np.frombuffer(_utf16(text), dtype="<u2")]


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")
