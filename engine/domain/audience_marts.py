"""The tables of a run about audiences: how each was built, and who belongs."""

from __future__ import annotations

from typing import Final

from engine.domain.schema import Column, Kind, Table

T, COUNT = Kind.TEXT, Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_AUDIENCE: Final = _c("audience", T, "the audience", "客群", required=True)
AUDIENCE_BUILDS = Table(
    name="audience_builds",
    one_row_is="one audience that was kept when the run was made",
    one_row_is_zh="运行时已保存的一个客群",
    key=("audience",),
    columns=(
        _AUDIENCE,
        _c("version", COUNT, "version of its definition", "定义版本", required=True),
        _c("schedule", T, "every_run, daily, weekly, monthly or manual; empty where it cannot be read", "生成周期"),
        _c("status", T, "built, not_due, retired or failed", "状态", required=True),
        _c("members", COUNT, "customers who belong; empty where it was not built", "成员数"),
        _c("compared_with", T, "the run of the snapshot before; empty where there is none", "对比运行"),
        _c("before", COUNT, "members in that snapshot", "此前成员数"),
        _c("entered", COUNT, "members who were none then", "新进人数"),
        _c("left", COUNT, "members then who are none now", "退出人数"),
        _c("reason", T, "why it was not built, in a sentence", "未生成的原因"),
    ),
)
AUDIENCE_MEMBERS = Table(
    name="audience_members",
    one_row_is="one member of one audience",
    one_row_is_zh="客群的一位成员",
    key=("audience", "customer_id"),
    columns=(_AUDIENCE, _c("customer_id", T, "the customer", "客户号", required=True)),
)
AUDIENCE_MARTS: Final = (AUDIENCE_BUILDS, AUDIENCE_MEMBERS)
