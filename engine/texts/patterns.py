"""What personal data look like in free text, English and Chinese: the steps of masking, in their order.

Every pattern is RE2, which has no look-around: what must survive (amounts, dates, shares) is found first and set aside,
and digits are judged after that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.texts import checksums

KINDS: Final = ("email", "link", "iban", "resident_id", "passport", "phone", "card", "account")
"""What is masked; a find becomes its kind in brackets, such as [phone]."""
OPEN: Final = -1
"""Nothing was decided: later steps look at it again."""
KEPT: Final = -2
"""It stays as it is, and no later step looks at it."""

Codes = NDArray[np.int8]
_EMAIL, _LINK, _IBAN, _RESIDENT, _PASSPORT, _PHONE, _CARD, _ACCOUNT = range(len(KINDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One pattern, and what its finds are: `judge` takes them as strings and gives an index of KINDS, OPEN or KEPT.

    Where the find has words in front that stay, the pattern has two groups: the words and the find. Others have none,
    since groups cost RE2 five times the time.
    """

    pattern: str
    judge: Callable[[pa.Array], Codes]
    has_words_before: bool = False


def _always(code: int) -> Callable[[pa.Array], Codes]:
    return lambda finds: np.full(len(finds), code, dtype=np.int8)


def _when(code: int, valid: Callable[[pa.Array], NDArray[np.bool_]]) -> Callable[[pa.Array], Codes]:
    return lambda finds: np.where(valid(finds), code, OPEN).astype(np.int8)


