"""Exports: the list of what left, its manifest as a waterfall, its files, what waits, and the commands to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from engine.ui.views import waterfall
from engine.ui.views.figure import Figure, Mark
from engine.ui.words import UNDEFINED, Words, catalogue
from engine.workflows.export_approvals import Waiting
from engine.workflows.view import selection
from engine.workflows.view.exports import Handed

_STEPS = ("holdout", "suppressed", "complaint", "no_consent", "risk_gate", "contact_cap", "not_decided", "withheld")
_UNASKED = "wayline"  # who exported where nobody said a name


def named(one: Handed | Waiting, w: Words) -> str:
    """Return what an audience is called in the reader's language."""
    if isinstance(one, Handed) and not one.is_of_audience:
        return w.t("exports.all_offers")
    return w.pick(one.name or one.audience, one.name_zh)


def called(one: Handed, w: Words) -> str:
    """Return what tells an export from the others in a list to choose from."""
    where = one.to or one.file_format or UNDEFINED
    return " · ".join([named(one, w), where, w.t(f"export_mode.{one.mode}"), w.instant(one.exported_at)])


def tiles(total: int, rows: Sequence[Handed], waits: Sequence[Waiting], w: Words) -> list[tuple[str, str, str]]:
    """Return the key figures: label, value, and what exactly is counted."""
    tools, acked = _acknowledged(rows)
    values = {
        "exports": w.number(total),
        "acknowledged": f"{w.number(acked)} / {w.number(tools)}",
        "to_approve": w.number(sum(one.approved_by is None for one in waits)),
        "last": w.day(rows[0].exported_at) if rows else UNDEFINED,
    }
    return [(w.t(f"exports.{name}"), value, w.t(f"exports.{name}_help")) for name, value in values.items()]


def finding(total: int, rows: Sequence[Handed], w: Words) -> str:
    """Say how many left, and how many of those for tools are acknowledged."""
    tools, acked = _acknowledged(rows)
    return w.t("exports.finding_left", n=w.number(total), tools=w.number(tools), acked=w.number(acked))


def listing(rows: Sequence[Handed], w: Words) -> pd.DataFrame:
    """Return every export in one row."""
    return pd.DataFrame(
        {
            w.t("audiences.audience"): [named(one, w) for one in rows],
            w.t("exports.to"): [one.to or UNDEFINED for one in rows],
            w.t("exports.mode"): [w.t(f"export_mode.{one.mode}") for one in rows],
            w.t("exports.rows"): [one.rows for one in rows],
            w.t("exports.added"): _counted(rows, "added"),
            w.t("exports.removed"): _counted(rows, "removed"),
            w.t("exports.rejected"): _whole(
                [one.counts["rejected"] + (one.acked_rejected or 0) if one.manifest else None for one in rows]
            ),
            w.t("exports.signed"): [one.signed_by[:8] if one.signed_by else UNDEFINED for one in rows],
            w.t("exports.approved_by"): [one.approved_by or UNDEFINED for one in rows],
            w.t("exports.acked"): [_acked(one, w) for one in rows],
            w.t("exports.when"): [w.instant(one.exported_at) for one in rows],
            w.t("exports.by"): [one.exported_by for one in rows],
            w.t("exports.state"): [_state(one, w) for one in rows],
        }
    )


def _state(one: Handed, w: Words) -> str:
    return w.t("exports.back" if one.revoked_by else "exports.here" if one.manifest else "exports.gone")


def unread(one: Handed, w: Words) -> str:
    """Say why there is no manifest to look at."""
    if one.revoked_by is None:
        return w.t("exports.no_manifest")
    return w.t("exports.taken_back", by=one.revoked_by, when=w.instant(one.revoked_at))


