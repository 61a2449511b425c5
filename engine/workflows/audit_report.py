"""A report for who answers for what was done: which checks pass, which are open, and every act of a period; signed."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from engine.compliance.audit import Verification, verify
from engine.config.access import AccessSettings
from engine.domain import labels
from engine.domain.access import Right, Viewer
from engine.domain.errors import CheckFailed, MartMissing, RefusedByPolicy, RunMissing, WaylineError
from engine.exports import csv_dialects, dossier, signing
from engine.exports.dossier import Dossier, Files
from engine.lake.files import file_digest
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.store import AuditRecord, Store
from engine.workflows import api_keys, session
from engine.workflows.export import KEYS
from engine.workflows.view import reading
from engine.workflows.view.audit import Filters

Language = Literal["en", "zh"]
Status = Literal["pass", "open", "unknown"]
ACTION: Final = "audit.report_made"
_MOST: Final = 200_000
"""Acts that one report holds; a period with more is refused, not cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold: whether it does, and the number that says so.

    status : "unknown" where there is nothing to look at, which is no pass. count : how many are open, or looked at.
    """

    code: str
    status: Status
    count: int

    def question(self) -> labels.Both:
        """What is asked."""
        return _texts()[f"check.{self.code}"]

    def answer(self) -> labels.Both:
        """What was found, with the number."""
        return labels.filled(_texts()[f"{self.status}.{self.code}"], n=f"{self.count:,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What checks look at."""

    workspace: Workspace
    run: Run | None
    store: Store | None
    chain: Verification | None


def coverage(viewer: Viewer, home: Path) -> tuple[Check, ...]:
    """Return every check with how it stands, in the order of CHECKS; raises NotAllowed."""
    viewer.require(Right.SEE_AUDIT)
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return _checked(_Looked(workspace=workspace, run=_newest(workspace), store=None, chain=None))
    with Store(session.database_url(workspace)) as store:
        with store.audit_links() as links:
            chain = verify(links)
        return _checked(_Looked(workspace=workspace, run=_newest(workspace), store=store, chain=chain))


def report(viewer: Viewer, home: Path, what: Filters, language: Language = "en") -> Files:
    """Return the files of a report on the acts asked for: HTML, JSON and CSV, their checksums, and a signature.

    That it was made is an act too, and written before.

    Raises
    ------
    NotAllowed
    RefusedByPolicy
        More acts than one report holds.
    """
    viewer.require(Right.SEE_AUDIT)
    workspace = session.workspace_at(home)
    workspace.home.mkdir(parents=True, exist_ok=True)
    asked = {name: value for name, value in asdict(what).items() if value}
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        total, _ = store.audit_sought(what.sought(), 0)
        if total > _MOST:
            raise RefusedByPolicy(f"{total:,} acts are asked for, a report holds {_MOST:,}. Choose a shorter period.")
        made = store.audit(ACTION, "audit", {"asked": {name: str(value) for name, value in asked.items()}})
        _, acts = store.audit_sought(what.sought(), _MOST)
    checks = coverage(viewer, home)
    head = Dossier(
        kind="audit_report",
        made_at=datetime.now(UTC),
        made_by=viewer.name,
        reason="report",
        audit_entries=made.seq,
        audit_head=made.hash,
        files=(),
    )
    told = [_act(one) for one in reversed(acts)]
    files = {
        "report.json": (json.dumps(_whole(head, asked, checks, told), ensure_ascii=False, indent=1) + "\n").encode(),
        "report.html": _html(head, checks, told, language).encode(),
        "checks.csv": _csv([_row(one) for one in checks]),
        "acts.csv": _csv([{**one, "details": json.dumps(one["details"], ensure_ascii=False)} for one in told]),
    }
    return dossier.bound(files, head, signing.opened(workspace.home / KEYS))


def _whole(
    head: Dossier, asked: Mapping[str, object], checks: Sequence[Check], acts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "made_at": head.made_at.isoformat(),
        "made_by": head.made_by,
        "asked": {name: str(value) for name, value in asked.items()},
        "audit_entries": head.audit_entries,
        "audit_head": head.audit_head,
        "checks": [_row(one) for one in checks],
        "acts": list(acts),
    }


# What is checked: each returns its status and a number. Nothing to look at is "unknown".

Found = tuple[Status, int]


def _chain(at: _Looked) -> Found:
    if at.chain is None:
        return "unknown", 0
    return ("pass", at.chain.entries) if at.chain.whole else ("open", at.chain.broken_at or 0)


