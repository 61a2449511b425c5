"""XES event logs, read one event at a time: the XML of process mining, plain or packed.

Every value is text here, as it stands in the file. Attributes of attributes, extensions and classifiers are not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, iterparse

from engine.config.intake import Limits
from engine.domain.errors import UnreadableSource
from engine.intake.guards import GuardedStream

CASE_PREFIX: Final = "case:"
"""Before the name of an attribute of the whole case, as in the tables that process mining tools write."""

_EVENTS_PER_PART: Final = 20_000
_MOST_ATTRIBUTES: Final = 1_000

Attributes = dict[str, str]


def events(path: Path, limits: Limits) -> Iterator[tuple[Attributes, Attributes]]:
    """Yield the attributes of the case and of the event, event by event, in constant memory.

    Raises
    ------
    UnreadableSource
        Not XES, cut, or a bomb of any kind.
    """
    stream = GuardedStream(path, path.name, "utf-8", limits)
    case: Attributes = {}
    seen_log = False
    inside_event = False
    try:
        for moment, element in iterparse(stream, events=("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if not seen_log and tag != "log":
                raise UnreadableSource(path.name, f"is XML of <{tag}>, not an XES log", "Export it as XES.")
            seen_log = True
            if tag == "event":
                inside_event = moment == "start"
                if moment == "end":
                    yield case, {child.get("key", ""): child.get("value", "") for child in element}
                    element.clear()
            elif tag == "trace":
                case = {}
                element.clear()
            elif moment == "end" and not inside_event and element.get("key"):
                case[element.get("key")] = element.get("value", "")
    except ParseError as fault:
        line = getattr(fault, "position", (0, 0))[0]
        raise UnreadableSource(path.name, f"is no complete XES at line {line}", "Download it again.") from None
    except DefusedXmlException as fault:
        problem = f"holds what no event log needs ({type(fault).__name__})"
        raise UnreadableSource(path.name, problem, "Take it from its publisher.") from None
    finally:
        stream.close()


def spool(path: Path, folder: Path, limits: Limits, row: str) -> int:
    """Write a log as Parquet parts of text columns into a folder and return how many events it has.

    A column per attribute that occurs; one of a case has `case:` before its name. `row` names a column with the
    number of each event, in the order of the file. A part has the columns that occur in it.
    """
    read, told = events(path, limits), 0
    columns: set[str] = set()
    while part := list(islice(read, _EVENTS_PER_PART)):
        rows = [{**{f"{CASE_PREFIX}{name}": value for name, value in case.items()}, **event} for case, event in part]
        names = sorted({name for values in rows for name in values if name})
        columns.update(names)
        if len(columns) > _MOST_ATTRIBUTES:
            problem = f"has more than {_MOST_ATTRIBUTES:,} different attributes"
            raise UnreadableSource(path.name, problem, "Export the attributes that are needed.")
        table = {name: pa.array([values.get(name) for values in rows], pa.string()) for name in names}
        table[row] = pa.array(range(told, told + len(rows)), pa.int64())
        pq.write_table(pa.table(table), folder / f"{told:012d}.parquet", compression="lz4")
        told += len(rows)
    return told
