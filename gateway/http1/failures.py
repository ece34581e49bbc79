"""Why a call failed, told apart for whoever maps it to an error of their own. Messages name no address: it may be a secret."""

from __future__ import annotations


class CallFailed(Exception):
    """Base of them all."""


class BadRequest(CallFailed):
    """Never sent: its method or a header of it would not be one line of HTTP."""


class BadAddress(CallFailed):
    """Never sent: the URL, or the proxy's, is not an address that can be called."""


class LookupFailed(CallFailed):
    """There is no such host, or nobody to ask."""


class ConnectFailed(CallFailed):
    """No TCP connection, or the proxy refused it."""


class ConnectTimeout(CallFailed):
    """No connection, TLS included, in the time that was given."""


class TlsFailed(CallFailed):
    """The handshake, or the certificate is not the host's."""


class Disconnected(CallFailed):
    """The connection ended, by the server or on the way, before the head of an answer was there."""


class NotHttp(CallFailed):
    """What came is not the beginning of an HTTP answer."""


class BrokenOff(CallFailed):
    """The answer began and did not come to its end, or its body is not what the header says."""
