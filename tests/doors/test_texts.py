"""`wayline texts`: shown from a run, judged on texts held out, masked line by line."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from engine.cli import faults
from engine.cli.main import main
from engine.lake.runs import open_run
from engine.lake.workspace import Workspace


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == faults.OK
    return json.loads(capsys.readouterr().out)


def test_a_run_reads_every_text_and_the_simulated_banks_topics_nearly_without_error(
    small_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = _json(capsys, "texts", "show", "--home", str(small_home))
    assert facts["texts"] == facts["texts_read"] > 100
    assert sum(row["texts"] for row in facts["topics"]) == facts["texts_read"]
    run = open_run(Workspace(small_home), facts["run_id"])
    found = pq.read_table(run.folder / "text_contacts", columns=["interaction_id", "topic"]).to_pandas()
    true = pq.read_table(small_home / "curated" / "interactions", columns=["interaction_id", "topic"]).to_pandas()
    both = found.merge(true, on="interaction_id")
    assert (both["topic_x"] == both["topic_y"]).mean() > 0.9


def test_one_customer_is_told_with_the_newest_texts(small_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = open_run(Workspace(small_home))
    customers = pq.read_table(run.folder / "customer_texts", columns=["customer_id", "texts_read"]).to_pylist()
    who = max(customers, key=lambda row: row["texts_read"])
    facts = _json(capsys, "texts", "show", "--customer", who["customer_id"], "--home", str(small_home))
    assert facts["customer"]["texts_read"] == len(facts["newest"]) == who["texts_read"]
    assert facts["newest"][0]["topic"] == facts["customer"]["newest_topic"]
    assert main(["texts", "show", "--home", str(small_home)]) == faults.OK
    assert "What they write about" in capsys.readouterr().out
    assert main(["texts", "show", "--customer", "nobody", "--home", str(small_home)]) == faults.ERROR
    assert "customer" in capsys.readouterr().err


def test_error_rates_are_told_with_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    facts = _json(capsys, "texts", "evaluate")
    assert {(row["texts_of"], row["language"], row["question"]) for row in facts["error_rates"]} == {
        (name, language, question)
        for name in ("held out", "simulated bank")
        for language in ("en", "zh")
        for question in ("topic", "sentiment")
    }
    assert all(row["lower"] <= row["error_rate"] <= row["upper"] for row in facts["error_rates"])
    assert main(["texts", "evaluate"]) == faults.OK
    assert "error rate" in capsys.readouterr().out


def test_lines_are_masked_from_standard_input_and_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Call 13812345678\n我的邮箱a@b.cn\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode())))
    assert main(["texts", "mask", "--home", str(tmp_path)]) == faults.OK
    assert capsys.readouterr().out == "Call [phone]\n我的邮箱[email]\n"
    (tmp_path / "letters.txt").write_text(said, encoding="utf-8")
    facts = _json(capsys, "texts", "mask", str(tmp_path / "letters.txt"), "--home", str(tmp_path))
    assert facts["lines"] == ["Call [phone]", "我的邮箱[email]"]
    assert facts["kinds"] == {"email": 1, "phone": 1}


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), ("手机".encode("gb18030"), "not UTF-8")])
def test_a_file_that_cannot_be_read_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, told: str
) -> None:
    path = tmp_path / "letters.txt"
    if content is not None:
        path.write_bytes(content)
    assert main(["texts", "mask", str(path), "--home", str(tmp_path)]) == faults.ERROR
    assert told in capsys.readouterr().err
