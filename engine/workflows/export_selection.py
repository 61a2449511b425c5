"""Who of an audience may leave on a channel, and why the others stay: each member counted once, at its first reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.exports import ExportSettings
from engine.domain.errors import RefusedByPolicy
from engine.domain.words import MARKETING
from engine.exports.audience_manifest import EXCLUSIONS
from engine.exports.presets.ads import CHANNEL as ADS
from engine.lake import memberships
from engine.lake.memberships import Membership
from engine.recommendations import columns, reachable
from engine.recommendations.columns import Flags
from engine.recommendations.gates import GATES
from engine.workflows import audience_reach, export_permissions, held_audiences
from engine.workflows.audiences import Opened
from engine.workflows.export_permissions import Consents
from engine.workflows.held_audiences import Kept

_MEMBERS: Final = "_export_members"
_HOUSEHOLD: Final = "HOUSEHOLD_CONTACTED"
_NO_CONSENT: Final = "NO_CONSENT"
_SHARED: Final = "SHARED_CONTACT"
_GATE: Final = {gate.name: bit for bit, gate in enumerate(GATES)}
_COMPLAINT: Final = [_GATE[name] for name in ("quiet_after_complaint", "open_complaint", "complaint_history")]


def _of_step(step: str, *apart: int) -> list[int]:
    return [one.bit for one in reachable.REASONS if one.step == step and one.bit not in (*_COMPLAINT, *apart)]


_CONSENT: Final = _of_step("consent")
_CLOSED: Final = _of_step("suppression", reachable.OPTED_OUT, reachable.CONTROL_GROUP, reachable.NOT_DECIDED)
_CONTACT: Final = _of_step("contact")
_RISK: Final = _of_step("risk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The members of an audience on a run, sorted by id: `exclusion` is the place in EXCLUSIONS, -1 for who may leave.

    reasons : the code of the reason, empty for who may leave. sticky : everybody who must not be contacted, members or
    not, as `export_permissions.sticky` returns them.
    """

    ids: pa.Array
    exclusion: NDArray[np.int8]
    reasons: NDArray[np.object_]
    consents: Consents
    sticky: pa.Table

    @property
    def leaving(self) -> pa.Array:
        """The ids of those who may leave."""
        return self.ids.filter(pa.array(self.exclusion < 0))

    def excluded(self) -> dict[str, int]:
        """Return how many members each exclusion keeps."""
        found = np.bincount(self.exclusion[self.exclusion >= 0], minlength=len(EXCLUSIONS))
        return dict(zip(EXCLUSIONS, map(int, found), strict=True))

    def reason_counts(self) -> dict[str, int]:
        """Return how many members each reason keeps."""
        counted = pc.value_counts(pa.array(self.reasons[self.exclusion >= 0], pa.string()))
        return {row["values"]: row["counts"] for row in counted.to_pylist()}

    def without(self, ids: Any, exclusion: str, code: str) -> Selection:
        """Return the selection with more members excluded, who were not yet."""
        more = (columns.places(self.ids, ids) >= 0) & (self.exclusion < 0)
        place = np.int8(EXCLUSIONS.index(exclusion))
        return replace(
            self,
            exclusion=np.where(more, place, self.exclusion).astype(np.int8),
            reasons=np.where(more, code, self.reasons),
        )


def snapshot(held: Opened, kept: Kept) -> Membership:
    """Return who belongs on the run by the audience as it is kept now; built where it is not there yet.

    Raises
    ------
    RefusedByPolicy
        The audience had been retired by the run's date.
    """
    gone = kept.not_after(held.run.as_of.date())
    if gone is not None:
        raise RefusedByPolicy(f"{gone} It is exported no more.")
    for one in memberships.every(held.workspace, kept.record.name):
        if one.run_id == held.run.run_id and one.version == kept.record.version:
            return one
    members = held.members(held.root(kept.definition))
    return held_audiences.snapshot(held.workspace, held.engine, members, kept, held.run)


def select(held: Opened, kept: Kept, channel: str, settings: ExportSettings) -> Selection:
    """Return who of an audience, as it is kept now, may leave on a channel; raises like `permitted`."""
    ids = _ids(held, snapshot(held, kept))
    return permitted(held, ids, kept.definition.purpose, channel, settings)


