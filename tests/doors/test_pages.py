"""Every page opens in both languages on a full run, on a run that skipped a stage, and where there is no run at all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.domain.access import Role, Viewer
from engine.domain.errors import ApprovalNeeded
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.ui.navigation import SPECS
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows import customer_risk, customer_risk_told, experiment, experiment_review
from engine.workflows.view import customer, data, desk, people, risk, selection, today
from tests.conftest import REPOSITORY
from tests.engine.ui import bank
from tests.engine.ui.bank import OWNER

PAGES = tuple(spec.name for spec in SPECS)
NOT_IN_THIS_RUN = "there are no outcomes to learn from."


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("full")
    bank.make(home)
    return home


@pytest.fixture(scope="module")
def skipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that skipped every stage: the worst that a real data set can do to the pages."""
    home = tmp_path_factory.mktemp("skipped")
    bank.make(home, skip=tuple(bank.STAGES))
    return home


_APPS: dict[tuple[Path, str], AppTest] = {}


def opened(monkeypatch: pytest.MonkeyPatch, home: Path, page: str, **address: str) -> AppTest:
    """Open a page in a session that may have seen other pages before, as a reader's has; one per home and language."""
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    key = (home, address.get("lang", "en"))
    if key not in _APPS:
        _APPS[key] = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
        _APPS[key].query_params.update(address)
        _APPS[key].run()
    app = _APPS[key]
    app.switch_page(f"engine/ui/pages/{page}.py")
    app.query_params.clear()
    app.query_params.update(address)
    return app.run()


def sentences(app: AppTest) -> str:
    return "\n".join(element.value for kind in (app.markdown, app.info, app.error, app.caption) for element in kind)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_page_opens_on_a_full_run(monkeypatch: pytest.MonkeyPatch, full: Path, page: str, language: Language) -> None:
    app = opened(monkeypatch, full, page, lang=language)
    words = Words(language=language)
    assert not app.exception
    assert [title.value for title in app.title] == [words.t(f"{page}.title")]
    assert words.t(f"{page}.question") in sentences(app)
    assert not app.info, "a full run leaves no section unanswered"


RISK_PARTS = ("lending", "losses", "model", "scorecard", "groups", "attention", "movement")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", RISK_PARTS)
def test_every_question_of_the_risk_page_is_answered_on_a_full_run(
    monkeypatch: pytest.MonkeyPatch, full: Path, part: str, language: Language
) -> None:
    app = opened(monkeypatch, full, "risk", lang=language, r_part=part)
    assert not app.exception
    assert not app.info, "a full run leaves no section unanswered"
    assert Words(language=language).t(f"risk.part_{part}") in sentences(app)


@pytest.mark.parametrize("part", RISK_PARTS)
def test_every_question_of_the_risk_page_says_why_it_has_no_answer(
    monkeypatch: pytest.MonkeyPatch, skipped: Path, part: str
) -> None:
    app = opened(monkeypatch, skipped, "risk", r_part=part)
    assert not app.exception
    assert NOT_IN_THIS_RUN in sentences(app)


def test_address_of_the_risk_page_restores_part_list_and_group(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    app = opened(monkeypatch, full, "risk", r_part="groups", r_attribute="gender", r_measure="mean_score")
    assert app.selectbox(key="r_measure").value == "mean_score"
    app = opened(monkeypatch, full, "risk", r_part="attention", r_list="due", lang="zh")
    assert "应重评" in sentences(app)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ["list", "build", "reach", "overlap"])
