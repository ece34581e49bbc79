"""The socket that clients connect to."""

from __future__ import annotations

import errno
import socket

from gateway.errors import ConfigError
from gateway.settings import Settings


def listen(settings: Settings, backlog: int) -> socket.socket:
    """The listening socket; a worker's is one of several on the same address. Raises ConfigError when it cannot be had."""
    listener = bind(settings, is_shared=settings.worker is not None)
    listener.listen(backlog)
    listener.setblocking(False)
    return listener


def bind(settings: Settings, *, is_shared: bool) -> socket.socket:
    """A socket at the address, not yet listening. is_shared: others may have it too, if they say so as well. Raises ConfigError.

    Connections then go to one of the listeners each, by a hash of the client's address (SO_REUSEPORT).
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as exc:
        raise ConfigError(f"cannot listen on {settings.host}: {exc.strerror or exc}; give another --host") from exc
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as exc:
        listener.close()
        what = f"port {settings.port} on {settings.host}"
        if exc.errno == errno.EADDRINUSE:
            raise ConfigError(f"{what} is in use; stop what listens there, or give --port or TURNOUT_PORT") from exc
        raise ConfigError(f"cannot listen on {what}: {exc.strerror}; give another --host or --port") from exc
    return listener
