"""How bundles for campaign tools are cut and written, what vendors take, and when an export needs a second person."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings, faults

FileFormat = Literal["csv", "csv_spreadsheet", "jsonl", "parquet"]
ExportFormat = Literal["csv", "csv_spreadsheet", "jsonl", "parquet", "api"]
"""`api` are bodies of requests, as the vendor's own programming interface takes them."""
Mode = Literal["full", "delta", "mirror"]
SuppressionReason = Literal["unsubscribed", "complained", "hard_bounce", "manual"]
Count = Annotated[int, Field(ge=1)]


class PresetLimits(Settings):
    """What one file may hold at a vendor; `api_rows` is for bodies of requests, where the preset has them.

    text_bytes : the longest text in UTF-8; what is longer is cut and counted. None where the vendor names none.
    """

    rows: Count
    bytes: Annotated[int, Field(ge=10_000)]
    api_rows: Count | None = None
    api_bytes: Annotated[int, Field(ge=10_000)] | None = None
    text_bytes: Annotated[int, Field(ge=4)] | None = None


class BrazeCsvLimits(PresetLimits):
    """As a file; without `attributes` it names customers alone, which costs no data points."""

    attributes: bool


class Presets(Settings):
    """The limits of every preset."""

    generic: PresetLimits
    braze_cdi: PresetLimits
    braze_csv: BrazeCsvLimits
    sfmc_de: PresetLimits
    hubspot: PresetLimits
    mailchimp: PresetLimits
    klaviyo: PresetLimits
    customerio: PresetLimits
    ads_hashed: PresetLimits


class Approval(Settings):
    """When a person other than the one who asks must agree: above a number of rows, or of an unverified audience."""

    rows_above: Annotated[int, Field(ge=0)]
    unverified: bool


class ExportSettings(Settings):
    """Sizes, the time for which an exported row holds, and what makes an export refuse.

    prefix : how fields are called that vendors keep, such as `cj_action`.
    refresh_days : a member's row goes out again in a delta when it would hold that many days longer.
    snapshot_days : how long what a destination holds is remembered; an older predecessor forces a full export.
    suppression_feed_days : how old the newest consent or feedback may be, seen from the run's date.
    across_channels : suppressions that count on every channel, whichever one they were said on.
    """

    rows_per_part: Count
    valid_days: Count
    spreadsheet_delimiter: Literal[",", ";", "\t"]
    prefix: Annotated[str, Field(pattern="^[a-z][a-z0-9]{0,2}$")]
    refresh_days: Annotated[int, Field(ge=0)]
    snapshot_days: Count
    max_removed_share: Annotated[float, Field(ge=0, le=1)]
    suppression_feed_days: Count
    across_channels: tuple[SuppressionReason, ...]
    ads_purpose: Annotated[str, Field(min_length=1)]
    approval: Approval
    presets: Presets

    @model_validator(mode="after")
    def _rows_outlive_their_refresh(self) -> ExportSettings:
        if self.refresh_days >= self.valid_days:
            told = (
                f"{self.refresh_days} days, and rows hold for {self.valid_days}: they would run out before they are "
                "sent again. Write fewer days"
            )
            raise faults("ExportSettings", [(("refresh_days",), told)])
        return self
