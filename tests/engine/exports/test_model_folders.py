"""A model's folder is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.errors import CheckFailed, RefusedByPolicy, UnreadableSource
from engine.exports import model_folders


def test_a_write_that_fails_leaves_the_older_model_and_nothing_else(tmp_path: Path) -> None:
    model_folders.write(tmp_path / "m", {"model.json": '{"a": 1}'})
    with pytest.raises(FileNotFoundError):
        # the second file cannot be written, as on a full disk
        model_folders.write(tmp_path / "m", {"model.json": '{"a": 2}', "no/such/folder": ""})
    assert model_folders.read(tmp_path / "m")[0] == {"a": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["m"]


def test_what_a_killed_write_left_behind_is_no_model_and_is_swept(tmp_path: Path) -> None:
    building = tmp_path / "_building-m"
    building.mkdir()
    (building / "model.json").write_text("{")
    with pytest.raises(UnreadableSource, match="half of one"):
        model_folders.read(building)
    model_folders.write(tmp_path / "m", {"model.json": "{}"})
    assert [one.name for one in tmp_path.iterdir()] == ["m"]


def test_same_files_give_the_same_bytes_and_a_missing_one_is_told(tmp_path: Path) -> None:
    for name in ("a", "b"):
        model_folders.write(tmp_path / name, {"model.json": "{}", "card.md": "x"})
    assert (tmp_path / "a" / "_SUCCESS").read_bytes() == (tmp_path / "b" / "_SUCCESS").read_bytes()
    (tmp_path / "a" / "card.md").unlink()
    with pytest.raises(CheckFailed, match=r"card\.md is missing"):
        model_folders.read(tmp_path / "a")


def test_folder_with_the_manifest_of_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text('{"run_id": "2026"}')
    with pytest.raises(RefusedByPolicy):
        model_folders.write(tmp_path / "run", {"model.json": "{}"})
