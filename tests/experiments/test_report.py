"""One result, and banner, badges, chart, Markdown and JSON that are read back and compared with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from engine.config.experiments import Proportion
from experiments import (
    effects,
    fairness,
    groups,
    looks,
    report,
    report_blocks,
    report_chart,
    report_document,
    report_markdown,
    report_page,
    result,
)
from experiments import report_words as words
from experiments.analysis import Compared
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.looks import AnyTime
from experiments.progress import Progress
from experiments.report import Facts, Report
from experiments.report_words import HARD, Language
from experiments.result import Comparison

FINE = Check(check="sample_ratio", status="ok", detail="Planned 50:50, observed 50:50.", p_value=0.5)
BROKEN = Check(check="sample_ratio", status="stop", detail="Sample ratio mismatch. Results are withheld.", p_value=1e-9)
LANGUAGES: tuple[Language, ...] = ("en", "zh")

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """What a page says, with plain spaces: banner, rows of tables, lines of charts, elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.banner: dict[str, str] = {}
        self.rows: dict[tuple[str, str], list[str]] = {}
        self.lines: dict[tuple[str, str], dict[str, Any]] = {}
        self.words: list[str] = []
        self._row: list[str] | None = None
        self._line: dict[str, Any] | None = None
        self.feed(text)
        assert not self.open, "an element is not closed"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.append((tag, given))
        if tag in VOID:
            return
        self.open.append((tag, given))
        key = str(given.get("data-metric")), str(given.get("data-variant"))
        if tag == "div" and "data-action" in given:
            self.banner["action"] = str(given["data-action"])
        if tag == "tr":
            self._row = []
            if "data-metric" in given:
                assert key not in self.rows
                self.rows[key] = self._row
        if tag in ("td", "th") and self._row is not None:
            self._row.append("")
        if tag == "g":
            assert key not in self.lines
            self._line = self.lines[key] = {"mark": given["class"], "verdict": given["data-verdict"], "text": []}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag
        if tag == "g":
            self._line = None

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self.open]
        if "style" in inside:
            return
        data = plain(data)
        self.words.append(data)
        if inside[-1:] == ["strong"]:
            self.banner["headline"] = data
        if self._row is not None and ("td" in inside or "th" in inside):
            self._row[-1] += data
        if self._line is not None and inside[-1] == "text":
            self._line["text"].append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def effect(lift: float, error: float, control: float = 0.2) -> Effect:
    one = ArmEstimate(value=control * (1 + lift), variance=(control * error) ** 2, n=1_000)
    return effects.contrast(one, ArmEstimate(value=control, variance=1e-12, n=1_000), method="wald")


def compared(metric: str, plain: Effect, variant: str = "b", **more: Any) -> Comparison:
    values = {"a": 0.2, variant: None if plain.variant is None else plain.variant.value}
    given: dict[str, Any] = {"role": "goal", "direction": "increase", "control": "a", **more}
    return Comparison(
        metric=metric, variant=variant, units={"a": 1_000, variant: 1_000}, values=values, plain=plain, **given
    )


def assembled(*comparisons: Comparison, checks: tuple[Check, ...] = (FINE,), **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"looks": looks.ONCE, "progress": Progress(day=14, days_to_go=0, complete=True)}
    return result.assemble("x", comparisons, checks, **given | more).to_json()


def usual(**more: Any) -> dict[str, Any]:
    """A goal that wins, a guardrail that is safe, one that is harmed, one of which less is better, an undefined one."""
    return assembled(
        compared("opened", effect(0.3, 0.05)),
        compared("spent", Effect(method="welch", reason="fewer than two customers in a group")),
        compared("kept", effect(0.01, 0.02), role="guardrail", margin=0.1),
        compared("paid", effect(-0.3, 0.02), role="guardrail", margin=0.05),
        compared("complained", effect(-0.01, 0.03), role="guardrail", margin=0.2, direction="decrease"),
        compared("visited", effect(0.02, 0.08), role="secondary"),
        **more,
    )


def page(facts: Facts, language: Language = "en", **more: Any) -> Page:
    return Page(report_page.render(report.make(facts, **more), language))


def plain(text: str) -> str:
    return text.replace(HARD, " ")


