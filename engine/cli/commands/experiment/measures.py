"""How options name metrics: COL:KIND, NUM/DEN, NAME=SUM and their like, each read in one place."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from engine.config.experiments import Nulls
    from engine.workflows.experiment_question import Measures

_KINDS: Final = ("proportion", "mean")
_PERCENTILE: Final = re.compile(r"p(\d{1,2}(?:\.\d+)?)")
_TERM: Final = re.compile(r"\s*([+-]?)\s*(\d+(?:\.\d+)?)\s*\*\s*(.+?)\s*(?=$|[+-]\s*\d+(?:\.\d+)?\s*\*)")

Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        help="COL:proportion (0 or 1, true or false), COL:mean, COL:median or COL:p95; with --events the name of an "
        "event instead of a column; repeatable.",
    ),
]
Ratios = Annotated[
    list[str] | None,
    typer.Option("--ratio", help="NUM/DEN: the sum of one column by the sum of the other; repeatable."),
]
Times = Annotated[
    list[str] | None,
    typer.Option(
        "--time-to-event",
        help="DAYS/HAPPENED:HORIZON: the column of days until the event (or watched without it), the column that says "
        "whether it came, and by how many days; with --events EVENT:HORIZON; repeatable.",
    ),
]
Retentions = Annotated[
    list[str] | None,
    typer.Option("--retention", help="With --events, EVENT:FROM-TO in days after exposure, such as login:7-14."),
]
Composites = Annotated[
    list[str] | None,
    typer.Option("--composite", help="NAME=1*METRIC-0.45*METRIC: a weighted sum of metrics of each unit; repeatable."),
]
Caps = Annotated[
    list[str] | None,
    typer.Option("--cap", help="METRIC=VALUE or METRIC=p99: a mean is shown with this cap and without; repeatable."),
]
Nulls_ = Annotated[
    list[str] | None,
    typer.Option(
        "--nulls",
        help="What becomes of units whose value is not known: drop, zero or error; METRIC=zero for one metric.",
    ),
]
Decrease = Annotated[list[str] | None, typer.Option("--decrease", help="Metric of which less is better; repeatable.")]
Guardrails = Annotated[
    list[str] | None,
    typer.Option(
        "--guardrail",
        help="METRIC or METRIC=SHARE: must not get worse, or not by this share of control's value; repeatable.",
    ),
]


def measures_of(**given: Sequence[str] | None) -> Measures:
    """Return the metrics that the options name.

    Raises
    ------
    typer.BadParameter
        One of them cannot be read.
    """
    from engine.workflows.experiment_question import Measures

    asked = {name: tuple(values or ()) for name, values in given.items()}
    kinds = [_metric(text) for text in asked["metric"]]
    return Measures(
        metrics=[(name, kind) for name, kind in kinds if isinstance(kind, str)],
        quantiles=[(name, kind) for name, kind in kinds if not isinstance(kind, str)],
        ratios=[_ratio(text) for text in asked["ratio"]],
        times=_once([_time(text) for text in asked["time_to_event"]], "--time-to-event"),
        retentions=_once([_retention(text) for text in asked["retention"]], "--retention"),
        composites=_once([_composite(text) for text in asked["composite"]], "--composite"),
        caps=_once([_cap(text) for text in asked["cap"]], "--cap"),
        nulls=_once([_nulls(text) for text in asked["nulls"]], "--nulls"),
        decrease=asked["decrease"],
        guardrails=_once([_guardrail(text) for text in asked["guardrail"]], "--guardrail"),
    )


def _once(pairs: Sequence[tuple[str, Any]], option: str) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise typer.BadParameter(f'"{name}" is named twice. Name each metric once.', param_hint=option)
    return dict(pairs)


def _metric(text: str) -> tuple[str, str | float]:
    column, _, kind = text.rpartition(":")
    if column and kind in _KINDS:
        return column, kind
    found = _PERCENTILE.fullmatch("p50" if kind == "median" else kind)
    if column and found and 0 < float(found[1]) < 100:
        return column, float(found[1]) / 100
    raise typer.BadParameter(
        f'"{text}" names no metric. Write COL:proportion, COL:mean, COL:median or COL:p95.', param_hint="--metric"
    )


def _ratio(text: str) -> tuple[str, str]:
    above, _, below = text.partition("/")
    if not above or not below:
        raise typer.BadParameter(f'"{text}" is no ratio. Write NUM/DEN, two columns.', param_hint="--ratio")
    return above, below


def _time(text: str) -> tuple[str, tuple[str | None, int]]:
    what, _, horizon = text.rpartition(":")
    days, sign, happened = what.rpartition("/")
    whole = horizon.strip().removesuffix("d")
    if not happened or (sign and not days) or not whole.isdigit() or not 1 <= int(whole) <= 3_650:
        raise typer.BadParameter(
            f'"{text}" is no time to an event. Write DAYS/HAPPENED:180, two columns and the horizon in days; with '
            "--events, EVENT:180.",
            param_hint="--time-to-event",
        )
    return happened, (days or None, int(whole))


def _retention(text: str) -> tuple[str, tuple[float, float]]:
    event, _, span = text.rpartition(":")
    found = re.fullmatch(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)d?", span.strip())
    if not event or found is None:
        raise typer.BadParameter(
            f'"{text}" is no retention. Write EVENT:7-14, the days after exposure from and to which it counts.',
            param_hint="--retention",
        )
    return event, (float(found[1]), float(found[2]))


def _composite(text: str) -> tuple[str, dict[str, float]]:
    name, _, total = text.partition("=")
    terms: dict[str, float] = {}
    place = 0
    while place < len(total):
        found = _TERM.match(total, place)
        if found is None or found[3] in terms or (terms and not found[1]):
            terms = {}
            break
        terms[found[3]] = float(found[2]) * (-1 if found[1] == "-" else 1)
        place = found.end()
    if not name.strip() or not terms:
        raise typer.BadParameter(
            f'"{text}" is no weighted sum. Write NAME=1*METRIC-0.45*METRIC: each metric once, with its weight.',
            param_hint="--composite",
        )
    return name.strip(), terms


def _cap(text: str) -> tuple[str, float | str]:
    name, sign, limit = text.rpartition("=")
    if sign and (found := _PERCENTILE.fullmatch(limit)):
        return name, found[0]
    try:
        return name or _unnamed(), float(limit)
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" is no cap. Write METRIC=500, or METRIC=p99 for the percentile of all arms together.',
            param_hint="--cap",
        ) from None


def _unnamed() -> str:
    raise ValueError


def _nulls(text: str) -> tuple[str, Nulls]:
    name, _, policy = text.rpartition("=")
    if policy == "drop":
        return name, "drop"
    if policy == "zero":
        return name, "zero"
    if policy == "error":
        return name, "error"
    raise typer.BadParameter(
        f'"{text}" is no rule for what is not known. Write drop, zero or error, or METRIC=zero.', param_hint="--nulls"
    )


def _guardrail(text: str) -> tuple[str, float | None]:
    name, sign, margin = text.rpartition("=")
    if not sign:
        return text, None
    try:
        return name, float(margin)
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" cannot be read. Write METRIC, or METRIC=0.02 for 2 % of control\'s value.',
            param_hint="--guardrail",
        ) from None
