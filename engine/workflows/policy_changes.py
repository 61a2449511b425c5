"""A policy tried on a run: which settings of it may be others than the run's, and the bundle that decides by them.

What a run kept of its customers was counted within the windows of its own policy, and its models were learned under its
own training. A change of these cannot be tried on the run, and is refused with a sentence instead of ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.config.load import changed, read_toml
from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import SettingsFault
from engine.recommendations.bundle import Bundle
from engine.recommendations.products import Catalogue
from engine.workflows.decided_since import flat

_SECTION: Final = "recommendations"
_MAY_CHANGE: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"top_n",
        r"contact_cost_minor\..+",
        r"value\..+",
        r"gates\.(?!fairness).+",
        r"contact\.caps\.[^.]+\.max_contacts",
        r"contact\.quiet_after_(complaint|contact)_days",
        r"contact\.fatigue\.(max_unanswered|response_kept)",
        r"tracks\..+",
        r"block_customers",
    )
)
_WHY_NOT: Final = (
    (r"training\..+|candidates\..+|horizon_days", "the run's models decide for both policies. Run again to learn anew"),
    (
        r"contact\.caps\..+|contact\.fatigue\.window_days",
        "contacts were counted within the caps and windows of the run. Change max_contacts, or run again",
    ),
    (r"assumptions\..+", "what is assumed decides what is known of customers, which is the run's. Run again"),
    (r"gates\.fairness.*", "products are held back from counts of a whole run. See its table offer_fairness"),
    (r"exploration\..+|responses\..+", "draws and answers rest on what the run learned. Run again"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that a policy changes, with its full name and both values."""

    setting: str
    before: Any
    after: Any


def read(path: Path) -> dict[str, Any]:
    """Return the recommendation settings of a policy file, which is laid out as wayline.toml is.

    Raises
    ------
    SettingsFault
        There is no such file, it is not TOML, or it sets nothing under [recommendations], or anything else.
    """
    content = read_toml(path)
    others = [
        f"[{name}]: only [{_SECTION}] can be tried on a run. Take it out." for name in content if name != _SECTION
    ]
    own = content.get(_SECTION)
    if not isinstance(own, Mapping) or not own:
        others.append(f"it sets nothing under [{_SECTION}]. Write what should be otherwise, such as top_n = 1.")
    if others or not isinstance(own, Mapping):
        raise SettingsFault(path.name, others)
    return dict(own)


def under(bundle: Bundle, values: Mapping[str, Any], source: str) -> Bundle:
    """Return the bundle that decides by its own settings with some values replaced.

    Raises
    ------
    SettingsFault
        A value is wrong, or a setting cannot be tried on a run; every fault is told.
    """
    settings = changed(bundle.settings, values, source)
    told = [_refused(one.setting) for one in changes(bundle.settings, settings) if not _may(one.setting)]
    if settings.contact_cost_minor.keys() != bundle.settings.contact_cost_minor.keys():
        told.append("contact_cost_minor: a channel was added or taken out, and consents were read for the run's own.")
    if told:
        raise SettingsFault(source, sorted(set(told)))
    catalogue = _with_payments(bundle.catalogue, settings)
    return replace(bundle, settings=settings, catalogue=catalogue)


def changes(before: RecommendationSettings, after: RecommendationSettings) -> Iterator[Change]:
    """Return what differs between two policies, by name."""
    then, now = (flat(one.model_dump(mode="json")) for one in (before, after))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield Change(setting=name, before=then.get(name), after=now.get(name))


def _may(setting: str) -> bool:
    return any(pattern.fullmatch(setting) for pattern in _MAY_CHANGE)


def _refused(setting: str) -> str:
    why = next((told for pattern, told in _WHY_NOT if re.fullmatch(pattern, setting)), "it is the run's own. Run again")
    return f"{setting}: cannot be tried on a run: {why}."


def _with_payments(catalogue: Catalogue, settings: RecommendationSettings) -> Catalogue:
    """Return the catalogue with the instalments of lines by the policy's share of the limit."""
    line = catalogue.is_credit & (catalogue.term_months == 0)
    paid = np.ceil(catalogue.amount * settings.gates.revolving_payment_share)
    return replace(catalogue, instalment=np.where(line, paid, catalogue.instalment))
