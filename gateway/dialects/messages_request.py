"""A request in Anthropic's Messages dialect (anthropic-version 2023-06-01) in the canonical form. Bytes to values, no I/O.

Nothing is lost in silence. What the canonical form cannot hold is listed by its path, so that it is asked of providers that speak
the dialect, and of no other; also every field that is not known here. Left out, since an answer without them is none other:
`tools.*.eager_input_streaming`, `citations` of earlier answers, what Claude Code has its system prompt say of itself, and edits
of `context_management` that clear earlier thinking, which models of other providers are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from gateway.dialects.anthropic_errors import THREAD
from gateway.dialects.fields import Fields, RawObject, wrong_field
from gateway.dialects.messages_content import Json
from gateway.dialects.messages_tools import chat_tool_choice, chat_tools
from gateway.dialects.messages_turns import Conversation, Turn
from gateway.errors import ClientError

Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
_NULL: Final = b"null"
_CLEARS_THINKING: Final = "clear_thinking_"


class CountTokensRequest(msgspec.Struct, kw_only=True):
    """The fields of a question that have a place in the canonical form; those of content and tools are read one by one."""

    model: str
    messages: list[Turn]
    system: str | list[RawObject] | None = None
    tools: list[RawObject] | None = None
    tool_choice: RawObject | None = None
    thinking: RawObject | None = None
    output_config: RawObject | None = None
    output_format: RawObject | None = None
    cache_control: RawObject | None = None
    context_management: RawObject | None = None
    speed: str | None = None


class MessagesRequest(CountTokensRequest, kw_only=True):
    """The same of a request for an answer. `output_format` is how betas called `output_config.format`."""

    max_tokens: Count
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: Count | None = None
    metadata: RawObject | None = None
    service_tier: str | None = None


@dataclass(frozen=True, slots=True)
class Canonical:
    """body: the request in the canonical form. only: the paths of what it cannot hold.

    is_mended: it has thinking without a signature, or ids of calls, from models of other providers, which Anthropic refuses.
    """

    body: bytes
    only: tuple[str, ...]
    is_mended: bool


_decode = msgspec.json.Decoder(MessagesRequest).decode
_decode_counted = msgspec.json.Decoder(CountTokensRequest).decode
_decode_raw = msgspec.json.Decoder(RawObject).decode
_FIELDS: Final = frozenset(MessagesRequest.__struct_fields__)


def canonical(body: bytes) -> Canonical:
    """The request. Raises msgspec.DecodeError, or ClientError that names the field."""
    request = _decode(body)
    only = _unknown(body)
    fields = _question(request, only)
    fields["max_tokens"] = request.max_tokens
    if request.max_tokens == 0:  # nothing is to be said, only the prompt kept in Anthropic's cache
        only.append("max_tokens")
    fields |= {
        name: value for name in ("stream", "temperature", "top_p", "top_k") if (value := getattr(request, name)) is not None
    }
    if request.stop_sequences:
        fields["stop"] = request.stop_sequences
    fields |= _user(request.metadata, only) | _service(request.service_tier)
    return _canonical(fields, only)


def canonical_question(body: bytes) -> Canonical:
    """The same of a request to count the tokens of a question. Raises as `canonical` does."""
    request = _decode_counted(body)
    only = _unknown(body)
    return _canonical(_question(request, only), only)


def _canonical(fields: Json, only: list[str]) -> Canonical:
    is_mended = fields.pop("is_mended")
    first = sorted(only, key=lambda path: path != THREAD)  # it is what the caller can do without, once it knows
    return Canonical(msgspec.json.encode(fields), tuple(first), is_mended)


def _unknown(body: bytes) -> list[str]:
    return [name for name, raw in _decode_raw(body).items() if name not in _FIELDS and bytes(raw) != _NULL]


def _question(request: CountTokensRequest, only: list[str]) -> Json:
    if not request.model:
        raise ClientError("model: name a model, or `auto`", code="invalid_model", param="model")
    if not request.messages:
        raise ClientError("messages: at least one message is required", code="empty_messages", param="messages")
    conversation = Conversation(only)
    if request.system is not None:
        conversation.system(request.system, "system")
    messages = conversation.add(request.messages)
    if not messages and not only:
        raise ClientError("messages: none of them says anything", code="empty_messages", param="messages")
    fields: Json = {"model": request.model, "messages": messages, "is_mended": conversation.is_mended}
    if request.tools:
        fields |= chat_tools(request.tools, only)
    if request.tool_choice is not None:
        fields |= chat_tool_choice(Fields(request.tool_choice, "tool_choice", only), has_tools="tools" in fields)
    if request.thinking is not None:
        fields["thinking"] = request.thinking
    fields |= _output(request, only)
    if request.cache_control is not None:
        fields["cache_control"] = request.cache_control
    if request.context_management is not None:
        _context(Fields(request.context_management, "context_management", only))
    if request.speed not in (None, "standard"):
        only.append("speed")
    return fields


def _output(request: CountTokensRequest, only: list[str]) -> Json:
    """Effort and format of the answer."""
    fields: Json = {}
    wanted = None if request.output_format is None else Fields(request.output_format, "output_format", only)
    if request.output_config is not None:
        config = Fields(request.output_config, "output_config", only)
        effort = config.text_or_none("effort")
        if effort is not None:
            fields["reasoning_effort"] = effort
        wanted = config.inner_or_none("format") or wanted
        config.close()
    if wanted is None:
        return fields
    if wanted.text("type") != "json_schema":
        wanted.cannot_hold()
        return fields
    schema = wanted.object("schema")
    wanted.close()
    described = {"name": "output", "schema": schema, "strict": _is_strict(msgspec.json.decode(schema))}
    return {**fields, "response_format": {"type": "json_schema", "json_schema": described}}


def _is_strict(schema: Any) -> bool:
    """Whether OpenAI's `strict` takes it: there objects have no fields beyond those named, and all of those must be there."""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list):
            return False
        if any(name not in required for name in properties):
            return False
    elif schema.get("type") == "object":
        return False
    return all(map(_is_strict, schema.values()))


def _user(metadata: RawObject | None, only: list[str]) -> Json:
    if metadata is None:
        return {}
    given = Fields(metadata, "metadata", only)
    user = given.text_or_none("user_id")
    given.close()
    return {} if user is None else {"user": user}


def _service(tier: str | None) -> Json:
    """`auto` is what happens anyway."""
    if tier in (None, "auto"):
        return {}
    if tier != "standard_only":
        raise wrong_field("service_tier", f"{tier!r} is neither `auto` nor `standard_only`")
    return {"service_tier": "default"}


def _context(management: Fields) -> None:
    """Edits of what the provider shows the model of earlier turns."""
    for i, values in enumerate(management.blocks_or_none("edits") or []):
        edit = management.part("edits", i, values)
        if not edit.text("type").startswith(_CLEARS_THINKING):
            edit.cannot_hold()
    management.close()
