"""How bundles for campaign tools are cut and written."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.config.load import Settings

FileFormat = Literal["csv", "csv_spreadsheet", "jsonl", "parquet"]


class ExportSettings(Settings):
    """Sizes and the time for which an exported recommendation holds."""

    rows_per_part: Annotated[int, Field(ge=1)]
    valid_days: Annotated[int, Field(ge=1)]
    spreadsheet_delimiter: Literal[",", ";", "\t"]