def test_every_question_about_audiences_is_asked_where_none_is_kept(
    monkeypatch: pytest.MonkeyPatch, full: Path, part: str, language: Language
) -> None:
    app = opened(monkeypatch, full, "audiences", lang=language, a_part=part)
    words = Words(language=language)
    assert not app.exception
    assert [header.value for header in app.header] == [words.t(f"audiences.head_{part}")]
    said = {
        "list": "audiences.none",
        "build": "builder.empty",
        "reach": "audiences.none",
        "overlap": "audiences.too_few",
    }
    assert words.t(said[part]) in sentences(app)


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_of_exports_says_what_to_do_first_and_makes_no_database(
    monkeypatch: pytest.MonkeyPatch, full: Path, language: Language
) -> None:
    app = opened(monkeypatch, full, "exports", lang=language)
    assert not app.exception
    assert Words(language=language).t("exports.none") in sentences(app)
    assert "wayline export AUDIENCE --to generic" in app.code[0].value
    assert not charts(app)
    assert not (full / "wayline.db").exists()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_page_says_why_a_skipped_stage_left_nothing_to_show(
    monkeypatch: pytest.MonkeyPatch, skipped: Path, page: str, language: Language
) -> None:
    app = opened(monkeypatch, skipped, page, lang=language, **({"c_id": "C00001"} if page == "customer" else {}))
    assert not app.exception
    if page not in ("audit", "data", "exports", "load", "settings"):  # what these tell is kept beside the runs
        assert NOT_IN_THIS_RUN in sentences(app)


@pytest.mark.parametrize("stage", bank.STAGES)
def test_no_page_needs_a_stage_that_another_one_shows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stage: str
) -> None:
    bank.make(tmp_path, skip=(stage,))
    for page in PAGES:
        address = {"c_id": "C00001"} if page == "customer" else {"j_by": "risk_tier"}
        assert not opened(monkeypatch, tmp_path, page, **address).exception


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_page_without_any_run_names_the_command_that_makes_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str, language: Language
) -> None:
    app = opened(monkeypatch, tmp_path / "empty", page, lang=language)
    assert not app.exception
    if page != "load":  # it needs no run
        assert app.code[0].value == "wayline demo"
        assert Words(language=language).t("first_run.demo_start") in {button.label for button in app.button}
    assert not (tmp_path / "empty").exists(), "looking creates nothing"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ["sources", "drift", "runs", "machine"])
def test_every_part_of_data_and_health_is_told(
    monkeypatch: pytest.MonkeyPatch, full: Path, part: str, language: Language
) -> None:
    app = opened(monkeypatch, full, "data", d_part=part, lang=language)
    words = Words(language=language)
    head = {"sources": "completeness", "drift": "model_drift", "runs": "history", "machine": "machine"}[part]
    assert words.t(f"data.{head}") in [header.value for header in app.header]
    assert not app.exception
    assert not app.info


def test_reason_of_refusal_leads_to_the_rows_masked(monkeypatch: pytest.MonkeyPatch, small_home: Path) -> None:
    refused = data.quarantine(Workspace(small_home)).iloc[0]
    reason = f"{refused['table']}/{refused['code']}/{refused['column']}"
    app = opened(monkeypatch, small_home, "data", d_reason=reason)
    assert Words().t("data.examples") in sentences(app)
    assert not app.exception


def test_tour_offers_itself_once_on_the_demo_bank_and_can_be_taken_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bank.make(tmp_path)
    (tmp_path / "demo.json").write_text("{}", encoding="utf-8")
    words = Words()
    app = opened(monkeypatch, tmp_path, "home")
    assert words.t("tour.offer") in sentences(app)
    press(app, "tour.dismiss")
    assert words.t("tour.offer") not in sentences(app)
    press(app, "tour.start")
    assert words.t("tour.journeys") in sentences(app), "somebody who has dismissed it finds it in the sidebar"
    assert app.title[0].value == words.t("journeys.title")
    for question in ("recommendations", "customer", "experiments", "audiences"):
        press(app, "tour.next")
        assert words.t(f"tour.{question}") in sentences(app)
        assert app.title[0].value == words.t(f"{question}.title")
    press(app, "tour.finish")
    assert words.t("tour.audiences") not in sentences(app)


def press(app: AppTest, label: str) -> None:
    next(button for button in app.button if button.label == Words().t(label)).click()
    app.run()
    assert not app.exception


def behind(home: Path, run: Run, row: dict[str, Any], outcome: str) -> int:
    """Return how many customers the panel counts behind a bar of a funnel."""
    fields = {name: row[name] for name in ("journey", "breakdown", "group")}
    one = selection.of("journey_step", step=row["step_index"], outcome=outcome, **fields)
    return people.counted(Workspace(home), run, one, Viewer(name="a", role=Role.OWNER)).rows


