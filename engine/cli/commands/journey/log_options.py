"""The argument and the options of every command that reads a log of events, each worded once."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Final, get_type_hints

import typer

from engine.cli import options
from engine.cli.output import Output

File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="The log: CSV, Parquet (a file or a folder) or XES, plain, .gz or .zip, or a prepared log. "
        "Without one, the events of the workspace.",
        show_default=False,
    ),
]
Case = Annotated[
    str | None, typer.Option("--case", help="Column that tells whose event it is; by default one of a usual name.")
]
Event = Annotated[str | None, typer.Option("--event", help="Column of what happened; by default one of a usual name.")]
Time = Annotated[str | None, typer.Option("--time", help="Column of when it happened; by default one of a usual name.")]
Seq = Annotated[
    str | None,
    typer.Option(
        "--seq", help="Column that orders events of one instant; by default `seq`, else the order of the file."
    ),
]
Channel = Annotated[str | None, typer.Option("--channel", help="Column of the channel; by default `channel`.")]
Lifecycle = Annotated[
    str | None, typer.Option("--lifecycle", help="Column of the phase of an activity; by default `lifecycle`.")
]
EventId = Annotated[
    str | None,
    typer.Option("--event-id", help="Column of the event's id: the same one twice counts once; by default `event_id`."),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        help="Look from this instant, nothing later counts; by default the latest event of a file, or the end of "
        "what was loaded. A date is the end of that day in UTC.",
    ),
]
Zone = Annotated[
    str | None, typer.Option("--zone", help="Time zone of times that have no offset, such as Asia/Shanghai; UTC.")
]
TimeFormat = Annotated[
    str | None,
    typer.Option("--time-format", help="How times are written when not in ISO 8601, such as '%d/%m/%Y %H:%M'."),
]

_LOG: Final[tuple[tuple[str, Any, Any], ...]] = (
    ("file", File, None),
    ("case", Case, None),
    ("event", Event, None),
    ("time", Time, None),
    ("seq", Seq, None),
    ("channel", Channel, None),
    ("lifecycle", Lifecycle, None),
    ("event_id", EventId, None),
    ("as_of", AsOf, None),
    ("zone", Zone, None),
    ("time_format", TimeFormat, None),
    ("encoding", options.Encoding, None),
    ("home", options.Home, options.HOME),
    ("quiet", options.Quiet, False),
)


def of_log(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command with the argument FILE and the options of a log, which it receives as `source`, a LogSource.

    The command has `source` for its first parameter and may have `quiet` for another; it declares its own options
    and `as_json`. Messages about the log go to standard error, unless --quiet.

        @of_log
        def transitions(source: LogSource, *, top: ..., as_json: options.Json = False) -> None:
    """
    own = [one for one in inspect.signature(command).parameters.values() if one.name not in ("source", "quiet")]
    wants_quiet = "quiet" in inspect.signature(command).parameters
    hints = _hints(command, [one.name for one in own])

    @wraps(command)
    def with_log(**given: Any) -> None:
        from engine.workflows.event_logs import LogSource

        log = {name: given.pop(name) for name, _, _ in _LOG}
        quiet = log.pop("quiet")
        log["as_of"] = options.instant(log["as_of"], "--as-of")
        say = Output(as_json=False, quiet=quiet).say
        if wants_quiet:
            given["quiet"] = quiet
        command(LogSource(path=log.pop("file"), say=say, **log), **given)

    parameter = inspect.Parameter
    shared = [parameter(name, parameter.KEYWORD_ONLY, default=default, annotation=kind) for name, kind, default in _LOG]
    mine = [one.replace(kind=parameter.KEYWORD_ONLY, annotation=hints[one.name]) for one in own]
    # the file first, then what the command asks, then the log's columns
    with_log.__signature__ = inspect.Signature([shared[0], *mine, *shared[1:]])  # type: ignore[attr-defined]
    with_log.__annotations__ = hints | {name: kind for name, kind, _ in _LOG}
    del with_log.__wrapped__  # its signature is not the one to read
    return with_log


def _hints(command: Callable[..., None], names: list[str]) -> dict[str, Any]:
    told = {name: command.__annotations__[name] for name in names}
    where = vars(sys.modules[command.__module__])
    return get_type_hints(SimpleNamespace(__annotations__=told), globalns=where, include_extras=True)
