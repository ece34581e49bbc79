"""A Responses request in the canonical form, and as it goes to a provider that speaks Responses. No I/O.

Left out on purpose, since the answer is an answer to the same question without them: `metadata` and `store`, which are the
gateway's own business (it echoes and keeps), `reasoning.summary`, `stream_options`, `include` of what only OpenAI's own tools
give, and the HINTS of items. Everything else that the canonical form has no place for is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.dialects.responses_fields import (
    Json,
    Reasoning,
    ResponsesBody,
    StreamOptions,
    Text,
    join,
    read_as,
    unknown_fields,
)
from gateway.dialects.responses_input import Items, chat_messages
from gateway.dialects.responses_reasoning import is_ours, openai_items
from gateway.dialects.responses_tools import chat_choice, chat_tools
from gateway.errors import ClientError

LOGPROBS: Final = "message.output_text.logprobs"
# Of what only OpenAI's own tools give, or of how the input is shown again; and reasoning, which is always given whole.
IDLE_INCLUDES: Final = frozenset(
    {
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "reasoning.encrypted_content",
        "web_search_call.action.sources",
        "web_search_call.results",
    }
)
OF_THE_CLIENT: Final = frozenset({"client_metadata"})  # what Codex says of itself
_SAME: Final = (
    "temperature",
    "top_p",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
)

_decode_raw = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_body(given: Json) -> ResponsesBody:
    """The body's fields. Raises ClientError that names the field and what is wrong with it."""
    body = read_as(given, ResponsesBody, "")
    if not body.model:
        raise ClientError("`model` is empty; name a model, or `auto`", code="invalid_model", param="model")
    if body.background:
        message = (
            "`background` is not served here: an answer that nobody waits for tells nobody what it used, so that it could not be "
            "booked; leave it out, or stream"
        )
        raise ClientError(message, code="unsupported_parameter", param="background")
    if body.input in ("", []) and body.previous_response_id is None:
        raise ClientError("`input` is empty; give a text or at least one item", code="empty_input", param="input")
    return body


def lacks_input(body: ResponsesBody, given: Json) -> bool:
    """Whether nothing is asked, which only a provider that speaks Responses can judge: other fields may say it."""
    return body.input is None and not ({"prompt", "conversation"} & given.keys() or body.previous_response_id)


def given_items(body: ResponsesBody) -> list[Json]:
    """The input as items."""
    if isinstance(body.input, str):
        return [{"type": "message", "role": "user", "content": body.input}]
    return body.input or []


def canonical_body(body: ResponsesBody, given: Json, items: Items) -> tuple[bytes, tuple[str, ...]]:
    """The request in the canonical form, and the paths of the fields that it does not hold. Raises ClientError.

    given: all of the body's fields. items: the whole conversation, with what came before this request.
    """
    only = unknown_fields(given, ResponsesBody, "", hints=OF_THE_CLIENT)
    if lacks_input(body, given):
        only.append("input")
    messages: list[Json] = []
    if body.instructions is not None:
        messages.append({"role": "system", "content": body.instructions})
    messages += chat_messages(items, only)
    chat: Json = {"model": body.model, "messages": messages}
    chat |= {name: value for name in _SAME if (value := getattr(body, name)) is not None}
    if body.max_output_tokens is not None:
        chat["max_completion_tokens"] = body.max_output_tokens
    if body.stream is not None:
        chat["stream"] = body.stream
    if body.stream_options is not None:
        only += unknown_fields(given["stream_options"], StreamOptions, "stream_options")
    if body.truncation == "auto":
        only.append("truncation")
    chat |= _tools(body, only) | _text(body, given, only) | _reasoning(body, given, only) | _logprobs(body, only)
    return msgspec.json.encode(chat), tuple(dict.fromkeys(only))


def wants_logprobs(body: ResponsesBody) -> bool:
    """Whether the caller asked for them."""
    return LOGPROBS in (body.include or ()) or bool(body.top_logprobs)