# agreement


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("seed", range(8))
def test_banner_badges_chart_and_json_read_back_say_one_thing(seed: int, language: Language) -> None:
    random = np.random.default_rng(seed)
    roles = ["goal", "guardrail", "secondary"]
    facts = assembled(
        *(
            compared(
                f"m{number}",
                effect(float(random.normal(0, 0.1)), float(random.uniform(0.005, 0.2))),
                variant,
                role=role,
                direction=str(random.choice(["increase", "decrease"])),
                margin=float(random.uniform(0.01, 0.2)) if role == "guardrail" else None,
            )
            for number, role in enumerate(random.choice(roles, 5))
            for variant in ("b", "c")
        ),
        looks=AnyTime(units=2_000),
    )
    made = report.make(facts)
    shown = Page(report_page.render(made, language))
    exported = {(one["metric"], one["variant"]): one for one in made.facts["metrics"]}
    assert shown.banner["action"] == facts["decision"]["action"]
    assert shown.banner["headline"] == facts["decision"]["headline" if language == "en" else "headline_zh"]
    assert set(shown.rows) == set(exported)
    drawn = {key for key, one in exported.items() if one["now"]["relative"]["interval"] is not None}
    assert set(shown.lines) == drawn
    for key, one in exported.items():
        verdict = one["outcome"] if one["role"] == "guardrail" else one["verdict"]
        mark = report.MARKS[verdict]
        assert shown.rows[key][-1] == f"{report_page.SIGNS[mark]} {words.say(verdict, language)}"
        if key in drawn:
            assert (shown.lines[key]["mark"], shown.lines[key]["verdict"]) == (mark, verdict)
            lift, (low, high) = one["now"]["relative"]["lift"], one["now"]["relative"]["interval"]
            told = plain(f"{words.signed(lift)} [{words.signed(low)}, {words.signed(high)}]")
            assert told in shown.rows[key][8]
            assert told in shown.lines[key]["text"]


def test_markdown_has_every_table_of_the_page() -> None:
    made = report.make(usual())
    text, shown = plain(report_markdown.render(made)), Page(report_page.render(made))
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| opened")]
    badge = shown.rows["opened", "b"][-1]
    assert rows[0][:-1] == [report_markdown.escape(cell) for cell in shown.rows["opened", "b"][:-1]]
    assert badge.endswith(rows[0][-1])
    assert text.splitlines()[2] == f"**{shown.banner['headline']}**"


def test_json_form_is_the_result_itself() -> None:
    facts = usual()
    assert report.make(facts).facts == facts


def test_wins_losses_guardrails_and_the_undefined_each_have_their_badge() -> None:
    shown = page(usual())
    assert [row[-1] for row in shown.rows.values()] == [
        "▲ better",
        "— withheld",
        "▲ safe",
        "▼ harmed",
        "▲ safe",
        "○ no difference shown",
    ]


def test_a_verdict_nobody_has_a_mark_for_is_an_error() -> None:
    facts = usual()
    facts["metrics"][0]["verdict"] = "splendid"
    with pytest.raises(KeyError, match="splendid"):
        _ = report.make(facts).lines[0].mark


# withheld


@pytest.mark.parametrize("language", LANGUAGES)
def test_failed_check_withholds_every_number_whatever_the_result_holds(language: Language) -> None:
    facts = usual(checks=(BROKEN,), withhold=False, spec_hash=None)
    assert facts["metrics"][0]["absolute"]["difference"] is not None
    facts["metrics"][0]["segments"] = [{"segment": "region", "interaction": {}, "values": []}]
    facts["fairness"] = [{"attribute": "age"}]
    facts["decision"] = {"action": "ship", "reasons": ["b wins: +30.00%"]}
    made = report.make(facts)
    shown = Page(report_page.render(made, language))
    assert shown.banner["action"] == "review" and shown.lines == {}
    for row in shown.rows.values():
        assert not re.search(r"\d", "".join(row)) and row[-1] == f"— {words.say('withheld', language)}"
    # what is left of digits is that of the check itself, and of the years of sources
    sources = " ".join(note for note in (words.method("sample_ratio", language),) if note)
    rest = shown.text.replace(sources, "").replace("< 0.001", "")
    assert not re.search(r"\d", rest)
    for one in made.facts["metrics"]:
        assert set(one["value"].values()) == {None}
        assert one["absolute"]["difference"] is None and one["relative"]["lift"] is None and one["adjusted"] is None
        assert not {"now", "bayes", "segments", "harm", "safety"} & set(one)
    assert "fairness" not in made.facts