def _matches(texts: Any, pattern: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return found


# what a careful or a careless hand puts between digits; the invisible ones come from copying out of other apps
_GAP: Final = r"[ \t\-.()·\x{A0}\x{2000}-\x{200F}\x{2010}-\x{2015}\x{202A}-\x{202E}\x{2060}-\x{2069}\x{3000}\x{FEFF}]"
_LATIN_AND_MORE: Final = r"\p{Latin}\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}0-9"
_SIGN: Final = r"(?:[¥￥$€£₹₽]|人民币|(?i:\bRMB|\bCNY|\bUSD|\bEUR|\bGBP|\bHKD|\bJPY|\bHK\$|\bUS\$))"
_UNIT: Final = (
    r"(?:元|块|万|亿|千|人民币|美元|美金|港币|港元|欧元|英镑|日元|[%％‰]"
    r"|(?i:yuan|rmb|cny|usd|eur|gbp|hkd|jpy|dollars?|euros?|pounds?|bucks|k|per ?cent)\b)"
)
_DAY: Final = r"(?:0?[1-9]|[12][0-9]|3[01])"
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_YEAR: Final = r"(?:19|20)[0-9]{2}"
# ten digits at most without separators: a mobile number with a currency behind it is still a mobile number
_AMOUNTS: Final = (
    rf"{_SIGN}\s?[0-9]{{1,3}}(?:,[0-9]{{3}})+(?:\.[0-9]+)?\b",
    rf"{_SIGN}\s?[0-9]{{1,10}}(?:\.[0-9]{{1,4}})?[kKmM]?\b",
    rf"\b[0-9]{{1,3}}(?:,[0-9]{{3}}){{1,4}}(?:\.[0-9]+)?\s?(?:{_UNIT}|\b)",
    rf"\b[0-9]{{1,10}}(?:\.[0-9]{{1,4}})?\s?{_UNIT}",
    r"\b[0-9]{1,10}\.[0-9]{1,2}\b",
)
_DATES: Final = (
    rf"\b{_YEAR}[-/.]{_MONTH}[-/.]{_DAY}\b",
    rf"\b{_YEAR}年\s?{_MONTH}月(?:\s?{_DAY}[日号])?",
    rf"\b{_DAY}[-/.]{_MONTH}[-/.]{_YEAR}\b",
    rf"\b{_MONTH}[-/.]{_DAY}[-/.]{_YEAR}\b",
    r"\b[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?\b",
)
_COMPACT_DATE: Final = rf"\b{_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\b"
_IS: Final = r"(?i:[\s:：#=为是]|number|no\.?|nr\.?|id\b|is\b|号码|号)*"
_ACCOUNT_WORDS: Final = (
    r"(?i:\baccount|\bacct|\ba/c|\bcontract|\bpolicy|\border|\breference|\bwechat|\bqq|微信|账号|帐号|账户|帐户"
    r"|卡号|户号|客户号|保单|合同|订单|流水|编号|工号)"
)

_PRIVATE_LINK: Final = r"[?#@=;]|[0-9]{5}|[A-Za-z0-9_\-]{20}"
"""A link that carries a query, a login, a number or a token is somebody's own; any other is an address of a page."""

_PHONES: Final = (
    r"^(?:86 ?)?1[3-9][0-9](?: ?[0-9]){8}$",  # mobile in China
    r"^0[1-9][0-9]{1,2} ?[0-9]{3,4} ?[0-9]{3,4}$",  # landline in China
    r"^[48]00 ?[0-9]{3,4} ?[0-9]{3,4}$",
    r"^[2-9][0-9]{2} [2-9][0-9]{2} [0-9]{4}$",  # North America
    r"^0[1-9][0-9]{1,3}(?: [0-9]{2,4}){2,4}$",  # with the trunk zero, as in Europe
    r"^[2-9][0-9]{3} [0-9]{4}$",  # Hong Kong, Singapore
)


def _iban(finds: pa.Array) -> NDArray[np.bool_]:
    bare = pc.replace_substring_regex(pc.utf8_upper(finds), "[^A-Z0-9]", "")
    return checksums.iban(bare)


def _resident(finds: pa.Array) -> NDArray[np.bool_]:
    return checksums.resident_id(pc.replace_substring_regex(pc.utf8_upper(finds), "[^0-9X]", ""))


def _digits(finds: pa.Array) -> Codes:
    """Tell phones, cards and other numbers apart; short ones, years and lists of small numbers stay open."""
    digits = pc.replace_substring_regex(finds, "[^0-9]", "")
    grouped = pc.utf8_trim_whitespace(pc.replace_substring_regex(finds, "[^0-9]+", " "))
    size = pc.utf8_length(digits).to_numpy(zero_copy_only=False)
    apart = _matches(grouped, " ")
    codes = np.full(len(finds), OPEN, dtype=np.int8)
    # a longer group among others is a number of its own, which the last step judges alone
    account = np.where(apart, (size >= 9) & _matches(grouped, r"^[0-9]{2,6}(?: [0-9]{2,6})+$"), size >= 7)
    codes[account] = _ACCOUNT
    codes[account & (size >= 13) & (size <= 19) & checksums.luhn(digits)] = _CARD
    codes[_matches(grouped, "|".join(_PHONES))] = _PHONE
    codes[apart & _matches(grouped, rf"^{_YEAR}(?: {_YEAR})+$")] = OPEN
    return codes


STEPS: Final = (
    Step(pattern=rf"(?:\[(?:{'|'.join(KINDS)})\])", judge=_always(KEPT)),
    Step(
        pattern=r"(?:(?i:https?|ftp)://[^\s<>\"'，。；！？、）》】\]]+|(?i:\bwww)\.[^\s<>\"'，。；！？、）》】\]]+)",
        judge=_when(_LINK, lambda finds: _matches(finds, _PRIVATE_LINK)),
    ),
    Step(
        pattern=rf"(?:[{_LATIN_AND_MORE}._%+\-]+[@＠](?:[{_LATIN_AND_MORE}\-]+\.)+[\p{{Latin}}\p{{Cyrillic}}]{{2,}})",
        judge=_always(_EMAIL),
    ),
    Step(
        pattern=r"(?:\b[A-Z]{2}[0-9]{2}(?:[ \-][A-Z0-9]{4}){2,7}(?:[ \-][A-Z0-9]{1,3})?\b"
        r"|\b[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30}\b)",
        judge=_when(_IBAN, _iban),
    ),
    Step(
        pattern=r"(?:\b[1-9][0-9]{5}[ \-]?(?:18|19|20)[0-9]{2}[ \-]?(?:0[1-9]|1[0-2])[ \-]?"
        r"(?:0[1-9]|[12][0-9]|3[01])[ \-]?[0-9]{3}[0-9Xx]\b)",
        judge=_when(_RESIDENT, _resident),
    ),
    Step(
        pattern=r"(?:(?:[+＋]|\b00)\s?86[\s\-]{0,2}1[3-9][0-9](?:[\s\-]?[0-9]{4}){2}"
        rf"|(?:[+＋]|\b00)\s?\(?[1-9](?:{_GAP}{{0,2}}[0-9]){{7,14}}|\b0[1-9](?:\.[0-9]{{2}}){{4}}\b)",
        judge=_always(_PHONE),
    ),
    Step(
        pattern=rf"((?i:passport|护照){_IS})(\b[A-Za-z]{{0,3}}[0-9]{{5,9}}\b)",
        judge=_always(_PASSPORT),
        has_words_before=True,
    ),
    Step(pattern=r"(?:\b[A-Za-z]{1,2}[0-9]{7,8}\b)", judge=_always(_PASSPORT)),
    Step(pattern=f"(?:{'|'.join((*_DATES, *_AMOUNTS))})", judge=_always(KEPT)),
    Step(
        pattern=rf"({_ACCOUNT_WORDS}{_IS})([0-9](?:[ \-]?[0-9]){{4,}})", judge=_always(_ACCOUNT), has_words_before=True
    ),
    Step(pattern=f"(?:{_COMPACT_DATE})", judge=_always(KEPT)),
    Step(pattern=rf"(?:[0-9](?:{_GAP}{{0,3}}[0-9]){{6,}})", judge=_digits),
    Step(pattern="[0-9]{7,}", judge=_digits),
)

SUSPICIOUS: Final = r"[@＠]|://|(?i:www)\.|(?:[0-9][^0-9]{0,3}){5}"
"""What a text must hold to be looked at; five digits are the shortest number that any step masks."""

OTHER_DIGITS: Final = ("０１２３４５６７８９", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९")
"""Digits of other scripts, 0 to 9; they are written as ours before anything is judged."""
MARK: Final = "\x02"
"""The character that marks finds; texts lose it."""
HAS_OTHERS: Final = f"[{''.join(OTHER_DIGITS)}{MARK}]"
WORTH_A_LOOK: Final = f"{SUSPICIOUS}|{HAS_OTHERS}"
"""What a text must hold so that masking may change it."""
