"""What the commands that plan and simulate share: a file of past units, the split, the looks."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from engine.config.experiments import LookSettings
    from engine.workflows.unit_history import HistoryFile
    from experiments.plan import Kind


class Spending(StrEnum):
    """How the error is spent over planned looks."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"
    POWER = "power"


File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="Past units to estimate from, a row for each: CSV or Parquet, .gz or .zip."),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="proportion or mean; with FILE, COL:proportion or COL:mean; with --like, its name."),
]
RatioOf = Annotated[str | None, typer.Option("--ratio", help="With FILE: NUM/DEN, one column's sum by another's.")]
Covariates = Annotated[
    list[str] | None, typer.Option("--covariate", help="With FILE: column known before the start; repeatable.")
]
Cluster = Annotated[str | None, typer.Option("--cluster", help="With FILE: column of what is randomised.")]
Time = Annotated[str | None, typer.Option("--time", help="With FILE: column of the day a unit came, for the traffic.")]
Baseline = Annotated[float | None, typer.Option("--baseline", help="The metric in control; 0.2 for 20 %.")]
Deviation = Annotated[float | None, typer.Option("--sd", help="Standard deviation of one unit's values, for a mean.")]
Relative = Annotated[bool, typer.Option("--relative", help="Effect and margin are shares of control's value.")]
Looks = Annotated[
    str | None, typer.Option("--looks", help="daily, a number of equal looks, shares such as 0.5,1, or any-time.")
]
SpendingOf = Annotated[Spending, typer.Option("--spending", help="How planned looks spend the error.")]
LookDays = Annotated[int, typer.Option("--look-days", min=1, max=365, help="Days of daily looks.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The columns that were named."""

    metric: str | None
    ratio: str | None
    covariates: Sequence[str]
    cluster: str | None
    time: str | None = None
    encoding: str | None = None


def weights_of(text: str) -> dict[str, float]:
    """Return the split that an option names, in the order in which it names the arms."""
    made: dict[str, float] = {}
    for part in text.split(","):
        arm, _, weight = (piece.strip() for piece in part.rpartition("="))
        try:
            value = float(weight)
        except ValueError:
            value = float("nan")
        if not arm or arm in made or not 0 <= value < float("inf"):
            raise typer.BadParameter(
                f'"{text}" is no split. Write A=0.5,B=0.5: each arm once, with its part.', param_hint="--weights"
            )
        made[arm] = value
    return made


def days_of(text: str | None, option: str) -> int:
    """Return the days that an option names; 0 where it was not given."""
    if text is None:
        return 0
    found = re.fullmatch(r"(\d{1,5})\s*([dw]?)", text.strip())
    if found is None:
        raise typer.BadParameter(f'"{text}" is no length of time. Write 30d or 8w.', param_hint=option)
    return int(found[1]) * (7 if found[2] == "w" else 1)


def looks_of(text: str | None, spending: Spending, days: int) -> LookSettings | Literal["any_time"] | None:
    """Return the looks that an option names."""
    from engine.config.experiments import LookSettings

    if text is None:
        return None
    plain = text.strip().lower().replace("_", "-")
    if plain in ("any-time", "anytime", "always"):
        return "any_time"
    if plain == "daily":
        return LookSettings(spending=spending.value, days=days)
    try:
        if plain.isdigit() and 1 <= int(plain) <= 365:
            looks = int(plain)
            return LookSettings(
                shares=tuple((look + 1) / looks for look in range(looks)), spending=spending.value, days=days
            )
        shares = tuple(float(part) for part in plain.split(","))
    except ValueError:
        shares = ()
    if not shares or any(not 0 < share <= 1 for share in shares) or list(shares) != sorted(set(shares)):
        raise typer.BadParameter(
            f'"{text}" is no plan of looks. Write daily, a number up to 365, rising shares such as 0.5,1, or any-time.',
            param_hint="--looks",
        )
    return LookSettings(shares=shares, spending=spending.value, days=days)


def kind_of(metric: str | None) -> Literal["proportion", "mean"] | None:
    """Return the kind that --metric names where there is no file."""
    if metric is None:
        return None
    if metric == "proportion":
        return "proportion"
    if metric == "mean":
        return "mean"
    raise typer.BadParameter(
        f'"{metric}" is no kind of metric. Write proportion or mean; COL:proportion or COL:mean with a FILE.',
        param_hint="--metric",
    )


def history_of(file: Path | None, named: Named, home: Path) -> HistoryFile | None:
    """Return what is read of a file of past units; None without a file, which then may not have columns either."""
    from engine.workflows.unit_history import HistoryFile

    if file is None:
        of_file = {
            "--ratio": named.ratio,
            "--covariate": named.covariates,
            "--cluster": named.cluster,
            "--time": named.time,
        }
        for option, value in of_file.items():
            if value:
                raise typer.BadParameter("it names a column, so a FILE of past units is needed.", param_hint=option)
        return None
    columns, kind = _measured(named)
    return HistoryFile(
        path=file,
        kind=kind,
        columns=columns,
        covariates=tuple(dict.fromkeys(named.covariates)),
        cluster=named.cluster,
        time=named.time,
        encoding=named.encoding,
        home=home,
    )


def _measured(named: Named) -> tuple[tuple[str, ...], Kind]:
    if (named.metric is None) == (named.ratio is None):
        raise typer.BadParameter("name one metric of the file: --metric COL:mean or --ratio NUM/DEN.")
    if named.ratio is not None:
        above, _, below = named.ratio.partition("/")
        if not above or not below:
            raise typer.BadParameter(f'"{named.ratio}" is no ratio. Write NUM/DEN, two columns.', param_hint="--ratio")
        return (above, below), "ratio"
    column, _, kind = (named.metric or "").rpartition(":")
    if column and kind == "proportion":
        return (column,), "proportion"
    if column and kind == "mean":
        return (column,), "mean"
    raise typer.BadParameter(
        f'"{named.metric}" names no metric of a file. Write COL:proportion or COL:mean.', param_hint="--metric"
    )
