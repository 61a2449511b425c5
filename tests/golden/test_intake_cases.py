"""The public data sets, through their importers, against the counts published or taken from the very files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

from engine.config.bank import BankSettings
from engine.config.experiments import Experiments
from engine.config.intake import IntakeSettings
from engine.config.journeys import Journeys
from engine.config.load import load
from engine.domain.errors import UnknownName, UnreadableSource
from engine.intake import importers
from engine.intake.importers import bpi2012
from engine.intake.load import load_sources
from engine.intake.report import IntakeReport
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace

BANK = load(BankSettings, "bank")


class Loaded:
    """One public set in a workspace."""

    def __init__(self, name: str, folder: Path, home: Path, *, assume_consent: bool = False) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.workspace = Workspace(home)
        mapping = importers.prepare(name, folder, home, BANK, assume_consent=assume_consent)
        bank = load(BankSettings, "bank", self.workspace.settings_file)
        rules = load(IntakeSettings, "intake", self.workspace.settings_file)
        with DuckDBEngine(memory_limit="1GB", threads=1) as engine:
            self.report: IntakeReport = load_sources(mapping, self.workspace, bank=bank, rules=rules, engine=engine)

    def frame(self, table: str, *columns: str) -> Any:
        rows = ds.dataset(self.workspace.curated(table), format="parquet", partitioning="hive")
        return rows.to_table(columns=list(columns)).to_pandas()

    def counts(self, table: str, column: str) -> dict[str, int]:
        return dict(self.frame(table, column)[column].value_counts())


@pytest.fixture(scope="module")
def public(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Load a set once for all tests of this file."""
    made: dict[str, Loaded] = {}

    def get(name: str, folder: Path) -> Loaded:
        if name not in made:
            made[name] = Loaded(name, folder / name, tmp_path_factory.mktemp(name))
        return made[name]

    return get


@pytest.mark.real_data
@pytest.mark.parametrize("name", importers.NAMES)
def test_not_one_row_of_the_public_sets_is_refused(public: Any, real_data: Path, name: str) -> None:
    assert public(name, real_data).report.quarantined == 0


@pytest.mark.real_data
def test_berka_has_its_clients_accounts_cards_loans_and_orders(public: Any, real_data: Path) -> None:
    berka = public("berka", real_data)
    assert berka.report.table("customers").kept == 5369
    assert berka.report.table("transactions").kept == 49102
    held = berka.counts("holdings", "product_id")
    assert (held["account"], held["loan"]) == (4500, 682)
    assert (held["card_classic"], held["card_junior"], held["card_gold"]) == (659, 145, 88)
    orders = sum(count for product, count in held.items() if product.startswith("order_"))
    assert orders == 6471 - 717  # all but the loans' own instalments


@pytest.mark.real_data
def test_berka_has_76_bad_loans_and_31_of_the_234_finished_ones(public: Any, real_data: Path) -> None:
    outcomes = public("berka", real_data).frame("outcomes", "defaulted_at", "observed_until")
    bad = outcomes["defaulted_at"].notna()
    finished = outcomes["observed_until"] < pd.Timestamp("1998-12-31")
    assert int(bad.sum()) == 31 + 45  # B and D
    assert int((bad & finished).sum()) == 31
    assert int(finished.sum()) == 203 + 31  # A and B


@pytest.mark.real_data
def test_berka_birth_numbers_tell_women_by_fifty_months(public: Any, real_data: Path) -> None:
    rows = public("berka", real_data).frame("customers", "customer_id", "birth_date", "gender").set_index("customer_id")
    # client 1: 706213 is 13 December 1970, a woman; client 2: 450204, a man
    assert (str(rows.loc["1", "birth_date"]), rows.loc["1", "gender"]) == ("1970-12-13", "female")
    assert (str(rows.loc["2", "birth_date"]), rows.loc["2", "gender"]) == ("1945-02-04", "male")


@pytest.mark.real_data
def test_berka_amounts_are_haler_and_signed(public: Any, real_data: Path) -> None:
    rows = public("berka", real_data).frame("transactions", "transaction_id", "amount_minor", "balance_after_minor")
    first = rows.set_index("transaction_id").loc["695247"]
    assert (first["amount_minor"], first["balance_after_minor"]) == (70000, 70000)  # 700.00 crowns paid in
    assert (rows["amount_minor"] < 0).sum() == 26108  # VYDAJ and VYBER


@pytest.mark.real_data
def test_bpi2012_has_its_cases_per_step(public: Any, real_data: Path) -> None:
    bpi = public("bpi2012", real_data)
    assert bpi.report.table("events").kept == 262_200
    events = bpi.frame("events", "customer_id", "event_name")
    reached = events.groupby("event_name")["customer_id"].nunique()
    steps = ["A_SUBMITTED", "A_PREACCEPTED", "A_ACCEPTED", "A_FINALIZED", "A_APPROVED", "A_DECLINED", "A_CANCELLED"]
    assert [int(reached[step]) for step in steps] == [13087, 7367, 5113, 5015, 2246, 7635, 2807]
    assert bpi.counts("applications", "decision")["pending"] == 399
    assert set(bpi.counts("events", "event_name")) == set(reached.index)
    assert len(reached) == 24


@pytest.mark.real_data
def test_the_xes_and_the_csv_of_bpi2012_are_the_same_log(real_data: Path) -> None:
    from_xes = pd.DataFrame(bpi2012.read_xes(real_data / "bpi2012" / "bpic2012.xes.gz"), columns=bpi2012.COLUMNS)
    from_csv = bpi2012.read_log(real_data / "bpi2012")
    pd.testing.assert_frame_equal(from_xes, from_csv, check_dtype=False)


