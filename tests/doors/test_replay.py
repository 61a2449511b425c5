"""Decisions of a run are made again at the command line, whatever changed since; what was touched is refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.recommendations.bundle import Bundle
from engine.workflows import run as workflow
from tests.doors.experiment_files import Ask

BUNDLE = "decision_bundle.json"


def _customer(home: Path) -> str:
    return str(open_run(Workspace(home)).read("decisions", limit=1)["customer_id"][0])


def _touch(home: Path, name: str, old: bytes, new: bytes) -> None:
    path = open_run(Workspace(home)).folder / name
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def test_every_decision_of_a_run_comes_out_the_same(ask_home: Ask) -> None:
    found = ask_home("recommend", "replay", "--customers", 0)
    assert (found["customers"], found["decisions"], found["differing"]) == (300, 300 * 24, 0)
    assert found["equal"]
    assert found["changed_since"] == []


def test_one_customer_is_replayed_product_by_product_under_the_ids_of_the_run(ask_home: Ask, home: Path) -> None:
    run = open_run(Workspace(home))
    offer = run.read("recommendations", limit=1).to_pylist()[0]
    found = ask_home("explain", offer["customer_id"], "--replay")
    assert found["equal"]
    assert len(found["products"]) == 24
    assert found["bundle"] == Bundle.from_json(run.text(BUNDLE)).digest()
    row = next(row for row in found["products"] if row["product_id"] == offer["product_id"])
    assert row["decision_id"] == offer["decision_id"]
    assert (row["rank"], row["propensity"], row["channel"]) == (offer["rank"], offer["propensity"], offer["channel"])
    assert ask_home("explain", offer["customer_id"], "--replay")["inputs_sha256"] == found["inputs_sha256"]


def test_settings_and_products_that_changed_since_change_nothing_and_are_told(ask_home: Ask, home: Path) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[recommendations.gates]\nmin_expected_value_minor = 777\n")
    (path,) = (home / "curated" / "products").rglob("*.parquet")
    products = pq.read_table(path)
    margin = [None if value is None else value + 1 for value in products["annual_margin_minor"].to_pylist()]
    place = products.schema.get_field_index("annual_margin_minor")
    pq.write_table(products.set_column(place, products.schema.field(place), pa.array(margin, pa.int64())), path)
    found = ask_home("explain", _customer(home), "--replay")
    assert found["equal"]
    changed = {one["name"]: one for one in found["changed_since"]}
    assert changed["recommendations.gates.min_expected_value_minor"]["now"] == 777
    assert changed["index_fund.margin"]["now"] == changed["index_fund.margin"]["then"] + 1
    assert "777" in changed["recommendations.gates.min_expected_value_minor"]["text_zh"]


def test_a_catalogue_with_other_products_and_offers_than_the_run_had_changes_nothing_and_is_told(
    ask_home: Ask, home: Path
) -> None:
    (path,) = (home / "curated" / "products").rglob("*.parquet")
    products = pq.read_table(path)
    pq.write_table(products.filter(pc.not_equal(products["product_id"], "travel_insurance")), path)
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            '\n[[catalogue.offers]]\noffer_id = "spring"\nproduct_id = "index_fund"\nchannels = ["email"]\n'
            "[catalogue.levers.family]\ninvestment = 900\n"
        )
    found = ask_home("recommend", "replay", "--customers", 0)
    assert found["equal"], found["differences"]
    assert found["decisions"] == 300 * 24  # the run's own products, also the one that is sold no longer
    changed = {one["name"]: (one["then"], one["now"]) for one in found["changed_since"]}
    assert changed["travel_insurance"] == (True, False)
    assert changed["index_fund.offer.offer_ids"] == (None, "spring")
    assert changed["index_fund.offer.lever"] == (None, 10.0)  # 900 % more: 1 + 9
    told = {one["name"]: one["text_en"] for one in found["changed_since"]}
    assert told["travel_insurance"] == "travel_insurance was sold when the run decided and is not now."


def test_a_catalogue_that_cannot_be_read_any_more_does_not_stop_a_replay(ask_home: Ask, home: Path) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n[catalogue.levers.product]\nindex_fund = inf\ngold = 5\n")
    found = ask_home("explain", _customer(home), "--replay")
    assert found["equal"]
    (told,) = [one for one in found["changed_since"] if one["name"] == "unreadable"]
    assert "finite" in told["text_en"]


def test_a_bundle_that_was_touched_is_refused_in_a_sentence(ask_home: Ask, home: Path) -> None:
    _touch(home, BUNDLE, b'"top_n": 3', b'"top_n": 4')
    told = ask_home("explain", _customer(home), "--replay", code=3)["error"]["sentence"]
    assert BUNDLE in told
    assert "changed after it was written" in told


def test_a_bundle_that_was_touched_together_with_the_manifest_is_refused_too(ask_home: Ask, home: Path) -> None:
    run = open_run(Workspace(home))
    was, digest = run.manifest["texts"][BUNDLE]["sha256"], Bundle.from_json(run.text(BUNDLE)).digest()
    _touch(home, BUNDLE, b'"top_n": 3', b'"top_n": 4')
    now = hashlib.sha256((run.folder / BUNDLE).read_bytes()).hexdigest()
    _touch(home, "manifest.json", was.encode(), now.encode())
    told = ask_home("recommend", "replay", code=3)["error"]["sentence"]
    assert f"the run decided by {digest}" in told


def test_inputs_that_were_touched_or_lost_are_refused(ask_home: Ask, home: Path) -> None:
    part = open_run(Workspace(home)).folder / "decision_inputs" / "part-00000.parquet"
    rows = pq.read_table(part)
    place = rows.schema.get_field_index("is_held")
    pq.write_table(rows.set_column(place, "is_held", pa.array([False] * rows.num_rows)), part)
    assert "decision_inputs" in ask_home("recommend", "replay", code=3)["error"]["sentence"]
    part.unlink()
    assert "is missing" in ask_home("recommend", "replay", code=3)["error"]["sentence"]


def test_a_customer_nobody_knows_and_a_run_without_inputs_are_told(ask_home: Ask, home: Path) -> None:
    assert "No customer of that id" in ask_home("explain", "nobody", "--replay", code=1)["error"]["sentence"]
    manifest = open_run(Workspace(home)).folder / "manifest.json"
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    del facts["marts"]["decision_inputs"]
    manifest.write_text(json.dumps(facts), encoding="utf-8")
    assert "did not make it" in ask_home("explain", _customer(home), "--replay", code=1)["error"]["sentence"]


def test_a_run_held_to_limits_on_all_offers_is_replayed_to_the_bit(ask_home: Ask, home: Path) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            "\n[allocation]\nbudget_minor = 900\nsample_customers = 100\n"
            "[allocation.product_capacity]\nmanaged_portfolio = 20\n"
        )
    made = workflow.run(home)
    found = ask_home("recommend", "replay", "--customers", 0, "--run", made.run_id)
    changed = open_run(Workspace(home), made.run_id).read("allocation_changes")
    assert changed.num_rows > 0
    assert found["equal"], found["differences"]


def test_limits_are_told_on_the_command_line_and_in_the_explanation_of_whom_they_changed(
    ask_home: Ask, home: Path
) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            "\n[allocation]\nsample_customers = 100\n"
            "[allocation.product_capacity]\nmanaged_portfolio = 5\n[allocation.min_share]\nindex_fund = 0.3\n"
        )
    made = workflow.run(home)
    told = ask_home("recommend", "limits", "--run", made.run_id)
    rows = {(row["kind"], row["subject"]): row for row in told["limits"]}
    capacity, share = rows["product_capacity", "managed_portfolio"], rows["min_share", "index_fund"]
    assert (capacity["allowed"], share["allowed"]) == (5, 0.3)
    assert capacity["used"] <= 5 and share["used"] >= 0.3
    measures = {row["measure"]: row["value"] for row in told["measures"]}
    assert 0.98 <= measures["share_of_bound"] <= 1
    changes = open_run(Workspace(home), made.run_id).read("allocation_changes").to_pylist()
    seen = set()
    for row in changes:
        word = {(True, False): "withheld", (False, True): "let_in"}.get((row["without_limits"], row["offered"]))
        if word is None or word in seen:
            continue
        seen.add(word)
        products = ask_home("explain", row["customer_id"], "--run", made.run_id)["products"]
        assert {one["product_id"]: one["limits"] for one in products}[row["product_id"]] == word
    assert seen == {"withheld", "let_in"}


def test_the_sentences_are_shown_in_both_languages(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for language, words in (("en", "come out the same to the last bit"), ("zh", "逐位复现")):
        assert main(["explain", _customer(home), "--replay", "--lang", language, "--home", str(home)]) == 0
        assert words in capsys.readouterr().out


def test_who_gives_way_to_others_of_the_household_is_told_so_and_replayed(ask_home: Ask, home: Path) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        # one contact a home, and homes with two who would be offered something
        settings.write("\n[recommendations.contact.caps.household_month]\nmax_contacts = 1\n")
    workflow.run(home)
    rows = open_run(Workspace(home)).read("withheld_contacts").to_pylist()
    assert rows
    found = ask_home("explain", rows[0]["customer_id"])
    assert found["gives_way"]["best_product_id"] == rows[0]["best_product_id"]
    assert rows[0]["best_product_id"] in found["gives_way"]["text_zh"]
    assert not [row for row in found["products"] if row["decision"] == "offered"]
    assert ask_home("explain", rows[0]["customer_id"], "--replay")["equal"]
    assert ask_home("recommend", "replay", "--customers", 0)["equal"]