def test_withheld_numbers_shown_on_request_carry_a_warning() -> None:
    facts = usual(checks=(BROKEN,), withhold=False)
    shown = page(facts, show_withheld=True)
    assert words.say("anyway", "en") in shown.text
    assert shown.banner["action"] == "review" and ("opened", "b") in shown.lines


def test_person_who_decided_on_withheld_results_stays_on_the_banner() -> None:
    facts = usual(checks=(BROKEN,))
    by_rules = facts["decision"]
    person = {"owner": "Head of Cards", "note": "The data are lost.", "instead_of": "review"}
    said = "Head of Cards decided otherwise than the rules (review): The data are lost."
    decided = {"action": "roll_back", "headline": "Roll back", "headline_zh": "回滚", "override": person}
    facts["decision"] = by_rules | decided | {"reasons": [said, *by_rules["reasons"]]}
    shown = page(facts)
    assert shown.banner["action"] == "roll_back" and said in shown.text and not shown.lines
    facts["decision"] |= {"reasons": [said, "b wins: +30.00%"]}
    assert page(facts).banner["action"] == "review", "numbers among the reasons are not shown, whoever decided"


def test_decision_of_a_failed_check_keeps_its_chinese_reason() -> None:
    facts = usual(checks=(BROKEN,))
    assert facts["decision"]["reasons_zh"][0] in page(facts, "zh").text


# safe to open and to send


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_cannot_become_markup(language: Language) -> None:
    evil = '<script>alert("x")</script><img src=x onerror=alert(1)>|**b**\n# h'
    facts = assembled(compared(evil, effect(0.3, 0.05), variant='"><b onload=x>'))
    facts["plan"] = {"name_en": evil, "weights": {evil: 1.0}}
    made = report.make(facts)
    shown = Page(report_page.render(made, language))
    assert (evil, '"><b onload=x>') in shown.rows
    assert not {"script", "img", "b"} & {tag for tag, _ in shown.elements}
    assert not [name for _, given in shown.elements for name in given if name.startswith("on")]
    text = report_markdown.render(made, language)
    assert not re.search(r"(?<!\\)<", text) and "\n# h" not in text


def test_page_asks_for_nothing_and_runs_nothing() -> None:
    shown = page(usual() | {"plan": {"name_en": "see https://example.org"}})
    for tag, given in shown.elements:
        assert tag not in ("script", "link", "img", "iframe", "object", "form")
        assert not {"src", "href", "action", "srcset"} & set(given)
    policy = [given["content"] for tag, given in shown.elements if tag == "meta" and "http-equiv" in given]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "url(" not in report_page.render(report.make(usual())) and "@import" not in report_page._STYLE


@pytest.mark.parametrize("language", LANGUAGES)
def test_fifty_metrics_in_ten_arms_stay_under_a_megabyte(language: Language) -> None:
    random = np.random.default_rng(1)
    comparisons = [
        compared(
            f"metric_with_a_long_name_{number}",
            effect(float(random.normal(0, 0.1)), 0.03),
            f"variant_{arm}",
            role="guardrail" if number % 2 else "goal",
            margin=0.1 if number % 2 else None,
            adjusted=effect(0.01, 0.02),
        )
        for number in range(50)
        for arm in range(9)
    ]
    facts = assembled(*comparisons, looks=AnyTime(units=2_000))
    for one in facts["metrics"]:
        part = {"n": one["n"], "absolute": one["absolute"], "relative": one["relative"]}
        values = [{"of": str(number), **part} for number in range(20)]
        one["segments"] = [
            {"segment": "region", "interaction": {"p_value": 0.5, "adjusted_p_value": 0.5}, "values": values}
        ]
    text = report_page.render(report.make(facts), language)
    assert len(text.encode()) < 1_000_000
    shown = Page(text)
    assert len(shown.rows) == len(shown.lines) == 450
    assert words.say("segments_cut", language, shown="300", all="9 000") in shown.text


# the chart


