"""What the page of audiences shows: a waterfall whose bars meet, a table beside it, and the same in both languages."""

from __future__ import annotations

from typing import Any

import pytest

from engine.ui import toml_text
from engine.ui.views import audiences as views
from engine.ui.words import UNDEFINED, Words
from engine.workflows.view.audiences import masked

EN, ZH = Words(language="en"), Words(language="zh")


def reason(code: str, removed: int, refused: int) -> dict[str, Any]:
    return {"reason_code": code, "removed": removed, "refused": refused, "text_en": f"{code}.", "text_zh": f"{code}。"}


# of 100 members 30 agreed to nothing, 10 of the rest complained, and risk holds 5 more
REACH: dict[str, Any] = {
    "members": 100,
    "reachable": 55,
    "reachable_share": 0.55,
    "channels": ["email", "push"],
    "steps": [
        {"step": "consent", "removed": 30, "remaining": 70, "reasons": [reason("NO_CONSENT", 30, 30)]},
        {"step": "suppression", "removed": 0, "remaining": 70, "reasons": []},
        {"step": "contact", "removed": 10, "remaining": 60, "reasons": [reason("QUIET", 10, 14)]},
        {"step": "risk", "removed": 5, "remaining": 55, "reasons": [reason("HELD", 5, 9)]},
    ],
}


@pytest.mark.parametrize("w", [EN, ZH])
def test_bars_of_the_waterfall_meet_and_the_table_has_every_reason(w: Words) -> None:
    figure = views.reach(REACH, w)
    rows = figure.chart.to_dict()["layer"][0]
    data = next(iter(figure.chart.to_dict()["datasets"].values()))
    assert [(row["from"], row["to"]) for row in data] == [(0, 100), (70, 100), (70, 70), (60, 70), (55, 60), (0, 55)]
    assert [row["label"] for row in data] == ["100", "−30", "0", "−10", "−5", "55"]
    assert rows["encoding"]["x2"]["field"] == "to"
    assert len(figure.table) == 3
    assert "55" in figure.finding and "100" in figure.finding
    assert figure.alt == figure.finding
    assert EN.t("audience_step.consent") in views.reach(REACH, EN).finding


def test_an_empty_audience_is_said_and_not_drawn() -> None:
    nobody = {**REACH, "members": 0, "reachable": 0, "reachable_share": None}
    nobody["steps"] = [{**step, "removed": 0, "remaining": 0, "reasons": []} for step in REACH["steps"]]
    figure = views.reach(nobody, EN)
    assert figure.chart is None
    assert figure.finding == EN.t("audiences.finding_nobody")


def test_overlaps_near_chance_are_not_made_much_of() -> None:
    pair = {"first": "a", "second": "b", "both": 40, "either": 260, "jaccard": 40 / 260,
            "first_share": 0.2, "second_share": 0.4, "lift": 2.0}  # fmt: skip
    facts = {"audiences": [{"audience": "a", "members": 200}, {"audience": "b", "members": 100}], "pairs": [pair]}
    names = {"a": "Savers", "b": "المسافرون ✈️"}
    told = views.overlap(facts, names, EN)
    assert "2.0 times what chance would bring" in told.finding
    assert "المسافرون ✈️" in told.finding
    assert "about what chance" in views.overlap({**facts, "pairs": [{**pair, "lift": 1.1}]}, names, EN).finding
    none = {**pair, "both": 0, "jaccard": None, "lift": None, "first_share": None}
    empty = views.overlap({**facts, "pairs": [none]}, names, EN)
    assert empty.finding == EN.t("audiences.finding_apart")
    assert UNDEFINED in empty.table.iloc[0].tolist()


def test_a_definition_as_text_is_read_back_as_it_was() -> None:
    definition = {
        "audience": "a", "name": 'She said "wait" ⏳ مرحبا', "owner": "ann", "channels": ["email"],
        "rule": {"all": [{"event": ["login"], "times_at_least": 2}, {"not": {"feature": "age_years", "at_least": 25.5}},
                         {"feature": "is_open", "is": True}]},
    }  # fmt: skip
    assert toml_text.read(toml_text.written(definition)) == definition


def test_a_masked_id_shows_little() -> None:
    assert masked("C00000042") == "C…42"
    assert masked("C0042") == "…"
