"""The ledger: what a decision looked at, kept in exact form, and the decision made again from it to the last bit.

A decision follows from what a run writes: its bundle, the marts `features` and `credit_decisions`, and the mart
`decision_inputs` of this module, which holds all else that a block does. `again` hands them to the same `decide` that
the run called. `decided` does so where rows lie, such as in a partition of Spark: it takes and returns Arrow tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.decision_marts import DECISION_INPUTS
from engine.domain.marts import DECISIONS, RECOMMENDATIONS
from engine.domain.schema import Kind, Table
from engine.domain.words import PRODUCT_FAMILIES
from engine.lake.schema import arrow_schema
from engine.recommendations import columns, credit, frame
from engine.recommendations.bundle import Bundle
from engine.recommendations.credit import Credit
from engine.recommendations.decide import decide, decision_rows, recommendation_rows
from engine.recommendations.frame import Codes, DecisionBlock, Flags, Floats, View

_MARTS: Final = (RECOMMENDATIONS, DECISIONS)
_SCHEMA: Final = arrow_schema(DECISION_INPUTS)
_APART: Final = ("customer_ids", "view", "credit")
_CREDIT: Final = tuple((field.name, family) for field in fields(Credit) for family in PRODUCT_FAMILIES)
# a column of one name has one type in all marts, and these names stand for something else elsewhere
_RENAMED: Final = {
    "group": "group_code",
    "steps": "product_steps",
    "tier": "tier_code",
    "value_tier": "value_tier_code",
    "contacts": "contacts_counted",
    "asked": "contacts_asked",
    "answered": "contacts_answered",
    "contact_hour": "hour_to_contact",
    "treatment": "treatment_code",
}
_PAIR: Final = ("customer_id", "product_id")
_NO: Final = ord("0")


def input_rows(block: DecisionBlock) -> pa.Table:
    """Return what a block holds beside the features as rows of the mart decision_inputs, exact to the bit."""
    held = {field.name: getattr(block, field.name) for field in fields(block) if field.name not in _APART}
    held |= {"owned": block.view.owned, "group": block.view.group, "steps": _steps_of(block.view)}
    written = {_RENAMED.get(name, name): _column(values) for name, values in held.items()}
    return pa.table({"customer_id": block.customer_ids} | written).select(DECISION_INPUTS.names).cast(_SCHEMA)


def block_of(rows: pa.Table, features: pa.Table, names: Sequence[str], lent: pa.Table | None) -> DecisionBlock:
    """Return the block that rows of the mart decision_inputs were made of; there must be a row at least.

    `features` has customer_id and the columns `names` of a block's `x`, `lent` those of `credit.COLUMNS` of the mart
    credit_decisions, None where the run has none; both hold these customers' rows at least, in any order.
    """
    ids = columns.plain(rows["customer_id"])
    x = frame.matrix(features, names, columns.places(ids, features["customer_id"]))
    by_family = {} if lent is None else credit.by_family(lent, ids)
    return _block(rows, x, credit.credit_of(by_family, 0, len(ids)))


def _block(rows: pa.Table, x: NDArray[np.float32], lent: Credit) -> DecisionBlock:
    kinds = {column.name: column.kind for column in DECISION_INPUTS}
    names_of = [field.name for field in fields(DecisionBlock) if field.name not in _APART]
    read: dict[str, Any] = {
        name: _READ.get(name, _values)(rows[column], kinds[column])
        for name in ("owned", "group", "steps", *names_of)
        for column in (_RENAMED.get(name, name),)
    }
    view = View(owned=read.pop("owned"), x=x, group=read.pop("group"), steps=read.pop("steps"))
    return DecisionBlock(customer_ids=columns.plain(rows["customer_id"]), view=view, credit=lent, **read)


def again(
    block: DecisionBlock, bundle: Bundle, changes: pa.Table | None = None, withheld: pa.Table | None = None
) -> dict[str, pa.Table]:
    """Decide again and return rows of the marts recommendations and decisions, as the run wrote them.

    `changes` and `withheld` are the marts allocation_changes and withheld_contacts of the run. What the repair of an
    allocation gave or took, and who gave way to others of the household, depends on all customers, so it is looked up
    there; all else follows from the customers' own rows and the prices in the bundle.
    """
    table = decide(block, bundle)
    allotted = by_prices = table.rank > 0
    if changes is not None and changes.num_rows:
        allotted = by_prices ^ _repaired(block, changes, bundle.catalogue.product_ids)
    if withheld is not None and withheld.num_rows:
        allotted = allotted & (columns.places(block.customer_ids, withheld["customer_id"]) < 0)[:, None]
    if not np.array_equal(allotted, by_prices):
        table = decide(block, bundle, allotted)
    offers = recommendation_rows(table, bundle, bundle.digest())
    return {RECOMMENDATIONS.name: offers, DECISIONS.name: decision_rows(table, bundle)}


def _repaired(block: DecisionBlock, changes: pa.Table, product_ids: tuple[str, ...]) -> Flags:
    """Return the pairs (n, P) that the repair gave or took."""
    repaired = changes.filter(pc.not_equal(changes["by_prices"], changes["offered"]))
    customers = columns.places(repaired["customer_id"], block.customer_ids)
    products = columns.places(repaired["product_id"], pa.array(product_ids, pa.string()))
    here = customers >= 0
    turned = np.zeros((block.size, len(product_ids)), dtype=bool)
    turned[customers[here], products[here]] = True
    return turned


def side_by_side(block: DecisionBlock, names: Sequence[str]) -> pa.Table:
    """Return all that a block holds as one table, a row per customer: what partitions of a cluster are cut from.

    Columns: those of the mart decision_inputs, the features `names`, and `credit_<field>_<family>` of risk's decisions.
    """
    table = input_rows(block)
    for place, name in enumerate(names):
        table = table.append_column(name, pa.array(block.view.x[:, place]))
    for name, family in _CREDIT:
        table = table.append_column(
            f"credit_{name}_{family}", pa.array(getattr(block.credit, name)[:, PRODUCT_FAMILIES.index(family)])
        )
    return table


def decided(rows: pa.Table, bundle: Bundle) -> pa.Table:
    """Decide for customers given as rows of `side_by_side`, in any order, and return rows of the mart decisions.

    No rows give none. Made to be handed to the workers of a cluster, each of which gives the bits that any other would:
    `spark_engine.map_blocks(expression, "customer_id", partial(ledger.decided, bundle=bundle))`.
    """
    if rows.num_rows == 0:
        return arrow_schema(DECISIONS).empty_table()
    lent = {
        field.name: np.column_stack([rows[f"credit_{field.name}_{family}"].to_numpy() for family in PRODUCT_FAMILIES])
        for field in fields(Credit)
    }
    x = np.column_stack([rows[name].to_numpy() for name in bundle.features]) if bundle.features else _nothing(rows)
    return decision_rows(decide(_block(rows, x.astype(np.float32), Credit(**lent)), bundle), bundle)


def _nothing(rows: pa.Table) -> Floats:
    return np.zeros((rows.num_rows, 0))


def fingerprint(block: DecisionBlock) -> str:
    """Return the sha256 of all that a block holds, features included: equal where every bit is."""
    hashed = hashlib.sha256()
    held = {field.name: getattr(block, field.name) for field in fields(block) if field.name not in _APART}
    view = block.view
    held |= {"owned": view.owned, "x": view.x, "group": view.group, "steps": _steps_of(view)}
    for name, values in sorted(held.items()):
        hashed.update(f"{name} {values.dtype} {values.shape} ".encode() + np.ascontiguousarray(values).tobytes())
    hashed.update("\n".join(block.customer_ids.to_pylist()).encode())
    return hashed.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One value that came out otherwise than the run wrote it; None where there is no row, or the value is empty."""

    mart: str
    customer_id: str
    product_id: str
    column: str
    written: Any
    again: Any


