"""What can be made at set times: each job checked when it is scheduled, and made in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from engine.config.exports import ExportFormat, Mode
from engine.domain.errors import SettingsFault, UnknownName
from engine.exports.presets import PRESETS
from engine.workflows import export_audience, feedback, feedback_file, load, run, session, webhooks
from engine.workflows.export_plan import Wanted

Arguments = Mapping[str, Any]
"""What a job needs to know, as it is kept: texts, paths made absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One kind of job: what it does in a line, the arguments it needs and those it may have, and what makes it.

    `check` raises before anything is scheduled; `make` returns a few facts for the record.
    """

    summary: str
    needs: tuple[str, ...]
    may: tuple[str, ...]
    check: Callable[[Path, Arguments], None]
    make: Callable[[Path, Arguments], dict[str, Any]]


def checked(home: Path, name: str, arguments: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the arguments of a job as they are kept.

    Raises
    ------
    UnknownName
        There is no such job, preset or audience.
    SettingsFault
        An argument is missing, or none of this job's.
    """
    if name not in JOBS:
        raise UnknownName("job", name, JOBS)
    job = JOBS[name]
    given = {key: value for key, value in arguments.items() if value is not None}
    faults = [f"--{key}: missing for the job {name}." for key in job.needs if key not in given]
    known = ", ".join(f"--{key}" for key in (*job.needs, *job.may)) or "none"
    faults += [
        f"--{key}: the job {name} has no such argument. It knows: {known}."
        for key in given
        if key not in (*job.needs, *job.may)
    ]
    if faults:
        raise SettingsFault("schedule", faults)
    kept = {key: str(Path(value).expanduser().resolve()) if key in _PATHS else value for key, value in given.items()}
    job.check(home, kept)
    return kept


def make(home: Path, name: str, arguments: Arguments) -> dict[str, Any]:
    """Make a job and return a few facts of what came of it; raises whatever the job does."""
    return JOBS[name].make(home, arguments)


_PATHS: Final = ("mapping", "file")


def _check_nothing(_: Path, __: Arguments) -> None:
    pass


def _check_mapping(_: Path, arguments: Arguments) -> None:
    _require_file(arguments["mapping"], "mapping")


def _require_file(path: str, option: str) -> None:
    if not Path(path).is_file():
        raise SettingsFault("schedule", [f"--{option} {path}: there is no such file. Check the path."])


def _load(home: Path, arguments: Arguments) -> dict[str, Any]:
    report = load.load(home, Path(arguments["mapping"]))
    return {
        "kept": sum(table.kept for table in report.tables),
        "quarantined": sum(table.quarantined for table in report.tables),
    }


def _run(home: Path, _: Arguments) -> dict[str, Any]:
    made = run.run(home)
    return {"run_id": made.run_id, "reused": made.reused, "skipped": list(made.skipped)}


def _check_export(_: Path, arguments: Arguments) -> None:
    if arguments["preset"] not in PRESETS:
        raise UnknownName("preset", arguments["preset"], PRESETS)
    for option, known in (("mode", get_args(Mode)), ("format", get_args(ExportFormat))):
        if option in arguments and arguments[option] not in known:
            raise UnknownName(option, arguments[option], known)


def _export(home: Path, arguments: Arguments) -> dict[str, Any]:
    made = export_audience.audience(
        home,
        Wanted(
            audience=arguments["audience"],
            preset=arguments["preset"],
            mode=cast(Mode, arguments.get("mode", "full")),
            file_format=cast(ExportFormat | None, arguments.get("format")),
            channel=arguments.get("channel"),
            by=arguments.get("by"),
        ),
    )
    names = ("run_id", "mode", "content_sha256", "folder")
    return {name: str(made[name]) for name in names if name in made}


def _check_feedback(home: Path, arguments: Arguments) -> None:
    feedback.desk(session.workspace_at(home), arguments["preset"])


def _feedback(home: Path, arguments: Arguments) -> dict[str, Any]:
    made = feedback_file.load(home, Path(arguments["file"]), arguments["preset"], by="schedule")
    return {name: getattr(made, name) for name in ("rows", "accepted", "duplicate", "rejected", "suppressed")}


def _webhooks(home: Path, _: Arguments) -> dict[str, Any]:
    return dict(webhooks.deliver(home))


JOBS: Final[dict[str, Job]] = {
    "load": Job(
        summary="load the bank's own tables",
        needs=("mapping",),
        may=(),
        check=_check_mapping,
        make=_load,
    ),
    "run": Job(summary="run the engine on what is loaded", needs=(), may=(), check=_check_nothing, make=_run),
    "export": Job(
        summary="hand an audience to a campaign tool",
        needs=("audience", "preset"),
        may=("mode", "format", "channel", "by"),
        check=_check_export,
        make=_export,
    ),
    "feedback": Job(
        summary="take in a file of feedback",
        needs=("file", "preset"),
        may=(),
        check=_check_feedback,
        make=_feedback,
    ),
    "webhooks": Job(
        summary="tell the bank's own addresses what is new",
        needs=(),
        may=(),
        check=_check_nothing,
        make=_webhooks,
    ),
}
"""Every job that can be scheduled."""
