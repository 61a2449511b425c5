"""Take in what campaign tools report: each event once, in any order, as often as they like; withdrawals count at once.

What is answered as accepted is on disk, and who unsubscribed in it is not contacted by the next decision.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from engine.config.bank import BankSettings
from engine.config.exports import ExportSettings
from engine.config.feedback import GENERIC, FeedbackSettings, PresetSettings
from engine.domain.errors import DeliveryUnderWay, KeyReused, SettingsFault, UnknownName
from engine.domain.grants import Grant
from engine.exports.feedback_items import WITHDRAWALS, Item, Refused, Rules, read
from engine.lake.workspace import Workspace
from engine.store import Added, NewBatch, NewFeedback, Store
from engine.workflows import session
from engine.workflows.feedback_known import Register

_CONFLICT: Final = "This event id was used before for something else. What came first stays."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An item that was not taken: its place in the delivery from 0, a code, and a sentence without any value of it."""

    index: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a delivery: items accepted, known already, no feedback by the preset, and rejected.

    `suppressed` is how many of those accepted are a cause not to contact somebody.
    """

    accepted: int
    duplicate: int
    ignored: int
    suppressed: int
    rejected: tuple[Rejection, ...]

    def told(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        return {**asdict(self), "rejected": [asdict(one) for one in self.rejected]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Who sends, the key under which a delivery may be repeated, and the hash of its body as it came."""

    sender: str
    idempotency_key: str | None
    body_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What deliveries are read with: a preset under its name, the settings, the currencies, a register of ids.

    `grant` is what the key of the API allows that sends them, None where they do not come over it.
    """

    name: str
    preset: PresetSettings
    settings: FeedbackSettings
    currencies: frozenset[str]
    register: Register
    grant: Grant | None = None

    @property
    def rules(self) -> Rules:
        """The rules of this moment."""
        return Rules.at(datetime.now(UTC), self.preset, self.currencies, self.settings.future_seconds)


def desk(workspace: Workspace, preset: str = GENERIC, grant: Grant | None = None) -> Desk:
    """Return what deliveries of one tool are read with; raises UnknownName for a preset that is none."""
    settings = session.settings(workspace, FeedbackSettings, "feedback")
    if preset not in settings.presets:
        raise UnknownName("preset", preset, settings.presets)
    bank = session.settings(workspace, BankSettings, "bank")
    prefix = session.settings(workspace, ExportSettings, "exports").prefix
    return Desk(
        name=preset,
        preset=settings.presets[preset].with_prefix(prefix),
        settings=settings,
        currencies=frozenset(bank.rates),
        register=Register(workspace=workspace),
        grant=grant,
    )


def receive(store: Store, reader: Desk, items: Sequence[Any], delivery: Delivery) -> dict[str, Any]:
    """Take in items that came in one request, and return the answer; it is on disk when this returns.

    Under an idempotency key the same delivery gets the answer of the first.

    Raises
    ------
    DeliveryUnderWay
        The same delivery is being worked on.
    KeyReused
        Another body was sent under the key.
    SettingsFault
        There are more items than one request may hold.
    """
    most = reader.settings.items_most
    if len(items) > most:
        raise SettingsFault("feedback", [f"{len(items):,} items in one request: expected at most {most:,}. Send less."])
    if delivery.idempotency_key is None:
        return entered(store, reader, items).told()
    claim = store.claim_feedback(
        NewBatch(
            batch_id=f"fb_{secrets.token_hex(12)}",
            sender=delivery.sender,
            idempotency_key=delivery.idempotency_key,
            body_sha256=delivery.body_sha256,
            source=reader.name,
        )
    )
    if claim.state == "other_body":
        raise KeyReused
    if claim.state == "running":
        raise DeliveryUnderWay
    if claim.state == "done":
        return dict(claim.batch.answer or {})
    try:
        return entered(store, reader, items, batch_id=claim.batch.batch_id).told()
    except BaseException:
        # whoever sends it again need not wait until the claim runs out
        store.finish_feedback(claim.batch.batch_id, {}, failed=True)
        raise


def entered(store: Store, reader: Desk, items: Sequence[Any], batch_id: str | None = None) -> Answer:
    """Enter items in one transaction and return what became of them; a delivery is answered in the same one."""
    sorted_out = sort_out(reader, items)
    if batch_id is None:
        return sorted_out.answer(store.add_feedback(sorted_out.new))
    added = store.add_feedback(sorted_out.new, batch_id=batch_id, answer=lambda one: sorted_out.answer(one).told())
    return sorted_out.answer(added)


def entered_in(store: Store, reader: Desk, items: Sequence[Any], job: str) -> Answer:
    """Enter items as a part of a delivery that goes on, and return what became of them."""
    sorted_out = sort_out(reader, items)
    return sorted_out.answer(store.add_feedback(sorted_out.new, batch_id=job))


@dataclass(frozen=True, slots=True, kw_only=True)
class SortedOut:
    """Items that can be entered, with the places they came from, and those that cannot."""

    new: tuple[NewFeedback, ...]
    places: tuple[int, ...]
    ignored: int
    rejected: tuple[Rejection, ...]

    def answer(self, added: Added) -> Answer:
        """Return what became of all items; one that several customers share an address for counts as one."""
        outcome = dict.fromkeys(self.places, "duplicate")
        for place, one in zip(self.places, added.outcomes, strict=True):
            if one == "conflict" or (one == "accepted" and outcome[place] != "conflict"):
                outcome[place] = one
        conflicts = [
            Rejection(index=place, code="conflict", detail=_CONFLICT)
            for place, one in outcome.items()
            if one == "conflict"
        ]
        told = list(outcome.values())
        return Answer(
            accepted=told.count("accepted"),
            duplicate=told.count("duplicate"),
            ignored=self.ignored,
            suppressed=added.suppressed,
            rejected=tuple(sorted([*self.rejected, *conflicts], key=lambda one: one.index)),
        )


def sort_out(reader: Desk, items: Sequence[Any]) -> SortedOut:
    """Read items and look up what they name; nothing is entered."""
    rules, read_items, ignored = reader.rules, [], 0
    rejected: list[Rejection] = []
    for index, raw in enumerate(items):
        try:
            if not isinstance(raw, Mapping):
                raise Refused("malformed_item", "Expected a JSON object.")
            item = read(raw, rules)
        except Refused as fault:
            rejected.append(Rejection(index=index, code=fault.code, detail=fault.detail))
            continue
        if item is None:
            ignored += 1
        else:
            read_items.append((index, item))
    known = reader.register.known(item for _, item in read_items)
    new: list[NewFeedback] = []
    places: list[int] = []
    for index, item in read_items:
        try:
            found = known.resolved(item)
            _check_granted(reader.grant, found)
        except Refused as fault:
            rejected.append(Rejection(index=index, code=fault.code, detail=fault.detail))
            continue
        new += [_new(one, reader.name) for one in found]
        places += [index] * len(found)
    return SortedOut(new=tuple(new), places=tuple(places), ignored=ignored, rejected=tuple(rejected))


def _check_granted(grant: Grant | None, items: Sequence[Item]) -> None:
    """Refuse what is of a channel or an audience that the key is not for; a withdrawal is heard from anybody."""
    for item in items:
        if grant is None or item.type in WITHDRAWALS:
            continue
        if grant.channel is not None and item.channel not in (None, grant.channel):
            raise Refused("not_granted", f"channel: the key is for {grant.channel} alone.")
        if item.audience_id is not None and not grant.allows_audience(item.audience_id):
            raise Refused("not_granted", "audience_id: the key is not for this audience.")


def status(home: Path) -> dict[str, Any]:
    """Return counts of what was received by source and type, who is suppressed why, and the newest deliveries.

    Raises
    ------
    StoreUnavailable
    """
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {"events": 0, "received": [], "suppressed": [], "deliveries": []}
    with Store(session.database_url(workspace)) as store:
        held = store.suppressions()
        reasons = sorted({(one.reason, one.channel or "every") for one in held})
        return {
            "events": store.last_feedback(),
            "received": store.feedback_tally(),
            "suppressed": [
                {
                    "reason": reason,
                    "channel": channel,
                    "customers": sum((one.reason, one.channel or "every") == (reason, channel) for one in held),
                }
                for reason, channel in reasons
            ],
            "deliveries": [
                {
                    "job": one.batch_id,
                    "source": one.source,
                    "status": one.status,
                    "started_at": one.started_at,
                    "finished_at": one.finished_at,
                    **{name: (one.answer or {}).get(name) for name in ("accepted", "duplicate", "ignored")},
                    "rejected": _count((one.answer or {}).get("rejected")),
                }
                for one in store.feedback_batches()
            ],
        }


def _count(rejected: Any) -> int | None:
    return len(rejected) if isinstance(rejected, list) else rejected


def _new(item: Item, source: str) -> NewFeedback:
    # by name, not by a copy: a file may hold millions
    return NewFeedback(source=source, **{name: getattr(item, name) for name in item.__slots__ if name != "email"})