def test_every_effect_and_margin_is_on_the_axis_and_a_far_wider_interval_is_cut_with_an_arrow() -> None:
    wide = compared("wide", effect(0.1, 3.0))
    made = report.make(
        assembled(
            wide,
            *(compared(f"m{n}", effect(0.01, 0.01)) for n in range(4)),
            compared("g", effect(0.0, 0.01), role="guardrail", margin=0.3),
        )
    )
    shared = report_chart.axis(made.lines)
    assert shared.low < -0.3 and shared.high > 0.1 and shared.high < 1
    assert all(shared.low <= tick <= shared.high for tick in shared.ticks) and any(abs(t) < 1e-12 for t in shared.ticks)
    drawn = "".join(report_chart.draw(made.lines, "t", "en"))
    assert drawn.count('class="arrow"') == 2


def test_margin_lies_on_the_bad_side() -> None:
    lines = {line.metric: line.margin for line in report.make(usual()).lines}
    assert (lines["paid"], lines["complained"], lines["opened"]) == (-0.05, 0.2, None)


def test_guardrail_s_bound_says_what_its_badge_says() -> None:
    random = np.random.default_rng(5)
    seen = set()
    for _ in range(200):
        facts = assembled(
            compared(
                "g",
                effect(float(random.normal(0, 0.06)), 0.03),
                role="guardrail",
                margin=0.1 if random.random() < 0.5 else 0.02,
                margin_relative=bool(random.random() < 0.5),
                direction=str(random.choice(["increase", "decrease"])),
            )
        )
        (line,) = report.make(facts).lines
        assert line.bound is not None and line.margin is not None
        good = 1 if line.direction == "increase" else -1
        seen.add(line.verdict)
        if line.verdict == "harmed":
            assert good * line.bound < 0
        else:
            assert (line.verdict == "safe") == (good * line.bound > good * line.margin)
    assert seen == {"harmed", "safe", "unknown"}


def test_absolute_margin_stands_on_the_relative_axis() -> None:
    # 0.02 of a control of 0.2 is a tenth of it
    facts = assembled(compared("g", effect(0.0, 0.01), role="guardrail", margin=0.02, margin_relative=False))
    assert report.make(facts).lines[0].margin == pytest.approx(-0.1)


def test_chart_has_a_name_and_says_its_numbers_in_words() -> None:
    shown = page(usual())
    drawings = [given for tag, given in shown.elements if tag == "svg"]
    assert [given["role"] for given in drawings] == ["img"]
    ids = {given["id"] for _, given in shown.elements if "id" in given}
    assert set(str(drawings[0]["aria-labelledby"]).split()) <= ids
    assert "opened (b) +30.00" in shown.text


@pytest.mark.parametrize(("language", "expected"), [("en", "paid (b) harmed, −30.00 %"), ("zh", "paid (b) 受损")])
def test_title_states_the_finding(language: Language, expected: str) -> None:
    assert expected in plain(words.finding(report.make(usual()), language))


def test_many_findings_are_counted() -> None:
    made = report.make(assembled(*(compared(f"m{n}", effect(0.3 - 0.6 * (n > 4), 0.01)) for n in range(6))))
    named = "; ".join(f"m{n} (b) better, +30.00 %" for n in range(3))
    assert plain(words.finding(made, "en")) == f"Goals: {named}; 2 more better, 1 more worse."


def test_nothing_to_draw_is_said() -> None:
    shown = page(assembled(compared("m", Effect(method="welch", reason="fewer than two customers in a group"))))
    assert words.say("nothing_drawn", "en") in shown.text and shown.lines == {}
    assert "m (b): fewer than two customers in a group" in shown.text


# sections


def titles(made: Report, language: Language = "en") -> list[str]:
    return [section.title for section in report_document.write(made, language).sections]


def test_checks_come_before_results() -> None:
    assert titles(report.make(usual()))[:2] == ["Health checks", "Results"]


def test_looks_are_side_by_side() -> None:
    facts = assembled(compared("opened", effect(0.3, 0.05)), looks=AnyTime(units=2_000))
    (section,) = [one for one in report_document.write(report.make(facts)).sections if one.title == "Looks"]
    table = next(block for block in section.blocks if isinstance(block, report_blocks.Table))
    one = facts["metrics"][0]
    ends = [[words.signed(end) for end in found["relative"]["interval"]] for found in (one, one["now"])]
    assert [table.rows[0][4], table.rows[0][6]] == [f"[{low},{HARD}{high}]" for low, high in ends]
    assert ends[0] != ends[1]


