"""What is said to a client whose bytes are no request."""

from __future__ import annotations

from typing import Final

from gateway.edge.error_response import error_body_at, error_response
from gateway.edge.request_headers import request_id
from gateway.edge.request_reader import HEAD_BYTES_MAX, HeadTooLarge, NoHttp
from gateway.edge.response_head import STATUS_LINES, header_lines
from gateway.errors import ClientError

_GARBAGE: Final = b"Invalid HTTP request received."
_HEAD: Final = b"%b%bcontent-type: %b\r\ncontent-length: %d\r\n%b%b\r\n"


def answer_to(why: NoHttp, common_lines: bytes, last_lines: bytes) -> bytes:
    """A whole response. common_lines: of all answers of the server. last_lines: of the connection's last."""
    if not isinstance(why, HeadTooLarge):
        head = _HEAD % (STATUS_LINES[400], common_lines, b"text/plain; charset=utf-8", len(_GARBAGE), b"", last_lines)
        return head + _GARBAGE
    error = ClientError(
        f"the head of the request has more than {HEAD_BYTES_MAX} bytes; send less of it, or in the body",
        status=431,
        code="headers_too_large",
    )
    id_ = request_id(why.headers)
    status, body, headers = error_response(error, id_, error_body_at(why.path, why.headers))
    lines = header_lines([("x-request-id", id_), *headers])
    return _HEAD % (STATUS_LINES[status], common_lines, b"application/json", len(body), lines, last_lines) + body
