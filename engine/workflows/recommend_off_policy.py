"""What another policy than a run's would have brought: its drawn offers joined with what came of them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier
from engine.lake.runs import Run, open_run
from engine.lake.schema import naive_utc
from engine.recommendations.bundle import Bundle
from engine.workflows import experiment_off_policy, session
from engine.workflows.stages.recommendations import BUNDLE

BEST: Final = "best"
EVEN: Final = "even"
Reward = Literal["opened", "clicked", "converted", "taken"]

_ASKED: Final = "wayline recommend off-policy"
_FEEDBACK: Final = "offers_feedback"
_LOG: Final = "log.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which run's offers, what counts as success within how many days of the run, and which other policy.

    policy : `best` (what the run values most, for everybody), `even` (any product that could be offered, alike), or the
        id of another run, whose first offers are taken. reward : an answer to the contact, or `taken`: the product was
        opened. out : a CSV or Parquet file to keep the log in.
    """

    home: Path
    run_id: str | None = None
    policy: str = BEST
    reward: Reward = "converted"
    days: int = 30
    out: Path | None = None
    clip: float | None = None
    alpha: float = 0.05
    seed: int = 7


def evaluate(question: Question) -> dict[str, Any]:
    """Return the value of the policy by every method, as `experiment_off_policy` does, and how the log was made.

    A decision is the first offer to one customer; later places have chances only given those above. Decisions whose
    chance is unknown are left out, and so are offers that were never sent, since nobody could answer them; `log` says
    how many. Rewards of the doubly robust estimate are predicted from the propensities that the run gave each product.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing
    SettingsFault
        The question contradicts itself.
    NotEnoughData
        The window has not passed, nothing was sent, or the run or another lacks what the policy needs.
    """
    workspace = session.workspace_at(question.home)
    run = open_run(workspace, question.run_id)
    other = None if question.policy in (BEST, EVEN) else open_run(workspace, question.policy)
    _refuse(question, run, other)
    with tempfile.TemporaryDirectory(prefix="wayline-log-") as folder:
        with session.duckdb(workspace) as engine:
            tables = workspace.attach(engine)
            _check_window(question, run, workspace.report())
            log, counts = _log(question, run, other, engine, tables)
        path = Path(folder) / _LOG
        pq.write_table(log, path)
        if question.out is not None:
            _keep(log, question.out)
        is_even = question.policy == EVEN
        answer = experiment_off_policy.evaluate(
            experiment_off_policy.Question(
                path=path,
                action="product_id",
                reward="reward",
                propensity="selection_probability",
                model=[name for name in log.column_names if name.startswith("propensity_of_")],
                clip=question.clip,
                alpha=question.alpha,
                seed=question.seed,
                home=question.home,
                policy=None if is_even else "policy_product",
                policy_propensity="policy_probability" if is_even else None,
            )
        )
    answer["policies"][0]["policy"] = question.policy
    if counts["drawn"] == 0:
        answer["notes"].append(
            "Nothing in this run was left to chance, so it tells of its own offers alone. Draw some: "
            "[recommendations.exploration]."
        )
    out = None if question.out is None else str(question.out)
    return answer | {"run_id": run.run_id, "reward": question.reward, "days": question.days, "log": counts, "out": out}


def _refuse(question: Question, run: Run, other: Run | None) -> None:
    run.require("recommendations")
    faults = []
    if question.days < 1:
        faults.append(f"--days {question.days}: expected one day at least, such as 30")
    if question.out is not None and question.out.suffix not in (".csv", ".parquet"):
        faults.append(f"--out {question.out.name}: expected a name that ends in .csv or .parquet")
    if other is not None and other.run_id == run.run_id:
        faults.append("--policy names the run itself; name another run, best or even")
    if faults:
        raise SettingsFault(_ASKED, [f"{fault}." for fault in faults])
    if other is None and run.has("allocation_limits") and run.read("allocation_limits", limit=1).num_rows:
        raise NotEnoughData(
            f"estimate of {question.policy}",
            "the run held limits on all offers together, so its tables do not say which products could be drawn",
            "another run as --policy, or a run without limits under [allocation]",
        )


def _check_window(question: Question, run: Run, report: dict[str, Any]) -> None:
    ends, known = run.as_of + timedelta(days=question.days), session.end_of_extract(report)
    if ends > known:
        raise NotEnoughData(
            "estimate",
            f"{question.days} days after the run are over on {ends:%Y-%m-%d}, and the data end on {known:%Y-%m-%d}",
            "fewer --days, or later data loaded with `wayline data load`",
        )


