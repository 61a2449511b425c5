"""What is another now than when a run decided: settings, products, code. A replay tells it and needs none of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import Any

import numpy as np

from engine.config.recommendations import RecommendationSettings
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations import frame
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import Catalogue
from engine.workflows import session
from engine.workflows.run import source_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is another now: of the settings, the catalogue or the code, with both values where it has any."""

    what: str
    name: str
    then: Any
    now: Any
    text_en: str
    text_zh: str


def changes(workspace: Workspace, run: Run, bundle: Bundle) -> tuple[Change, ...]:
    """Return what changed since the run, in the order of settings, catalogue, code; empty where nothing did."""
    return (*_settings(workspace, bundle), *_catalogue(workspace, run, bundle), *_code(run))


def _settings(workspace: Workspace, bundle: Bundle) -> Iterator[Change]:
    now = _flat(session.settings(workspace, RecommendationSettings, "recommendations").model_dump(mode="json"))
    then = _flat(bundle.settings.model_dump(mode="json"))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield _change("settings", f"recommendations.{name}", then.get(name), now.get(name))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _catalogue(workspace: Workspace, run: Run, bundle: Bundle) -> Iterator[Change]:
    if "products" not in workspace.curated_tables():
        yield _change("catalogue", "products", bundle.catalogue.size, 0)
        return
    with session.duckdb(workspace) as engine:
        products = engine.arrow(workspace.attach(engine)["products"])
    now = frame.catalogue(products, run.as_of, bundle.settings.gates.revolving_payment_share)
    then, values = _by_product(bundle.catalogue), _by_product(now)
    for product in sorted(then.keys() | values.keys()):
        if product not in values or product not in then:
            yield _change("catalogue", product, product in then, product in values)
            continue
        for name, value in then[product].items():
            if value != values[product][name]:
                yield _change("catalogue", f"{product}.{name}", value, values[product][name])


def _by_product(catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Return all that a catalogue says of each product; NaN is None, and a product needed first is named."""
    told: dict[str, dict[str, Any]] = {product: {} for product in catalogue.product_ids}
    for field in fields(catalogue):
        for product, value in zip(catalogue.product_ids, getattr(catalogue, field.name), strict=True):
            plain = value.item() if isinstance(value, np.generic) else value
            if field.name == "needs":
                plain = catalogue.product_ids[plain] if plain >= 0 else plain
            told[product][field.name] = None if plain != plain else plain  # noqa: PLR0124  NaN
    return told


def _code(run: Run) -> Iterator[Change]:
    for name, then in run.manifest["versions"].items():
        if name in ("wayline", "numpy", "pyarrow") and version(name) != then:
            yield _change("code", name, then, version(name))
    if run.manifest["source"] != source_digest():
        text = "The code or its shipped settings are others now than when the run was made."
        yield Change(
            what="code",
            name="source",
            then=None,
            now=None,
            text_en=text,
            text_zh="运行之后，程序代码或随附的默认设置已有改动。",
        )


def _change(what: str, name: str, then: Any, now: Any) -> Change:
    return Change(
        what=what,
        name=name,
        then=then,
        now=now,
        text_en=f"{name} was {_told(then)} when the run decided and is {_told(now)} now.",
        text_zh=f"{name} 在运行决策时为 {_told(then)}，现为 {_told(now)}。",
    )


def _told(value: Any) -> str:
    return "\N{EM DASH}" if value is None else str(value)
