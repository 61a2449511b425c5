"""What can go wrong when rows are pulled page by page, each with what the client does next."""

from __future__ import annotations

from engine.domain.errors import WaylineError


class CursorRefused(WaylineError):
    """A cursor is not one that this listing gave to this key."""

    def __init__(self) -> None:
        super().__init__(
            "The cursor was not given out for this listing, by this server and to this key. Follow `next` as it came, "
            "or begin again without `cursor`."
        )


class RunExpired(WaylineError):
    """What was pinned can no longer be pulled."""

    def __init__(self, snapshot: str, days: int) -> None:
        self.snapshot = snapshot
        super().__init__(
            f"The snapshot {snapshot} can no longer be pulled: snapshots are kept for {days} days. Begin again without "
            "`cursor` and `run`: the answer is the latest run, whole."
        )


class RunRevoked(WaylineError):
    """What was pulled, or could be, was taken back by the bank."""

    def __init__(self, snapshot: str, audience: str) -> None:
        self.snapshot = snapshot
        super().__init__(
            f'The snapshot {snapshot} of the audience "{audience}" was taken back: use none of it. Whoever was loaded '
            "from it is to be taken out; pull all members of a later run when there is one."
        )


class ResyncRequired(WaylineError):
    """Changes cannot be told from where the client stands; `latest` is what to pull whole."""

    def __init__(self, since: str, latest: str, why: str) -> None:
        self.since, self.latest = since, latest
        super().__init__(
            f"Changes since {since} cannot be told: {why}. Pull all members of {latest}, and drop whoever is not among "
            "them."
        )


class Contradicted(WaylineError):
    """What is said now does not agree with what is on record; the record stands."""

    def __init__(self, sentence: str, member: str) -> None:
        self.member = member
        super().__init__(sentence)
