"""What holds of Anthropic's dialect whatever is said: requests and answers come back from the canonical form as they went in."""

import asyncio
import json
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.chat import read_head, sse
from gateway.dialects.messages_request import canonical
from gateway.dialects.messages_writer import MessagesWriter
from gateway.edge.dialect import Incoming
from gateway.edge.messages import MessagesDialect
from gateway.errors import ClientError
from gateway.providers.anthropic_answer import chat_body, read_message
from gateway.providers.anthropic_request import anthropic_body
from gateway.providers.anthropic_stream import StreamTranslation
from gateway.reply import Closing
from gateway.tenant import ANONYMOUS
from gateway.usage import Usage
from gateway.wire_usage import wire_usage
from tests.dialects.messages_sdk import accumulated, kinds, parsed

Json = dict[str, Any]

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12).filter(str.strip)
MARK = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
MARKS = st.one_of(st.none(), st.none(), MARK)
IDS = st.from_regex(r"toolu_[a-zA-Z0-9]{1,6}", fullmatch=True)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
INPUTS = st.dictionaries(WORDS, VALUES, max_size=3)


def marked(blocks: st.SearchStrategy[Json]) -> st.SearchStrategy[Json]:
    return st.builds(lambda block, mark: block if mark is None else {**block, "cache_control": mark}, blocks, MARKS)


def block(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries({"type": st.just(kind), **fields})


BASE64 = st.sampled_from(["AAAA", "iVBORw0KGgo="])
TEXT = block("text", text=WORDS)
URL = block("url", url=st.just("https://example.com/a"))
IMAGE = block("image", source=block("base64", media_type=st.sampled_from(["image/png", "image/webp"]), data=BASE64) | URL)
PDF = block("base64", media_type=st.just("application/pdf"), data=BASE64) | URL
DOCUMENT = block("document", source=PDF) | block("document", source=PDF, title=WORDS)
SHOWN = marked(TEXT | IMAGE | DOCUMENT)
RESULT = marked(
    st.fixed_dictionaries(
        {"type": st.just("tool_result"), "tool_use_id": IDS},
        optional={"content": WORDS | st.lists(SHOWN, max_size=2), "is_error": st.booleans()},
    )
)
SIGNED = block("thinking", thinking=WORDS, signature=WORDS)
REDACTED = block("redacted_thinking", data=WORDS)
UNSIGNED = block("thinking", thinking=WORDS, signature=st.just(""))
CALL = marked(block("tool_use", id=IDS, name=WORDS, input=INPUTS))
USER = st.fixed_dictionaries(
    {"role": st.just("user"), "content": WORDS | st.lists(SHOWN | RESULT, min_size=1, max_size=4)},
)
ASSISTANT = st.fixed_dictionaries(
    {
        "role": st.just("assistant"),
        "content": WORDS | st.lists(SIGNED | REDACTED | UNSIGNED | marked(TEXT) | CALL, min_size=1, max_size=4),
    }
)
TOOL = st.fixed_dictionaries(
    {"name": WORDS, "input_schema": st.dictionaries(WORDS, VALUES, max_size=2).map(lambda schema: {"type": "object", **schema})},
    optional={"description": WORDS, "strict": st.booleans(), "cache_control": MARK, "type": st.just("custom")},
)
CHOICES = st.sampled_from(
    [{"type": "auto"}, {"type": "any", "disable_parallel_tool_use": True}, {"type": "none"}, {"type": "tool", "name": "f"}]
)
THINKING = st.sampled_from(
    [{"type": "disabled"}, {"type": "adaptive", "display": "summarized"}, {"type": "enabled", "budget_tokens": 1024}]
)
OUTPUT = st.fixed_dictionaries(
    {},
    optional={
        "effort": st.sampled_from(["low", "max"]),
        "format": block("json_schema", schema=st.dictionaries(WORDS, VALUES, max_size=2)),
    },
)
REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just("auto"),
        "max_tokens": st.integers(1, 10**6),
        "messages": st.lists(USER | ASSISTANT, min_size=1, max_size=5),
    },
    optional={
        "system": WORDS | st.lists(marked(TEXT), min_size=1, max_size=3),
        "tools": st.lists(TOOL, min_size=1, max_size=2),
        "tool_choice": CHOICES,
        "thinking": THINKING,
        "output_config": OUTPUT,
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "top_k": st.integers(0, 500),
        "stop_sequences": st.lists(WORDS, max_size=3),
        "metadata": st.fixed_dictionaries({"user_id": WORDS}),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "cache_control": MARK,
        "stream": st.booleans(),
    },
)