def differences(written: dict[str, pa.Table], made: dict[str, pa.Table]) -> tuple[Difference, ...]:
    """Return every value that differs between the rows of a run and those made again, by mart, customer and product.

    Floats are equal when their bits are: 0.1 + 0.2 is not 0.3. A row that only one side has differs in all its columns.
    """
    found: list[Difference] = []
    for mart in _MARTS:
        if not made[mart.name].equals(written[mart.name].combine_chunks().cast(made[mart.name].schema)):
            found += _of_mart(mart, written[mart.name], made[mart.name])
    return tuple(found)


def _of_mart(mart: Table, written: pa.Table, made: pa.Table) -> list[Difference]:
    sides = [{tuple(row[name] for name in _PAIR): row for row in rows.to_pylist()} for rows in (written, made)]
    found = []
    for customer_id, product_id in sorted(sides[0].keys() | sides[1].keys()):
        one, other = (side.get((customer_id, product_id), {}) for side in sides)
        for column in (name for name in mart.names if name not in _PAIR):
            then, now = one.get(column), other.get(column)
            if then != now and not (then != then and now != now):  # noqa: PLR0124  a NaN stays one
                found.append(
                    Difference(
                        mart=mart.name,
                        customer_id=customer_id,
                        product_id=product_id,
                        column=column,
                        written=then,
                        again=now,
                    )
                )
    return found


