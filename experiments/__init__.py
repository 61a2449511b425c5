"""Experiments: assignment checks, effects and intervals. Usable alone."""
