"""What is another now than when a run decided: settings, products, code. A replay tells it and needs none of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from engine.domain.errors import WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations.bundle import Bundle
from engine.recommendations.offered import Offers
from engine.recommendations.products import Catalogue
from engine.workflows import held_catalogue
from engine.workflows.held_catalogue import InForce
from engine.workflows.run import source_digest

_OF_RUN: Final = ("offers", "under_review")
"""Of a catalogue: told apart, and what a run finds out itself."""


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
    try:
        held = held_catalogue.in_force(workspace, run.as_of)
        found = (*_settings(held, bundle), *_catalogue(held, run, bundle))
    except WaylineError as fault:
        # what is there now cannot be read, which changes nothing about what was decided
        text = f"What a run would go by now cannot be read: {fault.sentence}"
        found = (_told_as("settings", "unreadable", text, f"当前设置无法读取：{fault.sentence}"),)
    return (*found, *_code(run))


def _settings(held: InForce, bundle: Bundle) -> Iterator[Change]:
    now = flat(held.policies.model_dump(mode="json"))
    then = flat(bundle.settings.model_dump(mode="json"))
    for name in sorted(then.keys() | now.keys()):
        if then.get(name) != now.get(name):
            yield _change("settings", f"recommendations.{name}", then.get(name), now.get(name))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings as one level, names divided by dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _catalogue(held: InForce, run: Run, bundle: Bundle) -> Iterator[Change]:
    then, values = _by_product(bundle.catalogue), _by_product(held.of_day(run.as_of))
    for product in sorted(then.keys() | values.keys()):
        if product not in values or product not in then:
            yield _sold(product, product in then)
            continue
        for name in sorted(then[product].keys() | values[product].keys()):
            before, after = (side[product].get(name) for side in (then, values))
            if before != after:
                yield _change("catalogue", f"{product}.{name}", before, after)


def _by_product(products: Catalogue) -> dict[str, dict[str, Any]]:
    """Return all that a catalogue says of each product; NaN is None, and a product needed first is named."""
    told: dict[str, dict[str, Any]] = {product: {} for product in products.product_ids}
    own = [field.name for field in fields(products) if field.init and field.name not in _OF_RUN]
    columns = {name: getattr(products, name) for name in own}  # what follows from these is not told beside them
    if products.offers is not None:
        columns |= {
            f"offer.{field.name}": getattr(products.offers, field.name) for field in fields(Offers) if field.init
        }
    for name, column in columns.items():
        for product, value in zip(products.product_ids, column, strict=True):
            plain = value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value
            if name == "needs":
                plain = products.product_ids[plain] if plain >= 0 else plain
            told[product][name] = None if plain != plain else plain  # noqa: PLR0124  NaN
    return told


def _code(run: Run) -> Iterator[Change]:
    for name, then in run.manifest["versions"].items():
        if name in ("wayline", "numpy", "pyarrow") and version(name) != then:
            yield _change("code", name, then, version(name))
    if run.manifest["source"] != source_digest():
        text = "The code or its shipped settings are others now than when the run was made."
        yield _told_as("code", "source", text, "运行之后，程序代码或随附的默认设置已有改动。")


def _told_as(what: str, name: str, text: str, text_zh: str) -> Change:
    return Change(what=what, name=name, then=None, now=None, text_en=text, text_zh=text_zh)


def _sold(product: str, then: bool) -> Change:
    text = f"{product} was sold when the run decided and is not now."
    text_zh = f"{product} 在运行决策时在产品目录中，现已不在。"
    if not then:
        text = f"{product} is sold now and was not when the run decided."
        text_zh = f"{product} 在运行决策时不在产品目录中，现已加入。"
    return replace(_told_as("catalogue", product, text, text_zh), then=then, now=not then)


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
