"""Use my data: how do a bank's own files get in?"""

from __future__ import annotations

import streamlit as st

from engine.domain.access import Right
from engine.domain.errors import NotAllowed
from engine.ui import controls, own_data, state

words = controls.open_frame("load")
try:
    state.viewer().require(Right.LOAD_DATA)
except NotAllowed as fault:
    st.caption(f":material/lock: {words.sentence(fault)}")
else:
    own_data.draw(words)
