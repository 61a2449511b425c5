"""A bundle: everything a decision needs beside the customers, frozen, and written to JSON and back without loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.allocation import Prices
from engine.recommendations.boosted import BoostedTrees
from engine.recommendations.calibration import Calibration
from engine.recommendations.candidates import Ease, GroupPopularity, PairRules, Popularity
from engine.recommendations.channels import ChannelResponses
from engine.recommendations.explain import Phrases
from engine.recommendations.explore import Evidence
from engine.recommendations.grouping import Grouping
from engine.recommendations.implicit_models import Als, ItemKnn
from engine.recommendations.offered import Offers
from engine.recommendations.products import Catalogue
from engine.recommendations.propensity import Logistic, Scaling
from engine.recommendations.race import Fitted
from engine.recommendations.softmax import Softmax

SCHEMA: Final = "10"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Catalogue, policies, the ranker that won with its calibration, and the sentences; as of one instant.

    `features` names the columns of a block's `x`; `grouping` makes the group codes.
    `prices` are what offers are charged where limits hold on all of them together, None where none is set; `evidence`
    is what draws rest on, None where nothing is drawn; `responses` is what was answered on each channel, None where the
    cheapest is taken.
    """

    as_of: datetime
    catalogue: Catalogue
    settings: RecommendationSettings
    fitted: Fitted
    features: tuple[str, ...]
    phrases: Phrases
    grouping: Grouping
    prices: Prices | None = None
    evidence: Evidence | None = None
    responses: ChannelResponses | None = None

    def to_json(self) -> str:
        """Return the bundle as text: the same bundle always gives the same text."""
        # keys keep their order: the order of the contact channels decides between equally cheap ones
        return json.dumps({"schema": SCHEMA, "bundle": _encode(self)}, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Bundle:
        """Return the bundle that a text was made of, equal to the last bit; raises ValueError for another schema."""
        content = json.loads(text)
        if content.get("schema") != SCHEMA:
            raise ValueError(f"bundle of schema {content.get('schema')}: this version reads {SCHEMA}")
        bundle: Bundle = _decode(content["bundle"])
        return bundle

    def digest(self) -> str:
        """Return the first 12 hex digits of the sha256 of the text: names the bundle in decision ids."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]


_CLASSES: Final = {
    cls.__name__: cls
    for cls in (
        Bundle,
        Catalogue,
        Offers,
        Fitted,
        Calibration,
        Phrases,
        Popularity,
        GroupPopularity,
        PairRules,
        Ease,
        Als,
        ItemKnn,
        Softmax,
        Logistic,
        BoostedTrees,
        Scaling,
        Grouping,
        Prices,
        Evidence,
        ChannelResponses,
    )
}


def _encode(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        # what a bundle does without is left out: it reads as it did before there was any
        content = {
            field.name: _encode(getattr(value, field.name))
            for field in fields(value)
            # nor what follows from the rest
            if field.init and not (isinstance(value, Bundle) and getattr(value, field.name) is None)
        }
        return {"_class": type(value).__name__, **content}
    if isinstance(value, tuple):
        return {"_tuple": [_encode(item) for item in value]}
    return _encode_leaf(value)


def _encode_leaf(value: Any) -> Any:
    if isinstance(value, RecommendationSettings):
        return {"_settings": value.model_dump(mode="json")}
    if isinstance(value, np.ndarray):
        # floats as hexadecimal text: exact, and NaN and infinity have a spelling
        flat = [item.hex() if isinstance(item, float) else item for item in value.ravel().tolist()]
        return {"_array": str(value.dtype), "shape": list(value.shape), "values": flat}
    if isinstance(value, datetime):
        return {"_instant": value.isoformat()}
    return {"_float": value.hex()} if isinstance(value, float) else value


def _decode(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "_class" in value:
        content = {name: _decode(item) for name, item in value.items() if name != "_class"}
        return _CLASSES[value["_class"]](**content)
    if "_tuple" in value:
        return tuple(_decode(item) for item in value["_tuple"])
    return _decode_leaf(value)


def _decode_leaf(value: Mapping[str, Any]) -> Any:
    if "_settings" in value:
        return RecommendationSettings.model_validate(value["_settings"])
    if "_array" in value:
        items = [float.fromhex(item) if isinstance(item, str) else item for item in value["values"]]
        return np.array(items, dtype=value["_array"]).reshape(value["shape"])
    if "_instant" in value:
        return datetime.fromisoformat(value["_instant"])
    return float.fromhex(value["_float"])
