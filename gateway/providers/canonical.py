"""Parts of the canonical form's messages and tools, as far as translators to other APIs carry or refuse them. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]


class ImageUrl(msgspec.Struct):
    """An image: where it is, or itself as a `data:` URL."""

    url: str
    detail: str | None = None


class File(msgspec.Struct, omit_defaults=True):
    """A document: itself as a `data:` URL, its id at the provider, or where it is."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None


class Part(msgspec.Struct):
    """A part of a message. cache_control: Anthropic's mark for its cache. prompt_cache_breakpoint: OpenAI's."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | None = None
    file: File | None = None
    cache_control: Json | None = None
    prompt_cache_breakpoint: Json | None = None


class Called(msgspec.Struct):
    """What a model called. arguments: a function's. input: a custom tool's."""

    name: str
    arguments: str = ""
    input: str = ""


class ToolCall(msgspec.Struct):
    """A call in a message of the model's."""

    id: str
    type: str = "function"
    function: Called | None = None
    custom: Called | None = None
    cache_control: Json | None = None


class Function(msgspec.Struct):
    """A function that is offered."""

    name: str
    description: str | None = None
    parameters: Json | None = None
    strict: bool | None = None


class Custom(msgspec.Struct):
    """A tool that is offered and takes a text."""

    name: str
    description: str | None = None
    format: Json | None = None


class Tool(msgspec.Struct):
    """One of the tools that a request offers."""

    type: str = "function"
    function: Function | None = None
    custom: Custom | None = None
    cache_control: Json | None = None