def permitted(held: Opened, ids: pa.Array, purpose: str, channel: str, settings: ExportSettings) -> Selection:
    """Return who of some customers, sorted by id, may leave for a purpose on a channel, by whatever door.

    Raises
    ------
    RefusedByPolicy
        There are no consents to go by, or what is known of opt-outs is too old.
    NotEnoughData, MartMissing
        The run decided nothing.
    """
    is_contact = channel != ADS
    consents = export_permissions.consents(held, purpose, channel)
    export_permissions.check_feed(held, settings)
    given = consents.of(export_permissions.consent_channels(channel))
    sticky = export_permissions.sticky(held, channel, settings, given)
    asks_the_run = purpose == MARKETING and is_contact
    told = _Members(ids, _masks(held, ids, channel if asks_the_run else None))
    told.masked("holdout", [reachable.CONTROL_GROUP])
    told.listed("suppressed", sticky["customer_id"], [code.upper() for code in sticky["reason_code"].to_pylist()])
    # of the run's own suppressions: those of its settings' channels only where the run was asked about the channel
    told.masked("suppressed", [*_CLOSED, *([reachable.OPTED_OUT] if asks_the_run else [])])
    told.masked("complaint", _COMPLAINT)
    told.mark("no_consent", _NO_CONSENT, columns.places(ids, given["customer_id"]) < 0)
    told.masked("no_consent", _CONSENT if asks_the_run else [])
    told.masked("risk_gate", _RISK)
    if is_contact:
        told.masked("contact_cap", _CONTACT)
        if held.run.has("withheld_contacts"):
            withheld = held.run.read("withheld_contacts", ["customer_id"])["customer_id"]
            told.listed("contact_cap", withheld, [_HOUSEHOLD] * len(withheld))
    told.masked("not_decided", [reachable.NOT_DECIDED])
    return Selection(ids=ids, exclusion=told.exclusion, reasons=told.reasons, consents=consents, sticky=sticky)


def shared_contacts(selection: Selection, contacts: pa.Table, needed: tuple[str, ...]) -> Selection:
    """Return the selection without those whose address or number is that of somebody who must not be contacted.

    contacts : customer_id, email, phone in one form, of members and of those who must not be contacted.
    """
    blocked = contacts.filter(
        pc.is_in(contacts["customer_id"], value_set=columns.plain(selection.sticky["customer_id"]))
    )
    for name in needed:
        theirs = columns.plain(pc.drop_null(blocked[name]))
        same = contacts.filter(pc.is_in(contacts[name], value_set=theirs))["customer_id"]
        selection = selection.without(same, "suppressed", _SHARED)
    return selection


class _Members:
    """Members, their reasons of the run as masks, and the exclusion and code found first for each."""

    def __init__(self, ids: pa.Array, masks: NDArray[np.uint64]) -> None:
        self.ids, self.masks = ids, masks
        self.exclusion = np.full(len(ids), -1, dtype=np.int8)
        self.reasons = np.full(len(ids), "", dtype=object)

    def mark(self, exclusion: str, codes: str | NDArray[np.object_], flags: Flags) -> None:
        """Exclude who is flagged and was not excluded before, with one code for all or one each."""
        new = flags & (self.exclusion < 0)
        self.exclusion[new] = EXCLUSIONS.index(exclusion)
        self.reasons[new] = codes if isinstance(codes, str) else codes[new]

    def masked(self, exclusion: str, bits: Sequence[int]) -> None:
        """Exclude whose mask has one of the bits; the code is that of the first by the order of reasons."""
        for one in reachable.REASONS:
            if one.bit in bits:
                self.mark(exclusion, one.code, (self.masks >> np.uint64(one.bit) & np.uint64(1)).astype(bool))

    def listed(self, exclusion: str, ids: Any, codes: Sequence[str]) -> None:
        """Exclude who is in a list of customers, each with the code beside."""
        place = columns.places(self.ids, ids)
        told = np.array([*codes, ""], dtype=object)  # who is not listed takes the last one, at place -1
        self.mark(exclusion, told[place], place >= 0)


def _ids(held: Opened, members: Membership) -> pa.Array:
    held.engine.attach(_MEMBERS, members.rows)
    found = held.engine.arrow(ibis.table({"customer_id": "string"}, name=_MEMBERS).order_by("customer_id"))
    return columns.plain(found["customer_id"])


def _masks(held: Opened, ids: pa.Array, channel: str | None) -> NDArray[np.uint64]:
    found = list(audience_reach.member_masks(held, ids, channel))
    if not found:
        return np.zeros(0, dtype=np.uint64)
    order = columns.places(ids, pa.concat_arrays([some for some, _ in found]))
    masks: NDArray[np.uint64] = np.concatenate([masks for _, masks in found])[order]
    return masks