def plain(request: Json) -> Json:
    """The request in one of the ways in which it can be said, so that two that mean the same are equal."""
    said = {name: value for name, value in request.items() if value not in ([], {})}
    said["stream"] = said.get("stream") is True
    said["messages"] = turns(said.get("messages", []))
    if "system" in said:
        said["system"] = system(said["system"])
    if "tools" in said:
        said["tools"] = [tool(one) for one in said["tools"]]
        if said.get("tool_choice") == {"type": "auto"}:
            del said["tool_choice"]
    else:
        said.pop("tool_choice", None)  # there is nothing to choose
    for name in ("temperature", "top_p"):
        if said.get(name) == 1:
            del said[name]  # which is what it is without
    if said.get("service_tier") == "auto":
        del said["service_tier"]
    return said


def system(said: str | list[Json]) -> str | list[Json]:
    if isinstance(said, str) or any("cache_control" in one for one in said):
        return said
    return "\n\n".join(one["text"] for one in said)


def tool(one: Json) -> Json:
    kept = {name: value for name, value in one.items() if name != "type"}
    return kept if kept.get("strict") else {name: value for name, value in kept.items() if name != "strict"}


def turns(messages: list[Json]) -> list[Json]:
    """Neighbours as one, results and thinking first, an assistant's text in one piece."""
    joined: list[Json] = []
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if joined and joined[-1]["role"] == message["role"]:
            joined[-1]["content"] += blocks
        else:
            joined.append({"role": message["role"], "content": list(blocks)})
    ordered = [{**turn, "content": user(turn) if turn["role"] == "user" else assistant(turn)} for turn in joined]
    said: list[Json] = []
    for turn in ordered:  # of which nothing is left: unsigned thinking
        if turn["content"] and said and said[-1]["role"] == turn["role"]:
            said[-1]["content"] += turn["content"]
        elif turn["content"]:
            said.append(turn)
    return said


def user(turn: Json) -> list[Json]:
    results = [result(one) for one in turn["content"] if one["type"] == "tool_result"]
    return results + [one for one in turn["content"] if one["type"] != "tool_result"]


def result(one: Json) -> Json:
    content = one.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    kept = {name: value for name, value in one.items() if name not in ("content", "is_error")}
    return kept | ({"content": blocks} if blocks else {}) | ({"is_error": True} if one.get("is_error") else {})


def assistant(turn: Json) -> list[Json]:
    blocks = turn["content"]
    thoughts = [one for one in blocks if one["type"] == "redacted_thinking" or one.get("signature")]
    texts = [one for one in blocks if one["type"] == "text"]
    if texts and not any("cache_control" in one for one in texts):
        texts = [{"type": "text", "text": "".join(one["text"] for one in texts)}]
    return [*thoughts, *texts, *(one for one in blocks if one["type"] == "tool_use")]


@settings(max_examples=100, deadline=None)
@given(REQUESTS)
def test_a_request_comes_back_from_the_canonical_form(request: Json) -> None:
    found = canonical(json.dumps(request).encode())
    assert found.only == ()
    read_head(found.body)
    again = json.loads(anthropic_body(found.body, "auto", is_stream=request.get("stream", False)))
    assert plain(again) == plain(request)


# --- answers

CALLS = st.lists(st.tuples(IDS, WORDS, INPUTS), max_size=3, unique_by=lambda call: call[0])
COUNTS = st.builds(
    lambda fresh, cached, written, long, output: Usage(
        input=fresh + cached + written, output=output, cached_input=cached, cache_write=written, cache_write_1h=min(long, written)
    ),
    *(st.integers(1, 1000) for _ in range(5)),
)


