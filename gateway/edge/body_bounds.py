"""What a body may be: not compressed, not too large, here in time."""

from __future__ import annotations

from typing import Final

from gateway.errors import ClientError

BODY_S: Final = 60.0  # a client that takes longer to send its body than this is not waited for
DISCARD_FACTOR: Final = 4  # how much of a body that is too large is read, so that the client sees the answer


def check_encoding(headers: dict[bytes, bytes]) -> None:
    """Raises ClientError (415) for a body that is compressed."""
    encoding = headers.get(b"content-encoding")
    if encoding is not None and (encoding := encoding.strip().lower()) not in (b"", b"identity"):
        message = f"content-encoding: {encoding[:50].decode('latin-1')!r} is not read here; send the body as it is"
        raise ClientError(message, status=415, code="unsupported_encoding")


def too_large(headers: dict[bytes, bytes], bytes_max: int) -> ClientError:
    """For a body of more than `bytes_max`."""
    said = headers.get(b"content-length", b"").decode("ascii", "replace")
    return ClientError(
        f"the body has {said or f'more than {bytes_max}'} bytes, the limit is {bytes_max}; "
        "send less, or raise TURNOUT_MAX_BODY_MB",
        status=413,
        code="request_too_large",
    )


def late() -> ClientError:
    """For a body that was not whole after BODY_S."""
    return ClientError(f"the body did not arrive within {BODY_S:g} s", status=408, code="request_timeout")
