"""The tools of a Responses request, and which of them is to be called, in the canonical form. Values to values, no I/O."""

from __future__ import annotations

from typing import Final

from gateway.dialects.responses_fields import CustomTool, FunctionTool, Json, join, read_as, unknown_fields
from gateway.errors import ClientError

_MODES: Final = ("auto", "none", "required")
_NAMED: Final = ("function", "custom")


def chat_tools(tools: list[Json], only: list[str]) -> list[Json]:
    """Functions and custom tools. only: gets the paths of those that OpenAI's service runs, and of what else has no place."""
    found = (_tool(tool, f"tools[{i}]", only) for i, tool in enumerate(tools))
    return [tool for tool in found if tool is not None]


def _tool(tool: Json, path: str, only: list[str]) -> Json | None:
    kind = tool.get("type")
    if not isinstance(kind, str):
        raise ClientError(f"`{path}.type` must be a text", code="invalid_type", param=f"{path}.type")
    if kind not in _NAMED:
        only.append(f"{path}.type")
        return None
    read: FunctionTool | CustomTool = read_as(tool, FunctionTool, path) if kind == "function" else read_as(tool, CustomTool, path)
    only += unknown_fields(tool, type(read), path, hints=frozenset())
    said: Json = {"name": read.name}
    if read.description is not None:
        said["description"] = read.description
    if isinstance(read, CustomTool):
        if read.format is not None:
            said["format"] = _format(read.format)
    else:
        # `strict` is left to the provider where it is not given: OpenAI's Responses API then tries it, and the chat API does not.
        said |= {name: value for name in ("parameters", "strict") if (value := getattr(read, name)) is not None}
    translated: Json = {"type": kind, kind: said}
    return translated if read.cache_control is None else {**translated, "cache_control": read.cache_control}


def _format(given: Json) -> Json:
    """A grammar's definition and syntax stand beside its type here, and below it there."""
    if given.get("type") != "grammar":
        return given
    return {"type": "grammar", "grammar": {name: value for name, value in given.items() if name != "type"}}


def chat_choice(choice: str | Json, only: list[str]) -> str | Json | None:
    """`tool_choice`; None for one that names a tool which OpenAI's service runs."""
    if isinstance(choice, str):
        if choice not in _MODES:
            raise _wrong("tool_choice", f"is {choice[:40]!r}; give one of {', '.join(_MODES)}, or an object")
        return choice
    match choice:
        case {"type": "function" | "custom" as kind, **rest}:
            return {"type": kind, kind: {"name": _name(rest, "tool_choice")}}
        case {"type": "allowed_tools", **rest}:
            return _allowed(rest, only)
        case {"type": str()}:
            only.append("tool_choice.type")
            return None
    raise _wrong("tool_choice.type", "must be a text")


def _allowed(given: Json, only: list[str]) -> Json | None:
    mode, tools = given.get("mode", "auto"), given.get("tools")
    if mode not in ("auto", "required"):
        raise _wrong("tool_choice.mode", "must be auto or required")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise _wrong("tool_choice.tools", "must be a list of objects")
    named = []
    for i, tool in enumerate(tools):
        kind = tool.get("type")
        if kind in _NAMED:
            named.append({"type": kind, kind: {"name": _name(tool, f"tool_choice.tools[{i}]")}})
        else:
            only.append(f"tool_choice.tools[{i}].type")
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}


def _name(given: Json, path: str) -> str:
    name = given.get("name")
    if not isinstance(name, str):
        raise _wrong(join(path, "name"), "must be a text")
    return name


def _wrong(param: str, message: str) -> ClientError:
    return ClientError(f"`{param}` {message}", code="invalid_type", param=param)
