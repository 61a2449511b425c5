"""Histories a run of customers at a time, for work that takes many times the memory of the events it reads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from journeys import slices
from journeys.histories import Coded, Histories


def of(histories: Histories, between: int) -> Iterator[tuple[slice, Histories]]:
    """Yield the customers in runs, each with its place among all; nothing is copied.

    between : how many arrays of the length of its events a run's work takes.
    """
    for some in slices.pieces(np.diff(histories.starts) * between):
        begin, end = int(histories.starts[some.start]), int(histories.starts[some.stop])
        rows = slice(begin, end)
        attributes = {
            name: Coded(codes=column.codes[rows], values=column.values) for name, column in histories.attributes.items()
        }
        yield (
            some,
            Histories(
                ids=histories.ids.slice(some.start, some.stop - some.start),
                starts=histories.starts[some.start : some.stop + 1] - begin,
                at=histories.at[rows],
                event=Coded(codes=histories.event.codes[rows], values=histories.event.values),
                attributes=attributes,
            ),
        )
