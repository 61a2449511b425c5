"""What customers said and felt, by customer and by the step of a journey at which they stand."""

from __future__ import annotations

from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import stdtrit

from engine.config.texts import TextSettings
from engine.texts.model import TOPICS

Floats = NDArray[np.float64]
_UNITS: Final = 100_000
"""Scores are summed in whole hundred-thousandths: sums of whole numbers are the same in whatever order rows come."""
_STEP: Final = ("journey", "current_step")


def by_customer(interactions: Any, told: Any) -> Any:
    """Return one row per customer of `interactions`, which end at the run's date; `told` is the table text_contacts."""
    score = interactions.satisfaction_score
    contacts = interactions.group_by("customer_id").aggregate(
        contacts=interactions.count(),
        newest_contact_at=interactions.occurred_at.max(),
        newest_satisfaction=_newest(interactions, score, score.notnull()),
    )
    read = told.filter(told.topic.notnull())
    said = read.group_by("customer_id").aggregate(
        texts_read=read.count(),
        **{f"texts_{topic}": read.count(where=read.topic == topic) for topic in TOPICS},
        sentiment_mean=_units(read.sentiment_score).sum() / read.sentiment_score.count() / _UNITS,
        negative_share=(read.sentiment == "negative").cast("float64").mean(),
        newest_topic=_newest(read, read.topic),
        newest_sentiment=_newest(read, read.sentiment),
    )
    joined = contacts.left_join(said, "customer_id").drop("customer_id_right")
    joined = joined.left_join(_worst(read), "customer_id").drop("customer_id_right")
    counted = ("texts_read", *(f"texts_{topic}" for topic in TOPICS))
    return joined.mutate(**{name: joined[name].fill_null(0).cast("int64") for name in counted})


def _units(value: Any) -> Any:
    return (value * _UNITS).round().cast("int64")


def _newest(rows: Any, value: Any, where: Any = None) -> Any:
    """Return the value of the newest row; of two at one instant, that with the higher id."""
    order = rows.occurred_at.strftime("%Y%m%d%H%M%S%f").concat(rows.interaction_id)
    return value.argmax(order, where=where)


def _worst(read: Any) -> Any:
    """Return each customer's topic with the lowest mean sentiment, where that is below 0; ties by name."""
    means = read.group_by(["customer_id", "topic"]).aggregate(mean=_units(read.sentiment_score).sum() / read.count())
    order = ibis.window(group_by=means.customer_id, order_by=(means["mean"], means.topic))
    ranked = means.mutate(place=ibis.row_number().over(order))
    worst = ranked.filter((ranked.place == 0) & (ranked["mean"] < 0))
    return worst.select("customer_id", worst_topic="topic")


def by_step(stages: Any, interactions: Any, told: Any, settings: TextSettings) -> Any:
    """Return one row per step with sums over the customers who stand there; `means` makes figures of them.

    A contact counts when it came after the step and at most `days_after_step` days later. The customer is the unit:
    each counts with the mean of what it said, since what one says twice is no second opinion.
    """
    here = stages.filter(stages.current_step.notnull() & stages.stage_since.notnull())
    here = here.select("customer_id", "stage_since", *_STEP)
    talks = interactions.left_join(told.select("interaction_id", "sentiment", "sentiment_score"), "interaction_id")
    talks = talks.select("customer_id", "occurred_at", "satisfaction_score", "sentiment", "sentiment_score")
    near = here.inner_join(talks, "customer_id")
    within = near.occurred_at <= near.stage_since + ibis.interval(days=settings.days_after_step)
    near = near.filter((near.occurred_at > near.stage_since) & within)
    each = near.group_by([*_STEP, "customer_id"]).aggregate(
        talks=near.count(),
        satisfaction=near.satisfaction_score.mean(),
        feeling=_units(near.sentiment_score).sum() / near.sentiment_score.count().nullif(0) / _UNITS,
        negative=(near.sentiment == "negative").cast("float64").mean(),
    )
    sums = each.group_by(_STEP).aggregate(
        contacts=each.talks.sum().cast("int64"),
        scored_customers=each.satisfaction.count(),
        satisfaction_sum=_units(each.satisfaction).sum(),
        satisfaction_squares=(_units(each.satisfaction) * _units(each.satisfaction)).sum(),
        heard_customers=each.feeling.count(),
        feeling_sum=_units(each.feeling).sum(),
        feeling_squares=(_units(each.feeling) * _units(each.feeling)).sum(),
        negative_sum=_units(each.negative).sum(),
    )
    counted = here.group_by(_STEP).aggregate(customers=here.count())
    return counted.left_join(sums, list(_STEP)).drop("journey_right", "current_step_right").order_by(_STEP)


def means(sums: pa.Table, settings: TextSettings) -> pa.Table:
    """Return the means of each step with their 95 % intervals (Student's t over customers), and why some are empty."""
    few = settings.smallest_cell
    scored, heard = (_numbers(sums, name) for name in ("scored_customers", "heard_customers"))
    columns: dict[str, Any] = {name: sums.column(name) for name in (*_STEP, "customers")}
    for name in ("contacts", "scored_customers", "heard_customers"):
        columns[name] = pa.array(_numbers(sums, name).astype(np.int64))
    for name, of, count, low, high in (
        ("satisfaction", "satisfaction", scored, 1, 5),
        ("sentiment", "feeling", heard, -1, 1),
    ):
        mean, half = _mean(
            _numbers(sums, f"{of}_sum") / _UNITS, _numbers(sums, f"{of}_squares") / _UNITS**2, count, few
        )
        columns[f"{name}_mean"] = pa.array(mean, from_pandas=True)
        columns[f"{name}_lower"] = pa.array(np.maximum(mean - half, low), from_pandas=True)
        columns[f"{name}_upper"] = pa.array(np.minimum(mean + half, high), from_pandas=True)
    share = np.where(heard >= few, _numbers(sums, "negative_sum") / _UNITS / np.maximum(heard, 1), np.nan)
    columns["negative_share"] = pa.array(share, from_pandas=True)
    columns["reason"] = pa.array(_reasons(scored < few, heard < few, few), pa.string())
    return pa.table(columns)


def _numbers(sums: pa.Table, name: str) -> Floats:
    numbers: Floats = np.nan_to_num(sums.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))
    return numbers


def _mean(total: Floats, squares: Floats, count: Floats, few: int) -> tuple[Floats, Floats]:
    """Return mean and half the width of its interval; nan where there are too few."""
    enough = count >= few
    size = np.where(enough, count, 2.0)
    mean = total / size
    variance = np.maximum(squares / size - mean**2, 0) * size / (size - 1)
    half = stdtrit(size - 1, 0.975) * np.sqrt(variance / size)
    return np.where(enough, mean, np.nan), np.where(enough, half, np.nan)


def _reasons(few_scores: NDArray[np.bool_], few_texts: NDArray[np.bool_], few: int) -> list[str | None]:
    both = f"fewer than {few} customers gave a score, and fewer than {few} wrote"
    scores, texts = f"fewer than {few} customers gave a score", f"fewer than {few} customers wrote"
    told = np.select([few_scores & few_texts, few_scores, few_texts], [both, scores, texts], "")
    return [one or None for one in told.tolist()]
