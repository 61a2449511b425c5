"""The simulated bank keeps its promises: repeatable, complete or not there, consistent, with its truth beside it."""

import hashlib
from datetime import UTC, datetime

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.bank import BankSettings
from engine.config.load import load, read_defaults
from engine.config.products import Catalogue
from engine.config.simulation import SimulationSettings
from engine.domain.curated import CURATED
from engine.domain.errors import SettingsFault
from engine.intake import mapping
from engine.intake.simulation import demand, ids, simulate_bank, simulate_experiments, tables, world

CATALOGUE, BANK = load(Catalogue, "products"), load(BankSettings, "bank")
END = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)


def simulate(out, customers=400, seed=5, **more):
    return simulate_bank(customers, seed, out, catalogue=CATALOGUE, bank=BANK, **more)


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "bank"
    simulate(out, customers=1_000)
    return out


def source(bank, table):
    return pq.read_table(bank / "source" / table)


def truth(bank, table):
    return pq.read_table(bank / "truth" / f"{table}.parquet")


def clean(bank, table):
    """The rows of a source table without those added as faults."""
    rows, faults = source(bank, table), truth(bank, "planted_faults").to_pylist()
    added = {fault["row_number"] for fault in faults if fault["table"] == table and fault["expected"] == "quarantine"}
    return rows.take([number for number in range(rows.num_rows) if number not in added])


def test_same_seed_gives_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    rules = load(SimulationSettings, "simulation", flags={"chunk_customers": 100})
    simulate(tmp_path / "one", customers=250, rules=rules)
    simulate(tmp_path / "two", customers=250, rules=rules, workers=2)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    # 250 customers in chunks of 100 are three parts
    assert len(list((tmp_path / "one" / "source" / "customers").iterdir())) == 3


def test_another_seed_gives_another_bank_of_the_same_size(tmp_path, bank):
    simulate(tmp_path / "other", customers=1_000, seed=6)
    assert pq.read_table(tmp_path / "other" / "truth" / "segments.parquet").num_rows == 1_000
    assert hashes(tmp_path / "other")["truth/segments.parquet"] != hashes(bank)["truth/segments.parquet"]


def test_columns_are_those_of_the_contracts_and_every_table_is_mapped(bank):
    mapped = mapping.read(bank / "mapping.toml")
    assert set(mapped.tables) == set(CURATED)
    assert mapped.extract.until_instant == END
    for name, contract in CURATED.items():
        assert source(bank, name).schema.equals(tables.source_schema(contract), check_metadata=False)


def test_ids_are_short_enough_to_be_inlined(bank):
    columns = {
        "customers": ["customer_id"],
        "transactions": ["transaction_id", "holding_id"],
        "events": ["event_id", "session_id", "id_value"],
        "applications": ["application_id"],
    }
    for table, column in ((table, column) for table, names in columns.items() for column in names):
        assert pc.max(pc.binary_length(source(bank, table).column(column))).as_py() <= 12


def test_summary_counts_the_rows_written_and_progress_reaches_the_end(tmp_path):
    seen = []
    summary = simulate(tmp_path / "bank", customers=120, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(120, 120)]
    assert summary.rows["transactions"] == source(tmp_path / "bank", "transactions").num_rows
    assert summary.rows["products"] == len(CATALOGUE.products)
    assert (tmp_path / "bank" / "_SUCCESS").exists()


