"""What a browser is sent: every text and every number of a message, those inside tables and charts too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from google.protobuf.message import Message


@dataclass(slots=True)
class Sent:
    """All that some messages hold: texts, numbers, and the names of columns of tables and of fields of JSON."""

    texts: list[str] = field(default_factory=list)
    numbers: set[float] = field(default_factory=set)
    names: set[str] = field(default_factory=set)

    def text(self) -> str:
        """Return all texts as one."""
        return "\n".join(self.texts)

    def add_all(self, other: Sent) -> None:
        """Take in all that other messages hold."""
        self.texts += other.texts
        self.numbers |= other.numbers
        self.names |= other.names

    def add(self, message: Message) -> None:
        """Take in a message."""
        for value in _leaves(message):
            if isinstance(value, bytes):
                self._take_bytes(value)
            elif isinstance(value, str):
                self._take_text(value)
            elif isinstance(value, (int, float)) and not isinstance(value, bool):
                self.numbers.add(float(value))

    def _take_text(self, text: str) -> None:
        self.texts.append(text)
        if text[:1] in "{[":
            try:
                self._take_json(json.loads(text))
            except ValueError:
                return

    def _take_json(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self.names |= {str(name) for name in value}
            for one in value.values():
                self._take_json(one)
        elif isinstance(value, list):
            for one in value:
                self._take_json(one)
        elif isinstance(value, str):
            self.texts.append(value)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            self.numbers.add(float(value))

    def _take_bytes(self, content: bytes) -> None:
        try:
            table = pa.ipc.open_stream(content).read_all()
        except (pa.ArrowInvalid, OSError):
            self.texts.append(content.decode("utf-8", errors="replace"))
            return
        self.names |= set(table.column_names)
        for column in table.columns:
            for value in column.to_pylist():
                if isinstance(value, str):
                    self.texts.append(value)
                elif isinstance(value, (int, float)) and not isinstance(value, bool):
                    self.numbers.add(float(value))
                elif value is not None:
                    self.texts.append(str(value))


def of(messages: Iterable[Message]) -> Sent:
    """Return what messages hold."""
    found = Sent()
    for message in messages:
        found.add(message)
    return found


def _leaves(message: Message) -> Iterator[Any]:
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None and descriptor.message_type.GetOptions().map_entry:
            for name, one in value.items():
                yield name
                yield from _leaves(one) if isinstance(one, Message) else (one,)
        elif descriptor.is_repeated:
            for one in value:
                yield from _leaves(one) if isinstance(one, Message) else (one,)
        elif isinstance(value, Message):
            yield from _leaves(value)
        else:
            yield value
