"""From raw exposures to one row per unit: when it first saw which arm, and from when on it counts.

Exposures carry experiment_id, customer_id, variant, exposed_at; events carry customer_id, event_name, occurred_at,
value. Instants are naive UTC. All are Ibis expressions; nothing is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import ibis

from engine.config.experiments import ExperimentSettings
from engine.lake.schema import instant


def exposed(exposures: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return one row per exposed customer: customer_id, variant, exposed_at (the first), several.

    `several` is true for customers seen in more than one variant; their variant is only one of those. Exposures
    before the start or from the end of the experiment on are none.
    """
    seen = exposures.filter(
        _of(exposures, experiment, as_of),
        _within(exposures, experiment),
        exposures.customer_id.notnull(),
        exposures.variant.notnull(),
    )
    first = seen.group_by("customer_id").aggregate(
        variant=seen.variant.min(), other=seen.variant.max(), exposed_at=seen.exposed_at.min()
    )
    return first.select("customer_id", "variant", "exposed_at", several=first.variant != first.other)


def incomplete(exposures: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return a table of one row: the exposures without a customer or variant, and those out of the period."""
    unusable = exposures.customer_id.isnull() | exposures.variant.isnull()
    of_it = exposures.filter(_of(exposures, experiment, as_of))
    return of_it.aggregate(
        exposures=unusable.cast("int64").sum().fill_null(0),
        outside=(~unusable & ~_within(exposures, experiment)).cast("int64").sum().fill_null(0),
    )


def counted(units: Any) -> Any:
    """Return one row for each variant, whether its customers were seen in several, and day of exposure: customers."""
    dated = units.mutate(exposed_on=units.exposed_at.date())
    return dated.group_by("variant", "several", "exposed_on").aggregate(customers=dated.count())


def single(units: Any, experiment: ExperimentSettings) -> Any:
    """Return the customers seen in one planned variant."""
    return units.filter(~units.several, units.variant.isin(sorted(experiment.weights)))


def activated(units: Any, events: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    """Return the customers that came as far as the activation event, counting from the first of it after exposure.

    Without an activation event everybody counts from exposure. `seen_at` is the first exposure in either case: which
    split a customer was drawn by depends on it, and not on when the customer came as far as the event.
    """
    if experiment.activation_event is None:
        return units.mutate(seen_at=units.exposed_at)
    events = events.filter(
        events.event_name == experiment.activation_event, events.occurred_at <= instant(as_of)
    ).select("customer_id", "occurred_at")
    after = units.join(events, "customer_id")
    after = after.filter(after.occurred_at >= after.exposed_at)
    others = [name for name in units.columns if name != "exposed_at"]
    first = after.group_by(*others).aggregate(exposed_at=after.occurred_at.min(), seen_at=after.exposed_at.min())
    return first.select(*others, "exposed_at", "seen_at")


def with_attributes(units: Any, attributes: Any, names: Sequence[str]) -> Any:
    """Return the units with columns of the table of customers, null for those it does not know."""
    if not names:
        return units
    known = attributes.select("customer_id", *names)
    joined = units.left_join(known, "customer_id")
    return joined.select(*units.columns, *names)


def drawn_together(units: Any, cluster: str) -> Any:
    """Return the units with clusters that were drawn as one: `several` also where they saw several variants.

    A customer of no cluster is one alone.
    """
    units = units.mutate(**{cluster: units[cluster].fill_null(units.customer_id)})
    of_cluster = ibis.window(group_by=units[cluster])
    first, last = units.variant.min().over(of_cluster), units.variant.max().over(of_cluster)
    return units.mutate(several=units.several | (first != last))


def _of(exposures: Any, experiment: ExperimentSettings, as_of: datetime) -> Any:
    name = experiment.exposed_as or experiment.experiment_id
    return (exposures.experiment_id == name) & (exposures.exposed_at <= instant(as_of))


def _within(exposures: Any, experiment: ExperimentSettings) -> Any:
    inside = ibis.literal(True)
    if experiment.starts_at is not None:
        inside &= exposures.exposed_at >= instant(experiment.starts_at)
    if experiment.ends_at is not None:
        inside &= exposures.exposed_at < instant(experiment.ends_at)
    return inside
