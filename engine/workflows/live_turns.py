"""What one transaction of live decisions does: count, decide, write. Everything in it follows from its arguments."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from engine.domain.errors import RunMissing, WaylineError
from engine.recommendations import live
from engine.recommendations.live import Contact, Since, Suppressed
from engine.store import LiveContact, LiveDecision, LiveSuppression
from engine.store.live import Earlier, Turn
from engine.workflows import live_answers
from engine.workflows.live_decisions import Asking, Decided, decided
from engine.workflows.live_requests import LiveRequest, Wanted
from engine.workflows.live_snapshots import Snapshot
from engine.workflows.reported import LIVE
from engine.workflows.unguessable import hex_digits

_digits: Final = hex_digits(20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was told: JSON, how it ended, and whether it is an earlier answer to the same request."""

    body: bytes
    code: str
    repeated: bool

    @property
    def facts(self) -> dict[str, Any]:
        """The answer as plain values."""
        told: dict[str, Any] = orjson.loads(self.body)
        return told


class RequestChanged(WaylineError):
    """The id of an earlier request came with another content."""

    def __init__(self) -> None:
        super().__init__(
            "That request id was used before, for a request with another content. The first answer stands: send a new "
            "id with what is asked now."
        )


@dataclass(slots=True, kw_only=True)
class Asked:
    """A request on its way, with the future that its caller waits for, in a thread or in an event loop."""

    request: LiveRequest
    want: Wanted
    future: Future[Answer] | asyncio.Future[Answer]
    key: str | None
    row: int | None = None
    members: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """What no other request of the same transaction may share: the household, and the request's own id."""

    def locate(self, snapshot: Snapshot | WaylineError) -> None:
        """Find the customer and all of the household in the run that is served."""
        self.row, self.members = None, ()
        if isinstance(snapshot, Snapshot):
            self.row = snapshot.kept.row_of(self.request.customer_id)
            if self.row is not None:
                self.members = tuple(map(snapshot.kept.id_of, snapshot.kept.household(self.row)))
        self.names = (*self.members, *(() if self.key is None else (self.key,)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a transaction decides, and from what: the snapshot, or why there is none."""

    now: datetime
    snapshot: Snapshot | WaylineError
    stale_after: timedelta


class RowsUsedUp(WaylineError):
    """The key that asks may see no more rows today; nothing was decided."""

    def __init__(self) -> None:
        super().__init__("The rows that the key may see in a day (UTC) are used up. Wait for the next day.")


def taken(turn: Turn, asked: Sequence[Asked], moment: Moment) -> list[Answer | RequestChanged | RowsUsedUp]:
    """Answer requests that share no customer, household or id, and write what was decided; durable once committed."""
    earlier = turn.earlier([one.key for one in asked if one.key])
    fresh = [one for one in asked if one.key not in earlier]
    # the machine's own day, as for every other row that leaves: the clock of a run may stand elsewhere
    day = datetime.now(UTC).date().isoformat()
    paid = [one.request.capped_key is None or turn.charge(one.request.capped_key, day) for one in fresh]
    written = _made(turn, [one for one, is_paid in zip(fresh, paid, strict=True) if is_paid], moment)
    turn.write(written)
    told = iter(Answer(body=decision.answer.encode(), code=decision.code, repeated=False) for decision, _ in written)
    new = iter([next(told) if is_paid else RowsUsedUp() for is_paid in paid])
    return [_again(earlier[one.key], one) if one.key in earlier else next(new) for one in asked]


def _again(earlier: Earlier, one: Asked) -> Answer | RequestChanged:
    if earlier.request_hash != one.want.hashed(one.request.customer_id):
        return RequestChanged()
    return Answer(body=earlier.answer.encode(), code=earlier.code, repeated=True)


_Written = tuple[LiveDecision, str | None]


def _made(turn: Turn, fresh: Sequence[Asked], moment: Moment) -> list[_Written]:
    """Return a decision for each request, and the channel of the contact it makes."""
    now, snapshot = moment.now, moment.snapshot
    if isinstance(snapshot, WaylineError):
        code = live_answers.NO_RUN if isinstance(snapshot, RunMissing) else live_answers.RUN_NOT_USABLE
        return [_nothing(one, None, now, code) for one in fresh]
    if now - snapshot.as_of > moment.stale_after:
        return [_nothing(one, snapshot, now, live_answers.STALE_RUN) for one in fresh]
    known = [one for one in fresh if one.row is not None]
    made = iter(_decisions(turn, snapshot, known, now) if known else ())
    return [
        _nothing(one, snapshot, now, live_answers.UNKNOWN_CUSTOMER) if one.row is None else next(made) for one in fresh
    ]


def _nothing(one: Asked, snapshot: Snapshot | None, now: datetime, code: str) -> _Written:
    told = {"action": None, "alternatives": [], "counted": False, "reasons": [live_answers.told(code)]}
    return _written(one, snapshot, now, code, told), None


def _decisions(turn: Turn, snapshot: Snapshot, known: Sequence[Asked], now: datetime) -> list[_Written]:
    happened = _since(turn, snapshot, known, now)
    asking = [Asking(want=one.want, happened=since, at=now) for one, since in zip(known, happened, strict=True)]
    ids = [one.request.customer_id for one in known]
    block, settled = snapshot.block([one.row for one in known if one.row is not None], ids)
    made = decided(snapshot.bundle, block, settled, asking)
    return [_decision(one, snapshot, made, row, asking[row]) for row, one in enumerate(known)]


def _since(turn: Turn, snapshot: Snapshot, known: Sequence[Asked], now: datetime) -> list[Since]:
    """Return what happened to each customer that the run does not know."""
    members = sorted({member for one in known for member in one.members})
    contacts, held = turn.known(members, now - snapshot.looks_back)
    with_whom, causes = defaultdict[str, list[Contact]](list), defaultdict[str, list[Suppressed]](list)
    for contact in contacts:
        if not snapshot.has_counted(_ids(contact)):
            with_whom[contact.customer_id].append(_contact(contact))
    for cause in held:
        causes[cause.customer_id].append(_cause(cause))
    policy = snapshot.bundle.settings.contact
    return [
        live.since(
            with_whom.get(one.request.customer_id, ()),
            [contact for member in one.members for contact in with_whom.get(member, ())],
            causes.get(one.request.customer_id, ()),
            policy=policy,
            channels=snapshot.channels,
            now=now,
        )
        for one in known
    ]


def _ids(one: LiveContact) -> list[str]:
    """Return the ids under which a run may have counted a contact: those of its reports, and that of its own row."""
    return [*one.event_ids, *([f"{LIVE}{one.decision_id}"] if one.decision_id else [])]


def _contact(one: LiveContact) -> Contact:
    return Contact(customer_id=one.customer_id, channel=one.channel, at=one.at)


def _cause(one: LiveSuppression) -> Suppressed:
    return Suppressed(channel=one.channel, since=one.since, complained=one.reason == "complained")


def _decision(one: Asked, snapshot: Snapshot, made: Decided, row: int, asking: Asking) -> _Written:
    offers = made.shown(row, one.want)
    counted = bool(offers) and one.want.counts
    told = {
        "action": offers[0] if offers else None,
        "alternatives": offers[1:],
        "counted": counted,
        "reasons": [] if offers else made.reasons(row),
    }
    # where the customer came by themselves, that is where the contact was made
    channel = one.want.channel or (offers[0]["channel"] if offers else None)
    seen = {
        "since": asking.happened,
        "counted": dict(zip(snapshot.bundle.settings.contact.caps, made.block.contacts[row].tolist(), strict=True)),
    }
    code = live_answers.OFFERED if offers else live_answers.REFUSED
    decision = _written(
        one,
        snapshot,
        asking.at,
        code,
        told,
        inputs_sha256=snapshot.fingerprint(one.row or 0, one.request.customer_id),
        seen=_json(seen),
        outcome=made.outcome(row),
    )
    return decision, channel


def _written(
    one: Asked,
    snapshot: Snapshot | None,
    now: datetime,
    code: str,
    told: dict[str, Any],
    *,
    inputs_sha256: str | None = None,
    seen: str | None = None,
    outcome: str | None = None,
) -> LiveDecision:
    decision_id, run_id = _decision_id(now), None if snapshot is None else snapshot.run_id
    # an id that the run does not know may be anything that was typed by mistake: it is neither kept nor repeated
    customer_id = None if one.row is None else one.request.customer_id
    answer = {
        "decision_id": decision_id,
        "customer_id": customer_id,
        "run_id": run_id,
        "as_of": None if snapshot is None else snapshot.as_of,
        "decided_at": now,
        "code": code,
        **told,
    }
    return LiveDecision(
        decision_id=decision_id,
        request_key=one.key,
        request_hash=one.want.hashed(one.request.customer_id),
        asked_by=one.request.asker,
        customer_id=customer_id,
        run_id=run_id,
        bundle=None if snapshot is None else snapshot.digest,
        inputs_sha256=inputs_sha256,
        decided_at=now,
        code=code,
        counted=told["counted"],
        asked=_json(one.want.as_json()),
        seen=seen,
        outcome=outcome,
        answer=_json(answer),
    )


def _decision_id(now: datetime) -> str:
    """Return an id that nobody guesses and that rises with time, so that a table of millions grows at one end."""
    return f"{int(now.timestamp() * 1_000):012x}{_digits()}"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
