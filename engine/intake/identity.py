"""Which customer rows are one person: connected components over shared identifiers, with a limit and a second look.

A shared e-mail joins two rows unless their birth dates contradict; a shared device only when their birth dates agree,
for a household shares a tablet; an identifier seen with many customers joins nobody, for a branch shares its tablet
with a town. What was not joined is reported, as counts: an identifier is personal data.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from engine.config.intake import Stitching
from engine.intake.report import IdentityReport, OversizeIdentifiers
from engine.intake.sql import first_row, number
from engine.lake.engine import DuckDBEngine, quoted

PERSONS: Final = "_persons"


def stitch(engine: DuckDBEngine, customers_sql: str, identities_sql: str, rules: Stitching) -> IdentityReport:
    """Make the temporary tables `_persons` and `_identity`, and return what was joined.

    `_persons` (customer_id, person_id, contact_id) holds customers who share a person with another: the smallest
    customer_id of the person, and the smallest one still open. `_identity` (k, customer_id) holds the identifiers of
    exactly one person and the customer to whom an event seen with it belongs.
    """
    run = engine.connection.execute
    run(
        "CREATE OR REPLACE TEMP TABLE _shared AS SELECT id_type, id_value, count(*) AS customers "
        f"FROM ({identities_sql}) GROUP BY ALL HAVING count(*) > 1"
    )
    pairs = engine.query(_pairs_sql(customers_sql, identities_sql, rules))
    joined = pairs.filter(pc.field("joins"))
    _register_persons(engine, components(joined.column("a"), joined.column("b")), customers_sql)
    run(
        "CREATE OR REPLACE TEMP TABLE _identity AS SELECT concat(id_type, chr(31), id_value) AS k, "
        f"min(coalesce(p.contact_id, i.customer_id)) AS customer_id FROM ({identities_sql}) i "
        f"LEFT JOIN {PERSONS} p USING (customer_id) GROUP BY ALL "
        "HAVING min(coalesce(p.person_id, i.customer_id)) = max(coalesce(p.person_id, i.customer_id))"
    )
    return _report(engine, customers_sql, rules, contradicted=pairs.num_rows - joined.num_rows)


def _pairs_sql(customers_sql: str, identities_sql: str, rules: Stitching) -> str:
    alone = f"bool_or(s.id_type IN ({_listed(rules.alone)}))"
    dated = f"bool_or(s.id_type IN ({_listed(rules.with_birth_date)}))"
    agree = "any_value(ca.birth_date = cb.birth_date)"
    return (
        f"WITH i AS (SELECT customer_id, id_type, id_value FROM ({identities_sql}) "
        "SEMI JOIN _shared USING (id_type, id_value)), c AS "
        f"(SELECT customer_id, birth_date FROM ({customers_sql}) SEMI JOIN i USING (customer_id)) "
        f"SELECT a.customer_id AS a, b.customer_id AS b, "
        f"({alone} AND coalesce({agree}, true)) OR ({dated} AND coalesce({agree}, false)) AS joins "
        f"FROM _shared s JOIN i a USING (id_type, id_value) JOIN i b USING (id_type, id_value) "
        "JOIN c ca ON ca.customer_id = a.customer_id JOIN c cb ON cb.customer_id = b.customer_id "
        f"WHERE s.customers <= {rules.most_customers} AND a.customer_id < b.customer_id GROUP BY 1, 2 ORDER BY 1, 2"
    )


def components(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.Table:
    """Return customer_id and person_id of everyone named in a pair; person_id is the smallest id of the component."""
    names = pc.unique(pa.chunked_array([*left.chunks, *right.chunks], pa.string())).sort()
    a, b = (pc.index_in(side, names).to_numpy() for side in (left, right))
    size = len(names)
    links = coo_array((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    count, label = connected_components(links, directed=False) if size else (0, np.zeros(0, dtype=np.int32))
    smallest = np.full(count, size, dtype=np.int64)
    np.minimum.at(smallest, label, np.arange(size))
    return pa.table({"customer_id": names, "person_id": names.take(pa.array(smallest[label], pa.int64()))})


def _register_persons(engine: DuckDBEngine, members: pa.Table, customers_sql: str) -> None:
    engine.connection.register("_members", members)
    engine.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {PERSONS} AS SELECT m.customer_id, m.person_id, coalesce("
        "min(m.customer_id) FILTER (c.closed_at IS NULL) OVER (PARTITION BY m.person_id), m.person_id) AS contact_id "
        f"FROM _members m JOIN ({customers_sql}) c USING (customer_id)"
    )
    engine.connection.unregister("_members")


def _report(engine: DuckDBEngine, customers_sql: str, rules: Stitching, contradicted: int) -> IdentityReport:
    customers = number(engine, f"SELECT count(*) FROM ({customers_sql})")
    rows, groups = first_row(engine, f"SELECT count(*), count(DISTINCT person_id) FROM {PERSONS}")
    oversize = engine.connection.execute(
        f"SELECT id_type, count(*), max(customers) FROM _shared WHERE customers > {rules.most_customers} "
        "GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return IdentityReport(
        customers=customers,
        persons=customers - rows + groups,
        customers_joined=rows,
        pairs_kept_apart=contradicted,
        oversize=tuple(
            OversizeIdentifiers(id_type=kind, identifiers=count, most_customers=most) for kind, count, most in oversize
        ),
    )


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, values)) or "NULL"
