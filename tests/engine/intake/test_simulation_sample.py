"""The sample that ships is what the code makes, and small."""

from pathlib import Path

from engine.intake.simulation import sample

SHIPPED = Path(__file__).parents[3] / "data" / "sample"


def test_sample_is_what_the_code_makes_to_the_byte(tmp_path):
    names = sample.write(tmp_path)
    assert {path.name for path in SHIPPED.iterdir()} == set(names)
    assert [name for name in names if (tmp_path / name).read_bytes() != (SHIPPED / name).read_bytes()] == []


def test_sample_is_smaller_than_2_mb_and_has_every_table():
    sizes = {path.stem: path.stat().st_size for path in SHIPPED.glob("*.csv")}
    assert sum(sizes.values()) < 2_000_000
    assert len(sizes) == 15
