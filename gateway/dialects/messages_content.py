"""Anthropic's content blocks as parts of a chat message. Values to values, no I/O.

Documents that are text, search results, and documents with a `context` have no part of their own in the canonical form: they
become text in a frame of tags, which is how Anthropic's own guide has long texts put before a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from gateway.dialects.fields import Fields, RawObject

Json = dict[str, Any]

IMAGE_URL = "image_url"


def content_parts(content: str | list[RawObject] | None, owner: Fields) -> str | list[Json]:
    """What a user, or a tool, says. owner: the message or block whose `content` it is. Raises ClientError.

    One text without a mark is a string, since not every server takes a list where a string would do.
    """
    if content is None or isinstance(content, str):
        return content or ""
    return unwrapped(_all_parts(content, owner))


def unwrapped(parts: list[Json]) -> str | list[Json]:
    """The content of a message that has these parts."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return str(parts[0]["text"])
    return parts


def _all_parts(blocks: list[RawObject], owner: Fields) -> list[Json]:
    parts: list[Json] = []
    for i, values in enumerate(blocks):
        block = owner.part("content", i, values)
        parts += block_parts(block.text("type"), block)
    return parts


def block_parts(kind: str, block: Fields) -> list[Json]:
    """The parts that a block of a user's or of a tool's result is, one as a rule. kind: its type. Raises ClientError."""
    match kind:
        case "text":
            parts = [text_part(block)]
        case "image":
            parts = _image(block)
        case "document":
            parts = _document(block)
        case "search_result":
            parts = _search_result(block)
        case _:
            block.cannot_hold()
            return []
    block.close()
    return parts


def text_part(block: Fields) -> Json:
    """A text with its mark. Citations of an earlier answer are left out: they say where its text was from, not what it is."""
    block.left_out("citations")
    return {"type": "text", "text": block.text("text"), **block.mark()}


def _image(block: Fields) -> list[Json]:
    mark = block.mark()
    block.neutral("transformations", b"{}")
    source = block.inner("source")
    url = _url(source.text("type"), source, None)
    return [{"type": IMAGE_URL, IMAGE_URL: {"url": url}, **mark}] if url else []


def _url(kind: str, source: Fields, default_type: str | None) -> str | None:
    """The source of a picture or a file as a URL; None if it is none that the canonical form can hold."""
    url: str | None = None
    if kind == "url":
        url = source.text("url")
    elif kind == "base64":
        media_type = source.text_or_none("media_type") or default_type
        if media_type is None:
            raise source.wrong("media_type", "field required")
        url = f"data:{media_type};base64,{source.text('data')}"
    else:
        source.cannot_hold()
    source.close()
    return url


def _document(block: Fields) -> list[Json]:
    title, context, mark = block.text_or_none("title"), block.text_or_none("context"), block.mark()
    _citations(block)
    source = block.inner("source")
    kind = source.text("type")
    if kind == "text":
        source.left_out("media_type")
        parts: list[Json] = [{"type": "text", "text": source.text("data")}]
        source.close()
    elif kind == "content":
        said = content_parts(source.content_or_none("content"), source)
        parts = [{"type": "text", "text": said}] if isinstance(said, str) else said
        source.close()
    else:
        url = _url(kind, source, "application/pdf")
        if url is None:
            return []
        file = {"file_data" if url.startswith("data:") else "file_url": url, **({"filename": title} if title else {})}
        parts = [{"type": "file", "file": file}]
        if context is None:
            return [{**parts[0], **mark}]
    return framed("document", {"title": title, "context": context}, parts, mark)


def _citations(block: Fields) -> None:
    """Who wants citations wants them of Anthropic."""
    config = block.inner_or_none("citations")
    if config is None:
        return
    if config.flag("enabled"):
        config.cannot_hold("enabled")
    config.close()


def _search_result(block: Fields) -> list[Json]:
    names = {"source": block.text("source"), "title": block.text("title")}
    _citations(block)
    mark = block.mark()
    return framed("search_result", names, _all_parts(block.blocks("content"), block), mark)


def framed(tag: str, names: Mapping[str, str | None], parts: list[Json], mark: Json) -> list[Json]:
    """Parts between tags that say what they are; one text where all of them are."""
    said = "".join(f' {name}="{escape(value)}"' for name, value in names.items() if value)
    begin, end = f"<{tag}{said}>", f"</{tag}>"
    if all(part.keys() == {"type", "text"} for part in parts):
        texts = "\n".join(part["text"] for part in parts)
        return [{"type": "text", "text": f"{begin}\n{texts}\n{end}", **mark}]
    return [{"type": "text", "text": begin}, *parts, {"type": "text", "text": end, **mark}]
