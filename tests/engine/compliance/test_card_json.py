"""A model card read back from JSON is the same card, what is undefined included."""

from datetime import date
from math import isnan, nan

import pytest

from engine.compliance.model_card import Approval, Data, ModelCard, Moved
from engine.domain.errors import ModelSpoilt

DATA = Data(
    file="loans.csv",
    checksum="a" * 64,
    rows=10,
    known=9,
    bads=2,
    target="status",
    bad_values=("default",),
    period=(date(2024, 1, 1), date(2024, 12, 31)),
    kinds={"number": 2},
    left_out=(("id", ("it tells rows apart", "仅区分各行")),),
    read_as_missing=(),
)
CARD = ModelCard(
    data=DATA,
    champion="scorecard",
    champion_reasons=(("simple", "简单"),),
    cut_off=600,
    scale={"base": 600.0},
    points=[{"characteristic": "debt", "points": 12, "bad_rate": None}],
    dropped=(),
    meanings={},
    flagged=(),
    trials=(),
    calibration=(),
    tiers=(),
    moved=(Moved(name="score", index=nan, limit=0.1),),
    fairness=None,
    rejects=None,
    limits=(),
    settings={},
    regimes=(),
    approvals=(),
    version="0.1.0",
)


def test_a_card_comes_back_as_it_was_written_and_takes_the_approvals_that_came_since() -> None:
    back = ModelCard.from_json(CARD.to_json(), "m/card.json")
    assert isnan(back.moved[0].index)
    assert (back.data, back.points, back.champion_reasons) == (CARD.data, CARD.points, CARD.champion_reasons)
    assert back.to_json() == CARD.to_json()
    said = Approval(by="bob", on=date(2026, 7, 1), decision="approved", note="report 12")
    assert back.approved((said,)).approvals == (said,)


@pytest.mark.parametrize("text", ["{}", "[", CARD.to_json().replace('"cut_off": 600', '"cut_off": "high"')])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ModelSpoilt, match=r"m/card\.json .*not written as this version"):
        ModelCard.from_json(text, "m/card.json")
