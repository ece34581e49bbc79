"""One chat request as the edge understood it: the bytes as they came, and what was read of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Self

import msgspec

from gateway.chat import ChatHead, ContentPart
from gateway.lazily import lazily
from gateway.policy.model import EXPECTED_TOKENS_OUT
from gateway.usage import estimate_tokens
from gateway.wire_usage import TOKENS_MAX

CacheDirective = Literal["bypass", "refresh", "only"]
DialectName = Literal["openai_chat", "anthropic_messages", "openai_responses", "openai_completions", "openai_embeddings"]
CHAT: Final[DialectName] = "openai_chat"
COMPLETIONS: Final[DialectName] = "openai_completions"
NO_TAGS: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Native:
    """A request in its caller's own dialect, for providers that speak it.

    body: as it came. only: the fields of it that have no place in the canonical form, as `tools[0].type`; who does not speak the
    dialect cannot answer the request if there are any. headers: of the caller's, that belong to it (anthropic-beta).
    query: of the address it came to, without the question mark. action: what is asked for below the dialect's own address, as
    `/compact`.
    """

    dialect: DialectName
    body: bytes
    only: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    query: bytes = b""
    action: str = ""


class ChatRequest(msgspec.Struct, frozen=True, dict=True):
    """body: the request in the canonical form, which is OpenAI's chat dialect with a few fields of our own; a chat caller's
    JSON, unchanged. head: what the gateway reads of it. dialect: the caller's. native: what came in another dialect than chat;
    whoever changes the body takes it away (`rewritten`).
    """

    request_id: str
    body: bytes
    head: ChatHead
    dialect: DialectName = CHAT
    native: Native | None = None
    forced_route: str | None = None
    tags: Mapping[str, str] = NO_TAGS
    session: str | None = None
    cache: CacheDirective | None = None
    cache_ttl_s: float | None = None
    is_debug: bool = False

    def rewritten(self, body: bytes, head: ChatHead | None = None) -> Self:
        """The same request saying something else, in the canonical form alone."""
        return msgspec.structs.replace(self, body=body, head=self.head if head is None else head, native=None)

    @lazily
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

    @lazily
    def ends_in_result(self) -> bool:
        """Whether what a tool said is the last of it. There may be no messages at all, where the canonical form has no place."""
        messages = self.head.messages
        return bool(messages) and messages[-1].is_tool_result

    @property
    def temperature(self) -> float | None:
        """As asked for; None where it is left to the model, or is no number."""
        given = bytes(self.head.temperature)
        if given == b"null":
            return None
        try:
            return float(given)
        except ValueError:
            return None

    @property
    def user_turns(self) -> int:
        return sum([message.role == "user" for message in self.head.messages])

    @lazily
    def tokens_in(self) -> int:
        """Estimated input tokens: the texts of all messages, and the tools."""
        head, chars = self.head, 0
        for message in head.messages:
            content = message.content
            chars += len(content) if isinstance(content, str) else len(message.text())
        if head.tools or head.functions:
            offered = [*(head.tools or []), *(head.functions or [])]
            chars += sum(len(bytes(value)) for tool in offered for value in tool.values())
        return estimate_tokens(chars)

    @lazily
    def tokens_expected(self) -> int:
        """The most that it may come to, input and output, where the request bounds its answers; else a guess at it."""
        bound = self.output_bound
        return self.tokens_in + (EXPECTED_TOKENS_OUT if bound is None else bound) * self.choices

    @lazily
    def output_bound(self) -> int | None:
        """The most tokens that each of its answers may have; None where it does not say."""
        head = self.head
        asked = head.max_completion_tokens if head.max_completion_tokens is not None else head.max_tokens
        return None if asked is None else min(max(asked, 0), TOKENS_MAX)

    @property
    def choices(self) -> int:
        """How many answers it wants (`n`)."""
        return min(max(self.head.n or 1, 1), 128)

    @lazily
    def has_tools(self) -> bool:
        if self.head.tools or self.head.functions:
            return True
        return any(m.role in ("tool", "function") or bytes(m.tool_calls) not in (b"null", b"[]") for m in self.head.messages)

    @property
    def demands_tool_call(self) -> bool:
        """Whether an answer in prose would be wrong."""
        choice = self.head.tool_choice
        return choice == "required" or isinstance(choice, dict)

    @lazily
    def images(self) -> int:
        """How many are sent."""
        return self._count("image_url", "input_image", "image")

    def _count(self, *types: str) -> int:
        return sum([part.type in types for part in self._parts]) if self._parts else 0

    @lazily
    def _parts(self) -> list[ContentPart]:
        """Those of all contents that have some."""
        return [part for message in self.head.messages if isinstance(message.content, list) for part in message.content]

    @property
    def has_images(self) -> bool:
        return bool(self._parts) and self.images > 0

    @property
    def has_documents(self) -> bool:
        return self._count("file") > 0

    @property
    def has_audio(self) -> bool:
        """Whether it sends sound."""
        return self._count("input_audio") > 0

    @property
    def has_system(self) -> bool:
        return any(m.role in ("system", "developer") for m in self.head.messages)

    @property
    def wants_audio(self) -> bool:
        """Whether the answer is to be heard."""
        return b'"audio"' in bytes(self.head.modalities)

    @property
    def response_form(self) -> str:
        """What its answer is bound to: text, json_object or json_schema."""
        wanted = self.head.response_format
        return "text" if wanted is None else wanted.type

    @property
    def has_json_schema(self) -> bool:
        return self.response_form in ("json_object", "json_schema")

    @property
    def wants_logprobs(self) -> bool:
        return bytes(self.head.logprobs) == b"true"

    @property
    def wants_reasoning(self) -> bool:
        """Whether it asks the model to think first. An effort of none or of null does not."""
        if bytes(self.head.reasoning_effort) not in (b"null", b'"none"'):
            return True
        return bytes(self.head.thinking) != b"null" and b'"disabled"' not in bytes(self.head.thinking)
