"""Masking keeps its promises for any text: nothing long is left, nothing grows, twice is once."""

import re
import time

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.texts.masking import kinds_counted, mask
from engine.texts.patterns import KINDS

LIMIT = 4000
LABEL = re.compile(r"\[(?:" + "|".join(KINDS) + r")\]")
PIECES = st.sampled_from(
    [
        "13812345678", "4111 1111 1111 1111", "a.b@c.com", "11010519491231002X", "2026-03-31", "20260331", "¥120.50",
        "1,234,567", "元", "%", " ", "-", ".", ",", "，", "账号", "account", "https://a.b/", "?t=1", "我", "x", "😀",
        "ש", "+86", "00", "GB82WEST12345698765432", "0", "7", "12345", "999999", "[phone]", "[", "]", "@", "\u200b",
        "\x02", "E1234567", "\n",
    ]
)  # fmt: skip
MESSY = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=40)
AMOUNT_OR_DATE = re.compile(r"(?:19|20)\d{6}|\d{1,10}(?=\s?(?:元|%|\.\d))|(?<=[¥])\s?\d{1,10}|(?<=\.)\d+")


def masked(text: str | None, limit: int = LIMIT) -> str | None:
    found: str | None = mask(pa.array([text], pa.string()), limit).texts.to_pylist()[0]
    return found


# many texts at a time: a column costs little more than a text
COLUMNS = st.lists(MESSY | st.none(), min_size=1, max_size=40)
LAW = settings(max_examples=25, deadline=None)


def all_masked(texts: list[str | None]) -> list[str | None]:
    found: list[str | None] = mask(pa.array(texts, pa.string()), LIMIT).texts.to_pylist()
    return found


@LAW
@given(COLUMNS)
def test_masking_what_is_masked_changes_nothing(texts: list[str | None]) -> None:
    once = all_masked(texts)
    assert all_masked(once) == once


@LAW
@given(COLUMNS)
def test_no_run_of_seven_digits_survives_that_is_no_amount_and_no_date(texts: list[str | None]) -> None:
    for text in all_masked(texts):
        assert not re.search(r"[0-9]{7,}", AMOUNT_OR_DATE.sub("", text or ""))


@LAW
@given(COLUMNS)
def test_a_text_grows_by_its_labels_at_most(texts: list[str | None]) -> None:
    longest = max(map(len, KINDS)) + 2
    for text, found in zip(texts, all_masked(texts), strict=True):
        labels = len(LABEL.findall(found or "")) - len(LABEL.findall(text or ""))
        assert len(found or "") <= len(text or "") + longest * max(labels, 0)


@settings(max_examples=3, deadline=None)
@given(COLUMNS)
def test_texts_are_masked_one_by_one_and_nothing_stays_nothing(texts: list[str | None]) -> None:
    together = mask(pa.array(texts, pa.string()), LIMIT)
    assert together.texts.to_pylist() == [masked(text) for text in texts]
    assert together.counts.shape == (len(texts), len(KINDS))


def test_kinds_are_counted_as_often_as_a_text_stands() -> None:
    found = mask(pa.array(["13812345678, 13812345679 and a@b.com", "a@b.com", "hello"]), LIMIT)
    # three rows say the first, one the second: 3 x 2 phones, 3 + 1 addresses
    assert kinds_counted(found, np.array([3, 1, 5])) == {"email": 4, "phone": 6}


def test_a_text_of_10_mb_is_cut_before_it_is_looked_at() -> None:
    began = time.process_time()
    found = mask(pa.array(["call 13812345678 " * 600_000, "short"]), LIMIT)
    assert time.process_time() - began < 2
    assert found.cut.tolist() == [True, False]
    text = found.texts.to_pylist()[0]
    assert len(text) <= LIMIT
    assert set(text.split()) == {"call", "[phone]"}


def test_a_number_that_the_limit_cuts_through_goes_as_a_whole() -> None:
    assert masked("please call 13812345678 today", limit=18) == "please call"
    assert masked("请打13812345678", limit=8) == "请打"
    assert masked("pay 4111 1111 1111 1111", limit=12) == "pay"


def test_a_million_short_texts_take_seconds() -> None:
    # a tenth of the number here, one in five with something to mask; the bound is ten times what it takes
    kinds = ["Nobody told me about the fee of {}.50 yuan", "手续费{}元没有人说过", "call 138{:08d}", "谢谢 {}", "ok {}"]
    texts = pa.array([kinds[row % 5].format(row) for row in range(100_000)])
    began = time.process_time()
    mask(texts, LIMIT)
    assert time.process_time() - began < 5
