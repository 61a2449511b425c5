"""The README.txt of a bundle: how to load it, in English and Chinese."""

from __future__ import annotations

from typing import Final

from engine.exports.audience_manifest import Manifest
from engine.exports.presets.base import Preset

_MODES_EN: Final = {
    "full": "All members are in add. Who left since your last load is in remove.",
    "delta": "Only what changed since run {prev} is here. Load it if you hold that run; else ask for a full export.",
    "mirror": "All members are in add. Whoever else you hold of this audience is no member: take them out.",
}
_MODES_ZH: Final = {
    "full": "add 含全部成员；自上次加载后退出者在 remove 中。",
    "delta": "仅含自运行 {prev} 以来的变化。若未持有该运行，请索取全量导出。",
    "mirror": "add 含全部成员；贵方所持本客群中不在 add 者均非成员，请移出。",
}


def text(manifest: Manifest, preset: Preset) -> str:
    """Return the text; it names counts and files and nobody."""
    coming = manifest.counts.added + manifest.counts.updated
    counts, prev = manifest.counts, manifest.prev_run_id or "-"
    resync_en = "\nDrop whatever you hold of this audience first: " + manifest.resync if manifest.resync else ""
    resync_zh = "\n请先清空所持的本客群数据，再加载本包。" if manifest.resync else ""
    return f"""Wayline audience export: {manifest.audience.id} for {preset.title}

Run {manifest.run_id}, as of {manifest.as_of}. Use it until {manifest.expires_at} and no row after its own end.
Purpose {manifest.purpose}, channel {manifest.channel}: nothing else.

1. Check: wayline export verify FOLDER. Load nothing from a bundle without _SUCCESS.
2. Load in this order: suppress ({counts.to_suppress} rows), remove ({counts.removed}), add ({coming}).
3. Acknowledge the run with its content_sha256, so that the next export can be a delta.

{_MODES_EN[manifest.mode].format(prev=prev)}{resync_en}
{preset.how_en}
Nothing here subscribes anybody; a subscription status is never written.
Members who were rejected ({counts.rejected}) are in errors.csv.

----

Wayline 客群导出：{manifest.audience.id}（{preset.title}）

运行 {manifest.run_id}，数据时点 {manifest.as_of}。有效期至 {manifest.expires_at}，且不得超过各行自身的有效期。
用途 {manifest.purpose}，渠道 {manifest.channel}，不得他用。

1. 校验：wayline export verify 文件夹。无 _SUCCESS 的包一律不得加载。
2. 按序加载：suppress（{counts.to_suppress} 行）、remove（{counts.removed} 行）、add（{coming} 行）。
3. 以 content_sha256 回执本次运行，下次方可增量导出。

{_MODES_ZH[manifest.mode].format(prev=prev)}{resync_zh}
{preset.how_zh}
本包不会使任何人被订阅，不写入任何订阅状态。
被拒绝的成员（{counts.rejected} 人）见 errors.csv。
"""