def test_interrupted_simulation_leaves_nothing_that_looks_finished_and_can_be_repeated(tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(tmp_path / "bank", customers=120, progress=interrupt)
    assert not (tmp_path / "bank").exists()
    assert not list(tmp_path.rglob("_SUCCESS"))
    simulate(tmp_path / "bank", customers=120)
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_folder_with_something_else_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SettingsFault, match="not a simulated bank"):
        simulate(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years of work"


def test_unknown_product_and_impossible_size_are_reported_together(tmp_path):
    few = Catalogue(products=tuple(product for product in CATALOGUE.products if product.product_id != "mortgage"))
    with pytest.raises(SettingsFault) as fault:
        simulate_bank(0, 1, tmp_path / "bank", catalogue=few, bank=BANK)
    assert [text.split(" ")[0] for text in fault.value.faults] == ["product", "customers"]


def test_journeys_and_experiments_are_those_that_the_engine_studies():
    rules = load(SimulationSettings, "simulation")
    studied = {
        each["journey"]: (each["products"], each["window_days"], [step["step"] for step in each["steps"]])
        for each in read_defaults("journeys")["journeys"]
    }
    assert {j.journey: (list(j.products), j.window_days, list(j.steps)) for j in rules.journeys} == studied
    measured = {
        each["experiment_id"]: (each["control"], {(m["metric"], m["event"]) for m in each["metrics"]})
        for each in read_defaults("experiments")["experiments"]
    }
    assert {
        e.experiment_id: (e.control, {(m.metric, m.event) for m in e.metrics}) for e in rules.experiments
    } == measured


@pytest.mark.parametrize(
    ("place", "change", "fault"),
    [
        (2, {"following": {"email": 0.6, "web": 0.1}}, "what follows branch"),
        (3, {"following": {"branch": 0.1}}, "what follows branch"),
        (0, {"following": {"call_centre": 0.6, "branch": 0.4}}, "or no path would end"),
        (0, {"first": 0.5}, "sum to 1"),
        (0, {"following": {"app": 0.1}}, "web is followed by app"),
    ],
)
def test_touches_whose_chain_would_hold_no_exact_truth_are_refused(place, change, fault):
    touches = read_defaults("simulation")["touches"]
    channels = [dict(each) for each in touches["channels"]]
    channels[place] |= change
    with pytest.raises(SettingsFault, match=fault):
        load(SimulationSettings, "simulation", flags={"touches": {"channels": channels}})


def test_friction_after_the_last_step_or_under_the_name_of_a_step_is_refused():
    for step, event in (("first_use", "form_error"), ("product_viewed", "first_use")):
        journeys = [dict(each) for each in read_defaults("simulation")["journeys"]]
        journeys[0]["frictions"] = [{"step": step, "event": event, "share": 0.2, "odds_ratio": 0.5}]
        with pytest.raises(SettingsFault, match=f"friction {event} of credit_card"):
            load(SimulationSettings, "simulation", flags={"journeys": journeys})


def test_balance_after_each_booking_is_the_one_before_plus_the_amount(bank):
    rows = clean(bank, "transactions").filter(pc.field("balance_after_minor").is_valid()).to_pandas()
    same = rows.holding_id == rows.holding_id.shift()
    moved = rows.balance_after_minor - rows.balance_after_minor.shift()
    assert same.sum() > 10_000
    assert (moved[same] == rows.amount_minor[same]).all()
    assert rows.balance_after_minor.min() >= 0


def test_balance_of_a_current_account_is_the_one_after_its_last_booking(bank):
    last = clean(bank, "transactions").to_pandas().dropna(subset="balance_after_minor").groupby("holding_id").last()
    holdings = clean(bank, "holdings").to_pandas().set_index("holding_id")
    assert (holdings.balance_minor[last.index] == last.balance_after_minor).all()


def test_nothing_happens_before_joining_nor_after_leaving_nor_after_the_extract(bank):
    people = clean(bank, "customers").to_pandas().set_index("customer_id")
    for table, column in (
        ("transactions", "booked_at"),
        ("interactions", "occurred_at"),
        ("applications", "applied_at"),
    ):
        rows = clean(bank, table).to_pandas()
        rows = rows[rows.customer_id.isin(people.index)]
        assert (rows[column] >= people.joined_at.reindex(rows.customer_id).to_numpy()).all()
        closed = people.closed_at.reindex(rows.customer_id).array
        assert not (rows[column].array > closed).any()
        assert rows[column].max() <= END


def test_each_opening_seen_in_a_journey_is_a_holding_and_for_credit_an_approved_application(bank):
    events = clean(bank, "events").to_pandas()
    opened = events[(events.event_name == "product_opened") & events.customer_id.notna()]
    holdings = clean(bank, "holdings").to_pandas()
    found = opened.merge(holdings, left_on=["customer_id", "product_id", "occurred_at"],
                         right_on=["customer_id", "product_id", "opened_at"])  # fmt: skip
    # the rest was closed again within the same second: never
    assert len(found) == len(opened) > 50
    asked = clean(bank, "applications").to_pandas()
    booked = clean(bank, "outcomes").to_pandas()
    credit = found[found.product_id.isin([p.product_id for p in CATALOGUE.products if p.is_credit])]
    matched = credit.merge(booked, left_on=["customer_id", "product_id", "opened_at"],
                           right_on=["customer_id", "product_id", "booked_at"])  # fmt: skip
    assert len(matched) == len(credit) > 30
    decisions = asked.set_index("application_id").decision
    assert (decisions[matched.application_id] == "approved").all()


def test_journey_steps_follow_each_other_well_within_the_window(bank):
    rules = load(SimulationSettings, "simulation")
    events = clean(bank, "events").to_pandas().dropna(subset=["customer_id", "product_id"])
    for journey in rules.journeys:
        steps = events[events.product_id.isin(journey.products) & events.event_name.isin(journey.steps)]
        spans = steps.groupby("customer_id").occurred_at.agg(lambda times: times.max() - times.min())
        assert spans.max().total_seconds() <= 0.85 * journey.window_days * 86_400


def test_truth_of_planted_faults_names_the_row_in_the_file(bank):
    faults = truth(bank, "planted_faults").to_pylist()
    assert {fault["fault"] for fault in faults} == set(load(SimulationSettings, "simulation").dirt)
    for fault in faults:
        row = pq.read_table(bank / fault["source_file"]).slice(fault["row_number"], 1).to_pylist()[0]
        key = [row[name] for name in CURATED[fault["table"]].key]
        texts = [k.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(k, datetime) else str(k) for k in key]
        assert fault["key"] == "|".join(texts)


def test_each_kind_of_fault_is_on_a_handful_of_rows_even_of_300_customers(tmp_path):
    simulate(tmp_path / "bank", customers=300)
    planted = truth(tmp_path / "bank", "planted_faults").to_pandas()
    assert (planted.groupby("fault").size() >= 5).all()
    assert not planted.duplicated(["table", "row_number"]).any()


def test_mojibake_can_be_read_back_and_lost_letters_cannot(bank):
    names = source(bank, "customers").column("full_name").to_pylist()
    faults = [f for f in truth(bank, "planted_faults").to_pylist() if f["fault"] == "bad_encoding"]
    spoilt = [names[fault["row_number"]] for fault in faults if fault["table"] == "customers"]
    lost = [name for name in spoilt if "\ufffd" in name]
    mended = [name.encode("latin-1").decode("utf-8") for name in spoilt if "\ufffd" not in name]
    assert len(lost) >= 5
    assert len(mended) >= 5
    assert all("\u4e00" <= letter <= "\u9fff" for name in mended for letter in name)


def test_one_person_under_two_ids_shares_e_mail_and_birth_date_and_nobody_else_shares_an_e_mail(bank):
    clusters = truth(bank, "identity_clusters").to_pandas()
    twins = clusters[clusters.customer_id != clusters.person_id]
    assert 4 <= len(twins) <= 20
    born = clean(bank, "customers").to_pandas().set_index("customer_id").birth_date
    assert (born[twins.customer_id].to_numpy() == born[twins.person_id].to_numpy()).all()
    emails = clean(bank, "identities").to_pandas().query("id_type == 'email'")
    emails = emails.merge(clusters, on="customer_id")
    assert (emails.groupby("id_value").person_id.nunique() == 1).all()
    assert set(twins.customer_id) <= set(emails.customer_id)


def test_event_without_customer_carries_an_identifier_of_one_person(bank):
    events = clean(bank, "events").to_pandas()
    nameless = events[events.customer_id.isna() & events.id_value.notna()]
    known = clean(bank, "identities").to_pandas().groupby(["id_type", "id_value"]).customer_id.nunique()
    assert len(nameless) > 300
    assert (known[list(zip(nameless.id_type, nameless.id_value, strict=True))] == 1).all()


def test_propensities_are_probabilities_and_zero_where_nothing_more_can_be_taken(bank):
    frame = truth(bank, "propensities").to_pandas().set_index("customer_id")
    assert frame.min().min() == 0
    assert frame.max().max() < 1
    holdings = clean(bank, "holdings").to_pandas().query("closed_at.isna() and product_id == 'savings_account'")
    holders = [customer for customer in holdings.customer_id if customer in frame.index]
    assert frame.savings_account[holders].max() == 0
    gone = clean(bank, "customers").to_pandas().dropna(subset="closed_at").customer_id
    assert frame.loc[[c for c in gone if c in frame.index]].max().max() == 0


def test_exposures_leave_time_for_the_metric_windows_and_each_customer_sees_one_variant(bank):
    rows = clean(bank, "exposures").to_pandas()
    first = rows.groupby(["experiment_id", "customer_id"]).agg(
        at=("exposed_at", "min"), variants=("variant", "nunique")
    )
    assert (first.variants == 1).all()
    days = (END - first["at"]).dt.total_seconds() / 86_400
    assert days.min() >= 30
    assert days.max() <= 90


def test_experiments_alone_have_the_true_rates_and_the_broken_ratio():
    rules = load(SimulationSettings, "simulation")
    exposures, events = simulate_experiments(40_000, 3, rules=rules)
    seen = exposures.to_pandas().drop_duplicates(["experiment_id", "customer_id"])
    counts = seen.groupby(["experiment_id", "variant"]).size()
    # 12 % of one arm is lost: 1 : 0.88, with a standard error of about 0.012
    assert counts["loan_reminder", "reminder"] / counts["loan_reminder", "none"] == pytest.approx(0.88, abs=0.05)
    assert counts["savings_banner", "green"] / counts["savings_banner", "blue"] == pytest.approx(1, abs=0.06)
    onboarding = seen[seen.experiment_id == "card_onboarding"].set_index("customer_id").variant
    activated = set(events.to_pandas().query("event_name == 'card_activated'").customer_id)
    rate = onboarding.index.isin(activated)
    lift = rate[onboarding == "checklist"].mean() - rate[onboarding == "control"].mean()
    assert lift == pytest.approx(0.08, abs=4 * 0.0079)  # standard error: sqrt(2 * 0.25 / 8,000)


@given(st.lists(st.integers(0, 10**9 - 1), min_size=1, unique=True))
def test_scrambled_numbers_never_meet(numbers):
    assert len(set(ids.scrambled(np.array(numbers), 9, 2).tolist())) == len(numbers)


@given(st.lists(st.integers(0, 10**8 - 1), min_size=1))
def test_numbered_ids_are_prefix_and_padded_digits(numbers):
    assert ids.numbered("C", np.array(numbers), 8, "x").to_pylist() == [f"C{number:08d}x" for number in numbers]


def test_standing_of_customers_drawn_by_weight_is_uniform():
    rng = np.random.default_rng(1)
    value, weight, group = rng.normal(size=20_000), rng.gamma(2, size=20_000), rng.integers(0, 3, 20_000)
    standing = demand.weighted_standing(rng, value, weight, group)
    drawn = standing[rng.random(20_000) < weight / weight.max()]
    # the mean of a uniform is 1/2 with a standard error of sqrt(1/12/n)
    assert drawn.mean() == pytest.approx(0.5, abs=4 * (1 / 12 / len(drawn)) ** 0.5)
    assert np.corrcoef(standing, value)[0, 1] > 0.9


def test_month_of_an_instant_is_the_one_it_lies_in():
    made = world.make(
        customers=1, seed=1, until=datetime(2026, 6, 30).date(), months=24, catalogue=CATALOGUE, rates=BANK.rates,
        base_currency="CNY", time_zone="Asia/Shanghai", rules=load(SimulationSettings, "simulation"),
    )  # fmt: skip
    assert datetime.fromtimestamp(made.start, UTC) == datetime(2024, 7, 1, tzinfo=UTC)
    assert datetime.fromtimestamp(made.end, UTC) == END
    assert world.month_index(made, np.array([made.start, made.end, made.starts[3] - 1])).tolist() == [0, 23, 2]