def _sign_in(at: _Looked) -> Found:
    return ("pass" if session.settings(at.workspace, AccessSettings, "access").mode == "oidc" else "open"), 1


def _signed(at: _Looked) -> Found:
    return ("pass" if signing.opened(at.workspace.home / KEYS) is not None else "open"), 1


def _files(at: _Looked) -> Found:
    """Whether the tables of the newest run are what the run wrote."""
    if at.run is None:
        return "unknown", 0
    marts, texts = at.run.manifest["marts"].values(), at.run.manifest["texts"].values()
    files = [one for mart in marts for one in mart["files"]] + list(texts)
    changed = [one for one in files if _differs(at.run.folder / one["path"], one["sha256"])]
    return ("open", len(changed)) if changed else ("pass", len(files))


def _differs(path: Path, expected: str) -> bool:
    try:
        return file_digest(path) != expected
    except OSError:
        return True


def _stages(at: _Looked) -> Found:
    if at.run is None:
        return "unknown", 0
    skipped = [one for one in at.run.manifest["stages"] if one["status"] == "skipped"]
    return ("open", len(skipped)) if skipped else ("pass", len(at.run.manifest["stages"]))


def _consent(at: _Looked) -> Found:
    return ("pass", 1) if at.workspace.curated("consents").is_dir() else ("open", 1)


def _rows_kept(at: _Looked) -> Found:
    if not at.workspace.report_path.is_file():
        return "unknown", 0
    tables = at.workspace.report()["tables"]
    lost = [one for one in tables if one["read"] != one["kept"] + one["quarantined"]]
    return ("open", len(lost)) if lost else ("pass", len(tables))


def _model(at: _Looked) -> Found:
    if at.store is None:
        return "unknown", 0
    models = at.store.models()
    if not models:
        return "unknown", 0
    return ("pass", 1) if any(one.approver and one.status == "champion" for one in models) else ("open", 1)


def _cautions(at: _Looked) -> Found:
    return _count(at, "risk_cautions", "count(*)")


def _overdue(at: _Looked) -> Found:
    return _count(at, "risk_reassessment", "count(*) FILTER (is_due)")


def _fairness(at: _Looked) -> Found:
    return _count(at, "risk_fairness", "count(*) FILTER (verdict = 'below')")


def _offers_fair(at: _Looked) -> Found:
    return _count(at, "offer_fairness", "count(*) FILTER (verdict = 'below')")


def _count(at: _Looked, mart: str, expression: str) -> Found:
    if at.run is None:
        return "unknown", 0
    try:
        found = int(reading.marts(at.run, f"SELECT {expression} AS n FROM {mart}", mart)["n"].iloc[0])
    except MartMissing:
        return "unknown", 0
    return ("open", found) if found else ("pass", 0)


def _exports(at: _Looked) -> Found:
    """Whether every bundle that left still is what was recorded, where it still lies."""
    if at.store is None:
        return "unknown", 0
    records = at.store.exports()
    there = [one for one in records if (Path(one.destination) / dossier.MANIFEST).is_file()]
    changed = [one for one in there if file_digest(Path(one.destination) / dossier.MANIFEST) != one.sha256]
    return ("open", len(changed)) if changed else ("pass", len(there)) if there else ("unknown", 0)


def _keys(at: _Looked) -> Found:
    if at.store is None:
        return "unknown", 0
    found = [one["status"] for one in api_keys.listed(at.workspace.home)["keys"]]
    ending = [status for status in found if status in ("ends_soon", "replaced")]
    return ("open", len(ending)) if ending else ("pass", len(found))


def _alerts(at: _Looked) -> Found:
    if at.store is None:
        return "unknown", 0
    unseen = at.store.alerts()
    return ("open", len(unseen)) if unseen else ("pass", 0)


def _reveals(at: _Looked) -> Found:
    """How often personal data were revealed: each with a reason, as nothing is shown without one."""
    if at.store is None:
        return "unknown", 0
    total, _ = at.store.audit_sought(Filters(action="personal.").sought(), 0)
    return "pass", total


