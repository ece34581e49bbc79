"""Whom we believe: the system's certificate authorities, or those that SSL_CERT_FILE and SSL_CERT_DIR name."""

from __future__ import annotations

import asyncio
import ssl


class Tls:
    """One context for all connections, made when the first one needs it: reading the authorities takes some 20 ms."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    async def context(self) -> ssl.SSLContext:
        """It verifies certificate and host name."""
        if self._context is None:
            self._context = await asyncio.to_thread(_context)
        return self._context


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