def _log(
    question: Question, run: Run, other: Run | None, engine: DuckDBEngine, tables: dict[str, Any]
) -> tuple[pa.Table, dict[str, int]]:
    """Return the log, a row per decision that counts, and how many were left out for what."""
    needed = "holdings" if question.reward == "taken" else _FEEDBACK
    if needed not in tables:
        raise NotEnoughData("estimate", f"the workspace has no {needed}", "that table: map it and load again")
    for mart in ("recommendations", "decisions"):
        engine.attach(f"_of_run_{mart}", run.require(mart))
    engine.connection.execute(f"CREATE TEMP TABLE _offers AS {_FIRST}")
    engine.connection.execute(f"CREATE TEMP TABLE _happened AS {_happened(question)}", _window(question, run))
    engine.connection.execute(f"CREATE TEMP TABLE _open AS {_open(run)}")
    if other is not None:
        engine.attach("_of_other", other.require("recommendations"))
    engine.connection.execute(f"CREATE TEMP TABLE _counted AS {_counted(question, other)}")
    counts = _counts(engine)
    if not counts["decisions"]:
        raise NotEnoughData(
            "estimate",
            f"of {counts['offers']:,} first offers {counts['unknown_chance']:,} have no known chance, "
            f"{counts['not_sent']:,} were not sent and for {counts['without_policy']:,} the policy offers nothing",
            "offers of the run that were sent, as rows of offers_feedback",
        )
    return engine.query(_wide(engine)), counts


_FIRST: Final = (
    "SELECT customer_id, product_id, selection, selection_probability FROM _of_run_recommendations WHERE rank = 1"
)


def _window(question: Question, run: Run) -> list[Any]:
    begins = naive_utc(run.as_of)
    return [begins, begins + timedelta(days=question.days)]


def _happened(question: Question) -> str:
    """Return which pairs were sent and which succeeded within the window."""
    if question.reward == "taken":
        return (
            "SELECT customer_id, product_id, true AS sent, true AS success FROM holdings "
            "WHERE opened_at > ? AND opened_at <= ? GROUP BY ALL"
        )
    return (
        f"SELECT customer_id, product_id, bool_or(event = 'sent') AS sent, "
        f"bool_or(event = '{question.reward}') AS success FROM {_FEEDBACK} "
        "WHERE occurred_at > ? AND occurred_at <= ? GROUP BY ALL"
    )


def _open(run: Run) -> str:
    """Return what could be drawn for each customer: how many products, and the one worth most."""
    least = Bundle.from_json(run.text(BUNDLE)).settings.gates.min_expected_value_minor
    return (
        "SELECT customer_id, count(*) AS products, "
        "first(product_id ORDER BY expected_value_minor DESC, product_id) AS best "
        f"FROM _of_run_decisions WHERE refused_mask = 0 AND expected_value_minor > {least} GROUP BY customer_id"
    )


def _counted(question: Question, other: Run | None) -> str:
    """Return every first offer with what came of it and what the policy would have offered instead."""
    sent = "true" if question.reward == "taken" else "coalesce(h.sent, false)"
    policy = "o.best" if other is None else "p.product_id"
    beside = "" if other is None else "LEFT JOIN _of_other p ON p.customer_id = f.customer_id AND p.rank = 1"
    return (
        f"SELECT f.*, {sent} AS sent, CAST(coalesce(h.success, false) AS DOUBLE) AS reward, "
        f"{policy} AS policy_product, 1.0 / o.products AS policy_probability FROM _offers f "
        "LEFT JOIN _happened h ON h.customer_id = f.customer_id AND h.product_id = f.product_id "
        f"LEFT JOIN _open o ON o.customer_id = f.customer_id {beside}"
    )


_USED: Final = "selection_probability > 0 AND sent AND policy_product IS NOT NULL"


def _counts(engine: DuckDBEngine) -> dict[str, int]:
    kinds = {
        "offers": "true",
        "unknown_chance": "selection_probability IS NULL OR selection_probability <= 0",
        "not_sent": "selection_probability > 0 AND NOT sent",
        "without_policy": "selection_probability > 0 AND sent AND policy_product IS NULL",
        "decisions": _USED,
        "drawn": f"{_USED} AND selection_probability < 1",
    }
    listed = ", ".join(f"count(*) FILTER ({kind})" for kind in kinds.values())
    return dict(zip(kinds, first_row(engine, f"SELECT {listed} FROM _counted"), strict=True))


def _wide(engine: DuckDBEngine) -> str:
    """Return the log with the propensity that the run gave every product, to predict rewards from."""
    products = engine.query("SELECT DISTINCT product_id FROM _of_run_decisions ORDER BY product_id")["product_id"]
    columns = ", ".join(
        f"max(d.propensity) FILTER (d.product_id = '{product}') AS {identifier(f'propensity_of_{product}')}"
        for product in (name.as_py().replace("'", "''") for name in products)
    )
    return (
        f"SELECT c.* EXCLUDE (sent), w.* EXCLUDE (customer_id) FROM (SELECT * FROM _counted WHERE {_USED}) c JOIN "
        f"(SELECT d.customer_id, {columns} FROM _of_run_decisions d GROUP BY d.customer_id) w USING (customer_id) "
        "ORDER BY customer_id"
    )


def _keep(log: pa.Table, path: Path) -> None:
    target = path.expanduser()
    if target.suffix == ".csv":
        pyarrow.csv.write_csv(log, target)
    else:
        pq.write_table(log, target)
