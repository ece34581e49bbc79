"""`python -m tests.clients.upstream --port 0`: serve the scripted upstream until it is stopped; says where it listens."""

from __future__ import annotations

import argparse
import asyncio
import signal

from aiohttp import web

from tests.clients.upstream.server import Upstream


async def serve(port: int) -> None:
    runner = web.AppRunner(Upstream().app(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, shutdown_timeout=1)
    await site.start()
    print(f"listening on http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.clients.upstream")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    asyncio.run(serve(parser.parse_args().port))
