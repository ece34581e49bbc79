"""One question over HTTP, all that came back, and whether that is the whole answer.

A judgement is what an application's SDK would believe, beside what is true: an answer that ends in good order and is not
the right one is `falsely complete`, the worst there is, since nobody notices.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.chaos.answers import Question, right_answer

Verdict = Literal["whole", "failed", "falsely complete", "hung"]
_CONTENT = re.compile(rb'"content": ?"[^"]')


@dataclass(slots=True)
class Received:
    """What came back. first_s: seconds until the first content. is_over: the body ended as HTTP says it should."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_over: bool = False
    is_hung: bool = False
    first_s: float | None = None
    error: str = ""


async def ask(url_host: str, port: int, question: Question, deadline_s: float) -> Received:
    """Ask, on a connection of its own, and take what comes until the end or the deadline."""
    messages = [{"role": "user", "content": question.prompt}]
    fields = {"model": "auto", "messages": messages, "max_tokens": 256, "stream": question.is_stream}
    if question.is_stream:
        fields["stream_options"] = {"include_usage": True}
    body = json.dumps(fields).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {url_host}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    received, raw, start = Received(), bytearray(), time.perf_counter()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(deadline_s):
            reader, writer = await asyncio.open_connection(url_host, port)
            writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
            while data := await reader.read(65536):
                raw += data
                if received.first_s is None and _CONTENT.search(raw):
                    received.first_s = time.perf_counter() - start
    except TimeoutError:
        received.is_hung = True
    except OSError as exc:
        received.error = str(exc)
    finally:
        if writer is not None:
            writer.close()
    _take_apart(bytes(raw), received)
    return received


def _take_apart(raw: bytes, received: Received) -> None:
    """Status, headers and body, out of its chunks, of a response."""
    head, separator, rest = raw.partition(b"\r\n\r\n")
    if not separator:
        return
    first, *lines = head.decode("latin-1").split("\r\n")
    received.status = int(first.split(" ")[1])
    received.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if received.headers.get("transfer-encoding", "").lower() == "chunked":
        received.body, received.is_over = unchunked(rest)
    else:
        received.body, received.is_over = rest, len(rest) == int(received.headers.get("content-length", -1))


def unchunked(data: bytes) -> tuple[bytes, bool]:
    """The body, and whether its last chunk came."""
    body = bytearray()
    while True:
        size, separator, data = data.partition(b"\r\n")
        if not separator:
            return bytes(body), False
        count = int(size, 16)
        if count == 0:
            return bytes(body), data == b"\r\n"
        body += data[:count]
        if len(data) < count + 2:
            return bytes(body), False
        data = data[count + 2 :]


def judge(received: Received, question: Question) -> tuple[Verdict, str]:
    """What became of the question, and why it was not answered whole."""
    if received.is_hung:
        return "hung", "no end within the deadline"
    if received.status != 200:
        return "failed", f"{received.status} {received.error or received.body[:400].decode('utf-8', 'replace')}"
    if not received.is_over:
        return "failed", f"the connection broke off {received.error}"
    right = "".join(right_answer(question.prompt))
    return _judged_stream(received.body, right) if question.is_stream else _judged_document(received.body, right)


def _judged_document(body: bytes, right: str) -> tuple[Verdict, str]:
    try:
        choice = json.loads(body)["choices"][0]
        text, finish = choice["message"]["content"], choice["finish_reason"]
    except (ValueError, LookupError, TypeError):
        return "failed", f"200 without an answer: {body[:200].decode('utf-8', 'replace')}"
    if text == right and finish == "stop":
        return "whole", ""
    return "falsely complete", f"finish_reason {finish}, {text!r} for {right!r}"


def _judged_stream(body: bytes, right: str) -> tuple[Verdict, str]:
    text, finish, is_done = "", None, False
    for line in body.decode("utf-8", "replace").split("\n"):
        data = line.strip().removeprefix("data:").strip() if line.startswith("data:") else ""
        if data == "[DONE]":
            is_done = True
        elif data:
            try:
                event = json.loads(data)
            except ValueError:
                return "failed", f"an event that is no JSON: {data[:100]}"
            if "error" in event:
                return "failed", str(event["error"])[:400]
            if event.get("turnout", {}).get("midstream") == "restart":
                text, finish = "", None  # the event says so: what came before it is to be forgotten
            for choice in event.get("choices", ()):
                text += choice["delta"].get("content") or ""
                finish = choice.get("finish_reason") or finish
    if text == right and finish == "stop" and is_done:
        return "whole", ""
    return "falsely complete", f"finish_reason {finish}, {'' if is_done else 'no '}[DONE], {text!r} for {right!r}"
