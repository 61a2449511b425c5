"""The next best action for one customer, now: the run's own decision with what happened since, in a durable ledger.

A request waits for one thread of the process, which takes all that have come meanwhile and decides them in one
transaction: it counts their contacts, calls the same `decide` as the run, writes ledger and contacts, and commits. Only
then does any answer leave. So a decision that was told is in the ledger, a cap holds however many processes decide, and
many requests at once cost one commit.

A contact counts from the moment of its decision, whether or not a campaign tool reports that it was sent; the report
does not count again. Nothing takes a contact back: a message that was decided and never sent is one that the customer
may still get.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from engine.config.live import LiveSettings
from engine.domain.errors import WaylineError
from engine.store import LiveLedger
from engine.workflows import session
from engine.workflows.live_requests import LiveRequest, wanted
from engine.workflows.live_snapshots import Snapshot, Snapshots
from engine.workflows.live_turns import Answer, Asked, Moment, taken

_LOG: Final = logging.getLogger("wayline.live")
_STOP: Final = None
_TIDY_SECONDS: Final = 0.2  # little at a time: a commit that meets the tidying waits for what it flushes


class NotAnswered(WaylineError):
    """No answer in time; what was not told was not offered."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"No decision within {seconds:g} s: the database is slow, or too many ask at once. Ask again with the same "
            f"request id, so that a decision that was made all the same is told and not made twice."
        )


