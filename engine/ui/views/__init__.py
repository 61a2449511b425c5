"""Tables to figures: pure functions that return a chart with what it found, and never show anything."""
