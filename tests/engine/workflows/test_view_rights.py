"""What each role gets from the questions that pages ask: what it may not see is refused, or is not in the answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.access import AccessSettings
from engine.config.load import changed, load
from engine.domain.access import SMALL_GROUP, Right, Role, Viewer
from engine.domain.errors import GroupTooSmall, NotAllowed, NotSignedIn, RefusedByPolicy, SettingsFault, UnknownName
from engine.domain.masks import mask
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations.gates import GATES
from engine.store import Store
from engine.workflows import personal, session
from engine.workflows.view import (
    access,
    audiences,
    customer,
    eligibility,
    exports,
    journeys,
    people,
    recommendations,
    risk,
    risk_lending,
    risk_watch,
    segments,
    selection,
    small_groups,
    today,
)
from tests.engine.ui import bank

VIEWERS = {role: Viewer(name="Ann", role=role) for role in Role}
SEES_RISK = (Role.OWNER, Role.RISK, Role.AUDITOR)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DRAFT = {"audience": "drawn", "name": "Drawn", "owner": "Ann", "rule": {"risk_tier": ["low"]}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return bank.make(tmp_path_factory.mktemp("rights"))


@pytest.fixture(scope="module")
def workspace(run: Run) -> Workspace:
    return Workspace(run.folder.parent.parent)


@pytest.mark.parametrize("role", Role)
def test_every_question_about_risk_is_answered_to_who_may_see_risk_and_to_nobody_else(
    run: Run, workspace: Workspace, role: Role
) -> None:
    viewer = VIEWERS[role]
    asked: list[Any] = [
        lambda: risk.tiers(viewer, run),
        lambda: risk.scores(viewer, run),
        lambda: risk_lending.answers(viewer, run),
        lambda: risk_watch.severities(viewer, run),
        lambda: segments.value_by_risk(viewer, run),
        lambda: journeys.funnel(viewer, run, "credit_card", "risk_tier"),
        lambda: customer.risk_answers(viewer, run, "C00001"),
        lambda: people.counted(workspace, run, selection.of("gate", gate="risk_tier", counted="all"), viewer),
    ]
    for question in asked:
        if role in SEES_RISK:
            question()
        else:
            with pytest.raises(NotAllowed):
                question()
    assert ("risk_tier" in journeys.breakdowns(viewer, run, "credit_card")) == (role in SEES_RISK)


def test_every_public_question_of_the_risk_page_asks_for_the_right() -> None:
    for module in (risk, risk_lending, risk_watch):
        own = [one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__]
        # an expression for a statement reads nothing
        asked = [one for one in own if callable(one) and one.__name__[0] != "_" and one is not risk_lending.answer]
        assert asked and all(hasattr(one, "__wrapped__") for one in asked)


@pytest.mark.parametrize("role", [Role.MARKETING, Role.PRODUCT, Role.ADMIN])
def test_who_may_not_see_risk_learns_of_a_customer_that_risk_blocks_and_not_why(
    run: Run, workspace: Workspace, role: Role
) -> None:
    whole = customer.find(VIEWERS[Role.OWNER], workspace, run, "C00001")
    part = customer.find(VIEWERS[role], workspace, run, "C00001")
    assert whole is not None and part is not None and whole.risk is not None
    assert (part.risk, part.eligibility) == (None, whole.eligibility)
    assert part.eligibility in ("open", "blocked")
    assert whole.decisions is not None and part.decisions is not None
    known = recommendations.gates(VIEWERS[role], run)
    assert "risk" in set(known["gate"]) and not {"risk_tier", "affordability"} & set(known["gate"])
    bits = {row["gate"]: 1 << row["bit"] for row in known.to_dict("records")}
    both = whole.decisions.merge(part.decisions, on="product_id", suffixes=("", "_part"))
    of_risk = eligibility.mask_of(run)
    for row in both.to_dict("records"):
        assert bool(row["refused_mask"] & of_risk) == bool(row["refused_mask_part"] & bits["risk"])
        assert row["refused_mask"] & ~of_risk == row["refused_mask_part"] & ~bits["risk"]
    if part.offers is not None:
        assert not set(eligibility.OF_OFFERS) & set(part.offers.columns)


def test_the_one_gate_of_risk_counts_whom_any_gate_of_risk_refused(run: Run, workspace: Workspace) -> None:
    rows = run.read("decisions", columns=["customer_id", "refused_mask"]).to_pandas()
    of_risk = eligibility.mask_of(run)
    refused = rows[(rows["refused_mask"] & of_risk) != 0]
    viewer = VIEWERS[Role.MARKETING]
    one = recommendations.gates(viewer, run).set_index("gate").loc["risk"]
    assert one["refused_pairs"] == len(refused)
    assert one["customers"] == refused["customer_id"].nunique()
    assert one["refused_only_by_this"] == int(((refused["refused_mask"] & ~of_risk) == 0).sum())
    for counted, column in (("all", "refused_pairs"), ("only", "refused_only_by_this")):
        mark = selection.of("gate", gate="risk", counted=counted)
        assert people.counted(workspace, run, mark, viewer).rows == one[column]
    with pytest.raises(NotAllowed):
        people.counted(workspace, run, selection.of("gate", gate="risk_tier", counted="all"), viewer)


def test_lists_of_customers_are_for_who_may_see_customers(run: Run, workspace: Workspace) -> None:
    bar = selection.of("journey_step", journey="credit_card", step=1, outcome="reached", breakdown="all", group="all")
    for role in Role:
        if VIEWERS[role].may(Right.SEE_CUSTOMERS):
            assert len(people.page(workspace, run, bar, VIEWERS[role]))
            assert customer.some(VIEWERS[role], run)
        else:
            with pytest.raises(NotAllowed):
                people.page(workspace, run, bar, VIEWERS[role])
            with pytest.raises(NotAllowed):
                customer.some(VIEWERS[role], run)


def test_an_audience_by_risk_is_built_by_who_may_see_risk_whatever_it_hides_behind(
    run: Run, workspace: Workspace
) -> None:
    rules: list[dict[str, Any]] = [
        {"risk_tier": ["low"]},
        {"all": [{"event": ["login"]}, {"not": {"risk_tier": ["high"]}}]},
        {"segmentation": "risk_tier", "group": ["low"]},
        {"feature": "bureau_delinquencies_12m", "at_least": 1},
    ]
    for rule in rules:
        for role in (Role.MARKETING, Role.PRODUCT, Role.ADMIN):
            with pytest.raises(NotAllowed):
                audiences.tried(VIEWERS[role], workspace.home, DRAFT | {"rule": rule}, run)
            with pytest.raises(NotAllowed):
                audiences.save(VIEWERS[role], workspace.home, DRAFT | {"rule": rule})
    assert audiences.tried(VIEWERS[Role.RISK], workspace.home, DRAFT, run)["members"] > 0
    told = audiences.choices(VIEWERS[Role.MARKETING], run, workspace)
    assert not told.by_risk and "bureau_delinquencies_12m" not in told.features


def test_what_left_is_seen_by_who_asks_for_it_approves_it_or_answers_for_it(workspace: Workspace) -> None:
    with pytest.raises(NotAllowed):
        exports.handed(VIEWERS[Role.PRODUCT], workspace.home)
    assert exports.handed(VIEWERS[Role.AUDITOR], workspace.home) == (0, ())


def test_gates_of_risk_are_those_that_the_engine_counts_as_risk_and_what_somebody_can_repay() -> None:
    assert {one.name for one in GATES if one.kind in ("risk", "affordability")} | {"likely_to_default"} == set(
        eligibility.GATES_OF_RISK
    )


# Personal data


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("full_name", "Jane van Doe", "J*** v*** D***"),
        ("full_name", "何伟梅", "何***"),
        ("email", "jane.doe@mail.example", "j***@***"),
        ("email", "a@b", "***"),
        ("phone", "+86107369492", "***92"),
        ("phone", "110", "***"),
        ("birth_date", "1982-02-28", "***"),
        ("cookie", "ck0001", "***"),
    ],
)
def test_masked_value_is_recognised_and_no_more(field: str, value: str, left: str) -> None:
    assert mask(field, value) == left


def test_personal_data_are_masked_by_role(run: Run, workspace: Workspace) -> None:
    def fields(role: Role) -> dict[str, str]:
        found = customer.find(VIEWERS[role], workspace, run, "C00001")
        assert found is not None and "full_name" not in found.record and "birth_date" not in found.record
        return {one.field: one.value for one in found.personal}

    assert fields(Role.PRODUCT) == {}
    assert set(fields(Role.MARKETING)) == set(fields(Role.ADMIN)) == {"full_name"}
    assert set(fields(Role.RISK)) >= {"full_name", "birth_date"}
    assert all("***" in value for role in Role for value in fields(role).values())


def test_revealing_writes_who_and_why_before_it_shows_anything(workspace: Workspace) -> None:
    found = personal.reveal(VIEWERS[Role.RISK], workspace, "C00001", "complaint", " case  17 ")
    assert {one.field for one in found} >= {"full_name", "birth_date"}
    with Store(session.database_url(workspace)) as store:
        (entry,) = store.audit_trail(action=personal.ACTION)
    assert (entry.actor, entry.subject) == ("Ann", "customer:C00001")
    assert entry.details["reason"] == "complaint" and entry.details["note"] == "case 17"
    assert not any(one.value in str(entry.details) for one in found), "the trail holds no personal data"


def test_nothing_is_revealed_without_the_right_or_a_reason(workspace: Workspace) -> None:
    with pytest.raises(NotAllowed):
        personal.reveal(VIEWERS[Role.MARKETING], workspace, "C00001", "complaint")
    with pytest.raises(UnknownName):
        personal.reveal(VIEWERS[Role.RISK], workspace, "C00001", "curious")
    with pytest.raises(RefusedByPolicy, match="told in words"):
        personal.reveal(VIEWERS[Role.RISK], workspace, "C00001", "other", "  ")


def test_nothing_is_revealed_where_the_trail_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, workspace: Workspace, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAYLINE_DATABASE_URL", f"sqlite:///{tmp_path}/no/such/folder/wayline.db")
    with pytest.raises(Exception, match=r".+"):
        personal.reveal(VIEWERS[Role.RISK], workspace, "C00001", "complaint")


# Sign-in


def rules(**values: Any) -> AccessSettings:
    given = {"mode": "oidc", "roles": {"marketing": ["wl-m"], "risk": ["wl-r", "wl-c"]}, **values}
    return changed(load(AccessSettings, "access"), given, "test")


def claims(**values: Any) -> dict[str, Any]:
    person = {"iat": NOW.timestamp() - 60, "email": "ann@bank.example", "groups": ["wl-m"]}
    return {"is_logged_in": True, **person, **values}


def test_role_follows_from_the_groups_of_the_sign_in() -> None:
    assert access.signed_in(rules(), claims(), None, NOW) == Viewer(name="ann@bank.example", role=Role.MARKETING)
    both = claims(groups=["x", "wl-c", "wl-m"])
    assert access.roles_of(rules(), both, NOW) == (Role.MARKETING, Role.RISK)
    assert access.signed_in(rules(), both, "risk", NOW).role is Role.RISK
    assert access.signed_in(rules(), claims(), "risk", NOW).role is Role.MARKETING, "a role is not chosen, it is held"
    nested = claims(groups=None, realm_access={"roles": ["wl-r"]})
    assert access.signed_in(rules(claim="realm_access.roles"), nested, None, NOW).role is Role.RISK


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_logged_in": False}, "signed_out"),
        ({"iat": (NOW - timedelta(hours=13)).timestamp()}, "expired"),
        ({"iat": None}, "expired"),
        ({"groups": ["wl"]}, "no_role"),
        ({"groups": None}, "no_role"),
        ({"groups": {"wl-m": True}}, "no_role"),
        ({"email": None}, "no_name"),
        ({"email_verified": False}, "no_name"),
    ],
)
def test_nobody_gets_in_without_a_fresh_sign_in_a_role_and_a_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotSignedIn) as fault:
        access.signed_in(rules(), claims(**changes), None, NOW)
    assert fault.value.reason == reason


def test_settings_of_access_that_let_nobody_in_or_make_an_owner_are_refused() -> None:
    with pytest.raises(SettingsFault, match="nobody would get in"):
        rules(roles={"marketing": [], "risk": []})
    with pytest.raises(SettingsFault, match="owner"):
        rules(roles={"owner": ["wl-o"]})
    with pytest.raises(SettingsFault):
        rules(roles={"auditors": ["wl-o"]})


def test_settings_say_local_mode_and_the_owner_where_nothing_is_said(tmp_path: Path) -> None:
    found = access.settings(Workspace(tmp_path))
    assert (found.mode, found.local_role) == ("local", Role.OWNER)


def test_answers_differ_by_role_alone() -> None:
    frame = pd.DataFrame({"product_id": ["loan"], "expected_value_minor": [5.0], "annual_rate": [0.1], "track": ["x"]})
    told = eligibility.offers(VIEWERS[Role.MARKETING], frame, frozenset({"loan"}))
    assert list(told.columns) == ["product_id", "expected_value_minor"] and told["expected_value_minor"].isna().all()


# Small groups


def test_where_one_count_is_small_all_are_rounded_and_nothing_follows_from_the_rest() -> None:
    rows = pd.DataFrame({"group": ["a", "b", "c"], "n": [123, 24, 3], "m": [15, 0, 44]})
    told = small_groups.rounded(VIEWERS[Role.PRODUCT], rows, ("n", "m"))
    assert told["n"].tolist() == [120, 20, 0] and told["m"].tolist() == [20, 0, 40]
    assert small_groups.is_rounded(told) and told["group"].tolist() == ["a", "b", "c"]
    for role in (Role.OWNER, Role.RISK, Role.AUDITOR):
        assert small_groups.rounded(VIEWERS[role], rows, ("n", "m")) is rows
    large = rows.assign(n=[123, 24, 10])
    assert small_groups.rounded(VIEWERS[Role.PRODUCT], large, ("n", "m")) is large, "nothing small, nothing rounded"
    assert not small_groups.is_rounded(large)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_no_count_that_is_told_names_a_small_group(counts: list[int]) -> None:
    rows = pd.DataFrame({"n": counts})
    told = small_groups.rounded(VIEWERS[Role.MARKETING], rows, ("n",))["n"].tolist()
    assert not any(0 < count < SMALL_GROUP for count in told)
    assert all(abs(one - count) <= SMALL_GROUP / 2 for one, count in zip(told, counts, strict=True))


def test_funnel_of_small_groups_is_rounded_with_its_rates_for_who_may_not_see_them(run: Run) -> None:
    counts = ["customers", "continued", "dropped", "in_progress"]
    whole = journeys.funnel(VIEWERS[Role.OWNER], run, "credit_card", "cluster")
    assert ((whole[counts] > 0) & (whole[counts] < SMALL_GROUP)).any().any(), "the bank has such a group"
    told = journeys.funnel(VIEWERS[Role.MARKETING], run, "credit_card", "cluster")
    assert (told[counts] % SMALL_GROUP == 0).all().all() and small_groups.is_rounded(told)
    for _, group in told.groupby("group"):
        first = group["customers"].iloc[0]
        if first:
            assert (group["rate_from_first"] == group["customers"] / first).all()


def test_small_draft_small_tile_and_small_concern_are_not_told(run: Run, workspace: Workspace) -> None:
    few = DRAFT | {"rule": {"event": ["login"], "times_at_least": 1_000}}
    assert audiences.tried(VIEWERS[Role.MARKETING], workspace.home, few, run)["members"] == 0, "none is no small group"
    for count, told in ((0, 0), (9, None), (10, 10), (None, None)):
        assert small_groups.number(VIEWERS[Role.ADMIN], count) == told
        assert small_groups.number(VIEWERS[Role.AUDITOR], count) == count
    with pytest.raises(GroupTooSmall):
        small_groups.checked(VIEWERS[Role.MARKETING], 3)
    small_groups.checked(VIEWERS[Role.RISK], 3)
    seen = today.attention(VIEWERS[Role.MARKETING], workspace, run)
    assert not [one for one in seen if one.kind in ("journey_drop", "risk_held") and one.count < SMALL_GROUP]


def test_rows_that_too_few_stand_behind_are_left_out_and_that_is_told() -> None:
    rows = pd.DataFrame({"step": ["a", "b", "c"], "met": [40, 9, 0]})
    told = small_groups.without(VIEWERS[Role.MARKETING], rows, ("met",))
    assert told["step"].tolist() == ["a", "c"] and small_groups.left_out(told) == 1
    assert small_groups.without(VIEWERS[Role.RISK], rows, ("met",)) is rows and small_groups.left_out(rows) == 0