@st.composite
def pieces(draw: st.DrawFn, text: str) -> list[str]:
    """The text cut anywhere."""
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@st.composite
def chat_answers(draw: st.DrawFn) -> tuple[Json, list[Json]]:
    """(message of a chat completion, the same as the deltas of a stream)"""
    message: Json = {"role": "assistant", "content": None}
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    blocks = draw(st.lists(SIGNED | REDACTED, max_size=2))
    unsigned = draw(st.none() | WORDS) if not blocks else None
    thoughts = unsigned or "".join(one.get("thinking", "") for one in blocks)
    if thoughts:
        message["reasoning_content"] = thoughts
    if unsigned:
        deltas += [{"reasoning_content": piece} for piece in draw(pieces(unsigned))]
    for i, one in enumerate(blocks):
        deltas += [{"reasoning_content": piece} for piece in draw(pieces(one.get("thinking", "")))]
        deltas.append({"thinking_blocks": [{**one, "index": i}]})
    if blocks:
        message["thinking_blocks"] = blocks
    text = draw(st.none() | WORDS)
    if text:
        message["content"] = text
        deltas += [{"content": piece} for piece in draw(pieces(text))]
    calls = draw(CALLS)
    if calls:
        message["tool_calls"] = [
            {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id_, name, given in calls
        ]
        deltas += draw(mixed(message["tool_calls"]))
    return message, deltas


@st.composite
def mixed(draw: st.DrawFn, calls: list[Json]) -> list[Json]:
    """Deltas of these calls, begun in their order, whose pieces come in any."""
    begun = [{"index": i, **call, "function": {**call["function"], "arguments": ""}} for i, call in enumerate(calls)]
    rest = [
        [{"index": i, "function": {"arguments": piece}} for piece in draw(pieces(call["function"]["arguments"]))]
        for i, call in enumerate(calls)
    ]
    order = draw(st.permutations([i for i, fragments in enumerate(rest) for _ in fragments]))
    return [{"tool_calls": [one]} for one in begun] + [{"tool_calls": [rest[i].pop(0)]} for i in order]


def fields_of(message: Json) -> Json:
    """What a stream tells as well as a whole message."""
    usage = {name: value for name, value in message["usage"].items() if value and name not in ("cache_creation", "service_tier")}
    return {**message, "usage": usage}


@settings(max_examples=40, deadline=None)
@given(chat_answers(), st.sampled_from(["stop", "tool_calls", "length", "content_filter"]), COUNTS, st.data())
def test_a_stream_says_what_the_whole_answer_says(
    answer: tuple[Json, list[Json]], finish: str, usage: Usage, data: st.DataObject
) -> None:
    message, deltas = answer
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": wire_usage(usage)}).encode()
    choices = [*({"index": 0, "delta": delta, "finish_reason": None} for delta in deltas)]
    choices.append({"index": 0, "delta": {}, "finish_reason": finish})
    events = [sse({**head, "object": "chat.completion.chunk", "choices": [one]}) for one in choices]
    writer, stream = MessagesWriter("r", 1), b""
    while events:
        size = data.draw(st.integers(1, 4))
        stream += writer.events(b"".join(events[:size]))
        events = events[size:]
    stream += writer.end(Closing(usage, 0.0))
    assert fields_of(accumulated(stream)) == fields_of(parsed(MessagesWriter("r", 1).whole(body, b"")))
    starts = [index for kind, index in kinds(stream) if kind == "content_block_start"]
    stops = [index for kind, index in kinds(stream) if kind == "content_block_stop"]
    assert starts == stops == list(range(len(starts)))


@st.composite
def messages(draw: st.DrawFn) -> Json:
    """A whole answer of Anthropic's, in the order of blocks that chat can keep."""
    texts = [{"type": "text", "text": text} for text in draw(st.lists(WORDS, max_size=1))]
    content = [
        *draw(st.lists(SIGNED | REDACTED, max_size=2)),
        *texts,
        *({"type": "tool_use", "id": id_, "name": name, "input": given} for id_, name, given in draw(CALLS)),
    ]
    has_calls = any(one["type"] == "tool_use" for one in content)
    reason = draw(
        st.sampled_from(["tool_use", "max_tokens"] if has_calls else ["end_turn", "max_tokens", "stop_sequence", "refusal"])
    )
    fresh, cached, written, long, output = (draw(st.integers(1, 1000)) for _ in range(5))
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": "END" if reason == "stop_sequence" else None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None,
        "usage": {
            "input_tokens": fresh,
            "cache_read_input_tokens": cached,
            "cache_creation_input_tokens": written,
            "cache_creation": {
                "ephemeral_1h_input_tokens": min(long, written),
                "ephemeral_5m_input_tokens": written - min(long, written),
            },
            "output_tokens": output,
            "output_tokens_details": {"thinking_tokens": 1},
            "service_tier": draw(st.sampled_from(["standard", "priority", "batch"])),
        },
    }


