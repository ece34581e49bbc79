"""Which model a conversation is with: by the caller's session id, and by the tool loop that a request continues.

In memory, bounded, forgotten after an hour without an answer. INVARIANT: every key begins with the tenant, so no caller
reads another's pin. A look-up changes nothing; only an answer does.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.policy.affinity import Pinned
from gateway.request import ChatRequest
from gateway.tenant import Tenant
from gateway.usage import Usage

KEPT_MAX: Final = 10_000  # sessions, and as many tool loops
IDLE_S: Final = 3_600.0
CACHE_S: Final = 300.0  # for about so long a provider keeps a prefix that nobody reads again
CACHED_TOKENS_MIN: Final = 1_024  # a shorter prefix is not kept at all
OUTPUT_TOKENS: Final = 500  # an answer's expected length, where the session has none to go by
# At either end of a conversation, and of a message. Loops are told apart without reading all of a long one, which took
# 4 ms of the event loop for 400 messages; those in between count with their role and length.
HASHED_MESSAGES: Final = 16
HASHED_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class _Answered:
    """The last answer of a conversation. tokens_in: our own estimate, to see by how much the conversation has grown."""

    model: str
    at: float
    tokens_in: int
    usage: Usage


class _Kept:
    """Last answers by key, the one that is longest ago first. Bounded by number and age."""

    def __init__(self, clock: Callable[[], float], kept_max: int) -> None:
        self._clock, self._kept_max = clock, kept_max
        self._answers: OrderedDict[bytes, _Answered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: bytes) -> _Answered | None:
        found = self._answers.get(key)
        return found if found is not None and self._clock() - found.at < IDLE_S else None

    def put(self, key: bytes, answered: _Answered) -> None:
        self._answers[key] = answered
        self._answers.move_to_end(key)
        while len(self._answers) > self._kept_max or answered.at - next(iter(self._answers.values())).at >= IDLE_S:
            self._answers.popitem(last=False)


class Sessions:
    """Where conversations are. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, kept_max: int = KEPT_MAX) -> None:
        self._clock = clock
        self._sessions, self._loops = _Kept(clock, kept_max), _Kept(clock, kept_max)

    def __len__(self) -> int:
        return len(self._sessions) + len(self._loops)

    def pinned(self, request: ChatRequest, tenant: Tenant) -> Pinned | None:
        """The model that this request's conversation is with. A tool loop goes before the session it is part of."""
        if request.ends_in_result:
            found = self._loops.get(_loop_key(request, tenant))
            if found is not None:
                return self._weighed(found, request, is_loop=True)
        if request.session is None:
            return None
        found = self._sessions.get(_session_key(request.session, tenant))
        return None if found is None else self._weighed(found, request, is_loop=False)

    def answered(self, request: ChatRequest, tenant: Tenant, model: str, usage: Usage | None) -> None:
        """Take note of who answered. usage: of that answer."""
        has_tools = bool(request.head.tools or request.head.functions) or request.ends_in_result
        if request.session is None and not has_tools:
            return
        answered = _Answered(model, self._clock(), request.tokens_in, usage or Usage(input=request.tokens_in))
        if request.session is not None:
            self._sessions.put(_session_key(request.session, tenant), answered)
        if has_tools:
            self._loops.put(_loop_key(request, tenant), answered)

    def _weighed(self, found: _Answered, request: ChatRequest, *, is_loop: bool) -> Pinned:
        """The pin, with what moving away from it would lose."""
        grown = request.tokens_in - found.tokens_in
        total = found.usage.input + grown
        # A conversation that got shorter was begun anew or cut: its beginning is another.
        is_warm = grown >= 0 and self._clock() - found.at < CACHE_S and found.usage.input >= CACHED_TOKENS_MIN
        cached = found.usage.input if is_warm else 0
        expected = found.usage.output or OUTPUT_TOKENS
        asked_max = request.head.max_completion_tokens or request.head.max_tokens
        return Pinned(
            model=found.model,
            by="tool-loop" if is_loop else "session",
            cached_tokens=cached,
            new_tokens=total - cached if grown >= 0 else request.tokens_in,
            output_tokens=min(expected, asked_max) if asked_max is not None and asked_max > 0 else expected,
        )


def session_draw(session: str, tenant: Tenant) -> float:
    """A number in [0, 1) that is the same for a session on every replica and after every restart."""
    return (int.from_bytes(_session_key(session, tenant)[:8], "big") >> 11) / 2**53  # a float holds 53 bits: never 1.0


def _session_key(session: str, tenant: Tenant) -> bytes:
    return _hash(tenant, [session])


def _loop_key(request: ChatRequest, tenant: Tenant) -> bytes:
    """Of the messages up to and with the user's last one, which are the same at every step of a loop.

    Without any, up to the first answer.
    """
    messages = request.head.messages
    users = [i + 1 for i, message in enumerate(messages) if message.role == "user"]
    answers = [i for i, message in enumerate(messages) if message.role == "assistant" or message.is_tool_result]
    asked = messages[: users[-1] if users else min(answers, default=len(messages))]
    texts = [message.text() for message in asked]
    parts = [",".join([f"{message.role}{len(text)}" for message, text in zip(asked, texts, strict=True)])]
    ends = texts if len(texts) <= 2 * HASHED_MESSAGES else texts[:HASHED_MESSAGES] + texts[-HASHED_MESSAGES:]
    for text in ends:
        parts += [text[:HASHED_CHARS], text[-HASHED_CHARS:]]
    return _hash(tenant, parts)


def _hash(tenant: Tenant, parts: list[str]) -> bytes:
    """16 bytes. Each part with its length, so that no two lists run together into the same bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (tenant.key, tenant.team or "", *parts):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()
