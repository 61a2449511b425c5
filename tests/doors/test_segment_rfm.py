"""`wayline segment rfm` on files: scores against quintiles by hand, the forecast, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main

Rfm = Callable[..., dict[str, Any]]
COLUMNS = ("--customer", "client", "--time", "day", "--amount", "amount")


@pytest.fixture
def rfm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Rfm:
    def asked(path: Path, *words: object, columns: tuple[str, ...] = COLUMNS, code: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        command = ["segment", "rfm", str(path), *columns, *map(str, words), "--home", str(tmp_path / "home"), "--json"]
        assert main(command) == code, capsys.readouterr()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def written(text: str) -> Path:
        path = tmp_path / "sales.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def _shop(tmp_path: Path, customers: int = 200) -> Path:
    draw = np.random.default_rng(2)
    rows = []
    for at in range(customers):
        day, gap, size = draw.integers(0, 200), draw.gamma(1, 40) + 5, draw.gamma(4, 10)
        while day < 365:
            rows.append(
                (f"K{at:04d}", date(2025, 1, 1) + timedelta(days=int(day)), round(size * draw.gamma(5, 0.2), 2))
            )
            day += 1 + draw.exponential(gap)
            if draw.random() < 0.15:
                break
    path = tmp_path / "shop.csv"
    names = ("client", "day", "amount")
    table = pa.table({name: pa.array([row[place] for row in rows]) for place, name in enumerate(names)})
    pa_csv.write_csv(table, path)
    return path


def test_scores_of_five_customers_are_their_places(rfm: Rfm, write: Callable[[str], Path]) -> None:
    # last purchase 9, 7, 5, 3, 1 June; purchases 1, 2, 3, 4, 5 days; money 50, 40, 30, 20, 10, less 4 of c sent back
    rows = ["client,day,amount"]
    for place, name in enumerate("abcde"):
        last = 9 - 2 * place
        rows += [f"{name},2026-06-0{last},{50 - 10 * place - place}"]
        rows += [f"{name},2026-05-{10 + more},1" for more in range(place)]
    rows += ["c,2026-06-06,-4", "c,2026-06-05T18:30:00,0", "z,2026-06-07,-20"]
    found = rfm(write("\n".join(rows) + "\n"))
    assert found["as_of"] == "2026-06-09"
    assert found["customers"] == 5  # z only sent back, and never bought
    by = {row["customer_id"]: row for row in found["best"]}
    assert {name: row["rfm_cell"] for name, row in by.items()} == {
        "a": "5-1-5",
        "b": "4-2-4",
        "c": "3-3-3",
        "d": "2-4-2",
        "e": "1-5-1",
    }
    assert (by["c"]["recency_days"], by["c"]["purchases"], by["c"]["net_spend"]) == (4, 3, 26.0)
    assert found["lifetime"] is None
    assert "5 customers, 4 of them bought on more than one day" in found["notes"][0]


def test_quintiles_of_online_retail_are_those_by_hand(rfm: Rfm, real_data: Path, tmp_path: Path) -> None:
    path = real_data / "online_retail" / "online_retail_II_2009-2010.parquet"
    out = tmp_path / "scored.parquet"
    columns = ("--customer", "Customer ID", "--time", "InvoiceDate", "--amount", "Quantity*Price")
    found = rfm(path, "--out", out, "--holdout-from", "2010-09-01", columns=columns)
    lines = pd.read_parquet(path, columns=["Customer ID", "InvoiceDate", "Quantity", "Price"]).dropna()
    lines["day"] = pd.to_datetime(lines["InvoiceDate"]).dt.normalize()
    lines["amount"] = lines["Quantity"] * lines["Price"]
    bought = lines[lines["amount"] > 0]
    hand = bought.groupby("Customer ID").agg(last=("day", "max"), days=("day", "nunique"))
    hand["net"] = lines.groupby("Customer ID")["amount"].sum()
    hand["recency"] = (lines["day"].max() - hand["last"]).dt.days
    hand.index = hand.index.astype(int).astype(str)
    scored = pq.read_table(out).to_pandas().set_index("customer_id")
    hand = hand.loc[scored.index]
    # 4,383 customers in the file; 71 of them have no line with an amount above 0
    assert (found["customers"], lines["Customer ID"].nunique()) == (4_312, 4_383)
    assert found["purchases"] == int(hand["days"].sum())
    assert (scored["recency_days"] == hand["recency"]).all()
    assert (scored["purchases"] == hand["days"]).all()
    assert np.allclose(scored["net_spend"], hand["net"])
    for score, measure in (
        ("recency_score", -hand["recency"]),
        ("frequency_score", hand["days"]),
        ("monetary_score", hand["net"]),
    ):
        # the middle of the places that equal values share, as a share of all, in fifths
        middle = measure.rank(method="average") - 0.5
        assert (scored[score] == np.ceil(middle * 5 / len(hand)).astype(int)).all()
    # money is hardly ever equal, so the fifths are those that the textbook cuts
    cuts = np.quantile(hand["net"], [0.2, 0.4, 0.6, 0.8])
    plain = np.searchsorted(cuts, hand["net"], side="left") + 1
    assert (scored["monetary_score"] != plain).sum() <= 4
    errors = {(row["measure"], row["way"]): row for row in found["holdout"]["errors"]}
    for measure in ("purchases", "spend"):
        ours = errors[measure, "bg_nbd_gamma_gamma"]["mean_absolute_error"]
        assert ours < errors[measure, "mean"]["mean_absolute_error"]
        # a customer's own past does as well here within the interval
        lower, upper = errors[measure, "own_past_rate"]["better_95"]
        assert lower < 0 < upper


def test_forecast_is_told_with_its_error_and_written_for_everybody(rfm: Rfm, tmp_path: Path) -> None:
    out = tmp_path / "out" / "scored.csv"
    found = rfm(_shop(tmp_path), "--holdout-from", "2025-10-01", "--horizon-days", 90, "--margin", 0.3, "--out", out)
    written = pd.read_csv(out)
    assert len(written) == found["customers"] == sum(row["customers"] for row in found["cells"])
    assert written["lifetime_value"].sum() == pytest.approx(found["lifetime"]["lifetime_value"], rel=1e-4)
    assert written["alive_probability"].between(0, 1).all()
    assert sum(row["lifetime_value"] for row in found["cells"]) == pytest.approx(found["lifetime"]["lifetime_value"])
    held = found["holdout"]
    assert held["days"] == 92
    assert {(row["measure"], row["way"]) for row in held["errors"]} == {
        (measure, way) for measure in ("purchases", "spend") for way in ("bg_nbd_gamma_gamma", "mean", "own_past_rate")
    }
    for row in held["errors"]:
        assert row["error_95"][0] < row["mean_absolute_error"] < row["error_95"][1]
    half = rfm(_shop(tmp_path), "--horizon-days", 90, "--margin", 0.15)["lifetime"]["lifetime_value"]
    assert half == pytest.approx(found["lifetime"]["lifetime_value"] / 2)


def test_the_order_of_rows_changes_nothing(rfm: Rfm, tmp_path: Path) -> None:
    path = _shop(tmp_path)
    first = rfm(path)
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    again = rfm(path)
    assert (again["lifetime"], again["cells"], again["best"]) == (first["lifetime"], first["cells"], first["best"])


def test_returns_are_counted_off_left_out_or_refused(rfm: Rfm, write: Callable[[str], Path]) -> None:
    path = write("client,day,amount\na,2026-01-01,10\na,2026-01-02,-3\nb,2026-01-05,4\n")
    assert rfm(path)["best"][0]["net_spend"] == 7
    assert rfm(path, "--returns", "ignore")["best"][0]["net_spend"] == 10
    refused = rfm(path, "--returns", "refuse", code=2)["error"]["sentence"]
    assert '"amount": 1 of 3 amounts are below 0' in refused


def test_one_customer_is_scored_in_the_middle_without_a_forecast(rfm: Rfm, write: Callable[[str], Path]) -> None:
    found = rfm(write("client,day,amount\na,2026-01-01,10\n"))
    assert [row["rfm_cell"] for row in found["cells"]] == ["3-3-3"]
    assert found["lifetime"] is None


@pytest.mark.parametrize(
    ("text", "words", "code", "said"),
    [
        ("", (), 1, "the file is empty"),
        ("client,day,amount\n", (), 1, "has no rows"),
        ("clent,day,amount\na,2026-01-01,1\n", (), 2, 'Unknown customer column of sales.csv "client". Known: clent'),
        ("client,day,amount\na,soon,1\nb,later,2\n", (), 1, '2 of 2 times in "day" cannot be read, the first in row 1'),
        ("client,day,amount\na,2026-01-01,1\nb,2026-01-01,£12\n", (), 2, '"amount": 1 of 2 values are no numbers'),
        ("client,day,amount\na,2026-01-01,\n", (), 1, "no row of sales.csv has a customer, a time and an amount"),
        ("client,day,amount\na,2026-01-01,-5\n", (), 1, "no amount above 0"),
        ("client,day,amount\na,2026-01-02,5\n", ("--as-of", "2026-01-01"), 1, "no amount above 0 up to 2026-01-01"),
        ("client,day,amount\na,2026-01-02,5\n", ("--holdout-from", "2026-02-01"), 1, "the data end on 2026-01-02"),
        ("client,day,amount\na,2026-01-02,5\n", ("--holdout-from", "soon"), 2, '"soon" is no date'),
        ("client,day,amount\na,2026-01-02,5\n", ("--margin", "30"), 2, "for 30 % write 0.3"),
        ("client,day,amount\na,2026-01-02,5\n", ("--horizon-days", "0"), 2, "expected 1 to 36500"),
        ("client,day,amount\na,2026-01-02,5\n", ("--out", "scores.xlsx"), 2, "written as .csv or .parquet"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(  # noqa: PLR0917
    rfm: Rfm, write: Callable[[str], Path], text: str, words: tuple[str, ...], code: int, said: str
) -> None:
    assert said in rfm(write(text), *words, code=code)["error"]["sentence"]


def test_a_file_of_a_million_columns_is_refused_before_it_is_read(rfm: Rfm, write: Callable[[str], Path]) -> None:
    for columns, said in ((1_000_000, "line 1 is longer than"), (20_000, "more than 10,000 columns")):
        wide = ",".join(["client", "day", "amount", *(f"c{at}" for at in range(columns))])
        assert said in rfm(write(f"{wide}\n"), code=1)["error"]["sentence"]


def test_a_missing_file_is_named(rfm: Rfm, tmp_path: Path) -> None:
    assert "no such file" in rfm(tmp_path / "nothing.csv", code=1)["error"]["sentence"]
