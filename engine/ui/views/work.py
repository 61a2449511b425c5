"""Long work as it is told: what it is, how far it is, how it ended, what is safe and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd

from engine.lake.jobs import Job
from engine.ui.words import Words, catalogue

_BADGES = {
    "running": "blue",
    "done": "green",
    "found": "orange",
    "refused": "orange",
    "failed": "red",
    "stopped": "gray",
    "killed": "red",
}


def title(job: Job, w: Words) -> str:
    """Say what the job does."""
    return w.t(f"job.{job.kind}")


def state(job: Job, w: Words) -> tuple[str, str]:
    """Return the word for the state of a job, and the colour of its badge."""
    return w.t(f"job_state.{job.state}"), _BADGES[job.state]


def step(name: str, w: Words) -> str:
    """Return the word for a step: a stage of the run, a table that is loaded, or the job's own."""
    for kind in ("job_step", "run_stage", "table"):
        if f"{kind}.{name}" in catalogue():
            return w.label(kind, name)
    return w.name("step", name)


def progress(job: Job, w: Words) -> tuple[float | None, str]:
    """Return how far the last step has come, None where it is not counted, and say so."""
    if not job.steps:
        return None, w.t("work.begins")
    told = w.t("work.step", number=len(job.steps), step=step(job.steps[-1].name, w))
    if job.done is None or not job.total:
        return None, told
    counted = w.t("work.counted", done=w.number(job.done), total=w.number(job.total))
    return min(job.done / job.total, 1.0), f"{told} ({counted})"


def since(job: Job, w: Words, now: datetime) -> str:
    """Say who started it, and how long ago or how long it took."""
    if job.runs:
        return w.t("work.since", owner=job.owner, elapsed=w.duration((now - job.started_at).total_seconds()))
    when = w.instant(job.started_at.astimezone(UTC).replace(tzinfo=None))
    if job.ended_at is None:
        return w.t("work.began", owner=job.owner, when=when)
    took = w.duration((job.ended_at - job.started_at).total_seconds())
    return w.t("work.took", owner=job.owner, when=when, took=took)


def ending(job: Job, w: Words) -> tuple[str, ...]:
    """Say why a job did not end well, what is safe, and what to do next; nothing of one that did or still runs."""
    if job.runs or job.went_well:
        return ()
    return tuple(part for part in (job.error, w.t(f"job_safe.{job.kind}"), w.t(f"job_next.{job.state}")) if part)


def steps(job: Job, w: Words) -> pd.DataFrame:
    """Return the steps that began and how long each took."""
    ends = [*(one.began_at for one in job.steps[1:]), job.ended_at]
    return pd.DataFrame(
        {
            w.t("data.stage"): [step(one.name, w) for one in job.steps],
            w.t("data.seconds"): [
                round((end - one.began_at).total_seconds(), 1) if end else None
                for one, end in zip(job.steps, ends, strict=True)
            ],
        }
    )


def history(jobs: Sequence[Job], w: Words) -> pd.DataFrame:
    """Return earlier jobs, the newest first."""
    return pd.DataFrame(
        {
            w.t("work.title"): [title(job, w) for job in jobs],
            w.t("data.status"): [state(job, w)[0] for job in jobs],
            w.t("data.reason"): [since(job, w, datetime.now(UTC)) for job in jobs],
        }
    )
