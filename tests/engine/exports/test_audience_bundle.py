"""An audience's bundle is whole or not there, proves itself, and gives way to no change."""

from __future__ import annotations

import csv
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.config.exports import ExportFormat
from engine.domain.errors import CheckFailed, RefusedByPolicy, UnreadableSource
from engine.exports import audience_verify, signing
from engine.exports.audience_bundle import Outgoing
from engine.exports.manifest import MANIFEST, SUCCESS
from engine.exports.signing import SigningKey
from engine.lake.files import file_digest
from tests.engine.exports import audience_builders as builders

FORMATS: tuple[ExportFormat, ...] = ("jsonl", "csv", "parquet", "csv_spreadsheet")
ROWS = [builders.row(f"C{place}") for place in range(1, 8)]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return signing.create(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def bundle(tmp_path: Path, key: SigningKey) -> Path:
    builders.export(ROWS, tmp_path / "bundle", before=[builders.row("C9")], suppress=[("C5", "unsubscribed")], key=key)
    return tmp_path / "bundle"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_rows_give_the_same_bytes_and_a_bundle_that_proves_itself(
    file_format: ExportFormat, tmp_path: Path, key: SigningKey
) -> None:
    for name in ("one", "two", "one"):
        made = builders.export(ROWS, tmp_path / name, "generic", file_format, key=key)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    report = audience_verify.verify(tmp_path / "one", key.public)
    assert report.manifest == made
    assert (report.rows, report.signed_by) == (7, signing.key_id(key.public))
    assert report.content_checked is (file_format != "csv_spreadsheet")


def test_the_content_has_one_checksum_in_every_format(tmp_path: Path) -> None:
    found = {builders.export(ROWS, tmp_path / name, "generic", name).content_sha256 for name in FORMATS}
    assert len(found) == 1


def test_files_are_cut_by_rows_and_by_bytes_and_every_row_is_in_one(tmp_path: Path) -> None:
    rows = [builders.row(f"C{place:03d}", reason_text="x" * 400) for place in range(60)]
    limits = {"presets": {"generic": {"rows": 25, "bytes": 10_000}}}
    builders.export(rows, tmp_path / "bundle", "generic", "csv", **limits)
    parts = sorted((tmp_path / "bundle" / "add").iterdir())
    assert all(part.stat().st_size <= 10_000 for part in parts)
    ids = [line["external_id"] for part in parts for line in csv.DictReader(part.open(encoding="utf-8", newline=""))]
    assert ids == [row["external_id"] for row in rows]
    assert audience_verify.verify(tmp_path / "bundle").rows == 60


def test_who_cannot_be_written_is_rejected_with_a_code_and_counted_once(tmp_path: Path) -> None:
    """C2 has no address, C3 that of C1 with other capitals, C4 two formulas, and the plus of C5's number is none."""
    rows = [
        builders.row("C1"),
        builders.row("C2", email="nobody"),
        builders.row("C3", email=" c1@MAIL.example"),
        builders.row("C4", action_code="=cmd()", reason_text="@SUM(A1)"),
        builders.row("C5", reason_text="+8613800138000"),
    ]
    made = builders.export(rows, tmp_path / "bundle", "hubspot")
    assert (made.counts.exported, made.counts.rejected, made.counts.selected) == (2, 3, 2 + 3 + 2)
    lines = list(csv.DictReader((tmp_path / "bundle" / "errors.csv").open(encoding="utf-8")))
    assert [(line["row_number"], line["external_id"], line["column"], line["error_code"]) for line in lines] == [
        ("2", "C2", "email", "NO_EMAIL"),
        ("3", "C3", "email", "DUPLICATE_KEY"),
        ("4", "C4", "action_code", "FORMULA"),
        ("4", "C4", "reason_text", "FORMULA"),
    ]
    assert "+8613800138000" in builders.files(tmp_path / "bundle")["add/part-00001.csv"]


def test_an_id_that_is_a_formula_stands_in_no_file(tmp_path: Path) -> None:
    builders.export([builders.row("=1+1"), builders.row("C1")], tmp_path / "bundle")
    assert all(b"=1+1" not in content for content in contents(tmp_path / "bundle").values())


def test_a_person_whose_address_changed_goes_under_the_old_one_and_comes_in_under_the_new_one(tmp_path: Path) -> None:
    before = [builders.row("C1", email="old@mail.example", phone="+8613800138000")]
    made = builders.export([builders.row("C1")], tmp_path / "bundle", "hubspot", before=before, delta=True)
    files = builders.files(tmp_path / "bundle")
    assert "old@mail.example" in files["remove/part-00001.csv"]
    assert "c1@mail.example" in files["add/part-00001.csv"]
    assert (made.counts.added, made.counts.updated, made.counts.removed, made.counts.exported) == (1, 0, 1, 1)


def test_counts_that_do_not_add_up_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Outgoing:
        made = right(*arguments)
        return Outgoing(
            change=made.change, suppress=made.suppress, checked=made.checked, excluded=made.excluded, reasons={}
        )

    right = builders.outgoing
    monkeypatch.setattr(builders, "outgoing", wrong)
    with pytest.raises(CheckFailed, match="reasons do not add up"):
        builders.export(ROWS, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


# What somebody changed


def resealed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest as somebody would who knows the format, and has no key."""
    told = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(told)
    (folder / MANIFEST).write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / SUCCESS).write_text(file_digest(folder / MANIFEST), encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["counts"].update(exported=6),
        lambda told: told.update(expires_at="2027-07-30T23:59:59Z"),
        lambda told: told.update(approved_by="mallory"),
        lambda told: told.update(purpose="anything"),
        lambda told: told["audience"].update(verified_by=None),
        lambda told: told.update(prev_run_id="R0"),
        lambda told: told["files"].pop(),
        lambda told: told.update(content_sha256="0" * 64),
    ],
)
def test_a_manifest_that_was_changed_and_sealed_again_is_not_what_was_signed(
    change: Callable[[dict[str, Any]], None], bundle: Path
) -> None:
    resealed(bundle, change)
    with pytest.raises(CheckFailed, match="signature"):
        audience_verify.verify(bundle)


def test_a_bundle_signed_by_another_key_or_stripped_of_its_signature_is_found(
    bundle: Path, tmp_path: Path, key: SigningKey
) -> None:
    other = signing.create(tmp_path / "other")
    with pytest.raises(CheckFailed, match=f"signed by the key {signing.key_id(key.public)}"):
        audience_verify.verify(bundle, other.public)
    resealed(bundle, lambda told: told.update(signature=None))
    with pytest.raises(CheckFailed, match="not signed"):
        audience_verify.verify(bundle)
    resealed(bundle, lambda told: told.update(public_key=None))
    assert audience_verify.verify(bundle).signed_by is None
    with pytest.raises(CheckFailed, match="not signed"):
        audience_verify.verify(bundle, key.public)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told["counts"].update(selected=10), "selected = exclusions"),
        (lambda told: told["counts"].update(added=6, unchanged=1), "unchanged"),
        (lambda told: told["counts"].update(removed=2), "files of remove"),
        (lambda told: told.update(content_sha256="0" * 64), "content_sha256"),
        (lambda told: told["columns"]["add"][0].update(meaning="mine"), r"schema\.json"),
        (lambda told: told["files"][2].update(path="../outside.jsonl"), r"files\.2\.path"),
        (lambda told: told["files"][2].update(path="/etc/hostname"), r"files\.2\.path"),
        (lambda told: told["files"].append(told["files"][0]), "files of suppress"),
        (lambda told: told.update(contract="mine"), "contract"),
        (lambda told: told.update(extra=1), "extra"),
    ],
)
def test_an_unsigned_manifest_that_was_changed_is_found_where_it_contradicts_the_files(
    change: Callable[[dict[str, Any]], None], told: str, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    builders.export(ROWS, folder, before=[builders.row("C9")], suppress=[("C5", "unsubscribed")])
    resealed(folder, change)
    with pytest.raises(CheckFailed, match=told):
        audience_verify.verify(folder)


@pytest.mark.parametrize("name", ["add/part-00001.jsonl", "errors.csv", "schema.json", "README.txt", MANIFEST, SUCCESS])
def test_any_file_that_was_cut_changed_or_taken_out_is_found(name: str, bundle: Path, tmp_path: Path) -> None:
    content = (bundle / name).read_bytes()
    for made in (content[:-1], content[:-1] + b"~", b""):
        copy = tmp_path / "copy"
        shutil.copytree(bundle, copy)
        (copy / name).write_bytes(made)
        with pytest.raises(CheckFailed):
            audience_verify.verify(copy)
        (copy / name).unlink()
        with pytest.raises(CheckFailed):
            audience_verify.verify(copy)
        shutil.rmtree(copy)


def test_a_file_beside_a_link_and_a_stranger_are_found(bundle: Path) -> None:
    (bundle / "add" / "part-00002.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(CheckFailed, match="there but not listed"):
        audience_verify.verify(bundle)
    (bundle / "add" / "part-00002.jsonl").unlink()
    part = bundle / "add" / "part-00001.jsonl"
    part.rename(bundle.parent / "outside.jsonl")
    part.symlink_to(bundle.parent / "outside.jsonl")
    with pytest.raises(CheckFailed, match="is a link"):
        audience_verify.verify(bundle)


def test_a_folder_that_is_no_bundle_is_refused_in_a_sentence(tmp_path: Path) -> None:
    for content in (b"", b"[]", b"\xff\xfe", b'{"contract":"audience-export"}'):
        (tmp_path / MANIFEST).write_bytes(content)
        (tmp_path / SUCCESS).write_text(file_digest(tmp_path / MANIFEST), encoding="utf-8")
        with pytest.raises(CheckFailed):
            audience_verify.verify(tmp_path)


# Keys


def test_nobody_but_the_owner_reads_the_private_key_and_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    made = signing.create(tmp_path)
    private = tmp_path / signing.PRIVATE
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    opened = signing.opened(tmp_path)
    assert opened is not None
    assert opened.public == made.public == signing.public_from(tmp_path / signing.PUBLIC)
    private.chmod(0o640)
    with pytest.raises(RefusedByPolicy, match="can be read by others"):
        signing.opened(tmp_path)


def test_a_new_key_pair_keeps_the_old_public_key(tmp_path: Path) -> None:
    old, new = signing.create(tmp_path), signing.create(tmp_path)
    kept = tmp_path / f"export_ed25519-{signing.key_id(old.public)}.pub.pem"
    assert signing.public_from(kept) == old.public != new.public
    signing.check(old.public, old.sign(b"x"), b"x")
    with pytest.raises(CheckFailed):
        signing.check(new.public, old.sign(b"x"), b"x")


def test_a_file_that_is_no_key_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / signing.PRIVATE
    path.write_text("no key", encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(UnreadableSource, match="no private key"):
        signing.opened(tmp_path)
    with pytest.raises(UnreadableSource, match="no public key"):
        signing.public_from(path)
