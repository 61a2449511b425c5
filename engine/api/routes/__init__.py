"""One file for each subject; this table is the whole API."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from engine.api.routes import (
    acknowledge,
    audiences,
    decisions,
    feedback,
    health,
    journal,
    recommendations,
    suppressions,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    # asked most often, and paths are tried in this order
    decisions.router,
    audiences.router,
    recommendations.router,
    suppressions.router,
    acknowledge.router,
    feedback.router,
    journal.router,
    health.router,
)
"""In the order of the description. A router may have a lifespan of its own, for what it holds open."""
