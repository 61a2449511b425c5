"""What the page of exports says of what came back, and the commands that it offers to copy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.ui.views import exports as views
from engine.ui.views import feedback
from engine.ui.words import UNDEFINED, Words
from engine.workflows.view.exports import Handed

EN, ZH = Words(language="en"), Words(language="zh")


def rate(value: float | None, of: str) -> dict[str, Any]:
    return {"rate": value, "lower": value, "upper": value, "of": of, "reason": None if value is not None else "none"}


# of 200 sent to, 180 were reached, 60 opened, 30 clicked, 10 converted and 4 unsubscribed
GROUP: dict[str, Any] = {
    "customers": {
        "sent": 200, "delivered": 180, "machine_opened": 7, "opened": 60, "clicked": 30, "converted": 10,
        "bounced": 20, "failed": 0, "unsubscribed": 4, "complained": 0,
    },
    "rates": {
        "delivery": rate(0.9, "sent"), "open": rate(60 / 180, "delivered"), "machine_open": rate(7 / 180, "delivered"),
        "click": rate(30 / 180, "delivered"), "conversion": rate(0.05, "sent"), "bounce": rate(0.1, "sent"),
        "unsubscription": rate(0.02, "sent"), "complaint": rate(0.0, "sent"),
    },
}  # fmt: skip
COMPARED: dict[str, Any] = {
    "run_id": "R", "days": 30, "control": "nothing", "advised": 800, "advised_opened": 80, "control_customers": 200,
    "control_opened": 10, "difference": 0.05, "lower": 0.01, "upper": 0.08, "reason": None, "reason_zh": None,
}  # fmt: skip
HANDED = Handed(
    key="bundle-1",
    audience="savers",
    name="Savers",
    name_zh="储户",
    to="braze_cdi/email",
    run_id="R",
    mode="delta",
    file_format="jsonl",
    folder=Path("/out of the way/b"),
    rows=3,
    exported_by="Ann Lee",
    exported_at=datetime(2026, 6, 30, tzinfo=UTC),
    approved_by=None,
    acked_by=None,
    acked_at=None,
    acked_rejected=None,
    signed_by=None,
    manifest=None,
)


@pytest.mark.parametrize("w", [EN, ZH])
def test_the_funnel_draws_who_unsubscribed_apart_and_its_labels_are_of_the_sent(w: Words) -> None:
    figure = feedback.funnel(GROUP, w)
    rows = next(iter(figure.chart.to_dict()["datasets"].values()))
    assert [row["customers"] for row in rows] == [200, 180, 60, 30, 10, 4]
    assert [row["label"].split()[-2].strip("(") for row in rows] == ["100.0", "90.0", "30.0", "15.0", "5.0", "2.0"]
    assert [row["part"] for row in rows] == [w.t("exports.onwards")] * 5 + [w.t("exports.withdrawn")]
    assert "15.0 %" in figure.finding and figure.alt == figure.finding
    assert len(figure.table) == len(GROUP["customers"]), "the table tells every count, machine opens and bounces too"


def test_a_tool_that_tells_of_no_deliveries_has_no_bar_of_them() -> None:
    told = {"customers": {**GROUP["customers"], "delivered": None}, "rates": {**GROUP["rates"]}}
    told["rates"]["delivery"] = rate(None, "sent")
    figure = feedback.funnel(told, EN)
    assert len(next(iter(figure.chart.to_dict()["datasets"].values()))) == 5
    assert figure.note == EN.t("exports.no_deliveries")
    assert figure.table.iloc[1].tolist() == [EN.t("reported.delivered"), *[UNDEFINED] * 4]


def test_where_nothing_was_sent_no_share_is_made_up() -> None:
    nothing = {"customers": {**GROUP["customers"], "sent": 0, "delivered": 0}, "rates": GROUP["rates"]}
    figure = feedback.funnel(nothing, EN)
    assert figure.finding == "10 customers converted and 4 unsubscribed; no sending was reported."
    assert not any("%" in row["label"] for row in next(iter(figure.chart.to_dict()["datasets"].values())))


def test_the_control_group_stands_beside_or_the_reason_why_not() -> None:
    said, table = feedback.control(COMPARED, EN)
    # 80 of 800 are 10 %, 10 of 200 are 5 %
    assert "10.0 %" in said and "5.0 %" in said and "+5.0 pp (+1.0 pp to +8.0 pp)" in said
    assert table[EN.t("word.customers")].tolist() == [800, 200]
    why = {**COMPARED, "difference": None, "reason": "nobody", "reason_zh": "无人"}
    assert [feedback.control(why, w)[0] for w in (EN, ZH)] == ["No comparison: nobody.", "无法比较：无人。"]
    assert feedback.control(why, EN)[1].empty


def test_commands_can_be_pasted_whatever_a_name_or_folder_holds() -> None:
    assert views.commands(HANDED).splitlines() == [
        "wayline export savers --to braze_cdi --channel email --mode delta --format jsonl --run R --by 'Ann Lee'",
        "wayline export verify '/out of the way/b'",
    ]
    assert views.named(HANDED, ZH) == "储户"


def test_counts_that_are_not_known_are_no_zeros() -> None:
    row = views.listing([HANDED], EN).iloc[0]
    assert row[EN.t("exports.rows")] == 3
    assert row[[EN.t("exports.added"), EN.t("exports.rejected")]].isna().all()
    assert row[EN.t("exports.state")] == EN.t("exports.gone")
