"""The stages of a run, one file each: what a stage needs, what it writes, and why it may be skipped."""
