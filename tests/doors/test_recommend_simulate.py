"""`wayline recommend simulate` on a run of a small bank: it agrees with the run, writes nothing, refuses the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main
from engine.lake.files import file_digest
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace

Ask = Callable[..., Any]
STRICT = """
[recommendations]
top_n = 2
[recommendations.gates]
max_debt_service_ratio = 0.2
min_expected_value_minor = 300
[recommendations.contact.caps.customer_month]
max_contacts = 3
"""


@pytest.fixture
def ask(small_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(policy: str, against: str | None = None, code: int = 0, *, shown: bool = False) -> Any:
        paths = [tmp_path / "policy.toml", tmp_path / "other.toml"]
        paths[0].write_text(policy, encoding="utf-8")
        more = ["--policy", str(paths[0])]
        if against is not None:
            paths[1].write_text(against, encoding="utf-8")
            more += ["--against", str(paths[1])]
        capsys.readouterr()
        command = ["recommend", "simulate", *more, "--home", str(small_home), *([] if shown else ["--json"])]
        assert main(command) == code, capsys.readouterr()
        told = capsys.readouterr().out
        return told if shown else json.loads(told)

    return asked


def _totals(found: Any) -> dict[str, Any]:
    return {one["measure"]: one for one in found["totals"]}


def test_first_policy_comes_out_as_the_run_wrote_it(ask: Ask, small_home: Path) -> None:
    found, run = ask(STRICT), latest_run(Workspace(small_home))
    gates = {row["gate"]: row["refused_pairs"] for row in run.read("gates").to_pylist()}
    assert {one["gate"]: one["refused_before"] for one in found["gates"]} == gates
    offers = run.read("recommendations").to_pylist()
    # who gave way to others of a household is not taken out here, and the answer says so
    assert (_totals(found)["offers"]["before"] == len(offers)) is (
        not any("gave way" in note for note in found["notes"])
    )
    assert _totals(found)["offers"]["before"] >= len(offers)
    assert found["customers"] == 300


def test_stricter_policy_reaches_fewer_and_every_part_adds_up(ask: Ask) -> None:
    found = ask(STRICT)
    totals, moves = _totals(found), found["moves"]["customers"]
    assert totals["offers"]["after"] < totals["offers"]["before"]
    assert totals["customers_reached"]["after"] <= totals["customers_reached"]["before"]
    assert all(one["change"] >= 0 for one in found["gates"])
    assert sum(moves.values()) == 300
    for part in ("products", "channels", "tracks"):
        for when in ("before", "after"):
            assert sum(one[f"offers_{when}"] for one in found[part]) == totals["offers"][when]
    for breakdown in ("value_tier", "risk_tier", "cluster"):
        of = [one for one in found["moves"]["by"] if one["breakdown"] == breakdown]
        assert sum(one["loses"] for one in of) == moves["loses"]
    assert [one["setting"] for one in found["changes"]] == [
        "contact.caps.customer_month.max_contacts",
        "gates.max_debt_service_ratio",
        "gates.min_expected_value_minor",
        "top_n",
    ]
    assert {one["factor"] for one in found["sensitivity"]} == {"propensity", "value", "loss", "contact", "lever"}
    assert sum(found["under_served"]["after"].values()) == 300


def test_nothing_is_written(ask: Ask, small_home: Path) -> None:
    before = {path: file_digest(path) for path in small_home.rglob("*") if path.is_file()}
    ask(STRICT)
    after = {path: file_digest(path) for path in small_home.rglob("*") if path.is_file()}
    assert before == after


def test_two_policies_of_files_are_compared_and_swapping_them_swaps_the_answer(ask: Ask) -> None:
    one, other = ask(STRICT, "[recommendations]\ntop_n = 1\n"), ask("[recommendations]\ntop_n = 1\n", STRICT)
    assert one["against"] == "other.toml"
    assert _totals(one)["offers"]["before"] == _totals(other)["offers"]["after"]
    assert one["moves"]["customers"]["gains"] == other["moves"]["customers"]["loses"]


def test_group_of_fewer_than_are_shown_is_left_out(ask: Ask) -> None:
    found = ask(STRICT)
    assert all(one["customers"] >= 10 for one in found["bias"])
    anything = {(one["attribute"], one["group"]): one for one in found["bias"] if one["product_id"] is None}
    women = anything["gender", "female"]
    # 300 customers: the ratio is the rate over that of everybody else
    assert women["rate_ratio_before"] == pytest.approx(_over_others(found, women, "before"))


def _over_others(found: Any, group: Any, when: str) -> float:
    reached = _totals(found)["customers_reached"][when]
    own = group[f"offer_rate_{when}"] * group["customers"]
    return float(group[f"offer_rate_{when}"] / ((reached - own) / (found["customers"] - group["customers"])))


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("[recommendations\n", "not valid TOML"),
        ("", "it sets nothing under [recommendations]"),
        ("[risk.gate]\nvalid_days = 3\n[recommendations]\ntop_n = 1\n", "[risk]: only [recommendations] can be tried"),
        ("[recommendations]\ntop_m = 1\n", "top_m: no such setting"),
        ("[recommendations.gates]\nmax_debt_service_ratio = 45\n", "max_debt_service_ratio = 45"),
        ("[recommendations]\ntop_n = 3\n", "it changes nothing"),
        (
            "[recommendations.training]\nridge = 1.0\n",
            "training.ridge: cannot be tried on a run: the run's models decide",
        ),
        ("[recommendations.contact.caps.sms_week]\ndays = 3\n", "contact.caps.sms_week.days: cannot be tried on a run"),
        (
            "[recommendations.contact_cost_minor]\nemail = 1\n[recommendations]\nhorizon_days = 30\n",
            "horizon_days: cannot be tried",
        ),
        ("[recommendations.gates]\nfairness = 'refuse'\n", "gates.fairness: cannot be tried on a run"),
    ],
)
def test_policy_that_cannot_be_tried_is_refused_with_a_sentence(ask: Ask, policy: str, told: str) -> None:
    assert told in ask(policy, code=2)["error"]["sentence"]


def test_missing_file_is_a_sentence(small_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["recommend", "simulate", "--policy", "nowhere.toml", "--home", str(small_home)]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


def test_people_read_changes_totals_and_who_loses(ask: Ask) -> None:
    told = ask(STRICT, shown=True)
    for part in ("top_n: 3 becomes 2", "customers reached", "affordability", "Who gains and who loses", "propensity"):
        assert part in told
