"""How long work is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.lake.jobs import Job, Step
from engine.ui.views import work
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows.jobs import KINDS

BEGAN = datetime(2026, 6, 30, 12, tzinfo=UTC)
JOB = Job(
    folder=Path("nowhere"),
    job_id="1",
    kind="load",
    arguments=(),
    owner="ann",
    started_at=BEGAN,
    ended_at=None,
    pid=1,
    state="running",
    steps=(Step(name="customers", began_at=BEGAN), Step(name="events", began_at=BEGAN + timedelta(seconds=4))),
    done=1,
    total=4,
    stopped_by=None,
    result=None,
)


def test_progress_is_that_of_the_last_step() -> None:
    assert work.progress(JOB, Words()) == (0.25, "Step 2: Events (1 of 4)")
    assert work.progress(replace(JOB, steps=(), done=None, total=None), Words()) == (None, "It begins ...")


def test_steps_of_an_ended_job_add_up_to_its_time() -> None:
    ended = replace(JOB, state="done", ended_at=BEGAN + timedelta(seconds=10))
    assert list(work.steps(ended, Words())["Seconds"]) == [4.0, 6.0]
    assert work.since(ended, Words(), BEGAN) == "started by ann on 2026-06-30 12:00 UTC, took 10 s"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_job_that_did_not_end_well_says_what_is_safe_and_what_to_do(kind: str, language: Language) -> None:
    words = Words(language=language)
    failed = replace(JOB, kind=kind, state="failed", result={"error": {"sentence": "The file is empty."}})
    assert work.ending(failed, words) == (
        "The file is empty.",
        words.t(f"job_safe.{kind}"),
        words.t("job_next.failed"),
    )
    assert len(work.ending(replace(failed, state="killed", result=None), words)) == 2
    assert work.ending(replace(failed, state="done", result={}), words) == ()
