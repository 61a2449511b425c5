"""In which language a text is written, by the letters that it consists of."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

ENGLISH, CHINESE = "en", "zh"
NO_TEXT: Final = "no text"
NO_LETTERS: Final = "no letters"
UNKNOWN: Final = "unknown language"
_LETTERS_PER_CHARACTER: Final = 3
"""What a Chinese character says takes about so many Latin letters: a text in both is of the language that says more."""


def _counted(texts: Any, pattern: str) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = pc.count_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return counts


def languages(texts: Any) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Return the language of each text, en, zh or empty, and the reason where it is empty.

    Latin letters count as English: that a text is French is not seen. A text in any other script is of unknown
    language unless English or Chinese says more in it.
    """
    han = _counted(texts, r"\p{Han}") * _LETTERS_PER_CHARACTER
    latin = _counted(texts, r"\p{Latin}")
    others = _counted(texts, r"\p{L}") - latin - han // _LETTERS_PER_CHARACTER
    found = np.select([(han > 0) & (han >= latin) & (han > others), (latin > 0) & (latin > others)], ["zh", "en"], "")
    blank = pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0).to_numpy(zero_copy_only=False)
    reason = np.select([found != "", blank, han + latin + others == 0], ["", NO_TEXT, NO_LETTERS], UNKNOWN)
    return found, reason
