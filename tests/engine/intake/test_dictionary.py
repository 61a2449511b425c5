"""The data dictionary that ships says what the contracts say, in both languages."""

from pathlib import Path

import pytest

from engine.domain.curated import CURATED
from engine.intake import dictionary

DATA = Path(__file__).parents[3] / "data"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_shipped_dictionary_is_the_rendered_one(language):
    assert (DATA / f"dictionary.{language}.md").read_text(encoding="utf-8") == dictionary.render(language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_column_of_every_table_has_a_line(language):
    lines = dictionary.render(language).splitlines()
    assert sum(line.startswith("| `") for line in lines) == sum(len(table.columns) for table in CURATED.values())


def test_line_states_type_need_range_and_meaning():
    line = next(line for line in dictionary.render("en").splitlines() if line.startswith("| `satisfaction_score`"))
    assert line == "| `satisfaction_score` | whole number | may be empty | 1 to 5 | 1 very unhappy to 5 very happy |"


def test_writing_gives_both_files(tmp_path):
    dictionary.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dictionary.en.md", "dictionary.zh.md"]
