"""ASGI's lifespan messages, answered with a context: entered at the start, left at the end."""

from __future__ import annotations

import traceback
from contextlib import AbstractAsyncContextManager

from gateway.edge.asgi import Receive, Send


async def run_lifespan(context: AbstractAsyncContextManager[None], receive: Receive, send: Send) -> None:
    """Returns when the server has ended. What the context raises is told to the server, which logs it, and raised."""
    phase = "startup"
    await receive()
    try:
        async with context:
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except BaseException:
        await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})
