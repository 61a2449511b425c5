"""Use my data: how do a bank's own files get in?"""

from __future__ import annotations

from engine.ui import controls

controls.open_frame("load")
