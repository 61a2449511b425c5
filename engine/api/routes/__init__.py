"""One file for each subject; this table is the whole API."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from engine.api.routes import health, journal

ROUTERS: Final[tuple[APIRouter, ...]] = (health.router, journal.router)
"""In the order of the description. A router may have a lifespan of its own, for what it holds open."""