@pytest.mark.real_data
def test_vanguard_completes_as_published(public: Any, real_data: Path) -> None:
    vanguard = public("vanguard", real_data)
    assert vanguard.report.table("customers").kept == 70_609
    exposed = vanguard.frame("exposures", "customer_id", "variant")
    confirmed = vanguard.frame("events", "customer_id", "event_name").query("event_name == 'confirm'")
    completed = exposed["customer_id"].isin(confirmed["customer_id"]).groupby(exposed["variant"]).agg(["sum", "count"])
    assert completed.loc["Control"].tolist() == [15_434, 23_532]  # 65.59 %
    assert completed.loc["Test"].tolist() == [18_687, 26_968]  # 69.29 %


@pytest.mark.real_data
def test_no_vanguard_event_lies_before_its_clients_exposure(public: Any, real_data: Path) -> None:
    vanguard = public("vanguard", real_data)
    exposed = vanguard.frame("exposures", "customer_id", "exposed_at")
    events = vanguard.frame("events", "customer_id", "occurred_at", "seq").merge(exposed, on="customer_id")
    assert (events["occurred_at"] >= events["exposed_at"]).all()
    in_order = events.sort_values(["customer_id", "seq"]).groupby("customer_id")["occurred_at"]
    assert in_order.is_monotonic_increasing.all()


@pytest.mark.real_data
@pytest.mark.parametrize("name", importers.NAMES)
def test_the_settings_of_a_public_set_are_valid(public: Any, real_data: Path, name: str) -> None:
    settings = public(name, real_data).workspace.settings_file
    journeys, experiments = load(Journeys, "journeys", settings), load(Experiments, "experiments", settings)
    named = ([one.journey for one in journeys.journeys], [one.experiment_id for one in experiments.experiments])
    assert (
        named
        == {
            "berka": ([], []),
            "bpi2012": (["loan_application"], []),
            "vanguard": (["web_form"], ["new_web_form"]),
        }[name]
    )


@pytest.mark.real_data
def test_nobody_consents_unless_it_is_assumed_and_then_the_mapping_says_so(
    public: Any, real_data: Path, tmp_path: Path
) -> None:
    silent = public("berka", real_data).workspace
    assert "consents" not in silent.curated_tables()
    assert "ASSUMED" not in (silent.home / "mapping.toml").read_text()
    assumed = importers.prepare("berka", real_data / "berka", tmp_path, BANK, assume_consent=True)
    assert "ASSUMED, not in the data" in assumed.read_text()
    assert "empty_histories" in (tmp_path / "wayline.toml").read_text()
    answers = pd.read_csv(tmp_path / "source" / "consents.csv")
    assert len(answers) == 5369 * 5  # every client, every contact channel


# without the data


XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xmlns="http://www.xes-standard.org/"><global scope="event"><string key="concept:name" value="?"/></global>
<string key="concept:name" value="the log"/>
<trace><string key="concept:name" value="1"/><string key="AMOUNT_REQ" value="500"/>
<date key="REG_DATE" value="2011-10-01T00:00:00+02:00"/>
<event><string key="concept:name" value="A_SUBMITTED"/><string key="lifecycle:transition" value="COMPLETE"/>
<date key="time:timestamp" value="2011-10-01T00:00:00+02:00"/></event>
<event><string key="concept:name" value="W_Call"/><string key="lifecycle:transition" value="START"/>
<date key="time:timestamp" value="2011-10-01T00:00:00+02:00"/></event></trace>
<trace><string key="concept:name" value="2"/>
<event><string key="concept:name" value="A_SUBMITTED"/></event></trace></log>
"""


def test_an_event_has_its_own_cases_attributes_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "financial_log.xes").write_text(XES)
    rows = list(bpi2012.read_xes(tmp_path / "financial_log.xes"))
    assert rows == [
        ("1", "A_SUBMITTED", "COMPLETE", "2011-10-01T00:00:00+02:00", "500", "2011-10-01T00:00:00+02:00"),
        ("1", "W_Call", "START", "2011-10-01T00:00:00+02:00", "500", "2011-10-01T00:00:00+02:00"),
        ("2", "A_SUBMITTED", "", "", "", ""),
    ]


def test_events_of_one_instant_keep_their_order_and_lifecycle(tmp_path: Path) -> None:
    (tmp_path / "financial_log.xes").write_text(XES.replace('<trace><string key="concept:name" value="2"/>', "<trace>"))
    loaded = Loaded("bpi2012", tmp_path, tmp_path / "home")
    events = loaded.frame("events", "event_id", "seq", "lifecycle").sort_values("event_id")
    assert events.head(2).to_numpy().tolist() == [["1-0", 0, "complete"], ["1-1", 1, "start"]]


def test_a_cut_log_is_refused(tmp_path: Path) -> None:
    (tmp_path / "financial_log.xes").write_text(XES[:-60])
    with pytest.raises(UnreadableSource, match="no complete XES"):
        list(bpi2012.read_xes(tmp_path / "financial_log.xes"))


def test_an_entity_bomb_is_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><log>&b;</log>'
    (tmp_path / "financial_log.xes").write_text(bomb)
    with pytest.raises(UnreadableSource):
        list(bpi2012.read_xes(tmp_path / "financial_log.xes"))


def test_a_folder_without_the_set_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match=r"there is no account\.asc"):
        importers.prepare("berka", tmp_path, tmp_path / "out", BANK)


def test_an_unknown_set_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="berka, bpi2012, vanguard"):
        importers.prepare("berk", tmp_path, tmp_path, BANK)