def inside(one: Handed, w: Words) -> Figure:
    """Return who was selected, who stayed at which step, and who left, as the manifest counts them."""
    counts, unit = one.counts, w.t("exports.members" if one.is_of_audience else "exports.offers")
    steps = [(name, counts[name]) for name in (*_STEPS, "rejected") if name in counts]
    told = [(w.t(f"export_step.{name}"), removed, "") for name, removed in steps if removed]
    bars = waterfall.bars((w.t("exports.selected"), counts["selected"]), told, w.t("exports.exported"), w)
    table = pd.DataFrame(
        [
            (w.t("exports.selected"), counts["selected"]),
            *((w.t(f"export_step.{name}"), removed) for name, removed in steps),
            (w.t("exports.exported"), counts["exported"]),
        ],
        columns=[w.t("exports.step"), unit],
    )
    found = _finding_inside(one, told, w)
    chart = waterfall.chart(bars, w, unit) if counts["selected"] else None
    return Figure(finding=found, chart=chart, alt=found, table=table, note=w.t("exports.chart_note"))


def trial(found: Mapping[str, Any], w: Words) -> Figure:
    """Return who of an audience would leave, and who would stay at which step."""
    counts, unit = found["counts"], w.t("exports.members")
    steps = [(w.t(f"export_step.{step['step']}"), step["removed"], "") for step in found["steps"]]
    bars = waterfall.bars(
        (w.t("exports.selected"), counts["selected"]), [one for one in steps if one[1]], w.t("exports.would_leave"), w
    )
    rows = [(w.t("exports.selected"), counts["selected"]), *((name, removed) for name, removed, _ in steps)]
    table = pd.DataFrame([*rows, (w.t("exports.would_leave"), counts["exported"])], columns=[w.t("exports.step"), unit])
    if not counts["selected"]:
        finding = w.t("exports.finding_nobody")
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    finding = w.t(
        "exports.finding_trial",
        exported=w.number(counts["exported"]),
        selected=w.number(counts["selected"]),
        share=w.share(counts["exported"] / counts["selected"]),
    )
    return Figure(finding=finding, chart=waterfall.chart(bars, w, unit), alt=finding, table=table)


def member_marks(one: Handed, w: Words) -> tuple[Mark, ...]:
    """Return the marks of who is at the tool with an export, and whom the tool rejected."""
    if not one.key.startswith("bundle-") or one.manifest is None:
        return ()
    counted = {"exported": one.counts.get("exported", 0), "rejected": one.acked_rejected or 0}
    return tuple(
        Mark(
            selection=selection.of(kind, export=one.key), label=w.t(f"exports.who_{kind}"), count=count, at={"of": kind}
        )
        for kind, count in counted.items()
        if count
    )


def facts(one: Handed, manifest: Mapping[str, Any], w: Words) -> str:
    """Say of which run a bundle is, until when it may be used and for what."""
    said = w.t(
        "exports.facts",
        run=one.run_id,
        as_of=w.instant(manifest["as_of"]),
        expires=w.instant(manifest["expires_at"]),
        purpose=w.label("export_purpose", manifest["purpose"]),
    )
    return " ".join([said, w.t("exports.resync", why=manifest["resync"])]) if manifest.get("resync") else said


def reasons(manifest: Mapping[str, Any], texts: Mapping[str, tuple[str, str]], w: Words) -> pd.DataFrame:
    """Return why members stayed, in words, the most frequent first; `texts` are those of the run's own reasons."""
    counted = sorted(manifest.get("reasons", {}).items(), key=lambda item: (-item[1], item[0]))
    known = {code: texts.get(code) or catalogue().get(f"export_reason.{code}", (code, "")) for code, _ in counted}
    return pd.DataFrame(
        {
            w.t("audiences.reason"): [w.pick(*known[code]) for code, _ in counted],
            w.t("exports.count"): [w.number(count) for _, count in counted],
        }
    )