def _tools(body: ResponsesBody, only: list[str]) -> Json:
    """Without tools, how to choose among them says nothing, and OpenAI's chat API refuses it."""
    tools = chat_tools(body.tools or [], only)
    choice = None if body.tool_choice is None else chat_choice(body.tool_choice, only)
    if not tools:
        return {"tool_choice": choice} if choice not in (None, "auto", "none") else {}
    chat: Json = {"tools": tools}
    if choice is not None:
        chat["tool_choice"] = choice
    if body.parallel_tool_calls is not None:
        chat["parallel_tool_calls"] = body.parallel_tool_calls
    return chat


def _text(body: ResponsesBody, given: Json, only: list[str]) -> Json:
    if body.text is None:
        return {}
    only += unknown_fields(given["text"], Text, "text")
    chat: Json = {} if body.text.verbosity is None else {"verbosity": body.text.verbosity}
    wanted = body.text.format
    if wanted is None or wanted.type == "text":
        return chat
    if wanted.type == "json_object":
        return chat | {"response_format": {"type": "json_object"}}
    path = "text.format"
    for name in ("name", "schema"):
        if getattr(wanted, name) is None:
            raise ClientError(f"`{path}.{name}` is missing", code="invalid_type", param=join(path, name))
    only += unknown_fields(given["text"]["format"], type(wanted), path, hints=frozenset())
    names = ("name", "description", "schema", "strict")
    schema = {name: value for name in names if (value := getattr(wanted, name)) is not None}
    return chat | {"response_format": {"type": "json_schema", "json_schema": schema}}


def _reasoning(body: ResponsesBody, given: Json, only: list[str]) -> Json:
    if body.reasoning is None:
        return {}
    only += unknown_fields(given["reasoning"], Reasoning, "reasoning")
    return {} if body.reasoning.effort is None else {"reasoning_effort": body.reasoning.effort}


def _logprobs(body: ResponsesBody, only: list[str]) -> Json:
    for i, name in enumerate(body.include or ()):
        if name != LOGPROBS and name not in IDLE_INCLUDES:
            only.append(f"include[{i}]")
    if not wants_logprobs(body):
        return {}
    return {"logprobs": True} if body.top_logprobs is None else {"logprobs": True, "top_logprobs": body.top_logprobs}


def native_body(raw: bytes, given: Sequence[Json], before: Sequence[Json], *, is_resolved: bool) -> bytes:
    """The request for a provider that speaks Responses, which knows nothing of what was made or kept here.

    raw: as it came. given: its items, references resolved. before: the conversation that its previous_response_id stands for.
    is_resolved: whether anything of `given` and `before` is not in `raw`. What needs no change keeps its bytes.
    """
    if not is_resolved and not any(_is_our_reasoning(item) for item in given):
        return raw
    items: list[Json] = []
    for item in before:
        items += _portable(item)
    for item in given:
        items += openai_items(item) if _is_our_reasoning(item) else [item]
    fields = _decode_raw(raw)
    if before:
        fields.pop("previous_response_id", None)
    return msgspec.json.encode({**fields, "input": items})


def _portable(item: Json) -> list[Json]:
    """An item of an earlier response, for an account that need not be the one that answered it.

    OpenAI looks items up by their ids, and fails where it does not find them; reasoning it knows by id or by its own content.
    """
    if item.get("type") == "reasoning":
        if _is_our_reasoning(item):
            return openai_items(item)
        return [item] if item.get("encrypted_content") else []
    return [{name: value for name, value in item.items() if name != "id"}]


def _is_our_reasoning(item: Json) -> bool:
    """Also of an item with neither an id nor content: some clients (Codex) leave the ids out, and nobody could look it up."""
    if item.get("type") != "reasoning":
        return False
    return is_ours(item) or not (item.get("id") or item.get("encrypted_content"))


def as_object(decoded: Any) -> Json:
    """Raises ClientError if the body is JSON, but no object."""
    if not isinstance(decoded, dict):
        raise ClientError("the body is not an object; send `model` and `input`", code="invalid_type")
    return decoded
