"""What a Responses request consists of, as types: the body's fields and the kinds of input items. Values only, no I/O.

A field that is not here is one that the canonical form does not have.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

import msgspec

from gateway.errors import ClientError

Json = dict[str, Any]
S = TypeVar("S", bound=msgspec.Struct)


class Format(msgspec.Struct):
    """`text.format`. schema, name, strict and description: of a json_schema."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    schema: Json | None = None
    strict: bool | None = None
    description: str | None = None


class Text(msgspec.Struct):
    """`text`."""

    format: Format | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct):
    """`reasoning`."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_obfuscation: bool | None = None


class ResponsesBody(msgspec.Struct):
    """The body of `POST /v1/responses`, as far as it has a place in the canonical form or a value that asks for nothing."""

    model: str = "auto"
    input: str | list[Json] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[Json] | None = None
    tool_choice: str | Json | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: int | None = None
    text: Text | None = None
    reasoning: Reasoning | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: Json | None = None
    service_tier: str | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    background: bool | None = None


class Message(msgspec.Struct):
    """A message, with or without its `type`."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[Json]
    type: str = "message"


class FunctionCall(msgspec.Struct):
    """The model's call of a function."""

    type: str
    call_id: str
    name: str
    arguments: str


class CustomToolCall(msgspec.Struct):
    """The model's call of a custom tool."""

    type: str
    call_id: str
    name: str
    input: str


class CallOutput(msgspec.Struct):
    """What a function or a custom tool gave back."""

    type: str
    call_id: str
    output: str | list[Json]


class _Said(msgspec.Struct):
    type: str
    text: str


class ReasoningItem(msgspec.Struct):
    """What a model thought. content: its words; summary: what is told of them."""

    type: str
    id: str | None = None
    summary: list[_Said] | None = None
    content: list[_Said] | None = None
    encrypted_content: str | None = None

    def text(self) -> str:
        """The words if there are any, else the summary."""
        return "".join(said.text for said in self.content or ()) or "\n\n".join(said.text for said in self.summary or ())


class ItemReference(msgspec.Struct):
    """An item that was sent or given before."""

    id: str
    type: str | None = None


class FunctionTool(msgspec.Struct):
    """A function that the model may call."""

    type: str
    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None
    cache_control: Json | None = None


class CustomTool(msgspec.Struct):
    """A tool that takes text."""

    type: str
    name: str
    description: str | None = None
    format: Json | None = None
    cache_control: Json | None = None


class TextPart(msgspec.Struct):
    """Words of either side."""

    type: str
    text: str
    prompt_cache_breakpoint: Json | None = None
    cache_control: Json | None = None


class RefusalPart(msgspec.Struct):
    """Why the model did not."""

    type: str
    refusal: str


class ImagePart(msgspec.Struct):
    """An image by its address, `data:` included."""

    type: str
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: Json | None = None
    cache_control: Json | None = None


class FilePart(msgspec.Struct):
    """A file: its bytes, its address, or what the provider calls it."""

    type: str
    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    prompt_cache_breakpoint: Json | None = None
    cache_control: Json | None = None


class AudioPart(msgspec.Struct):
    """Something to listen to."""

    type: str
    input_audio: Json


# Fields of items and parts without which the answer is an answer to the same question.
HINTS: Final[frozenset[str]] = frozenset(
    {
        "annotations",  # of an earlier answer's text
        "created_by",
        "detail",  # of a file
        "id",  # of an item that is given in full
        "logprobs",  # of an earlier answer's text
        "name",  # of a call's output
        "parsed",  # what the SDK's helpers made of an answer, sent back with it
        "parsed_arguments",
        "phase",  # commentary or final answer
        "status",  # of an item
    }
)
# What these fields say where they say nothing: a tool that the model calls itself, and knows from the start.
_IDLE: Final[Json] = {"caller": {"type": "direct"}, "allowed_callers": ["direct"], "defer_loading": False}


def read_as(value: object, kind: type[S], path: str) -> S:
    """The value as this struct. Raises ClientError that names the field; path: of the value, "" for the whole body."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as exc:
        raise wrong_field(str(exc), path) from exc


def unknown_fields(value: Json, kind: type[msgspec.Struct], path: str, hints: frozenset[str] = HINTS) -> list[str]:
    """The paths of the fields that say something and that the struct does not have."""
    known = {*kind.__struct_fields__, *hints}
    return [
        join(path, name) for name, said in value.items() if name not in known and said is not None and said != _IDLE.get(name)
    ]


def wrong_field(said: str, path: str) -> ClientError:
    """said: by msgspec, as "Expected `int`, got `str` - at `$.dimensions`"."""
    problem, _, inner = said.partition(" - at `")
    where = join(path, inner.rstrip("`").removeprefix("$"))
    missing = "missing required field `"
    if missing in problem:
        where = join(where, problem.partition(missing)[2].rstrip("`"))
        return ClientError(f"`{where}` is missing", code="invalid_type", param=where)
    return ClientError(f"`{where}`: {problem}" if where else problem, code="invalid_type", param=where or None)


def join(path: str, inner: str) -> str:
    """`input[3]` and `output` as `input[3].output`."""
    inner = inner.removeprefix(".")
    if not path or not inner or inner.startswith("["):
        return path + inner
    return f"{path}.{inner}"
