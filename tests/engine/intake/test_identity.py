"""Who is one person: shared identifiers join, a household's tablet and a branch's tablet do not."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from engine.intake.identity import components
from tests.engine.intake.builders import Delivery

HEADER = "customer_id,joined_at,birth_date,closed_at\n"
IDENTITIES = "customer_id,id_type,id_value\n"


def _persons(delivery: Delivery, customers: str, identities: str) -> dict[str, str]:
    delivery.table("customers", HEADER + customers).table("identities", IDENTITIES + identities).load()
    return {row["customer_id"]: row["person_id"] for row in delivery.rows("customers")}


def test_a_chain_of_shared_identifiers_is_one_person_named_by_the_smallest_id(delivery: Delivery) -> None:
    customers = "".join(f"C{n},2020-01-01,,\n" for n in range(1, 5))
    identities = "C3,email,a@x\nC2,email,a@x\nC2,phone,1\nC1,phone,1\nC4,phone,2\n"
    assert _persons(delivery, customers, identities) == {"C1": "C1", "C2": "C1", "C3": "C1", "C4": "C4"}


def test_contradicting_birth_dates_keep_two_customers_apart_and_are_reported(delivery: Delivery) -> None:
    customers = "C1,2020-01-01,1960-01-01,\nC2,2020-01-01,1990-01-01,\nC3,2020-01-01,,\n"
    identities = "C1,email,family@x\nC2,email,family@x\nC3,email,other@x\n"
    delivery.table("customers", HEADER + customers).table("identities", IDENTITIES + identities)
    report = delivery.load()
    assert report.identity is not None
    assert (report.identity.persons, report.identity.pairs_kept_apart) == (3, 1)


def test_a_shared_tablet_joins_only_equal_birth_dates(delivery: Delivery) -> None:
    customers = "C1,2020-01-01,1960-01-01,\nC2,2020-01-01,,\nC3,2020-01-01,1960-01-01,\n"
    identities = "C1,device,t\nC2,device,t\nC3,device,t\n"
    assert _persons(delivery, customers, identities) == {"C1": "C1", "C2": "C2", "C3": "C1"}


def test_a_branchs_tablet_merges_no_town_and_is_reported(delivery: Delivery) -> None:
    customers = "".join(f"C{n},2020-01-01,1960-01-01,\n" for n in range(1, 8))
    identities = "".join(f"C{n},email,info@branch\n" for n in range(1, 7)) + "C1,phone,1\nC7,phone,1\n"
    delivery.table("customers", HEADER + customers).table("identities", IDENTITIES + identities)
    report = delivery.load()
    assert report.identity is not None
    (oversize,) = report.identity.oversize
    assert (oversize.id_type, oversize.identifiers, oversize.most_customers) == ("email", 1, 6)  # more than 5
    assert report.identity.customers_joined == 2  # the phone still joins C1 and C7


def test_without_identities_everyone_is_a_person_of_their_own(with_customers: Delivery) -> None:
    assert with_customers.load().identity is None
    assert [row["person_id"] for row in with_customers.rows("customers")] == ["C1", "C2", "C3"]


def test_an_event_goes_to_the_open_customer_of_the_one_person_its_identifier_names(delivery: Delivery) -> None:
    customers = "C1,2020-01-01,,2022-01-01\nC2,2020-01-01,,\nC3,2020-01-01,,\nC4,2020-01-01,,\n"
    identities = "C1,email,a@x\nC2,email,a@x\nC1,cookie,k1\nC3,device,t\nC4,device,t\nC4,cookie,k4\n"
    events = (
        "event_id,customer_id,id_type,id_value,occurred_at,event_name\n"
        "E1,,cookie,k1,2024-01-01,login\n"  # C1 is closed: its person's open id is C2
        "E2,,device,t,2024-01-01,login\n"  # two persons share it
        "E3,,cookie,unknown,2024-01-01,login\n"
        "E4,C3,cookie,k4,2024-01-01,login\n"  # the source says C3; it stays
        "E5,C9,cookie,k4,2024-01-01,login\n"  # no such customer, but the cookie is C4's
    )
    delivery.table("customers", HEADER + customers).table("identities", IDENTITIES + identities)
    report = delivery.table("events", events).load()
    found = {row["event_id"]: row["customer_id"] for row in delivery.rows("events")}
    assert found == {"E1": "C2", "E2": None, "E3": None, "E4": "C3", "E5": "C4"}
    repairs = delivery.repairs(report, "events")
    assert repairs["fill_customer", "customer_id"] == 2
    assert repairs["note_unresolved_customer", "customer_id"] == 2
    assert repairs["empty_orphan", "customer_id"] == 1


_PAIRS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20)


@given(pairs=_PAIRS)
def test_persons_do_not_depend_on_the_order_of_the_pairs_and_partition_the_customers(
    pairs: list[tuple[int, int]],
) -> None:
    def persons(order: list[tuple[int, int]]) -> dict[str, str]:
        left, right = (pa.chunked_array([[f"C{pair[side]:02d}" for pair in order]], pa.string()) for side in (0, 1))
        table = components(left, right)
        return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))

    found = persons(pairs)
    assert found == persons(pairs[::-1])
    for a, b in pairs:
        assert found[f"C{a:02d}"] == found[f"C{b:02d}"]
    for customer, person in found.items():
        assert person <= customer
        assert found[person] == person
