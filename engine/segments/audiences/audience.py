"""A rule as one expression over the customers: who belongs, and for each customer which conditions decided it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Literal

import ibis

from engine.config.audiences import AllOf, AnyOf, Audience, Frozen, Lookalike, Member, NotOf, Rule
from engine.domain.errors import SettingsFault, UnknownName
from engine.lake.schema import instant
from engine.segments.audiences.conditions import Columned, Condition, Tables, columns_of

MATCHED = "matched"
"""The column that says who belongs to the audience."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One part of a rule: a join of others, or a condition, whose column of truth bears `name`.

    `audience` names the other audience that the part stands for, where it does; `seeds` is the rule of the audience
    that a lookalike learns from.
    """

    kind: Literal["all", "any", "not", "condition"]
    name: str
    condition: Condition | None = None
    parts: tuple[Node, ...] = ()
    audience: str | None = None
    seeds: Node | None = None

    def conditions(self) -> dict[str, Condition]:
        """Return the conditions in it by the names of their columns, in the order of the rule."""
        own = {} if self.condition is None else {self.name: self.condition}
        return reduce(lambda found, part: found | part.conditions(), self.parts, own)

    def audiences(self) -> frozenset[str]:
        """Return the names of the audiences that stand in it, at whatever depth."""
        own = frozenset() if self.audience is None else frozenset({self.audience})
        below = self.parts if self.seeds is None else (self.seeds,)
        return reduce(lambda found, part: found | part.audiences(), below, own)

    def lookalikes(self) -> tuple[Node, ...]:
        """Return the lookalikes that stand in it, those within seeds of others first."""
        below = self.parts if self.seeds is None else (self.seeds,)
        found = tuple(one for part in below for one in part.lookalikes())
        return (*found, self) if isinstance(self.condition, Lookalike) else found

    def frozen(self) -> tuple[Frozen, ...]:
        """Return the frozen lists that stand in it, those within seeds of lookalikes too."""
        below = self.parts if self.seeds is None else (self.seeds,)
        found = tuple(one for part in below for one in part.frozen())
        return (*found, self.condition) if isinstance(self.condition, Frozen) else found


EVERYBODY = Node(kind="all", name="c")
"""The rule that holds of every customer."""


def tree(audience: Audience, others: Mapping[str, Audience], name: str = "c") -> Node:
    """Return the rule of an audience with the rules of the audiences that it names in their place.

    The columns of its conditions have names that begin with `name`.

    Raises
    ------
    UnknownName
        It names an audience that does not exist.
    SettingsFault
        An audience stands in its own rule, by whatever way round.
    """
    return _node(audience.rule, others, (audience.audience,), name)


def members(root: Node, tables: Tables, as_of: datetime) -> Any:
    """Return the customers who belong, one row each: customer_id. Whoever joined after `as_of` is none.

    Raises
    ------
    NotEnoughData, UnknownName, SettingsFault
        A table, a column or a name that a condition needs is not there, or a value is not of its column's kind.
    """
    rows = flags(root, _narrowed(root, tables, as_of), as_of)
    return rows.filter(rows[MATCHED]).select("customer_id")


def flags(root: Node, tables: Tables, as_of: datetime, only: str | None = None) -> Any:
    """Return every customer with the truth of each condition under its name, and of the whole under `matched`.

    Parameters
    ----------
    only : one customer, of whom to know it; nobody else is looked at then.
    """
    customers = tables["customers"]
    people = customers.filter(customers.joined_at <= instant(as_of))
    if only is not None:
        people = people.filter(people.customer_id == only)
        tables = {
            name: rows.filter(rows.customer_id == only) if "customer_id" in rows.columns else rows
            for name, rows in tables.items()
        }
    rows = columns_of(people.select("customer_id"), root.conditions(), tables, as_of)
    return rows.mutate(**{MATCHED: _truth(root, rows)})


def side_by_side(roots: Mapping[str, Node], tables: Tables, as_of: datetime) -> Any:
    """Return every customer (customer_id) with whether they belong to each audience, under the name given to it.

    The trees must have been made with names of their own, none the beginning of another. Raises like `members`.
    """
    rows = flags(Node(kind="any", name="all", parts=tuple(roots.values())), tables, as_of)
    return rows.select("customer_id", **{name: _truth(root, rows) for name, root in roots.items()})


def held(root: Node, row: Mapping[str, Any]) -> bool:
    """Return whether a part of a rule holds, from the truth of its conditions."""
    if root.kind == "condition":
        return bool(row[root.name])
    parts = [held(part, row) for part in root.parts]
    if root.kind == "not":
        return not parts[0]
    return all(parts) if root.kind == "all" else any(parts)


def _narrowed(root: Node, tables: Tables, as_of: datetime) -> Tables:
    """Return the tables with the events of those alone who fulfil what the rule asks of columns in any case.

    Nobody else can belong, and putting events in order is what costs.
    """
    parts = _conjuncts(root)
    columned = tuple(part for part in parts if all(isinstance(one, Columned) for one in part.conditions().values()))
    if not columned or len(columned) == len(parts) or "events" not in tables:
        return tables
    likely = flags(Node(kind="all", name=root.name, parts=columned), tables, as_of)
    likely = likely.filter(likely[MATCHED]).select("customer_id")
    return {**tables, "events": tables["events"].semi_join(likely, "customer_id")}


def _conjuncts(root: Node) -> tuple[Node, ...]:
    if root.kind != "all":
        return (root,)
    return tuple(one for part in root.parts for one in _conjuncts(part))


def _node(rule: Rule, others: Mapping[str, Audience], path: tuple[str, ...], name: str) -> Node:
    if isinstance(rule, AllOf):
        return Node(kind="all", name=name, parts=_parts(rule.all, others, path, name))
    if isinstance(rule, AnyOf):
        return Node(kind="any", name=name, parts=_parts(rule.any, others, path, name))
    if isinstance(rule, NotOf):
        return Node(kind="not", name=name, parts=_parts((rule.rule,), others, path, name))
    if isinstance(rule, Member):
        return Node(kind="all", name=name, parts=(_other(rule.audience, others, path, name),), audience=rule.audience)
    if isinstance(rule, Lookalike) and isinstance(rule.lookalike, str):
        other = _other(rule.lookalike, others, path, name)
        seeds = Node(kind="all", name=name, parts=(other,), audience=rule.lookalike)
        return Node(kind="condition", name=name, condition=rule, seeds=seeds)
    return Node(kind="condition", name=name, condition=rule)


def _other(wanted: str, others: Mapping[str, Audience], path: tuple[str, ...], name: str) -> Node:
    """Return the rule of another audience that stands in one."""
    if wanted in path:
        circle = " → ".join([*path[path.index(wanted) :], wanted])
        raise SettingsFault("the rule", [f"an audience stands in its own rule: {circle}. Take one of these out"])
    if wanted not in others:
        raise UnknownName("audience", wanted, sorted(others))
    return _node(others[wanted].rule, others, (*path, wanted), f"{name}_0")


def _parts(
    inside: tuple[Rule, ...], others: Mapping[str, Audience], path: tuple[str, ...], name: str
) -> tuple[Node, ...]:
    return tuple(_node(rule, others, path, f"{name}_{place}") for place, rule in enumerate(inside))


def _truth(root: Node, rows: Any) -> Any:
    if root.kind == "condition":
        return rows[root.name]
    parts = [_truth(part, rows) for part in root.parts]
    if root.kind == "not":
        return ~parts[0]
    whole = ibis.literal(root.kind == "all")
    join = (lambda one, other: one & other) if root.kind == "all" else (lambda one, other: one | other)
    return reduce(join, parts, whole)