def files(manifest: Mapping[str, Any], w: Words) -> pd.DataFrame:
    """Return every file of a bundle with what it holds, its rows and its checksum."""
    listed = manifest["files"]
    return pd.DataFrame(
        {
            w.t("exports.file"): [one["path"] for one in listed],
            w.t("exports.content"): [w.t(f"export_op.{one['op']}") for one in listed],
            w.t("exports.file_rows"): [one["rows"] for one in listed],
            w.t("exports.size"): [one["bytes"] for one in listed],
            "SHA-256": [one["sha256"] for one in listed],
        }
    )


def commands(one: Handed) -> str:
    """Return the commands that make the export again and check it."""
    by = [] if one.exported_by == _UNASKED else ["--by", one.exported_by]
    kind = ["--format", one.file_format] if one.file_format else []
    again = ["wayline", "export"]
    if not one.is_of_audience:
        again += ["recommendations", "--run", one.run_id, *kind]
    else:
        preset, _, channel = (one.to or "generic").partition("/")
        where = ["--to", preset, *(["--channel", channel] if channel else [])]
        again += [one.audience, *where, "--mode", one.mode, *kind, "--run", one.run_id, *by]
    lines = [shlex.join(again)]
    if one.folder is not None:
        lines.append(shlex.join(["wayline", "export", "verify", str(one.folder)]))
    return "\n".join(lines)


def waiting(rows: Sequence[Waiting], w: Words) -> pd.DataFrame:
    """Return every export that waits, with who asked and who agreed."""
    return pd.DataFrame(
        {
            w.t("audiences.audience"): [named(one, w) for one in rows],
            w.t("exports.to"): [one.destination for one in rows],
            w.t("exports.members"): [one.members for one in rows],
            w.t("exports.because"): [w.t(f"export_cause.{one.cause}") for one in rows],
            w.t("exports.asked_by"): [one.asked_by for one in rows],
            w.t("exports.asked_at"): [w.instant(one.asked_at) for one in rows],
            w.t("exports.approved_by"): [one.approved_by or UNDEFINED for one in rows],
            w.t("exports.run"): [one.run_id for one in rows],
        }
    )


def waiting_finding(rows: Sequence[Waiting], w: Words) -> str:
    """Say how many wait, and how many of them nobody else has agreed to."""
    still = sum(one.approved_by is None for one in rows)
    return w.t("exports.finding_waiting", n=w.number(len(rows)), open=w.number(still))


def asked_again(one: Waiting) -> str:
    """Return the command with which the one who asked makes the export once it is approved."""
    preset, _, channel = one.destination.partition("/")
    return shlex.join(
        ["wayline", "export", one.audience, "--to", preset, "--channel", channel, "--run", one.run_id,
         "--by", one.asked_by]
    )  # fmt: skip


def _finding_inside(one: Handed, told: Sequence[waterfall.Step], w: Words) -> str:
    counts = one.counts
    if not counts["selected"]:
        return w.t("exports.finding_nobody")
    said = w.t(
        "exports.finding_inside" if one.is_of_audience else "exports.finding_offers",
        exported=w.number(counts["exported"]),
        selected=w.number(counts["selected"]),
        share=w.share(counts["exported"] / counts["selected"]),
    )
    if not told:
        return said
    step, removed, _ = max(told, key=lambda item: item[1])
    most = w.t("exports.finding_most", step=step, n=w.number(removed))
    return f"{said}{'' if w.language == 'zh' else ' '}{most}"


def _acknowledged(rows: Sequence[Handed]) -> tuple[int, int]:
    """Return how many of the listed exports a tool could acknowledge, and how many it did."""
    tools = [one for one in rows if one.is_of_audience and one.file_format != "csv_spreadsheet"]
    return len(tools), sum(one.acked_at is not None for one in tools)


def _acked(one: Handed, w: Words) -> str:
    return UNDEFINED if one.acked_at is None else f"{one.acked_by}, {w.day(one.acked_at)}"


def _counted(rows: Sequence[Handed], name: str) -> Any:
    return _whole([one.counts.get(name) for one in rows])


def _whole(values: Sequence[int | None]) -> Any:
    return pd.array(values, dtype="Int64")
