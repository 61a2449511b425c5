"""One journey's drop-offs from every side: where and what they cost, which friction, what if, and who is next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from journeys import drop_offs, friction, hazards
from journeys import stays as stays_of
from journeys.attempts import MISSING
from journeys.drop_offs import DropOff
from journeys.friction import Effect
from journeys.hazards import Period, Trial
from journeys.histories import NOTHING, Coded, Ints
from journeys.signals import Signal
from journeys.stays import Observer, Stays
from journeys.value import Money, Worth
from journeys.what_if import WhatIf

Floats = NDArray[np.float64]

MODEL: Final = "logistic"
CURVE: Final = "kaplan_meier"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """To which group customers belong.

    now : groups as of today, by breakdown: customer_id and one column of text each. They describe who dropped off; as
        they may follow from it, customers are not compared within them, nor one of them with another.
    lasting : customer_id and one column of text that was the same all along, within which customers are compared.
    by : breakdowns among those of the observer, whose value at the entry is known from then on.
    """

    now: Mapping[str, pa.Table] = field(default_factory=dict)
    lasting: pa.Table | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenJourneys:
    """Journeys open today, an element each, by customer.

    drop_probability : the chance not to reach the next step in time; nan where nothing of the kind was ever seen.
    method : what it is from. met: the names of the signals met at the step so far.
    """

    stays: Stays
    drop_probability: Floats
    method: str
    met: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """All about the drop-offs of one journey. `what_ifs` by breakdown and step; `trial` or the reason there is none."""

    drop_offs: tuple[DropOff, ...]
    frictions: tuple[Effect, ...]
    what_ifs: Mapping[str, Mapping[int, WhatIf]]
    hazards: tuple[Period, ...]
    trial: Trial | str
    open_journeys: OpenJourneys


def study(table: pa.Table, observer: Observer, groups: Groups, money: Money | None, *, seed: int) -> Study:
    """Return what a table of stays says of the journey that the observer watched."""
    own = table.filter(pc.equal(table.column("journey"), observer.journey))
    counted, forward, live = (
        stays_of.view(own, which) for which in (stays_of.COUNTED, stays_of.FORWARD, stays_of.LIVE)
    )
    worths = None if money is None else money.worth(counted.ids.take(pa.array(counted.customer)), counted.product)
    breakdowns = _breakdowns(counted, groups)
    # what a customer became may follow from having gone on: no example for those who did not
    known_then = {name: column for name, column in breakdowns.items() if name not in groups.now}
    what_ifs = {name: drop_offs.what_if_best(counted, worths, column, seed=seed) for name, column in known_then.items()}
    trial, model = _model(forward, observer, groups)
    alike = _alike(_lasting(counted, groups), worths)
    return Study(
        drop_offs=drop_offs.summarise(
            counted, worths, breakdowns, stays_of.transitions(observer.funnel), seed=seed, group=alike
        ),
        frictions=friction.rank(
            forward,
            observer.signals,
            friction.strata_of(forward, _lasting(forward, groups)),
            drop_offs.completed_share(forward),
        ),
        what_ifs=what_ifs,
        hazards=() if model is None else model.periods,
        trial=trial,
        open_journeys=_open(live, model, trial, observer, groups),
    )


def _model(forward: Stays, observer: Observer, groups: Groups) -> tuple[Trial | str, hazards.Model | None]:
    """Try the model out on later dates, and learn it again from all that is known today."""
    if not len(forward):
        return "Nobody entered the journey.", None
    asked = hazards.known(forward, _lasting(forward, groups))
    window = round(observer.funnel.window_seconds * stays_of.MICROSECONDS)
    trial = hazards.try_out(asked, observer.as_of, window, len(observer.signals))
    return trial, hazards.fit(asked, observer.as_of, len(observer.signals))


def _open(
    live: Stays, model: hazards.Model | None, trial: Trial | str, observer: Observer, groups: Groups
) -> OpenJourneys:
    """Forecast the open journeys, by the model only where it was seen to beat the plain curve."""
    at = np.full(len(live), observer.as_of)
    proven = isinstance(trial, Trial) and trial.beats_baseline
    if model is None:
        chance = np.full(len(live), np.nan)
    elif proven:
        chance = model.drop_probability(hazards.known(live, _lasting(live, groups)), at)
    else:
        chance = model.baseline(live, at)
    return OpenJourneys(
        stays=live,
        drop_probability=chance,
        method=MODEL if proven else CURVE,
        met=_met(live.met, observer.signals),
    )


def _met(met: Ints, signals: Sequence[Signal]) -> tuple[str, ...]:
    """Return the names of the signals that each stay met, in order of the signals."""
    named = np.array([signal.label for signal in signals], dtype=object)
    return tuple(", ".join(named[row]) for row in met != MISSING) if len(signals) else ("",) * len(met)


def _breakdowns(stays: Stays, groups: Groups) -> dict[str, Coded]:
    now = {name: _group_of(stays, table) for name, table in groups.now.items()}
    own = {"channel": stays.channel, **{name: stays.groups[name] for name in groups.by}}
    if groups.lasting is not None:
        own[_named(groups.lasting)] = _group_of(stays, groups.lasting)
    return {**own, **now}


def _lasting(stays: Stays, groups: Groups) -> NDArray[np.int32] | None:
    """Return the code of each stay's group that was known all along; None where there is no such group."""
    if groups.lasting is not None:
        return _group_of(stays, groups.lasting).codes
    return stays.groups[groups.by[0]].codes if groups.by else None


def _alike(group: NDArray[np.int32] | None, worths: Worth | None) -> NDArray[np.int32] | None:
    """Return codes of group and third of default risk together: a bank that decides by risk declines some of each."""
    if worths is None:
        return group
    risk = worths.risk
    known = ~np.isnan(risk)
    cuts = np.quantile(risk[known], [1 / 3, 2 / 3]) if known.any() else np.zeros(2)
    third = np.where(known, np.searchsorted(cuts, np.nan_to_num(risk)), 3)
    own = np.zeros(len(risk), dtype=np.int64) if group is None else group
    return np.asarray(4 * (own + 1) + third, dtype=np.int32)


def _named(table: pa.Table) -> str:
    """Return the name of the groups: that of the column that is not the customer's id."""
    return str(next(name for name in table.column_names if name != "customer_id"))


def _group_of(stays: Stays, table: pa.Table) -> Coded:
    """Return the group of each stay's customer, coded by the values that the table has, so that all views agree."""
    column = table.column(_named(table)).combine_chunks().cast(pa.string())
    values = tuple(sorted(value for value in pc.unique(column).to_pylist() if value is not None))
    place = pc.index_in(stays.ids, value_set=table.column("customer_id").combine_chunks().cast(pa.string()))
    codes = pc.index_in(column.take(place), value_set=pa.array(values, pa.string())).fill_null(NOTHING)
    return Coded(codes=np.asarray(codes, dtype=np.int32)[stays.customer], values=values)
