"""One chat request as the edge understood it: the bytes as they came, and what was read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from gateway.chat import ChatHead
from gateway.policy.model import EXPECTED_TOKENS_OUT
from gateway.usage import estimate_tokens
from gateway.wire_usage import TOKENS_MAX

CacheDirective = Literal["bypass", "refresh", "only"]


@dataclass(frozen=True)
class ChatRequest:
    """body is the caller's JSON, unchanged; head is what the gateway reads of it."""

    request_id: str
    body: bytes
    head: ChatHead
    dialect: str = "openai_chat"
    forced_route: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    cache: CacheDirective | None = None
    cache_ttl_s: float | None = None
    is_debug: bool = False

    @property
    def is_stream(self) -> bool:
        return bool(self.head.stream)

    @property
    def wants_usage(self) -> bool:
        """Whether a streaming caller asked for the usage event."""
        options = self.head.stream_options
        return bool(options and options.include_usage)

    @property
    def has_stop(self) -> bool:
        """Whether it names texts that end an answer, which may then be over before it has begun."""
        return bytes(self.head.stop) not in (b"null", b"[]", b'""')

    @property
    def temperature(self) -> float | None:
        """As asked for; None where it is left to the model, or is no number."""
        try:
            return float(bytes(self.head.temperature))
        except ValueError:
            return None

    @cached_property
    def user_turns(self) -> int:
        return sum(message.role == "user" for message in self.head.messages)

    @cached_property
    def tokens_in(self) -> int:
        """Estimated input tokens: the texts of all messages, and the tools."""
        chars = sum(len(m.text()) for m in self.head.messages)
        offered = [*(self.head.tools or []), *(self.head.functions or [])]
        chars += sum(len(bytes(value)) for tool in offered for value in tool.values())
        return estimate_tokens(chars)

    @cached_property
    def tokens_expected(self) -> int:
        """The most that it may come to, input and output, where the request bounds its answers; else a guess at it."""
        bound = self.output_bound
        return self.tokens_in + (EXPECTED_TOKENS_OUT if bound is None else bound) * self.choices

    @cached_property
    def output_bound(self) -> int | None:
        """The most tokens that each of its answers may have; None where it does not say."""
        head = self.head
        asked = head.max_completion_tokens if head.max_completion_tokens is not None else head.max_tokens
        return None if asked is None else min(max(asked, 0), TOKENS_MAX)

    @property
    def choices(self) -> int:
        """How many answers it wants (`n`)."""
        return min(max(self.head.n or 1, 1), 128)

    @cached_property
    def has_tools(self) -> bool:
        if self.head.tools or self.head.functions:
            return True
        return any(m.role in ("tool", "function") or bytes(m.tool_calls) not in (b"null", b"[]") for m in self.head.messages)

    @property
    def demands_tool_call(self) -> bool:
        """Whether an answer in prose would be wrong."""
        choice = self.head.tool_choice
        return choice == "required" or isinstance(choice, dict)

    @cached_property
    def images(self) -> int:
        """How many are sent."""
        return sum(
            part.type in ("image_url", "input_image", "image")
            for m in self.head.messages
            if isinstance(m.content, list)
            for part in m.content
        )

    @property
    def has_images(self) -> bool:
        return self.images > 0

    @cached_property
    def has_system(self) -> bool:
        return any(m.role in ("system", "developer") for m in self.head.messages)

    @property
    def wants_audio(self) -> bool:
        """Whether the answer is to be heard."""
        return b'"audio"' in bytes(self.head.modalities)

    @cached_property
    def has_json_schema(self) -> bool:
        wanted = self.head.response_format
        return wanted is not None and wanted.type in ("json_object", "json_schema")