def _steps_of(view: View) -> Codes:
    return np.zeros(view.owned.shape, dtype=np.int8) if view.steps is None else view.steps


def _column(values: Any) -> pa.Array:
    if values.ndim == 1:
        unknown = np.isnan(values) if values.dtype == np.float64 else None
        return pa.array(values, mask=unknown)
    if values.dtype in (np.dtype(bool), np.dtype(np.int8)):
        letters = np.ascontiguousarray(values.astype(np.uint8) + np.uint8(_NO))
        return pa.array(letters.view(f"S{values.shape[1]}").ravel()).cast(pa.string())
    # the shortest decimals that read back as the very same number
    texts = [pc.fill_null(pc.cast(_column(values[:, place]), pa.string()), "") for place in range(values.shape[1])]
    return pc.binary_join_element_wise(*texts, ",")


def _values(column: Any, kind: Kind) -> Any:
    if kind is Kind.BOOLEAN:
        return columns.flags(column)
    if kind is Kind.INTEGER:
        return columns.integers(column)
    if kind is Kind.INSTANT:
        return columns.plain(column).to_numpy(zero_copy_only=False).astype("datetime64[us]")
    if kind is Kind.TEXT:
        return _numbers(column)
    return columns.values(column, np.nan)


def _flags(column: Any, _: Kind) -> Flags:
    held: Flags = _letters(column) == _NO + 1
    return held


def _codes(column: Any, _: Kind) -> Codes:
    return (_letters(column) - np.uint8(_NO)).astype(np.int8)


def _letters(column: Any) -> NDArray[np.uint8]:
    """Return the letters of texts of one length, shape (n, length)."""
    texts = columns.plain(column)
    return np.frombuffer("".join(texts.to_pylist()).encode(), dtype=np.uint8).reshape(len(texts), -1)


def _numbers(column: Any) -> Floats:
    texts = columns.plain(column)
    each = pc.list_flatten(pc.split_pattern(texts, ","))
    known = pc.if_else(pc.equal(each, ""), pa.scalar(None, pa.string()), each)
    return columns.values(pc.cast(known, pa.float64()), np.nan).reshape(len(texts), -1)


_READ: Final[Mapping[str, Callable[[Any, Kind], Any]]] = {"owned": _flags, "consent": _flags, "steps": _codes}