def test_changed_plan_is_told_by_its_settings() -> None:
    facts = usual(spec_hash="ab12", changed=("alpha", "metrics"))
    text = page(facts).text
    assert "ab12" in text and "The plan was changed after the first look: alpha, metrics." in text


def test_changed_settings_stand_with_their_values_at_the_first_look_and_now() -> None:
    changed = [{"setting": "alpha", "before": "0.05", "after": "0.01"}]
    facts = usual(spec_hash="ab12", changed=("alpha",)) | {"plan_changes": changed}
    (section,) = [one for one in report_document.write(report.make(facts)).sections if one.title == "Plan"]
    assert [block.rows for block in section.blocks if isinstance(block, report_blocks.Table)] == [
        (("alpha", "0.05", "0.01"),)
    ]


def test_plan_is_written_out_without_what_it_leaves_open() -> None:
    facts = usual() | {"plan": {"alpha": 0.05, "strata": [], "metrics": [{"metric": "opened", "margin": None}]}}
    (section,) = [one for one in report_document.write(report.make(facts)).sections if one.title == "Plan"]
    (table,) = [block for block in section.blocks if isinstance(block, report_blocks.Table)]
    assert table.rows == (("alpha", "0.05"), ("metrics 1", "metric opened"))


def test_protected_group_too_small_to_show_has_no_number() -> None:
    def of(lift: float, n: int) -> Effect:
        arms = [ArmEstimate(value=value, variance=value * (1 - value) / n, n=n) for value in (0.2 * (1 + lift), 0.2)]
        return effects.contrast(arms[0], arms[1], method="wald")

    sizes = {"young": 4_321, "old": 4_321, "few": 7, "some": 31}
    lifts = {"young": 0.3, "old": -0.3, "few": 0.1, "some": 0.1}
    effects_of = {name: of(lift, sizes[name]) for name, lift in lifts.items()}
    found = fairness.assess("age", effects_of, {name: (n, n) for name, n in sizes.items()}, "increase", margin=0.01)
    assert set(found.suppressed) == {"few", "some"}
    metric = Proportion(metric="opened", event="open")
    parts = {
        name: Compared(units={"a": n, "b": n}, values={"a": 0.2, "b": 0.2}, plain=effects_of[name], adjusted=None)
        for name, n in sizes.items()
    }
    told = groups.assessed(found, groups.Group(metric=metric, variant="b", attribute="age"), "a", parts)
    document = report_document.write(report.make(usual() | {"fairness": [told]}))
    (section,) = [one for one in document.sections if one.title == "Protected groups"]
    table = next(block for block in section.blocks if isinstance(block, report_blocks.Table))
    rows: Mapping[Any, tuple[Any, ...]] = {row[0]: row for row in table.rows}
    for name in found.suppressed:
        assert rows[name][1:5] == ("—",) * 4
        hidden = next(one for one in told["groups"] if one["of"] == name)
        assert set(hidden) == {"of", "safety", "n", "value", "why", "why_zh"} and hidden["n"] is hidden["value"] is None
    assert rows["old"][1] == f"4{HARD}321" and rows["old"][-1].text == "harmed"
    assert "Worst for: old." in section.blocks
    drawn = next(block for block in section.blocks if isinstance(block, report_blocks.Drawing))
    assert drawn.title == "opened (b) by age: old harmed"
    assert {point.name: point.mark for point in drawn.points} == {"young": "better", "old": "worse"}


def test_every_word_is_there_in_both_languages() -> None:
    for key, (english, chinese) in words._WORDS.items():
        assert english and chinese, key
        assert re.findall(r"{(\w+)}", english).sort() == re.findall(r"{(\w+)}", chinese).sort(), key


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (0.0, "0"),
        (1234.5, "1234"),
        (12345678, "12 345 678"),
        (-0.00001234, "−0.00001234"),
        (1e-9, "< 0.000001"),
        (-3e-8, "> −0.000001"),
    ],
)
def test_numbers_are_written_out(value: float | None, text: str) -> None:
    assert plain(words.number(value)) == text


def test_json_form_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(report.make(usual()).facts, allow_nan=False)) == usual()
