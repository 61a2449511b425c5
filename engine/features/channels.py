"""Where the customer meets the bank: events by channel, sessions, logins."""

from __future__ import annotations

from typing import Any, Final

import ibis

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, CLUSTERING, PROPENSITY, Moment, Tables, Theme, features_of

_f = features_of("channels")

CHANNELS: Final = {"web": "网银", "app": "手机银行", "branch": "网点", "call_centre": "客服热线", "atm": "自助设备"}
"""The channels in which a customer acts; messages and postings are counted elsewhere."""

DIGITAL: Final = ("web", "app")
LOGIN: Final = "login"

FEATURES = (
    _f("events_90d", Kind.INTEGER, "events in any channel in 90 days", "近90天事件数", zero=True, suits=BOTH),
    *(
        _f(
            f"events_{channel}_90d",
            Kind.INTEGER,
            f"events in the channel {channel} in 90 days",
            f"近90天{zh}事件数",
            zero=True,
            suits=(CLUSTERING,),
        )
        for channel, zh in CHANNELS.items()
    ),
    _f(
        "digital_share_90d",
        Kind.SHARE,
        "of the events in 90 days, the share on the web or in the app; empty without events",
        "近90天线上渠道占比",
        suits=BOTH,
    ),
    _f("sessions_30d", Kind.INTEGER, "visits in 30 days", "近30天会话数", zero=True, suits=(PROPENSITY,)),
    _f("sessions_90d", Kind.INTEGER, "visits in 90 days", "近90天会话数", zero=True, suits=BOTH),
    _f("logins_30d", Kind.INTEGER, "logins in 30 days", "近30天登录次数", zero=True, suits=(PROPENSITY,)),
    _f(
        "days_since_last_login",
        Kind.INTEGER,
        "days since the latest login; empty when there never was one",
        "距最近登录天数",
        unit="days",
        suits=BOTH,
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer with an event in 90 days or a login ever."""
    events = tables["events"]
    known = events.filter(moment.known(events.occurred_at) & events.customer_id.notnull())
    logins = known.filter(known.event_name == LOGIN)
    last = logins.group_by("customer_id").aggregate(last_login_at=logins.occurred_at.max())
    joined = _quarter(known.filter(moment.within(known.occurred_at, 90)), moment).outer_join(last, "customer_id")
    return joined.mutate(
        customer_id=ibis.coalesce(joined.customer_id, joined.customer_id_right),
        digital_share_90d=joined.digital / joined.events_90d.nullif(0),
        days_since_last_login=moment.days_since(joined.last_login_at),
    ).drop("customer_id_right", "digital", "last_login_at")


def _quarter(recent: Any, moment: Moment) -> Any:
    month = moment.within(recent.occurred_at, 30)
    return recent.group_by("customer_id").aggregate(
        events_90d=recent.count(),
        **{f"events_{channel}_90d": recent.count(where=recent.channel == channel) for channel in CHANNELS},
        digital=recent.count(where=recent.channel.isin(DIGITAL)),
        sessions_30d=recent.session_id.nunique(where=month),
        sessions_90d=recent.session_id.nunique(),
        logins_30d=recent.count(where=month & (recent.event_name == LOGIN)),
    )


THEME = Theme(name="channels", reads=("events",), features=FEATURES, build=build)
