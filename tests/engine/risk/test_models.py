"""The four models behind one interface: written down exactly, refused when changed, calm with odd values."""

from __future__ import annotations

import functools
import json

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import ModelSpoilt, NotEnoughData, UnknownName
from engine.risk import models, sealing
from engine.risk.challengers.training import Training
from engine.risk.models import DefaultModel
from tests.engine.risk.lenders import training

NAMES = ("scorecard", "glass_box", "monotone_boosting", "random_forest")


@functools.cache
def _fitted(name: str) -> DefaultModel:
    return models.fit(name, _rows())


@functools.cache
def _rows() -> Training:
    return training()


def test_there_are_four_models_the_simplest_first() -> None:
    assert tuple(models.KINDS) == NAMES
    with pytest.raises(UnknownName, match="scorecard"):
        models.fit("scorecart", _rows())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_read_back_from_json_gives_the_same_probabilities_to_the_last_bit(name: str) -> None:
    model, rows = _fitted(name), _rows()
    read = models.read(json.loads(json.dumps(models.document(model))), "model.json")
    given = model.default_probability(rows.columns, rows.rows)
    assert (read.default_probability(rows.columns, rows.rows) == given).all()
    assert (read.name, read.inputs, dict(read.directions)) == (name, model.inputs, dict(model.directions))
    assert 0 < given.min() < rows.bad.mean() < given.max() < 1


@pytest.mark.parametrize("name", NAMES)
def test_a_second_fit_writes_the_very_same_document(name: str) -> None:
    again, first = (models.document(model) for model in (models.fit(name, training()), _fitted(name)))
    # the checksum is over all that is written: whole documents are too long to show apart
    assert again["checksum"] == first["checksum"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_values_get_a_probability(name: str) -> None:
    model = _fitted(name)
    odd = {
        "use": pa.chunked_array([pa.array([np.nan, np.inf, -np.inf, None, 1e300])]),
        "line": pa.chunked_array([pa.array([-9.0, -8.0, None, 5.0, -7.0])]),
        "job": pa.chunked_array([pa.array(["clerk", "astronaut", None, "none", ""])]),
        "noise": pa.chunked_array([pa.nulls(5, pa.float64())]),
    }
    given = model.default_probability(odd, 5)
    assert ((given > 0) & (given < 1)).all()
    # a column that is not there is a column of gaps
    assert (
        model.default_probability({}, 2) == model.default_probability({k: _gaps(v) for k, v in odd.items()}, 2)
    ).all()


def _gaps(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(2, column.type)])


@pytest.mark.parametrize("name", ["scorecard", "glass_box"])
def test_contributions_add_up_to_the_probability(name: str) -> None:
    model, rows = _fitted(name), _rows()
    parts = model.contributions(rows.columns, rows.rows)
    assert parts is not None and parts.names == tuple(one for one in parts.names)
    given = model.default_probability(rows.columns, rows.rows)
    assert 1 / (1 + np.exp(parts.log_odds())) == pytest.approx(given, abs=1e-12)
    assert (parts.lost() >= 0).all() and (parts.lost().min(axis=0) == 0).all()
    assert (parts.missing[:, parts.names.index("use")] == rows.columns["use"].is_null().to_numpy()).all()


@pytest.mark.parametrize("name", ["monotone_boosting", "random_forest"])
def test_a_model_that_is_no_sum_gives_no_contributions(name: str) -> None:
    assert _fitted(name).contributions(_rows().columns, _rows().rows) is None


@pytest.mark.parametrize("name", NAMES)
def test_one_class_only_is_no_model(name: str) -> None:
    rows = _rows()
    with pytest.raises(NotEnoughData, match="0 of 3000 rows are bad"):
        models.fit(name, Training(columns=rows.columns, bad=np.zeros(rows.rows, dtype=bool), settings=rows.settings))


def test_a_changed_document_is_refused() -> None:
    document = models.document(_fitted("glass_box"))
    for spoilt, said in (
        ({**document, "content": {**document["content"], "baseline": -2.0}}, "checksum"),
        ({**document, "name": "scorecard"}, "checksum"),
        ({**document, "version": 2}, "version 2"),
        ({"name": "glass_box"}, "not a model"),
        ([], "not a model"),
        (sealing.sealed("oracle", {}), 'called "oracle"'),
        (sealing.sealed("glass_box", {"baseline": -2.0}), "not shaped like a glass box"),
    ):
        with pytest.raises(ModelSpoilt, match=said):
            models.read(spoilt, "model.json")


def test_learned_directions_are_those_planted_and_noise_has_none() -> None:
    assert _rows().directions == {"use": 1, "line": -1, "noise": 0}


def test_a_given_direction_counts_for_more_than_the_learned_one() -> None:
    rows = _rows()
    given = Training(columns=rows.columns, bad=rows.bad, settings=rows.settings, monotone={"noise": 1, "job": 1})
    assert given.directions == {"use": 1, "line": -1, "noise": 1}
