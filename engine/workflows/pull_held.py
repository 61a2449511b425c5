"""Who must not be contacted now, by the rule of exports; asked anew whenever a suppression is entered or lifted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import pyarrow as pa

from engine.config.exports import ExportSettings
from engine.domain.errors import RefusedByPolicy
from engine.exports.releases import Release
from engine.recommendations import columns
from engine.store import SuppressionFeed
from engine.store.suppression_feed import Revision
from engine.workflows import audiences, export_permissions, session
from engine.workflows.service import Service

_NOBODY: Final = pa.array([], pa.string())
_STAMP: Final = pa.timestamp("us")
_NO_CONSENTS: Final = pa.schema([("customer_id", pa.string()), ("consent_at", _STAMP), ("ends", _STAMP)]).empty_table()


@dataclass(frozen=True, slots=True)
class About:
    """What a permission is asked for: the run whose tables tell, the purpose and the channel."""

    run_id: str
    purpose: str
    channel: str

    @classmethod
    def of(cls, release: Release, channel: str) -> About:
        """Return it for a channel of a release."""
        return cls(str(release.manifest["run_id"]), str(release.manifest["purpose"]), channel)


@dataclass(slots=True)
class Held:
    """Keeps the last answer for each question, as long as no suppression was entered or lifted."""

    service: Service
    _known: dict[About, tuple[Revision, pa.Array]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def feed(self) -> SuppressionFeed:
        """The suppressions as they are now."""
        return SuppressionFeed(self.service.store)

    def now(self, about: About) -> tuple[Revision, pa.Array]:
        """Return who must not be contacted, and of which state of the suppressions that is."""
        revision = self.feed.revision()
        with self._lock:
            known = self._known.get(about)
        if known is None or known[0] != revision:
            # what is entered while this is looked up makes another revision, and is looked up by the next page
            known = (revision, self._looked_up(about))
            with self._lock:
                self._known[about] = known
        return known

    def freed_since(self, about: About, moment: datetime) -> pa.Array:
        """Return who was freed of some cause at an instant or after it, with every other id of the same persons."""
        freed = self.feed.lifted_after(moment)
        if not freed:
            return _NOBODY
        naive = moment.replace(tzinfo=None)
        rows = pa.table(
            {
                "customer_id": pa.array(freed, pa.string()),
                "reason_code": pa.repeat(pa.scalar("lifted"), len(freed)),
                "since": pa.repeat(pa.scalar(naive, _STAMP), len(freed)),
            }
        )
        with audiences.opened(self.service.home, about.run_id) as held:
            return columns.plain(export_permissions.of_the_same_people(held, rows)["customer_id"])

    def _looked_up(self, about: About) -> pa.Array:
        settings = session.settings(self.service.workspace, ExportSettings, "exports")
        with audiences.opened(self.service.home, about.run_id) as held:
            try:
                consents = export_permissions.consents(held, about.purpose, about.channel)
            except RefusedByPolicy:
                # nobody agreed on record; the run went by what it assumes, and no consent outweighs an opt-out
                given = _NO_CONSENTS
            else:
                given = consents.of(export_permissions.consent_channels(about.channel))
            return columns.plain(export_permissions.sticky(held, about.channel, settings, given)["customer_id"])