CHECKS: Final[Mapping[str, Callable[[_Looked], Found]]] = {
    "chain": _chain,
    "sign_in": _sign_in,
    "signed": _signed,
    "files": _files,
    "stages": _stages,
    "rows_kept": _rows_kept,
    "consent": _consent,
    "exports": _exports,
    "keys": _keys,
    "model": _model,
    "cautions": _cautions,
    "overdue": _overdue,
    "fairness": _fairness,
    "offers_fair": _offers_fair,
    "alerts": _alerts,
    "reveals": _reveals,
}


def _checked(at: _Looked) -> tuple[Check, ...]:
    found = []
    for code, check in CHECKS.items():
        try:
            status, count = check(at)
        except (CheckFailed, WaylineError):
            status, count = "open", 0
        found.append(Check(code=code, status=status, count=count))
    return tuple(found)


def _newest(workspace: Workspace) -> Run | None:
    try:
        return latest_run(workspace)
    except RunMissing:
        return None


def _texts() -> Mapping[str, labels.Both]:
    return labels.texts("engine.workflows", "audit_report.toml")


def _row(one: Check) -> dict[str, Any]:
    (question, question_zh), (answer, answer_zh) = one.question(), one.answer()
    told = {"check": one.code, "status": one.status, "count": str(one.count), "question": question, "found": answer}
    return told | {"question_zh": question_zh, "found_zh": answer_zh}


def _act(one: AuditRecord) -> dict[str, Any]:
    told = {"seq": str(one.seq), "at": one.at.astimezone(UTC).isoformat(), "actor": one.actor, "action": one.action}
    return told | {"subject": one.subject, "details": dict(one.details), "hash": one.hash}


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([str(row[name]) for row in rows], pa.string()) for name in names}
    dialect = csv_dialects.spreadsheet(",")
    if not rows:
        return b""
    safe = csv_dialects.guarded(csv_dialects.clean(pa.table(columns)))
    return csv_dialects.csv_header(names, dialect) + csv_dialects.csv_lines(safe, dialect)


_STYLE: Final = (
    "body{font:14px/1.5 sans-serif;margin:2rem auto;max-width:70rem;color:#1b2430}table{border-collapse:collapse;"
    "width:100%;margin:1rem 0}td,th{border:1px solid #dde3ea;padding:.3rem .5rem;text-align:left;vertical-align:top}"
    ".open{background:#fdf0ec}.pass{background:#eef7f0}code{font-size:12px;word-break:break-all}"
)


def _html(head: Dossier, checks: Sequence[Check], acts: Sequence[Mapping[str, Any]], language: Language) -> str:
    place = 0 if language == "en" else 1

    def said(key: str, **values: str) -> str:
        return html.escape(labels.filled(_texts()[key], **values)[place])

    lines = [
        f'<tr class="{one.status}"><td>{html.escape(one.question()[place])}</td><td>{said(f"status.{one.status}")}</td>'
        f"<td>{html.escape(one.answer()[place])}</td></tr>"
        for one in checks
    ]
    done = [
        f"<tr><td>{one['seq']}</td><td>{html.escape(one['at'][:19])}</td><td>{html.escape(one['actor'])}</td>"
        f"<td>{html.escape(one['action'])}</td><td>{html.escape(one['subject'])}</td>"
        f"<td><code>{html.escape(json.dumps(one['details'], ensure_ascii=False))}</code></td></tr>"
        for one in acts
    ]
    made = said("report.made", by=head.made_by, at=f"{head.made_at:%Y-%m-%d %H:%M}")
    chain = said("report.chain", n=str(head.audit_entries), hash=head.audit_head)
    columns = "".join(
        f"<th>{said(f'report.{name}')}</th>" for name in ("seq", "at", "actor", "act", "subject", "details")
    )
    asked = "".join(f"<th>{said(f'report.{name}')}</th>" for name in ("check", "status", "found"))
    tag = "en" if language == "en" else "zh"
    return (
        f'<!doctype html><html lang="{tag}"><head><meta charset="utf-8"><title>{said("report.title")}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{said('report.title')}</h1><p>{made}</p><p>{chain}</p>"
        f"<h2>{said('report.checks')}</h2><table><tr>{asked}</tr>{''.join(lines)}</table>"
        f"<h2>{said('report.acts')}</h2><table><tr>{columns}</tr>{''.join(done)}</table></body></html>\n"
    )


def since_day(text: str) -> date | None:
    """Return a day written as 2026-06-30; None for an empty text; raises RefusedByPolicy for what is none."""
    if not text.strip():
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise RefusedByPolicy(f'"{text.strip()[:20]}" is no day. Write it as 2026-06-30.') from None