def test_list_behind_a_bar_is_as_long_as_the_bar_for_every_bar(full: Path) -> None:
    run = latest_run(Workspace(full))
    for row in run.read("journey_funnels", where={"journey": "credit_card"}).to_pylist():
        onward = "converted" if row["step"] == "first_use" else "continued"
        shown = {onward: row["continued"], "reached": row["customers"]}
        if onward == "continued":
            shown |= {name: row[name] for name in ("dropped", "in_progress")}
        for outcome, count in shown.items():
            assert behind(full, run, row, outcome) == count


def test_address_restores_the_filters_and_the_selection(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    written = "journey_step/mortgage/2/continued/all/all"
    app = opened(monkeypatch, full, "journeys", j_id="mortgage", j_unit="shares", j_sel=written)
    assert app.selectbox(key="j_id").value == "mortgage"
    assert app.query_params["j_sel"] == written
    assert not app.exception
    assert "Continued" in sentences(app)


def test_address_that_names_nothing_known_falls_back_to_the_default(
    monkeypatch: pytest.MonkeyPatch, full: Path
) -> None:
    app = opened(monkeypatch, full, "journeys", j_id="no_such", j_by="99", j_sel="no_such/<script>")
    assert not app.exception
    assert app.selectbox(key="j_id").value == app.selectbox(key="j_id").options[0] or app.selectbox(key="j_id").value
    assert any("selection that cannot be shown" in one.value for one in app.warning)


def test_language_switch_changes_the_page_and_stays_in_the_address(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    monkeypatch.setenv("WAYLINE_HOME", str(full))
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120).run()
    app.get("segmented_control")[0].set_value("zh").run()
    assert app.title[0].value == "今日"
    app.switch_page("engine/ui/pages/risk.py").run()
    assert app.title[0].value == "风险"
    assert app.query_params["lang"] == "zh"


def charts(app: AppTest) -> list[object]:
    return [*app.get("vega_lite_chart"), *app.get("arrow_vega_lite_chart")]


EXPERIMENT_PARTS = ("result", "time", "segments", "groups", "others", "decision")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", EXPERIMENT_PARTS)
def test_every_part_of_an_experiment_is_shown_on_a_full_run(
    monkeypatch: pytest.MonkeyPatch, full: Path, part: str, language: Language
) -> None:
    app = opened(monkeypatch, full, "experiments", lang=language, e_id="card_onboarding", e_part=part)
    assert not app.exception and not app.info
    assert Words(language=language).t(f"experiments.part_{part}") in sentences(app)
    assert len(charts(app)) == {"time": 2, "decision": 0}.get(part, 1)


@pytest.mark.parametrize("part", EXPERIMENT_PARTS)
def test_withheld_experiment_shows_its_reason_and_no_number(
    monkeypatch: pytest.MonkeyPatch, full: Path, part: str
) -> None:
    app = opened(monkeypatch, full, "experiments", e_id="loan_reminder", e_part=part)
    assert "5 412:4 603" in app.error[0].value
    assert not charts(app) and not app.dataframe
    if part not in ("result", "decision"):
        assert "A health check failed" in sentences(app)


def test_looking_at_experiments_makes_no_register_and_a_decision_on_record_stands_on_the_page(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bank.make(tmp_path)
    opened(monkeypatch, tmp_path, "experiments", e_id="card_onboarding", e_part="decision")
    assert not (tmp_path / "wayline.db").exists()
    head = Viewer(name="Head of *Cards*", role=Role.PRODUCT)
    with pytest.raises(ApprovalNeeded):
        experiment.decide(tmp_path, "card_onboarding", "ship", owner=head, note="Season *ends*.")
    experiment_review.answer(tmp_path, Viewer(name="bob", role=Role.RISK), 1, "agreed", agreed=True)
    app = opened(monkeypatch, tmp_path, "experiments", e_id="card_onboarding", e_part="decision")
    assert not app.exception
    assert r"Head of \*Cards\* decided on" in sentences(app), "names are shown as they are written"
    assert r"Season \*ends\*." in app.table[0].value.to_string()
    assert "`roll_back`" in sentences(app) and "ACTION" in app.code[0].value


def test_customer_page_shows_nothing_that_names_the_person(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    app = opened(monkeypatch, full, "customer", c_id="C00001")
    assert not app.exception
    everything = sentences(app) + "".join(table.value.to_string() for table in app.dataframe)
    assert "Secret" not in everything
    assert "Complaint" in everything, "the complaint itself is shown, its words are not"


@pytest.mark.parametrize("language", LANGUAGES)
def test_customer_page_tells_everything_that_risk_answers(
    monkeypatch: pytest.MonkeyPatch, full: Path, language: Language
) -> None:
    app = opened(monkeypatch, full, "customer", c_id="C00001", lang=language)
    run = latest_run(Workspace(full))
    naming = customer_risk_told.naming(Workspace(full))
    words, shown = Words(language=language), sentences(app).replace("\\", "")
    told = customer_risk_told.statements(customer_risk.find(run, "C00001"), naming)
    assert {one.topic for one in told} == set(customer_risk.TOPICS)
    assert [one for one in told if words.pick(one.text_en, one.text_zh) not in shown] == []


def test_customer_page_says_what_would_lift_a_decline_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, demo_home: Path
) -> None:
    workspace, run = desk.newest(demo_home)
    declined = run.read("credit_decisions", where={"outcome": "decline"}, limit=1).to_pylist()[0]["customer_id"]
    told = customer_risk.with_changes(customer_risk.find(run, declined), workspace, run, declined)
    lifting = [row["change"] or row["no_change"] for row in told.rows["credit"]]
    texts = [one["text_en"] for one in lifting if one]
    app = opened(monkeypatch, demo_home, "customer", c_id=declined)
    assert texts and not any(text in sentences(app) for text in texts)
    next(one for one in app.button if one.label == Words().t("customer.what_if")).click().run()
    assert not app.exception
    assert all(text in sentences(app).replace("\\", "") for text in texts)


def test_customer_page_without_one_table_of_risk_says_why_and_tells_the_rest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    manifest = bank.make(tmp_path).folder / "manifest.json"
    known = json.loads(manifest.read_text(encoding="utf-8"))
    del known["marts"]["risk_losses"]
    manifest.write_text(json.dumps(known), encoding="utf-8")
    app = opened(monkeypatch, tmp_path, "customer", c_id="C00001")
    assert not app.exception
    assert "Not worked out in this run: this version of Wayline did not make it" in sentences(app)
    assert "On the watch list since" in sentences(app)


def test_customer_page_knows_nothing_later_than_the_cut_off(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    app = opened(monkeypatch, full, "customer", c_id="C00001")
    assert not any("Future" in table.value.to_string() for table in app.dataframe)


def test_unknown_customer_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch, full: Path) -> None:
    app = opened(monkeypatch, full, "customer", c_id="C0000")
    assert not app.exception
    assert "C0000" in app.warning[0].value


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_opens_on_the_run_of_a_simulated_bank(
    monkeypatch: pytest.MonkeyPatch, demo_home: Path, language: Language
) -> None:
    _, run = desk.newest(demo_home)
    someone = customer.some(OWNER, run, 1)[0]
    for page in PAGES:
        app = opened(monkeypatch, demo_home, page, lang=language, **({"c_id": someone} if page == "customer" else {}))
        assert not app.exception, page


def test_every_bar_of_a_simulated_bank_is_as_long_as_its_list(demo_home: Path) -> None:
    _, run = desk.newest(demo_home)
    rows = [row for row in run.read("journey_funnels").to_pylist() if row["step_index"] in (1, 3)]
    for row in rows:
        for outcome in ("continued", "dropped", "in_progress"):
            assert behind(demo_home, run, row, outcome) == row[outcome], (row, outcome)


def test_two_readers_who_ask_at_once_about_two_runs_get_their_own_answers(full: Path, tmp_path: Path) -> None:
    other = bank.make(tmp_path, skip=("risk",))
    one = desk.newest(full)[1]
    with ThreadPoolExecutor(4) as readers:
        asked = [readers.submit(today.headline, OWNER, run) for run in (one, other) * 8]
        counts = [answer.result().customers for answer in asked]
        found = [readers.submit(risk.tiers, OWNER, one) for _ in range(8)]
        assert {int(answer.result()["customers"].sum()) for answer in found} == {bank.CUSTOMERS}
    assert counts == [bank.CUSTOMERS] * 16
