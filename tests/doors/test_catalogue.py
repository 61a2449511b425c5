"""The catalogue at the command line: shown, checked, kept in dated versions, and what runs go by."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from engine.domain.curated import PRODUCTS
from engine.lake.runs import open_run
from engine.lake.schema import arrow_schema
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import run as workflow
from tests.doors.experiment_files import Ask

SAVE = ("catalogue", "save", "--by", "Ann", "--note", "spring")


def _write(home: Path, text: str) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n" + text)


def _products(home: Path, **changes: dict[str, Any]) -> None:
    (path,) = (home / "curated" / "products").rglob("*.parquet")
    table = pq.read_table(path)
    rows = [row | changes.get(row["product_id"], {}) for row in table.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(PRODUCTS)), path)


OFFER = """
[[catalogue.offers]]
offer_id = "spring"
product_id = "index_fund"
channels = ["email"]
annual_margin_minor = 90000
[catalogue.levers.product]
index_fund = 50
"""


def test_files_are_shown_until_a_version_holds_and_a_run_goes_by_the_one_of_its_date(ask_home: Ask, home: Path) -> None:
    assert ask_home("catalogue", "versions") == {"versions": []}
    before = ask_home("catalogue", "show")
    assert before["version"] is None
    assert {row["offer_id"] == row["product_id"] for row in before["products"]} == {True}

    _write(home, OFFER)
    saved = ask_home(*SAVE, "--from", "2026-06-01")
    assert (saved["version"], saved["is_new"], saved["owner"]) == (1, True, "Ann")
    assert not ask_home(*SAVE, "--from", "2026-06-01")["is_new"]
    # the files go on, the version stays: another margin and no lever from the first of July on
    settings = (home / "wayline.toml").read_text(encoding="utf-8")
    (home / "wayline.toml").write_text(settings.replace("90000", "80000").replace("50", "0"), encoding="utf-8")
    assert ask_home(*SAVE, "--from", "2026-07-01")["version"] == 2

    for day, version, margin, lever in (("2026-06-15", 1, 90000, 1.5), ("2026-07-02", 2, 80000, 1.0)):
        found = ask_home("catalogue", "show", "--as-of", day)
        assert found["version"]["version"] == version
        fund = next(row for row in found["products"] if row["product_id"] == "index_fund")
        assert (fund["offer_id"], fund["annual_margin_minor"], fund["lever"]) == ("spring", margin, lever)
        assert fund["channels"] == ["email"]
    assert ask_home("catalogue", "show", "--as-of", "2026-05-31")["version"] is None

    plain = open_run(Workspace(home))
    made = open_run(Workspace(home), workflow.run(home).run_id)
    assert made.run_id != plain.run_id
    assert made.manifest["catalogue"]["version"] == 1
    assert made.manifest["catalogue"]["hash"] == saved["hash"]
    offers = made.read("recommendations").to_pylist()
    fund = [row for row in offers if row["product_id"] == "index_fund"]
    assert fund
    assert {(row["offer_id"], row["lever"], row["channel"]) for row in fund} == {("spring", 1.5, "email")}
    notes = [note for stage in made.manifest["stages"] for note in stage.get("notes", [])]
    assert any("version 1 of the catalogue" in note for note in notes)
    replayed = ask_home("recommend", "replay", "--customers", "0")
    assert replayed["equal"], replayed["differences"]
    assert replayed["changed_since"] == []

    with Store(f"sqlite:///{home / 'wayline.db'}") as store:
        entries = [one for one in store.audit_trail() if one.action == "catalogue.saved"]
        assert [one.details["version"] for one in entries] == [2, 1]
        assert entries[0].actor == "Ann"
        assert store.verify_audit() is None


def test_one_version_is_shown_whole_and_an_unknown_one_is_told(ask_home: Ask) -> None:
    ask_home(*SAVE, "--from", "2026-06-01")
    found = ask_home("catalogue", "versions", "--version", "1")
    assert len(found["definition"]["products"]) == 24
    assert found["definition"]["recommendations"]["top_n"] == 3
    assert "Known: 1" in ask_home("catalogue", "versions", "--version", "7", code=2)["error"]["sentence"]


def test_bad_offers_and_levers_are_told_in_sentences_and_never_saved(ask_home: Ask, home: Path) -> None:
    _write(home, OFFER.replace('"index_fund"', '"index_fnd"'))
    told = ask_home("catalogue", "check", code=3)
    assert any('Did you mean "index_fund"' in sentence for sentence in told["faults"])
    assert "index_fnd" in ask_home(*SAVE, "--from", "2026-06-01", code=2)["error"]["sentence"]
    assert ask_home("catalogue", "versions") == {"versions": []}


def test_an_infinite_lever_stops_whatever_reads_it(ask_home: Ask, home: Path) -> None:
    _write(home, "[catalogue.levers.product]\nindex_fund = inf\n")
    for words in (("catalogue", "check"), ("run",)):
        assert "finite" in ask_home(*words, code=2)["error"]["sentence"]


def test_an_offer_that_ended_before_the_version_begins_is_refused(ask_home: Ask, home: Path) -> None:
    _write(home, OFFER.replace("channels", "valid_until = 2026-05-01\nchannels"))
    told = ask_home(*SAVE, "--from", "2026-06-01", code=2)["error"]["sentence"]
    assert "before the version begins on 2026-06-01" in told


def test_a_product_nobody_can_be_offered_is_named_with_the_gate_that_does_it(ask_home: Ask, home: Path) -> None:
    _products(home, index_fund={"annual_margin_minor": None}, travel_insurance={"min_age": 70, "max_age": 60})
    warnings = ask_home("catalogue", "check", code=3)["warnings"]
    told = {(one["product_id"], one["gate"]): one["sentence"] for one in warnings}
    assert "has no margin" in told["index_fund", "negative_value"]
    assert "at least 70 and at most 60" in told["travel_insurance", "age"]
    made = open_run(Workspace(home), workflow.run(home).run_id)
    notes = [note for stage in made.manifest["stages"] for note in stage.get("notes", [])]
    assert told["travel_insurance", "age"] in notes


def test_policies_are_tried_on_the_customers_of_the_last_run(ask_home: Ask, home: Path) -> None:
    _write(home, "[recommendations.gates]\nmin_expected_value_minor = 100000000\n")
    told = ask_home("catalogue", "check", code=3)
    assert told["tried_on"]["customers"] == 300
    assert {one["gate"] for one in told["warnings"]} >= {"negative_value"}
    assert len({one["product_id"] for one in told["warnings"]}) == 24


def test_a_catalogue_nobody_answers_for_is_refused(ask_home: Ask) -> None:
    words = ("catalogue", "save", "--from", "2026-06-01", "--by", " ", "--note", "x")
    assert "needs an owner" in ask_home(*words, code=4)["error"]["sentence"]


def test_a_version_that_was_touched_is_not_gone_by(ask_home: Ask, home: Path) -> None:
    ask_home(*SAVE, "--from", "2026-06-01")
    with sqlite3.connect(home / "wayline.db") as connection:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            connection.execute("UPDATE catalogues SET content = '{}'")
        connection.execute("DROP TRIGGER catalogues_no_update")
        connection.execute("UPDATE catalogues SET content = replace(content, 'spring', 'autumn')")
    assert "changed after it was saved" in ask_home("catalogue", "show", code=3)["error"]["sentence"]
    assert "changed after it was saved" in ask_home("run", code=3)["error"]["sentence"]


def test_it_is_shown_to_people_as_tables(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(home, OFFER)
    assert main([*SAVE, "--from", "2026-06-01", "--home", str(home)]) == 0
    assert "Version 1 is saved: 24 products and 1 offers" in capsys.readouterr().out
    for words, said in (
        (("show",), "by version 1"),
        (("versions",), "spring"),
        (("versions", "--version", "1"), "spring"),
    ):
        assert main(["catalogue", *words, "--home", str(home)]) == 0
        assert said in capsys.readouterr().out
