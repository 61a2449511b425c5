"""The default model of one bank: learned on earlier loans, tried on later ones, then every customer graded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import RISK, RISK_SCORECARD, RISK_VALIDATION
from engine.domain.words import RiskTier
from engine.lake.schema import arrow_schema, naive_utc, to_contract
from engine.risk import calibrators, coverage, crossvalidation, hindsight, models, sealing, tiers, validation
from engine.risk.attributes import Attributes
from engine.risk.binning import Codes
from engine.risk.challengers.training import Training
from engine.risk.characteristics import ACCOUNT_RECORD, APPLICATION, ASKED, BUREAU_RECORD, BY_NAME, CHARACTERISTICS
from engine.risk.coverage import Moved
from engine.risk.scorecard import Scorecard
from engine.risk.scorer import Scorer
from engine.risk.table import KNOWN
from engine.risk.validation import Measure, Sample

Floats = NDArray[np.float64]
NAME: Final = "bank_model"
BLOCK: Final = 250_000
"""Rows scored at once: memory stays flat however many customers there are."""
REASONS: Final = 3
_MEANINGS: Final = {one.name: one.meaning for one in CHARACTERISTICS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskModel:
    """A scorecard with what it was learned from and how it held on later loans.

    `left_out` counts booked loans whose outcome is not known, by state; `notes` say what limits the model.
    """

    scorecard: Scorecard
    settings: RiskSettings
    as_of: datetime
    loans: int
    bads: int
    left_out: Mapping[str, int]
    measures: tuple[Measure, ...]
    notes: tuple[str, ...]

    def scorecard_table(self) -> pa.Table:
        """Return the RISK_SCORECARD mart."""
        return to_contract(RISK_SCORECARD, pa.Table.from_pylist(self.scorecard.rows(), arrow_schema(RISK_SCORECARD)))

    def validation_table(self) -> pa.Table:
        """Return the RISK_VALIDATION mart."""
        rows = [measure.to_row() for measure in self.measures]
        return to_contract(RISK_VALIDATION, pa.Table.from_pylist(rows, arrow_schema(RISK_VALIDATION)))

    def scorer(self) -> Scorer:
        """Return the scorecard made ready to score, with as many reasons as the mart holds, none of them protected."""
        return Scorer(self.scorecard, (*self.settings.never_a_reason, *self.settings.protected), REASONS)

    def score(self, scoring: pa.Table, as_of: datetime | None = None) -> pa.Table:
        """Return the RISK mart; see `score`."""
        return score(self, scoring, as_of)

    def tried(self, training: pa.Table) -> RiskModel:
        """Return the model with its measures taken anew, on the loans of a training table of a later date.

        The samples are those on which a model learned from that table would be measured.

        Raises
        ------
        NotEnoughData
            Fewer defaults than settings ask for.
        """
        earlier, later = validation.split(_enough(training, self.settings)[0], self.settings)
        samples = (self.sample("train", earlier), self.sample("out_of_time", later))
        few = self.settings.small_sample_bads
        return replace(self, measures=tuple(one for each in samples for one in validation.measures(each, few)))

    def sample(self, name: str, loans: pa.Table) -> Sample:
        """Return loans of the training table whose outcome is known as scored by this model, to be measured."""
        return _sample(self.scorecard, name, loans)

    def points_and_probability(self, rows: pa.Table) -> tuple[Floats, Floats]:
        """Return the exact points, and the probability of default, of every row of a table of characteristics."""
        scored = self.scorecard.score(_columns(self.scorecard, rows), rows.num_rows)
        return scored.log_odds * self.scorecard.factor + self.scorecard.offset, scored.probability

    def tiers(self, snapshots: pa.Table) -> pa.Array:
        """Return the tier of every row of `table.snapshots` at its own date; unknown as in `score`.

        Where tiers go by the expected loss, everybody is graded with the settings' reference exposure: what was owed
        then is not kept.
        """
        scored = self.scorecard.score(_columns(self.scorecard, snapshots), snapshots.num_rows)
        at, signal_at = (snapshots[name].to_numpy().astype("datetime64[us]") for name in ("at", "signal_at"))
        fresh = tiers.is_fresh(signal_at, at, self.settings.signal_max_age_days)
        known = fresh & (_missing_share(self.scorecard, scored.codes) < 1)
        place = tiers.codes(scored.probability, known, self.settings.tiers)
        return pa.array([each.value for each in tiers.TIERS]).take(pa.array(place))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly, from which `from_dict` makes the very same model."""
        return {
            "scorecard": self.scorecard.to_dict(),
            "settings": self.settings.model_dump(mode="json"),
            "as_of": self.as_of.isoformat(),
            "loans": self.loans,
            "bads": self.bads,
            "left_out": dict(self.left_out),
            "measures": [measure.to_row() for measure in self.measures],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RiskModel:
        """Return the model that `to_dict` described."""
        return cls(
            scorecard=Scorecard.from_dict(values["scorecard"]),
            settings=RiskSettings.model_validate(values["settings"]),
            as_of=datetime.fromisoformat(values["as_of"]),
            loans=values["loans"],
            bads=values["bads"],
            left_out=values["left_out"],
            measures=tuple(Measure.from_row(row) for row in values["measures"]),
            notes=tuple(values["notes"]),
        )

    def to_json(self) -> str:
        """Return the model as JSON under a checksum; the same model gives the same text."""
        return sealing.written(NAME, self.to_dict())

    @classmethod
    def from_json(cls, text: str, source: str = "the model") -> RiskModel:
        """Return the model that `to_json` wrote; `source` names the file in an error.

        Raises
        ------
        ModelSpoilt
            The text was changed, cut short, or holds something else.
        """
        return sealing.made(text, NAME, source, cls.from_dict)


def fit(training: pa.Table, settings: RiskSettings, as_of: datetime, seed: int = 0) -> RiskModel:
    """Learn the model from the training table, on its earlier loans, and try it on the later ones.

    When the later loans default more or less than predicted beyond chance, the intercept is moved to their level, since
    they are nearest to whom the model will grade; the measures are those before the move, and a note says so.
    Before that, slope and level of the log-odds are set right from predictions out of fold; `seed` draws the folds.

    Raises
    ------
    NotEnoughData
        Fewer defaults than settings ask for, one class only, or no characteristic that tells them apart.
    LooksAhead
        The table holds what was not known at `as_of`; see `hindsight`.
    """
    hindsight.refuse(training, as_of, settings)
    known, left_out = _enough(training, settings)
    bads = int(pc.sum(known["bad"]).as_py())
    earlier, later = validation.split(known, settings)
    card, calibrated = _calibrated(training_of(earlier, settings, seed))
    samples = [_sample(card, "train", earlier), _sample(card, "out_of_time", later)]
    measures = [measure for sample in samples for measure in validation.measures(sample, settings.small_sample_bads)]
    shift, notes = validation.shift_to_latest(samples[1], settings)
    return RiskModel(
        scorecard=card.shifted(shift),
        settings=settings,
        as_of=as_of,
        loans=known.num_rows,
        bads=bads,
        left_out=left_out,
        measures=tuple(measures),
        notes=(*notes, *calibrated, *_notes(left_out), *coverage.told(candidates(earlier, settings).moved, _MEANINGS)),
    )


def score(model: RiskModel, scoring: pa.Table, as_of: datetime | None = None) -> pa.Table:
    """Return the RISK mart: one row per customer of the scoring table, sorted by customer.

    The tier is unknown, and score, probability and loss are empty, where the newest record is missing or too
    old at `as_of` (by default that of the model) or where no characteristic of the scorecard has a value.
    """
    moment = np.datetime64(naive_utc(as_of or model.as_of), "us")
    starts, scorer = range(0, max(1, scoring.num_rows), BLOCK), model.scorer()
    blocks = [_grade(model, scorer, scoring.slice(start, BLOCK), moment) for start in starts]
    return to_contract(RISK, pa.concat_tables(blocks))


def ungraded(scoring: pa.Table) -> pa.Table:
    """Return the RISK mart of a bank without a model: every tier is unknown, so that the gates refuse credit."""
    empty = {name: pa.nulls(scoring.num_rows, kind) for name, kind in zip(*_types(), strict=True)}
    known = {
        "customer_id": scoring["customer_id"],
        "risk_tier": pa.array([RiskTier.UNKNOWN.value] * scoring.num_rows, pa.string()),
        "exposure_minor": scoring["exposure_minor"],
    }
    return to_contract(RISK, pa.table({**empty, **known}))


def grade_one(model: RiskModel, values: Mapping[str, object], scorer: Scorer | None = None) -> dict[str, Any]:
    """Return score, probability, tier and reasons of one customer, as `score` gives for a fresh record.

    Whoever grades one after the other makes the scorer once (`model.scorer()`) and hands it in.
    """
    answer = (scorer or model.scorer()).one(values)
    own = zip(model.scorecard.attributes, answer.codes, strict=True)
    known = any(_is_own(one) and code < one.bins.size - 1 for one, code in own)
    tier = tiers.codes(np.array([answer.default_probability]), np.array([known]), model.settings.tiers)[0]
    return {
        "score": answer.points if known else None,
        "default_probability": answer.default_probability if known else None,
        "risk_tier": tiers.TIERS[tier].value,
        "reasons": list(answer.reasons) if known else [],
    }


def of_known_outcome(training: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """Return the loans whose outcome is known, in order of booking, and how many were left out by state."""
    states = pc.value_counts(training["outcome_state"]).to_pylist()
    left_out = {state["values"]: state["counts"] for state in states if state["values"] != KNOWN}
    known = training.filter(pc.equal(training["outcome_state"], KNOWN))
    ordered = known.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    return ordered, dict(sorted(left_out.items()))


def _enough(training: pa.Table, settings: RiskSettings) -> tuple[pa.Table, dict[str, int]]:
    """Return what `of_known_outcome` does; raises NotEnoughData where too few of the loans went bad."""
    known, left_out = of_known_outcome(training)
    bads = int(pc.sum(known["bad"]).as_py() or 0)
    if bads < settings.minimum_bads:
        have = f"{bads} defaults among {known.num_rows} loans whose outcome is known"
        raise NotEnoughData("default probability", have, f"{settings.minimum_bads} defaults or more")
    return known, left_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The columns that a model may learn from.

    `asked` says in which of them it stands whether there was anything to read a characteristic from; `moved` are those
    left out because the loans do not all have them alike, see `coverage`.
    """

    names: tuple[str, ...]
    asked: dict[str, str]
    moved: tuple[Moved, ...]


def candidates(loans: pa.Table, settings: RiskSettings) -> Candidates:
    """Return what a model may learn from these loans, which are in the order of booking."""
    used = [one for one in CHARACTERISTICS if settings.uses_application or one.source != APPLICATION]
    allowed = [one.name for one in used if one.name in loans.column_names and one.name not in settings.protected]
    limit, significance = settings.missing_share_may_move, settings.stability.significance
    moved = coverage.moved(loans.select(allowed), ASKED.values(), limit, significance)
    left_out = {one.name for one in moved}
    records = {name: ASKED.get(BY_NAME[name].source) for name in allowed}
    # without the column that says whether there was a record, a value that is missing could not be read
    kept = [name for name, record in records.items() if left_out.isdisjoint({name, record})]
    asked = {name: record for name, record in records.items() if record is not None and name in kept}
    told = [APPLICATION] if settings.uses_application and APPLICATION in loans.column_names else []
    return Candidates(names=(*kept, *told), asked=asked, moved=tuple(moved))


def training_of(loans: pa.Table, settings: RiskSettings, seed: int) -> Training:
    """Return loans whose outcome is known as any model learns from them: what settings protect is left out."""
    found = candidates(loans, settings)
    columns = {name: loans[name] for name in found.names}
    return Training(columns=columns, bad=_bad(loans), settings=settings, seed=seed, asked=found.asked)


def _calibrated(training: Training) -> tuple[Scorecard, list[str]]:
    """Return the scorecard with its log-odds set right from predictions out of fold, and a note of how far."""
    settings = training.settings.calibration
    fitted = models.fit_scorecard(training)
    if settings.method != "sigmoid" or min(training.bad.sum(), (~training.bad).sum()) < settings.folds:
        return fitted.card, []
    made = crossvalidation.parts(training, settings.folds, prepare=False)
    try:
        tried = crossvalidation.unseen(fitted.name, training, made, settings)
    except NotEnoughData:
        # with few defaults a part may lack what tells goods from bads: then nothing is known out of fold
        return fitted.card, ["not calibrated: too few defaults to predict out of fold"]
    found = calibrators.fit("sigmoid", tried.raw, training.bad)
    if found.slope == 0:
        return fitted.card, ["not calibrated: out of fold the scorecard does not tell goods from bads"]
    said = f"log-odds calibrated out of fold: slope {found.slope:.3f}, shift {found.shift:+.3f}"
    return models.moved(fitted.card, found), [said]


def _sample(card: Scorecard, name: str, loans: pa.Table) -> Sample:
    scored = card.score(_columns(card, loans), loans.num_rows)
    return Sample(name=name, log_odds=scored.log_odds, probability=scored.probability, bad=_bad(loans))


def _grade(model: RiskModel, scorer: Scorer, block: pa.Table, moment: np.datetime64) -> pa.Table:
    scored = scorer.block(_columns(model.scorecard, block), block.num_rows)
    missing = _missing_share(model.scorecard, scored.codes)
    signal_at = block["signal_at"].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    known = tiers.is_fresh(signal_at, moment, model.settings.signal_max_age_days) & (missing < 1)
    probability = np.where(known, scored.probability, np.nan)
    losses = block["default_loss_minor"].cast(pa.float64()).to_numpy()
    tier = tiers.codes(scored.probability, known, model.settings.tiers, losses)
    return pa.table(
        {
            "customer_id": block["customer_id"],
            "score": pa.array(scored.points, mask=~known),
            "default_probability": pa.array(probability, mask=~known),
            "risk_tier": pa.array([each.value for each in tiers.TIERS]).take(pa.array(tier)),
            "exposure_minor": block["exposure_minor"],
            "expected_loss_minor": pa.array(tiers.expected_loss(probability, losses), mask=~known).cast(pa.int64()),
            **{f"reason_{rank + 1}": column for rank, column in enumerate(scored.reason_columns(known))},
            "signal_at": block["signal_at"],
            "signal_missing_share": pa.array(missing),
        }
    ).cast(pa.schema(zip(*_types(), strict=True)))


def _missing_share(card: Scorecard, codes: Sequence[Codes]) -> Floats:
    """Return the share of the customer's own characteristics without a value; 1 where the scorecard has none."""
    own = [(one, code) for one, code in zip(card.attributes, codes, strict=True) if _is_own(one)]
    if not own:
        return np.ones(len(codes[0]))
    # missing is the last bin, and beyond it nothing was asked
    missing = sum((code >= one.bins.size - 1).astype(np.int64) for one, code in own)
    return np.asarray(missing / len(own))


def _is_own(attribute: Attributes) -> bool:
    """Whether a customer has the characteristic without applying for anything; that there is a record is not one."""
    return attribute.asked != APPLICATION and attribute.bins.name not in {BUREAU_RECORD, ACCOUNT_RECORD}


def _columns(card: Scorecard, rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: rows[name] for name in card.inputs if name in rows.column_names}


def _bad(loans: pa.Table) -> NDArray[np.bool_]:
    bad: NDArray[np.bool_] = loans["bad"].to_numpy().astype(bool)
    return bad


def _types() -> tuple[list[str], list[pa.DataType]]:
    schema = arrow_schema(RISK)
    return schema.names, schema.types


def _notes(left_out: Mapping[str, int]) -> list[str]:
    return [f"{count} loans left out: outcome {state.replace('_', ' ')}" for state, count in left_out.items()]
