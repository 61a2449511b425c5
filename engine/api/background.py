"""What a running server does beside answering: it tells webhooks of what is new."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from fastapi.concurrency import run_in_threadpool

from engine.config.webhooks import WebhookSettings
from engine.domain.errors import WaylineError
from engine.workflows import session, webhooks
from engine.workflows.service import Service

LOG: Final = logging.getLogger("wayline.webhooks")
_EVERY_SECONDS: Final = 2


@asynccontextmanager
async def delivering(service: Service) -> AsyncIterator[None]:
    """Deliver to webhooks until the end; an attempt under way is ended first, and what is left is for the next time."""
    task = asyncio.create_task(_forever(service))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _forever(service: Service) -> None:
    settings = session.settings(service.workspace, WebhookSettings, "webhooks")
    while True:
        try:
            counts = await run_in_threadpool(webhooks.deliver_from, service.store, settings)
            if any(counts.values()):
                LOG.info("delivered %(delivered)s, put off %(put_off)s, gave up %(dead)s", counts)
        except WaylineError as fault:  # a database that is busy now may answer later
            LOG.warning("nothing delivered: %s", type(fault).__name__)
        await asyncio.sleep(_EVERY_SECONDS)
