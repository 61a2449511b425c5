"""Journeys: event logs, stages, funnels and drop-offs. Usable alone."""
