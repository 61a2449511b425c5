"""A model card as sections in one language, and these as one page of HTML or as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from engine.compliance import card_charts, reject_words
from engine.compliance import card_words as words
from engine.compliance.card_words import Language, say
from engine.compliance.model_card import Band, Both, ModelCard, Trial
from engine.documents import markdown, page
from engine.documents.blocks import Badge, Block, Drawing, Items, Section, Table, Warning
from engine.risk.fairness_figures import Figure
from engine.risk.fairness_words import measure_name
from engine.risk.file_reasons import bin_text

_MOST_GROUPS: Final = 200
"""Lines of fairness that are written; the folder has all of them in validation.json."""


_MOST_POINTS: Final = 300
"""Lines of points of a glass box that are written; its own file has all of them."""

_MARKS: Final = {"below": "warning", "differs": "warning", "pass": "ok", "no_difference_shown": "ok"}


def html(card: ModelCard, language: Language = "en") -> str:
    """Return the card as one page without script or request."""
    reasons = "".join(f"<li>{escape(_in(one, language))}</li>" for one in card.champion_reasons)
    body = (
        f'<h1>{escape(_title(card, language))}</h1>\n<div class="banner model">'
        f"<strong>{escape(_headline(card, language))}</strong><ul>{reasons}</ul></div>\n"
        f"{''.join(page.section(one) for one in _sections(card, language))}"
    )
    return page.whole(title=_title(card, language), body=body, language=language, style=card_charts.STYLE)


def text(card: ModelCard, language: Language = "en") -> str:
    """Return the card as Markdown; names cannot become markup."""
    parts = [f"# {markdown.escape(_title(card, language))}", f"**{markdown.escape(_headline(card, language))}**"]
    parts.append(markdown.items(_in(one, language) for one in card.champion_reasons))
    for section in _sections(card, language):
        parts += markdown.section(section)
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(card: ModelCard, language: Language) -> str:
    return f"{say('card_of', language)}, {say('learned_from', language, file=card.data.file)}"


def _headline(card: ModelCard, language: Language) -> str:
    tried = next(one for one in card.trials if one.name == card.champion)
    return say(
        "headline",
        language,
        champion=_model(card.champion, language),
        auc=words.number(tried.auc.value),
        bads=words.count(card.data.bads),
        rows=words.count(card.data.known),
    )


def _sections(card: ModelCard, language: Language) -> list[Section]:
    titled = (
        ("purpose", _purpose(language)),
        ("limits", _limits(card, language)),
        ("flagged", _flagged(card, language)),
        ("data", _data(card, language)),
        ("models", _models(card, language)),
        ("calibration", _calibration(card, language)),
        ("tiers", _tiers(card, language)),
        ("points", _points(card, language)),
        ("rejects", _rejects(card, language)),
        ("stability", _stability(card, language)),
        ("fairness", _fairness(card, language)),
        ("approvals", _approvals(card, language)),
        ("regimes", _regimes(card, language)),
        ("settings", _settings(card, language)),
    )
    made = [Section(title=say(name, language), blocks=tuple(blocks)) for name, blocks in titled]
    return [section for section in made if section.blocks]


def _purpose(language: Language) -> Iterator[Block]:
    yield say("purpose_text", language)


def _limits(card: ModelCard, language: Language) -> Iterator[Block]:
    if card.limits:
        yield Items(tuple(_in(one, language) for one in card.limits))


def _flagged(card: ModelCard, language: Language) -> Iterator[Block]:
    if card.flagged:
        yield Warning(say("flagged_text", language))
        rows = tuple((name, _in(why, language)) for name, why in card.flagged)
        yield Table(columns=_columns(language, "characteristic", "why"), rows=rows)


def _data(card: ModelCard, language: Language) -> Iterator[Block]:
    data = card.data
    period = say("no_period", language) if data.period is None else f"{data.period[0]} \u2013 {data.period[1]}"
    kinds = {"number": 0, "category": 0, **data.kinds}
    facts = {
        "file": data.file,
        "checksum": data.checksum,
        "rows": words.count(data.rows),
        "known": words.count(data.known),
        "bads": words.count(data.bads),
        "bad_rate": words.share(data.bads / data.known),
        "bad_definition": f"{data.target} = {', '.join(data.bad_values)}",
        "period": period,
        "characteristics": say("of_kinds", language, **kinds),
    }
    rows = tuple((say(name, language), value) for name, value in facts.items())
    yield Table(columns=_columns(language, "fact", "value"), rows=rows)
    for title, told in (("left_out", data.left_out), ("missing_read", data.read_as_missing)):
        if told:
            yield say("colon", language, text=say(title, language))
            listed = tuple((name, _in(why, language)) for name, why in told)
            yield Table(columns=_columns(language, "column", "why"), rows=listed)


def _models(card: ModelCard, language: Language) -> Iterator[Block]:
    yield say("champion_is", language, champion=_model(card.champion, language))
    for sample in ("folds", "out_of_time"):
        tried = [one for one in card.trials if one.sample == sample]
        if not tried:
            continue
        facts = {"rows": words.count(tried[0].rows), "bads": words.count(tried[0].bads)}
        yield say("tried_on", language, text=say(sample, language), **facts)
        names = ("model", "auc", "auc_sd", "ks", "brier", "violations")
        rows = tuple(_trial(one, card, language) for one in tried)
        yield Table(columns=_columns(language, *names), rows=rows, numeric=frozenset({1, 2, 3, 4, 5}))
        if any(one.why for one in tried):
            yield Warning(say("small", language, **facts))


def _trial(one: Trial, card: ModelCard, language: Language) -> tuple[str | Badge, ...]:
    name = _model(one.name, language)
    violations = say("promises_none", language)
    if one.violations is not None and one.probes:
        facts = {"violations": words.count(one.violations), "probes": words.count(one.probes)}
        violations = say("violations_of", language, **facts)
    return (
        Badge(text=name, mark="ok") if one.name == card.champion else name,
        words.with_interval(one.auc),
        words.number(one.auc_sd),
        words.number(one.ks),
        words.number(one.brier, 4),
        violations if one.sample == "folds" else words.DASH,
    )


def _calibration(card: ModelCard, language: Language) -> Iterator[Block]:
    if not card.calibration:
        return
    off = [band.label for band in card.calibration if card_charts.is_off(band)]
    listed = ", ".join(off)
    title = say("calibration_off", language, bands=listed) if off else say("calibration_ok", language)
    yield Drawing(title=title, svg=card_charts.calibration(card.calibration, language))
    yield _bands(card.calibration, "band", language)


def _tiers(card: ModelCard, language: Language) -> Iterator[Block]:
    if card.tiers:
        yield _bands(card.tiers, "tier", language)


def _bands(bands: tuple[Band, ...], name: str, language: Language) -> Table:
    rows = tuple(
        (
            say(band.label, language) if words.knows(band.label) else band.label,
            words.count(band.rows),
            words.share(band.predicted, 2),
            words.with_interval(band.observed, as_share=True),
        )
        for band in bands
    )
    columns = _columns(language, name, "rows", "predicted", "observed")
    return Table(columns=columns, rows=rows, numeric=frozenset({1, 2, 3}))


def _points(card: ModelCard, language: Language) -> Iterator[Block]:
    yield say("points_text", language, **{name: f"{value:g}" for name, value in card.scale.items()})
    champion = _model(card.champion, language)
    if card.own_points:
        yield say("points_own", language, champion=champion)
        yield _table_of_points(card.own_points, card, language)
        shown = _shown(card.own_points)
        if len(shown) > _MOST_POINTS:
            facts = {"shown": words.count(_MOST_POINTS), "all": words.count(len(shown))}
            yield say("points_more", language, file=f"{card.champion}.csv", **facts)
    if card.champion != "scorecard":
        yield say("points_watching", language, champion=champion)
    yield _table_of_points(card.points, card, language)
    if len(_shown(card.points)) < len(card.points):
        yield say("nobody_in", language)
    if card.dropped:
        yield say("colon", language, text=say("dropped", language))
        listed = tuple((name, words.number(value), _in(why, language)) for name, value, why in card.dropped)
        columns = _columns(language, "characteristic", "information", "why")
        yield Table(columns=columns, rows=listed, numeric=frozenset({1}))


def _shown(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in points if row["goods"] + row["bads"]]


def _table_of_points(points: Sequence[Mapping[str, Any]], card: ModelCard, language: Language) -> Table:
    total: Counter[str] = Counter()
    for row in points:
        total[row["characteristic"]] += row["goods"] + row["bads"]
    rows, before = [], ""
    for row in _shown(points)[:_MOST_POINTS]:
        name = row["characteristic"]
        own = card.meanings.get(name, ("", ""))
        # the name stands once, before the first of its bins
        named = ("", "") if name == before else (name, _in(own, language))
        before = name
        rows.append((*(named if card.meanings else named[:1]), *_bin(row, total[name], language)))
    names = ("characteristic", *(("meaning",) if card.meanings else ()))
    first = len(names) + 1
    columns = (*names, "bin", "point", "evidence", "share", "goods", "bads", "bad_rate")
    numeric = frozenset(range(first, first + 6))
    return Table(columns=_columns(language, *columns), rows=tuple(rows), numeric=numeric)


def _bin(row: Mapping[str, Any], total: int, language: Language) -> tuple[str, ...]:
    return (
        bin_text(str(row["bin"]), language),
        words.count(row["points"]).replace("-", "\u2212"),
        words.number(row["weight_of_evidence"]),
        words.share((row["goods"] + row["bads"]) / total),
        words.count(round(row["goods"])),
        words.count(round(row["bads"])),
        words.share(row["bad_rate"]),
    )


def _rejects(card: ModelCard, language: Language) -> Iterator[Block]:
    found = card.rejects
    if found is None:
        return
    facts = {"accepted": words.count(found.accepted), "rejected": words.count(found.rejected)}
    yield say("rejects_text", language, method=say(f"by_{found.found.method}", language), **facts)
    yield Warning((found.found.caution, found.found.caution_zh)[language == "zh"])
    rows = tuple((name, *values) for name, values in reject_words.measures(found, language))
    columns = _columns(language, "measure", "without_rejects", "with_rejects")
    yield Table(columns=columns, rows=rows, numeric=frozenset({1, 2}))
    yield say("colon", language, text=say("points_moved", language))
    shifts = tuple(reject_words.shifts(found, language))
    columns = _columns(language, "characteristic", "shift_of_accepted", "shift_of_rejected", "largest_shift", "note")
    yield Table(columns=columns, rows=shifts, numeric=frozenset({1, 2, 3}))


def _stability(card: ModelCard, language: Language) -> Iterator[Block]:
    if not card.moved:
        yield say("stability_none", language)
        return
    yield say("stability_text", language)
    rows = tuple(
        (
            say(one.name, language) if one.name == "score" else one.name,
            words.number(one.index.value),
            words.number(one.index.limit),
            say(one.index.decided_by, language) if one.index.decided_by else words.DASH,
            words.share(one.missing.value),
            _verdict((one.index.verdict, one.missing.verdict), language),
        )
        for one in card.moved
    )
    columns = _columns(language, "characteristic", "index", "limit", "limit_of", "missing_change", "verdict")
    yield Table(columns=columns, rows=rows, numeric=frozenset({1, 2, 4}))


def _verdict(of_both: tuple[str, str], language: Language) -> Badge:
    if "drifted" in of_both:
        return Badge(text=say("moved", language), mark="warning")
    known = "not_checked" not in of_both
    return Badge(text=say("steady" if known else "too_few", language), mark="ok" if known else "open")


def _fairness(card: ModelCard, language: Language) -> Iterator[Block]:
    if card.fairness is None:
        yield say("fairness_none", language)
        return
    yield say("fairness_text", language, cut_off=card.cut_off)
    rows = tuple(_figure(one, language) for one in card.fairness.figures[:_MOST_GROUPS])
    columns = _columns(language, "group", "measure", "rows", "of_group", "ratio", "verdict")
    yield Table(columns=columns, rows=rows, numeric=frozenset({2, 3, 4}))


def _figure(one: Figure, language: Language) -> tuple[str | Badge, ...]:
    write = _points_of if one.measure == "mean_score" else words.number if one.measure == "auc" else words.share
    reach = "" if one.lower is None or one.upper is None else f" [{write(one.lower)},{page.HARD}{write(one.upper)}]"
    against = words.DASH
    if one.ratio is not None:
        against = words.number(one.ratio, 2)
    elif one.difference is not None:
        against = ("+" if one.difference > 0 else "") + write(one.difference)
    told = say(one.verdict, language)
    return (
        f"{one.attribute}: {one.group}",
        measure_name(one.measure)[language == "zh"],
        words.DASH if one.rows is None else words.count(one.rows),
        write(one.value) + reach,
        against,
        Badge(text=told, mark=_MARKS.get(one.verdict, "open")) if told else "",
    )


def _points_of(value: float | None) -> str:
    return words.number(value, 1)


def _approvals(card: ModelCard, language: Language) -> Iterator[Block]:
    if not card.approvals:
        yield say("approvals_none", language)
        return
    rows = tuple((one.by, str(one.on), say(one.decision, language), one.note) for one in card.approvals)
    yield Table(columns=_columns(language, "by", "on", "decision", "note"), rows=rows)


def _regimes(card: ModelCard, language: Language) -> Iterator[Block]:
    yield say("regimes_text", language)
    rows = tuple(
        (
            f"{one.place}: {one.title_zh if language == 'zh' else one.title_en}",
            one.citation,
            say("from", language, day=one.applies_from)
            + ("" if one.applies_until is None else f" {say('until', language, day=one.applies_until)}"),
            one.asks_zh if language == "zh" else one.asks_en,
        )
        for one in card.regimes
    )
    yield Table(columns=(*_columns(language, "rule"), "", *_columns(language, "applies", "asks")), rows=rows)


def _settings(card: ModelCard, language: Language) -> Iterator[Block]:
    rows = tuple(_flat(card.settings))
    yield Table(columns=_columns(language, "setting", "value"), rows=rows)
    yield say("made_by", language, version=card.version)


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or words.DASH
    if value is None:
        return words.DASH
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _model(name: str, language: Language) -> str:
    return say(name, language) if words.knows(name) else name


def _in(both: Both, language: Language) -> str:
    return both[language == "zh"]


def _columns(language: Language, *names: str) -> tuple[str, ...]:
    return tuple(say(name, language) for name in names)