@settings(max_examples=40, deadline=None)
@given(messages())
def test_a_message_comes_back_from_the_canonical_form(message: Json) -> None:
    body = json.dumps(message).encode()
    again = json.loads(MessagesWriter("r", 1).whole(chat_body(read_message("p", body)), b""))
    for one in again["content"]:
        if one["type"] == "text":
            assert one.pop("citations") is None
    assert again == message


def streamed(message: Json) -> list[Json]:
    """The events of a stream that says this message."""
    start = {**message, "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    events: list[Json] = [{"type": "message_start", "message": start}]
    for index, one in enumerate(message["content"]):
        grown: list[Json] = []
        begun = one
        if one["type"] == "text":
            begun, grown = {**one, "text": ""}, [{"type": "text_delta", "text": one["text"]}]
        elif one["type"] == "thinking":
            begun = {"type": "thinking", "thinking": "", "signature": ""}
            grown = [
                {"type": "thinking_delta", "thinking": one["thinking"]},
                {"type": "signature_delta", "signature": one["signature"]},
            ]
        elif one["type"] == "tool_use":
            begun, grown = {**one, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(one["input"])}]
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in grown]
        events.append({"type": "content_block_stop", "index": index})
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    events.append({"type": "message_delta", "delta": delta, "usage": message["usage"]})
    return [*events, {"type": "message_stop"}]


@settings(max_examples=40, deadline=None)
@given(messages())
def test_a_streamed_message_comes_back_from_the_canonical_form(message: Json) -> None:
    translation, writer = StreamTranslation("p"), MessagesWriter("r", 1)
    stream, usage = b"", Usage()
    for event in streamed(message):
        for piece in translation.feed(msgspec.json.encode(event)):
            usage = piece.usage or usage
            if not piece.is_usage_only:
                stream += writer.events(piece.data)
    again = accumulated(stream + writer.end(Closing(usage, None)))
    assert fields_of(again) == fields_of(parsed(json.dumps(message).encode()))


# --- bodies of any kind

ANY = VALUES | INPUTS | st.lists(SHOWN | RESULT | SIGNED | CALL | TOOL | INPUTS, max_size=2) | SHOWN
NAMES = [
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "metadata",
    "cache_control",
    "stream",
]
NAMES += ["temperature", "top_p", "top_k", "max_tokens", "stop_sequences", "service_tier", "context_management", "speed"]
BLOCKS = ["type", "text", "source", "content", "title", "context", "citations", "cache_control", "tool_use_id", "id"]
BLOCKS += ["name", "input", "is_error", "thinking", "signature"]


@settings(max_examples=100, deadline=None)
@given(REQUESTS, st.sampled_from(NAMES), ANY, st.sampled_from(BLOCKS), ANY, SHOWN | RESULT | SIGNED | CALL, st.booleans())
def test_a_body_of_any_kind_is_read_or_refused(
    request: Json, name: str, value: Any, field: str, inner: Any, one: Json, is_user: bool
) -> None:
    turn = {"role": "user" if is_user else "assistant", "content": [{**one, field: inner}]}
    body = json.dumps({**request, "messages": [*request["messages"], turn], name: value}).encode()
    try:
        found = asyncio.run(MessagesDialect().read(Incoming("r", body, {}, b"", ANONYMOUS)))
    except ClientError as exc:
        assert exc.status == 400
        return
    assert found.native is not None
    json.loads(found.body)
    json.loads(found.native.body)
