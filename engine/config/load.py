"""Read a settings section: shipped defaults, then the workspace's own file, then flags; later wins, key by key."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from engine.domain.errors import SettingsFault

Values = Mapping[str, Any]


class Settings(BaseModel):
    """Base of every settings model: frozen, and a key it does not know is a fault, not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replaced_whole: ClassVar[frozenset[str]] = frozenset()
    """Tables that a later source replaces instead of merging into: half of one and half of the other would be wrong."""


Fault = tuple[tuple[str | int, ...], str]
"""Where in a model a fault lies, and what is wrong, without a full stop."""

FAULT: Final = "fault"
"""The type of a fault that already says what is wrong."""

Model = TypeVar("Model", bound=BaseModel)


def load(model: type[Model], section: str, project_file: Path | None = None, flags: Values | None = None) -> Model:
    """Return the settings of one section, fully checked.

    `defaults/<section>.toml` ships with the package; the project file (wayline.toml in the workspace) overrides it
    under `[<section>]`; flags override both. Tables merge key by key, unless the model says they are replaced whole;
    lists are replaced whole.

    Raises
    ------
    SettingsFault
        The file is not TOML, or any value is wrong; every fault is listed.
    """
    source = f"{section} settings"
    merged = read_defaults(section)
    whole: frozenset[str] = getattr(model, "replaced_whole", frozenset())
    if project_file is not None and project_file.exists():
        source = f"{project_file.name}, [{section}]"
        merged = _merge(merged, read_toml(project_file).get(section, {}), whole)
    return validate(model, _merge(merged, flags or {}, whole), source)


def changed(given: Model, values: Values, source: str) -> Model:
    """Return settings with some values replaced, key by key, fully checked; raises SettingsFault as `load` does."""
    whole: frozenset[str] = getattr(type(given), "replaced_whole", frozenset())
    return validate(type(given), _merge(given.model_dump(mode="json"), values, whole), source)


def read_defaults(section: str) -> dict[str, Any]:
    """Return the shipped defaults of a section as plain values."""
    return tomllib.loads((files("engine.config") / "defaults" / f"{section}.toml").read_text(encoding="utf-8"))


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raises SettingsFault with the line when it cannot be read."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsFault(path.name, [f"there is no such file in {path.parent}. Check the path."]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise SettingsFault(path.name, [f"not valid TOML: {fault}. Mend the line named."]) from fault


def validate(model: type[Model], values: Values, source: str) -> Model:
    """Return the model made of the values; raises SettingsFault with every fault of them."""
    try:
        return model.model_validate(values)
    except ValidationError as fault:
        raise SettingsFault(source, [_sentence(error) for error in fault.errors()]) from None


def faults(name: str, found: Sequence[Fault], others: ValidationError | None = None) -> ValidationError:
    """Return what a validator raises that has checked the parts of a model against each other: each with its place.

    `others` are the faults that the parts have of their own.
    """
    told = [
        InitErrorDetails(type=PydanticCustomError(FAULT, "{sentence}", {"sentence": sentence}), loc=where, input=None)
        for where, sentence in found
    ]
    return ValidationError.from_exception_data(
        name, [*(_again(one) for one in others.errors()), *told] if others else told
    )


def _again(error: Any) -> InitErrorDetails:
    """Return a fault so that it can be raised once more."""
    context = error.get("ctx", {})
    kind = PydanticCustomError(FAULT, "{sentence}", context) if error["type"] == FAULT else error["type"]
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=context)


def _sentence(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"]) or "the whole section"
    if error["type"] == "extra_forbidden":
        return f"{where}: no such setting. Take it out or mend its name."
    if error["type"] == "missing":
        return f"{where}: missing. Give it a value."
    if error["type"] == FAULT:
        return f"{where}: {error['msg']}."
    return f"{where} = {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}."


def _merge(base: Values, over: Values, whole: frozenset[str] = frozenset()) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and key not in whole:
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged
