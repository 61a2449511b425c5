"""Why a row is set aside. The first code that applies, in this order, is the row's own; all are kept beside it."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """One reason for which a row goes to quarantine."""

    BROKEN_ROW = "broken_row"
    MISSING_VALUE = "missing_value"
    WRONG_TYPE = "wrong_type"
    MIXED_TIME_ZONE = "mixed_time_zone"
    UNKNOWN_VALUE = "unknown_value"
    UNKNOWN_CURRENCY = "unknown_currency"
    OUT_OF_RANGE = "out_of_range"
    FUTURE_TIME = "future_time"
    ORPHAN_REFERENCE = "orphan_reference"
    DUPLICATE_ROW = "duplicate_row"
    DUPLICATE_KEY = "duplicate_key"


MEANINGS: dict[Code, tuple[str, str]] = {
    Code.BROKEN_ROW: ("the line cannot be taken apart into the columns", "行无法拆分为各列"),
    Code.MISSING_VALUE: ("a value that must be there is empty", "必填值为空"),
    Code.WRONG_TYPE: ("a value is not of the column's type", "值类型错误"),
    Code.MIXED_TIME_ZONE: ("an instant without offset in a column where others have one", "同列时间有的带时区有的不带"),
    Code.UNKNOWN_VALUE: ("a value outside the vocabulary", "值不在词表内"),
    Code.UNKNOWN_CURRENCY: ("a currency the bank keeps no rate for", "币种无汇率"),
    Code.OUT_OF_RANGE: ("a value outside its range", "值超出范围"),
    Code.FUTURE_TIME: ("later than the end of the extract", "晚于数据截止时间"),
    Code.ORPHAN_REFERENCE: ("refers to a row that does not exist", "引用的记录不存在"),
    Code.DUPLICATE_ROW: ("the same row as an earlier one", "与先前行完全重复"),
    Code.DUPLICATE_KEY: ("the key of an earlier row, with other values", "主键与先前行重复"),
}
