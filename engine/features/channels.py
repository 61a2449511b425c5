"""Where the customer meets the bank: events by channel, sessions, logins."""

from __future__ import annotations

from typing import Any, Final

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
    """Return one row per customer with an event."""
    events = tables["events"]
    known = events.filter(moment.known(events.occurred_at) & events.customer_id.notnull())
    recent = moment.within(known.occurred_at, 90)
    is_login = known.event_name == LOGIN
    sums = known.group_by("customer_id").aggregate(
        events_90d=known.count(where=recent),
        **{
            f"events_{channel}_90d": known.count(where=recent & (known.channel == channel)) for channel in CHANNELS
        },
        digital=known.count(where=recent & known.channel.isin(DIGITAL)),
        sessions_30d=known.session_id.nunique(where=moment.within(known.occurred_at, 30)),
        sessions_90d=known.session_id.nunique(where=recent),
        logins_30d=known.count(where=is_login & moment.within(known.occurred_at, 30)),
        last_login_at=known.occurred_at.max(where=is_login),
    )
    return sums.mutate(
        digital_share_90d=sums.digital / sums.events_90d.nullif(0),
        days_since_last_login=moment.days_since(sums.last_login_at),
    ).drop("digital", "last_login_at")


THEME = Theme(name="channels", reads=("events",), features=FEATURES, build=build)
