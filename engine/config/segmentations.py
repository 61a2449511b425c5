"""Named segmentations: groups by rules, the first that holds; all names are those of a run's tables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from engine.config.load import Settings

_TESTS = ("equals", "one_of", "at_least", "below", "most_of", "missing")


class Condition(Settings):
    """One test of one column; what is unknown of a customer passes none but `missing`.

    equals, one_of : the value, as text or truth value. at_least, below : numbers. most_of : the column is above 0 and
    no smaller than any of these. missing : whether it is empty.
    """

    column: str
    equals: str | bool | None = None
    one_of: tuple[str, ...] = ()
    at_least: float | None = None
    below: float | None = None
    most_of: tuple[str, ...] = ()
    missing: bool | None = None

    @model_validator(mode="after")
    def _tests_something(self) -> Condition:
        if not any(getattr(self, name) not in (None, ()) for name in _TESTS):
            raise ValueError(f'"{self.column}" is not tested: give one of {", ".join(_TESTS)}')
        return self


class SegmentGroup(Settings):
    """A group: its names, and what must hold, all of `all` and any of `any`; without either, everybody who is left."""

    group: str
    name: str
    name_zh: str
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()


class SegmentationSettings(Settings):
    """A segmentation: every customer is in the first group whose rule holds."""

    segmentation: str
    name: str
    name_zh: str
    groups: Annotated[tuple[SegmentGroup, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _leaves_nobody_out(self) -> SegmentationSettings:
        open_to_all = [one.group for one in self.groups if not one.all and not one.any]
        if open_to_all != [self.groups[-1].group]:
            raise ValueError(
                f'"{self.segmentation}": the last group, and no other, takes whoever is left, without rule'
            )
        names = [one.group for one in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f'"{self.segmentation}": two groups have one name')
        return self

    def columns(self) -> tuple[str, ...]:
        """Return the columns that its rules look at."""
        tests = [test for one in self.groups for test in (*one.all, *one.any)]
        return tuple(dict.fromkeys(name for test in tests for name in (test.column, *test.most_of)))
