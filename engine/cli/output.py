"""Where words go: data to standard output, messages to standard error, progress only to a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.cli import job, numbers
from engine.cli.plain import plain, to_json

_WIDE: Final = 2_000  # columns where there is no terminal: a row is one line for whatever program reads it


@dataclass(frozen=True, slots=True)
class Output:
    """How one command speaks: as JSON or to people, with or without messages."""

    as_json: bool
    quiet: bool

    @property
    def out(self) -> Console:
        """The console for data."""
        return console(sys.stdout)

    def say(self, sentence: str) -> None:
        """Tell something on the way; never data, silent with --quiet."""
        if not self.quiet:
            console(sys.stderr).print(escape(sentence), soft_wrap=True)

    def result(self, value: Any, show: Callable[[Any], None]) -> None:
        """Give the result: as JSON, or shown by `show`, which receives it as plain mappings and lists."""
        if self.as_json:
            write(to_json(value, ascii_only=not _speaks_unicode()))
        else:
            show(plain(value))

    def line(self, text: str) -> None:
        """Print one line of data for people."""
        self.out.print(escape(text), soft_wrap=True)

    def table(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], title: str = "") -> None:
        """Print rows for people: the given columns, those that no row has left out."""
        shown = [name for name in columns if any(name in row for row in rows)]
        table = Table(title=escape(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
        cells = [[numbers.cell(name, row.get(name)) for name in shown] for row in rows]
        for place, name in enumerate(shown):
            right = all(numbers.is_number(row[place]) for row in cells)
            table.add_column(numbers.heading(name), justify="right" if right else "left", no_wrap=right)
        for row in cells:
            table.add_row(*map(escape, row))
        self._print(table)

    def facts(self, facts: Mapping[str, str], title: str = "") -> None:
        """Print names and values for people, one pair a line."""
        table = Table(title=escape(title) or None, title_justify="left", box=None, pad_edge=False, show_header=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        for name, value in facts.items():
            table.add_row(escape(name), escape(value))
        self._print(table)

    def _print(self, table: Table) -> None:
        out = self.out
        if out.is_terminal:
            out.print(table)
            return
        with out.capture() as captured:
            out.print(table)
        write("\n".join(line.rstrip() for line in captured.get().splitlines()))

    @contextmanager
    def progress(self, task: str) -> Iterator[Callable[..., None] | None]:
        """Open a progress bar on a terminal and yield what moves it; None where nobody watches.

        The bar is told the name of the stage it is at, or how many of how many are done, or both.
        """
        watched = job.reporter()
        if watched is not None:
            yield watched
            return
        if self.quiet or self.as_json or not sys.stderr.isatty():
            yield None
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), console=console(sys.stderr), transient=True) as bar:
            number = bar.add_task(task, total=None)

            def advance(*news: object) -> None:
                counted = [item for item in news if isinstance(item, int)]
                named = [item for item in news if isinstance(item, str)]
                if named:
                    bar.update(number, description=escape(named[0]))
                if len(counted) == 2:
                    bar.update(number, completed=counted[0], total=counted[1])

            yield advance


def console(stream: Any) -> Console:
    """Return a console on a stream; colours follow the terminal and NO_COLOR."""
    return Console(file=stream, highlight=False, width=None if stream.isatty() else _WIDE)


def write(text: str) -> None:
    """Write text to standard output as it is."""
    sys.stdout.write(text + "\n")


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
