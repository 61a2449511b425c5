"""What a request leaves of what may be offered: where the customer is, what was shown, what the page is about.

A request narrows what is left after all gates were asked, or lets some of it go first. No mark of a gate changes with
it, so that it never lifts a refusal, and what is drawn is drawn among what it leaves: chances stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.recommendations.columns import any_of
from engine.recommendations.frame import Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request leaves for each customer of a block.

    `among` (n, P) are the products that may be offered, `on` (n, C) the channels on which, in the order of the
    settings, and `first` (n, P) the products that are offered alone wherever any of them may be.
    """

    among: Flags
    on: Flags
    first: Flags

    @property
    def narrows(self) -> Flags:
        """Mark the customers whose channels are narrowed, shape (n,)."""
        return any_of(~self.on)

    def only(self, preferred: Flags) -> Asked:
        """Return the same with nothing but the products that go first, for the customers marked (n,)."""
        among = np.where(preferred[:, None], self.among & self.first, self.among)
        return replace(self, among=among, first=np.zeros_like(self.first))
