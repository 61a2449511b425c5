"""What holds of every export of an audience, whoever is in it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.exports import ExportFormat
from engine.exports import audience_verify, members, normalise, plain_text
from tests.engine.exports import audience_builders as builders

_ID = st.integers(0, 12).map(lambda number: f"C{number:02d}")
_text = st.none() | st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=8)
_row = st.fixed_dictionaries(
    {
        "action_code": st.sampled_from([None, "loan", "card"]),
        "reason_text": _text,
        "valid_to": st.sampled_from(["2026-07-02T00:00:00Z", "2026-07-10T00:00:00Z", "2026-07-30T23:59:59Z"]),
        "email": st.sampled_from([None, "a@mail.example", "b@mail.example", "x"]),
    }
)
_members = st.dictionaries(_ID, _row, max_size=10).map(
    lambda found: [builders.row(customer, **changes) for customer, changes in sorted(found.items())]
)
_FORMATS: tuple[ExportFormat, ...] = ("jsonl", "csv", "parquet")


def _held(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "add").glob("*"))
    lines = [json.loads(line, parse_float=Decimal) for path in paths for line in path.open("rb")]
    return [{name: value for name, value in one.items() if name != "op"} for one in lines]


def _removed(folder: Path) -> set[str]:
    return {json.loads(line)["external_id"] for path in (folder / "remove").glob("*") for line in path.open("rb")}


@given(old=_members, new=_members)
@settings(max_examples=25, deadline=None)
def test_a_delta_applied_to_what_is_held_gives_what_a_full_export_gives(
    old: list[dict[str, Any]], new: list[dict[str, Any]]
) -> None:
    """To the last compared column; and a row that was not sent again holds neither longer nor 7 days less."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        builders.export(old, folder / "old")
        builders.export(new, folder / "new")
        held = {row["external_id"]: row for row in _held(folder / "old")}
        full = {row["external_id"]: row for row in _held(folder / "new")}
        made = builders.export(new, folder / "delta", before=list(held.values()), delta=True)
        gone = _removed(folder / "delta")
        assert gone <= set(held)
        applied = {key: row for key, row in held.items() if key not in gone}
        applied |= {row["external_id"]: row for row in _held(folder / "delta")}
        assert audience_verify.verify(folder / "delta").manifest == made
    assert set(applied) == set(full)
    compared = [one.name for one in members.COLUMNS if one.compared]
    for key, row in applied.items():
        assert [row[name] for name in compared] == [full[key][name] for name in compared]
        assert row["valid_to"] <= full[key]["valid_to"]
    assert made.counts.exported == len(full)


@given(rows=_members, before=_members, name=st.sampled_from(["generic", "hubspot", "klaviyo", "sfmc_de", "braze_csv"]))
@settings(max_examples=25, deadline=None)
def test_counts_add_up_and_nobody_is_lost(rows: list[dict[str, Any]], before: list[dict[str, Any]], name: str) -> None:
    with TemporaryDirectory() as folder:
        made = builders.export(rows, Path(folder) / "bundle", name, before=before, delta=True)
        report = audience_verify.verify(Path(folder) / "bundle")
    counts = made.counts
    assert counts.selected == len(rows) + 2  # two have no consent
    assert counts.exported + counts.rejected == len(rows)
    assert report.rows == counts.added + counts.updated + counts.removed


@given(rows=_members, before=_members)
@settings(max_examples=15, deadline=None)
def test_the_content_has_one_checksum_whatever_the_format_and_the_size_of_the_files(
    rows: list[dict[str, Any]], before: list[dict[str, Any]]
) -> None:
    with TemporaryDirectory() as folder:
        found = {
            builders.export(
                rows,
                Path(folder) / f"{name}{size}",
                "generic",
                name,
                before=before,
                presets={"generic": {"rows": size}},
            ).content_sha256
            for name in _FORMATS
            for size in (2, 1000)
        }
    assert len(found) == 1


@given(texts=st.lists(_text, max_size=20), most=st.integers(4, 12))
@settings(max_examples=60, deadline=None)
def test_a_cut_text_is_a_beginning_of_its_own_within_the_limit(texts: list[str | None], most: int) -> None:
    column = pa.array(texts, pa.string())
    short, count = plain_text.cut(column, most)
    for before, after in zip(texts, short.to_pylist(), strict=True):
        assert (after is None) is (before is None)
        assert before is None or (before.startswith(after) and len(after.encode()) <= most)
    assert count == sum(text is not None and len(text.encode()) > most for text in texts)


@given(sizes=st.lists(st.integers(1, 40), max_size=30), most_rows=st.integers(1, 8), most_bytes=st.integers(1, 100))
@settings(max_examples=60, deadline=None)
def test_parts_hold_every_row_once_within_their_limits(sizes: list[int], most_rows: int, most_bytes: int) -> None:
    parts = plain_text.parts_by_bytes(sizes, most_rows, most_bytes)
    assert [place for start, length in parts for place in range(start, start + length)] == list(range(len(sizes)))
    for start, length in parts:
        assert 1 <= length <= most_rows
        assert length == 1 or sum(sizes[start : start + length]) <= most_bytes


@given(number=st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), blanks=st.integers(1, 4))
def test_a_number_is_the_same_however_it_is_spaced(number: str, blanks: int) -> None:
    spaced = " ".join(number[place : place + blanks] for place in range(0, len(number), blanks))
    assert normalise.phone(pa.array([spaced, f"00{number[1:]}"])).to_pylist() == [number, number]
