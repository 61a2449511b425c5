"""Audit chain, privacy, fairness, reports."""
