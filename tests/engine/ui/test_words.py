"""The app says everything in both languages, and never writes a zero for what is not known."""

from __future__ import annotations

import re
import string
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from engine.config.load import load
from engine.config.segments import SegmentSettings
from engine.domain import words as vocabulary
from engine.domain.errors import MartMissing, NotEnoughData
from engine.lake.runs import RunBuilder
from engine.lake.workspace import Workspace
from engine.recommendations.gates import GATES
from engine.recommendations.tracks import REASONS
from engine.ui.words import UNDEFINED, Words, catalogue
from engine.workflows.view import desk, today
from tests.engine.ui import bank
from tests.engine.ui.bank import OWNER

SOURCES = Path(__file__).parents[3] / "engine" / "ui"
EN, ZH = Words(language="en"), Words(language="zh")


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_is_there_in_both_languages_with_the_same_values() -> None:
    texts = catalogue().items()
    assert [key for key, (english, chinese) in texts if not english.strip() or not chinese.strip()] == []
    assert [key for key, (english, chinese) in texts if placeholders(english) != placeholders(chinese)] == []


def test_every_text_that_the_code_names_is_in_the_catalogue() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES.rglob("*.py"))
    named = set(
        re.findall(r"""(?:\bt\(|section\(words, |choice\(\s*words, |switch\(\s*words, )f?["']([\w.]+)["']""", code)
    )
    assert len(named) > 150
    assert named - set(catalogue()) == set()


def test_every_gate_and_track_has_a_short_name() -> None:
    named = {f"gate.{gate.name}" for gate in GATES} | {f"track.{reason.track}" for reason in REASONS}
    assert named - set(catalogue()) == set()


def test_english_texts_hold_no_chinese_and_chinese_texts_some() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    assert not [key for key, (english, _) in catalogue().items() if han.search(english)]
    borrowed = {"EASE", "KS", "AUC", "MAP@7"}
    alike = [key for key, (_, chinese) in catalogue().items() if not han.search(chinese) and chinese not in borrowed]
    assert not [key for key in alike if re.search(r"[A-Za-z]{4,}", re.sub(r"{\w+}", "", catalogue()[key][1]))]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("stage", tuple(vocabulary.Stage)),
        ("risk_tier", tuple(vocabulary.RiskTier)),
        ("status", tuple(vocabulary.JourneyStatus)),
        ("channel", (*vocabulary.CHANNELS, *vocabulary.CONTACT_CHANNELS)),
        ("category", vocabulary.CATEGORIES),
        ("feedback", vocabulary.FEEDBACK_EVENTS),
        ("decision", vocabulary.APPLICATION_DECISIONS),
        ("interaction", vocabulary.INTERACTION_KINDS),
    ],
)
def test_vocabulary_of_the_engine_has_words_on_the_screen(kind: str, values: tuple[str, ...]) -> None:
    assert [value for value in values if f"{kind}.{value}" not in catalogue()] == []


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NaT, pd.NA, float("inf")])
def test_undefined_is_a_dash_and_not_a_zero(missing: object) -> None:
    written = [
        EN.number(missing),
        EN.share(missing),
        EN.points(missing),
        EN.money(missing),
        EN.duration(missing),
        EN.probability(missing),
        EN.day(missing),
        EN.instant(missing),
        EN.label("stage", missing),
        EN.name("product", missing),
    ]
    assert written == [UNDEFINED] * 10


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (EN.number(0), "0"),
        (EN.number(1234567), "1,234,567"),
        (EN.number(-0.04, 1), "0.0"),  # rounds to nothing: no sign is left
        (EN.number(-2.5, 1), "−2.5"),
        (EN.share(0.0), "0.0 %"),
        (EN.share(1 / 3), "33.3 %"),
        (EN.points(0.05), "+5.0 pp"),
        (ZH.points(-0.05), "−5.0 个百分点"),
        (EN.money(123456), "1,235 CNY"),  # 123 456 fen
        (Words(currency="JPY").money(123456), "123,456 JPY"),  # no minor unit
        (EN.duration(45), "45 s"),
        (EN.duration(5400), "1.5 h"),
        (ZH.duration(172800), "2.0 天"),
        (EN.probability(6e-16), "< 0.0001"),
        (EN.day(datetime(2026, 6, 30, 23, 59)), "2026-06-30"),
        (EN.label("stage", "awareness"), "Awareness"),
        (ZH.label("stage", "awareness"), "认知"),
        (EN.label("step", "a_step_of_the_bank"), "A step of the bank"),
    ],
)
def test_number_is_written_for_a_reader(written: str, expected: str) -> None:
    assert written == expected


def test_names_of_the_bank_win_and_fall_back_to_the_language_there_is() -> None:
    names = {"product": {"x": ("Loan", "贷款"), "y": ("Fund", "")}}
    assert Words(language="zh", names=names).name("product", "x") == "贷款"
    assert Words(language="zh", names=names).name("product", "y") == "Fund"
    assert Words(language="zh", names=names).name("product", "car_loan") == "Car loan"


def test_fault_is_told_with_its_reason() -> None:
    skipped = MartMissing("20260630", "risk", "there are no outcomes.")
    assert "there are no outcomes." in ZH.sentence(skipped) and "本次运行" in ZH.sentence(skipped)
    assert EN.sentence(NotEnoughData("funnel", "0 events", "1")) == "No funnel: 0 events. Needed: 1."


def test_customers_held_by_risk_are_those_whom_nothing_else_refused(tmp_path: Path) -> None:
    """Of five customers: risk alone, risk and value, risk and consent, value alone, nothing."""
    run = bank.make(tmp_path)
    gates = [("consent", 1), ("risk_tier", 2), ("negative_value", 4)]
    masks = [2, 2 | 4, 1 | 2, 4, 0]
    builder = RunBuilder(Workspace(tmp_path), "held", bank.AS_OF, {})
    decisions = [{"customer_id": f"C{n}", "product_id": "p", "refused_mask": mask} for n, mask in enumerate(masks)]
    builder.write_rows("decisions", bank.as_table(bank.MARTS["decisions"], decisions))
    listed = [{"bit": bit.bit_length() - 1, "gate": gate} for gate, bit in gates]
    builder.write_rows("gates", bank.as_table(bank.MARTS["gates"], listed))
    assert today.headline(OWNER, builder.publish()).held_by_risk == 2
    assert today.headline(OWNER, run).active == 180, "the first twenty did nothing in 90 days"
    offered = set(run.read("recommendations").column("customer_id").to_pylist())
    assert today.headline(OWNER, run).with_offer == len(offered)


def test_every_feature_that_clusters_look_at_has_a_name_in_both_languages(tmp_path: Path) -> None:
    named = desk.names(Workspace(tmp_path))["feature"]
    for feature in load(SegmentSettings, "segments").clusters.features:
        english, chinese = named[feature.key]
        assert english
        assert re.search("[\u4e00-\u9fff]", chinese), feature.key
