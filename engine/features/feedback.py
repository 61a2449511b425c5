"""How the customer answers offers: sent, clicked, unsubscribed."""

from __future__ import annotations

from typing import Any, Final

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import PROPENSITY, Moment, Tables, Theme, features_of

_f = features_of("feedback")

_OFFER: Final = ("customer_id", "campaign_id", "product_id", "channel")

FEATURES = (
    _f("offers_sent_90d", Kind.INTEGER, "offers sent in 90 days", "近90天触达次数", zero=True, suits=(PROPENSITY,)),
    _f(
        "offer_click_rate_90d",
        Kind.SHARE,
        "of the offers (campaign, product, channel) sent in 90 days, the share clicked; empty when none was sent",
        "近90天触达点击率，未触达为空",
        suits=(PROPENSITY,),
    ),
    _f("offers_clicked_90d", Kind.INTEGER, "clicks on offers in 90 days", "近90天点击次数", zero=True),
    _f("unsubscribes_365d", Kind.INTEGER, "unsubscriptions in 365 days", "近365天退订次数", zero=True),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who was ever sent an offer, or answered one."""
    offers = _offers(tables["offers_feedback"], moment)
    sent = offers.sends > 0
    sums = offers.group_by("customer_id").aggregate(
        offers_sent_90d=offers.sends.sum(),
        offers_clicked_90d=offers.clicks.sum(),
        unsubscribes_365d=offers.unsubscribes.sum(),
        sent=offers.count(where=sent),
        answered=offers.count(where=sent & (offers.clicks > 0)),
    )
    return sums.mutate(offer_click_rate_90d=sums.answered / sums.sent.nullif(0)).drop("sent", "answered")


def _offers(feedback: Any, moment: Moment) -> Any:
    """Return one row per offer, so that a click is set against its own sending."""
    known = feedback.filter(moment.known(feedback.occurred_at))
    quarter = moment.within(known.occurred_at, 90)
    return known.group_by(*_OFFER).aggregate(
        sends=known.count(where=quarter & (known.event == "sent")),
        clicks=known.count(where=quarter & (known.event == "clicked")),
        unsubscribes=known.count(where=moment.within(known.occurred_at, 365) & (known.event == "unsubscribed")),
    )


THEME = Theme(name="feedback", reads=("offers_feedback",), features=FEATURES, build=build)