class DecideNow:
    """Answers live requests of one workspace until it is closed; safe to use from several threads.

    clock : tells the time, for tests; by default the one that the settings name.

    Raises
    ------
    SettingsFault
        The live settings of the workspace are wrong.
    """

    def __init__(self, home: Path, *, clock: Callable[[], datetime] | None = None) -> None:
        self._workspace = session.workspace_at(home)
        self.settings = session.settings(self._workspace, LiveSettings, "live")
        self._clock = clock
        self._snapshots = Snapshots(self._workspace, self.settings.look_for_runs_seconds)
        self._ledger = LiveLedger(session.database_url(self._workspace))
        self._waiting: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="wayline-decisions", daemon=True)
        self._tidier = threading.Thread(target=self._tidy, name="wayline-tidier", daemon=True)
        self._closed, self._stop, self._wrote = False, threading.Event(), threading.Event()
        self._thread.start()
        self._tidier.start()

    def __enter__(self) -> DecideNow:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer what has come, take no more, and close the database."""
        if not self._closed:
            self._closed = True
            self._waiting.put(_STOP)
            self._thread.join()
            self._stop.set()
            self._wrote.set()
            self._tidier.join()
            self._snapshots.close()
            self._ledger.close()

    def ready(self) -> bool:
        """Make the current run ready to be served and say whether there is one; a server calls it before it listens."""
        return isinstance(self._snapshots.current(), Snapshot)

    def submit(self, request: LiveRequest, most: int | None = None) -> Future[Answer]:
        """Ask, and return the future of the answer, which has room for `most` offers; it raises what `answer` does.

        Raises
        ------
        UnknownName, SettingsFault
            The request is not one: see `live_requests.wanted`.
        """
        future: Future[Answer] = Future()
        self._put(request, most, future)
        return future

    async def asked(self, request: LiveRequest, most: int | None = None) -> Answer:
        """Return what `answer` does, to a coroutine: no thread waits for it. Raises what `answer` does."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._put(request, most, future)
        # as asyncio.wait_for does, for a third of what that costs
        late = loop.call_later(self.settings.wait_seconds, _give_up, future, self.settings.wait_seconds)
        try:
            return await future
        finally:
            late.cancel()

    def answer(self, request: LiveRequest) -> Answer:
        """Return the next best action for one customer, or why there is none; it stands in the ledger when it returns.

        Raises
        ------
        UnknownName, SettingsFault
            The request is not one: see `live_requests.wanted`.
        RequestChanged
            Its id was used for another one.
        StoreUnavailable, NotAnswered
            Nothing durable can be written, now or in time: nothing was offered.
        """
        future = self.submit(request)
        try:
            return future.result(self.settings.wait_seconds)
        except TooLate:
            future.cancel()  # what nobody waits for is not decided, unless that has begun
            raise NotAnswered(self.settings.wait_seconds) from None

    def _put(self, request: LiveRequest, most: int | None, future: Future[Answer] | asyncio.Future[Answer]) -> None:
        want = wanted(request, self.settings)
        if most is not None and want.offers > most:
            want = replace(want, offers=most)
        self._waiting.put(Asked(request=request, want=want, future=future, key=request.key))

    # The thread

    def _work(self) -> None:
        left: deque[Asked] = deque()
        while True:
            last = self._gather(left)
            while left:
                try:
                    self._handle(*self._together(left))
                except Exception as fault:
                    # nobody may wait for a thread that is gone
                    _LOG.error("%s before a live decision", type(fault).__name__)
                    waiting = [one for one in left if _is_awaited(one.future)]
                    _tell(waiting, [fault] * len(waiting))
                    left.clear()
                if not last:
                    break
            if last:
                return

    def _gather(self, left: deque[Asked]) -> bool:
        """Take all that has come, waiting only where nothing is left to do; return whether it was the last."""
        try:
            while True:
                one = self._waiting.get(block=not left)
                if one is None:
                    return True
                left.append(one)
        except queue.Empty:
            return False

    def _together(self, left: deque[Asked]) -> tuple[Snapshot | WaylineError, list[Asked]]:
        """Take requests that share nothing with each other, in the order in which they came."""
        snapshot = self._snapshots.current()
        taken: list[Asked] = []
        names: set[str] = set()
        behind: deque[Asked] = deque()
        while left and len(taken) < self.settings.requests_together:
            one = left.popleft()
            one.locate(snapshot)
            if names.isdisjoint(one.names):
                taken.append(one)
            else:
                behind.append(one)
            # also of who must wait: two requests for one customer keep their order
            names.update(one.names)
        left.extendleft(reversed(behind))
        return snapshot, taken

    def _handle(self, snapshot: Snapshot | WaylineError, asked: list[Asked]) -> None:
        """Answer requests in one transaction, and tell nobody anything before it is durable."""
        asked = [one for one in asked if _is_awaited(one.future)]
        moment = Moment(
            now=self._now(snapshot),
            snapshot=snapshot,
            stale_after=timedelta(hours=self.settings.stale_after_hours),
        )
        answers: Sequence[Answer | Exception]
        try:
            with self._ledger.turn([name for one in asked for name in one.names]) as turn:
                answers = taken(turn, asked, moment)
        except Exception as fault:
            if not isinstance(fault, WaylineError):
                _LOG.error("%s in a live decision", type(fault).__name__)
            answers = [fault] * len(asked)
        _tell(asked, answers)
        self._wrote.set()

    def _tidy(self) -> None:
        """Keep the database's log short while others decide."""
        while not self._stop.is_set():
            self._wrote.wait()
            self._wrote.clear()
            with suppress(WaylineError):  # whoever decides next tells it
                self._ledger.tidy()
            self._stop.wait(_TIDY_SECONDS)

    def _now(self, snapshot: Snapshot | WaylineError) -> datetime:
        if self._clock is not None:
            return self._clock()
        now = datetime.now(UTC)
        if self.settings.clock == "run" and isinstance(snapshot, Snapshot):
            # time goes on from the date of the run, at which it stood when the run was made
            return snapshot.as_of + (now - snapshot.finished_at)
        return now


def _give_up(future: asyncio.Future[Answer], seconds: float) -> None:
    if not future.done():
        future.set_exception(NotAnswered(seconds))


def _is_awaited(future: Future[Answer] | asyncio.Future[Answer]) -> bool:
    return future.set_running_or_notify_cancel() if isinstance(future, Future) else not future.done()


def _tell(asked: Sequence[Asked], answers: Sequence[Answer | Exception]) -> None:
    """Tell everybody; those who wait in one event loop are told together, since waking it costs more than telling."""
    in_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | Exception]]] = {}
    for one, answer in zip(asked, answers, strict=True):
        if isinstance(one.future, Future):
            _settle(one.future, answer)
        else:
            in_loop.setdefault(one.future.get_loop(), []).append((one.future, answer))
    for loop, told in in_loop.items():
        with suppress(RuntimeError):  # a loop that was closed meanwhile waits for nothing
            loop.call_soon_threadsafe(_settle_all, told)


def _settle_all(told: Sequence[tuple[asyncio.Future[Answer], Answer | Exception]]) -> None:
    for future, answer in told:
        if not future.done():
            _settle(future, answer)


def _settle(future: Future[Answer] | asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if isinstance(answer, Answer):
        future.set_result(answer)
    else:
        future.set_exception(answer)
