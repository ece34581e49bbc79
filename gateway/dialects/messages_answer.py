"""A chat completion as Anthropic's Message: its content, why it ended, and what it used. Values to values, no I/O."""

from __future__ import annotations

import uuid
from typing import Any, Final

import msgspec

from gateway.dialects.answer_shape import answer
from gateway.dialects.messages_reasoning import signature
from gateway.usage import Usage
from gateway.wire_usage import read_usage

Json = dict[str, Any]

_STOP_REASONS: Final = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}
# OpenAI's names of tiers, and Anthropic's own, as Anthropic's.
_SERVICES: Final = {"default": "standard", "auto": "standard", "standard": "standard", "priority": "priority", "batch": "batch"}
INVALID_JSON: Final = "INVALID_JSON"


class _Completion(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    choices: list[Json] = []
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Any = None


_decode = msgspec.json.Decoder(_Completion).decode


def message(body: bytes) -> Json:
    """The Message that a chat completion is. body: one that its provider's adapter has checked."""
    answer(body)
    completion = _decode(body)
    choice = completion.choices[0]
    said: Json = choice["message"]
    content = [*thinking_blocks(said), *_texts(said), *map(tool_use, said.get("tool_calls") or [])]
    usage = read_usage(completion.usage) or Usage()
    return {
        **opening(completion.id, completion.model),
        "content": content,
        **stopping(choice, has_calls=bool(said.get("tool_calls")), refusal=said.get("refusal") or ""),
        "usage": {**counts(usage), "cache_creation": _kept(usage), "service_tier": service(completion.service_tier)},
    }


def opening(id_: str | None, model: str | None) -> Json:
    """What is known of a message before it says anything. id_: the answer's; another provider's becomes one like Anthropic's."""
    own = (id_ or uuid.uuid4().hex).removeprefix("chatcmpl-")
    return {"id": own if own.startswith("msg_") else f"msg_{own}", "type": "message", "role": "assistant", "model": model or ""}


def stopping(choice: Json, *, has_calls: bool, refusal: str) -> Json:
    """`stop_reason` with what belongs to it. choice: with `finish_reason`, and, of servers that tell, the text that ended it."""
    finish, stop = choice.get("finish_reason"), choice.get("stop_reason")
    reason = _STOP_REASONS.get(finish or "", "end_turn")
    sequence = stop if finish == "stop" and isinstance(stop, str) and stop else None
    if reason == "end_turn":
        if has_calls:  # as servers say that were told which tool to call
            reason = "tool_use"
        elif refusal:
            reason = "refusal"
        elif sequence is not None:
            reason = "stop_sequence"
    details = {"type": "refusal", "category": None, "explanation": refusal or None} if reason == "refusal" else None
    return {"stop_reason": reason, "stop_sequence": sequence if reason == "stop_sequence" else None, "stop_details": details}


def counts(usage: Usage) -> Json:
    """`usage` as Anthropic writes it: `input_tokens` are those that the cache had no part in."""
    fields: Json = {
        "input_tokens": max(usage.input - usage.cached_input - usage.cache_write, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output,
    }
    if usage.reasoning:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return fields


def _kept(usage: Usage) -> Json:
    return {
        "ephemeral_5m_input_tokens": max(usage.cache_write - usage.cache_write_1h, 0),
        "ephemeral_1h_input_tokens": usage.cache_write_1h,
    }


def service(tier: object) -> str | None:
    """How the answer was served; None where that is not said, or in a way that Anthropic has not."""
    return _SERVICES.get(tier) if isinstance(tier, str) else None


def thinking_blocks(said: Json) -> list[Json]:
    """Thinking of a message: what Anthropic did not sign, with what its model needs back of it, and then the signed blocks."""
    signed = signed_blocks(said)
    rest = thoughts(said).removesuffix("".join(block.get("thinking") or "" for block in signed))
    sealed = signature(said.get("reasoning_details") or ())
    return [*([{"type": "thinking", "thinking": rest, "signature": sealed}] if rest or sealed else []), *signed]


def signed_blocks(said: Json) -> list[Json]:
    """Those of a message or delta that have to come back unchanged, without the place in the list that they have in a stream."""
    blocks = [block for block in said.get("thinking_blocks") or () if block.get("signature") or block.get("data")]
    return [{name: value for name, value in block.items() if name != "index"} for block in blocks]


def thoughts(said: Json) -> str:
    """The thinking of a message or delta as text, under any of the names that servers have for it."""
    text = said.get("reasoning_content") or said.get("reasoning")
    if isinstance(text, str) and text:
        return text
    content = said.get("content")
    return "".join(_thought(part) for part in content if isinstance(part, dict)) if isinstance(content, list) else ""


def _thought(part: Json) -> str:
    """Of a part as Mistral's models that think have it."""
    inner = part.get("thinking") if part.get("type") == "thinking" else None
    if isinstance(inner, list):
        return "".join(str(one.get("text") or "") for one in inner if isinstance(one, dict))
    return inner if isinstance(inner, str) else ""


def spoken(said: Json) -> str:
    """The text of a message or delta, a refusal included: it is what the model has to say."""
    content = said.get("content") or ""
    if isinstance(content, list):
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict) and part.get("type") == "text")
    return str(content) + (said.get("refusal") or "")


def _texts(said: Json) -> list[Json]:
    text, cited = spoken(said), citations(said)
    return [{"type": "text", "text": text, "citations": cited or None}] if text or cited else []


def citations(said: Json) -> list[Json]:
    """The web pages that a message or delta names. What stands in them, OpenAI's annotations do not tell."""
    pages = [note.get("url_citation") for note in said.get("annotations") or () if isinstance(note, dict)]
    return [
        {
            "type": "web_search_result_location",
            "url": page["url"],
            "title": page.get("title"),
            "cited_text": "",
            "encrypted_index": "",
        }
        for page in pages
        if isinstance(page, dict) and page.get("url")
    ]


def tool_use(call: Json) -> Json:
    """A call. One whose arguments are no JSON object has them as text, under the name that Anthropic's guide gives such."""
    id_, name, arguments = call.get("id"), *called(call)
    try:
        given = msgspec.json.decode(arguments or "{}")
    except (msgspec.DecodeError, RecursionError):
        given = None
    return {
        "type": "tool_use",
        "id": id_ or new_call_id(),
        "name": name,
        "input": given if isinstance(given, dict) else {INVALID_JSON: arguments},
    }


def called(call: Json) -> tuple[str, str]:
    """(name, arguments), as far as they stand in a call or a fragment of one."""
    function = call.get("function") or {}
    arguments = function.get("arguments") or ""
    return function.get("name") or "", arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def new_call_id() -> str:
    """For a call of a server that gives none."""
    return f"toolu_{uuid.uuid4().hex}"
