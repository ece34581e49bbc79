"""Anthropic's tools as those of a chat request. Values to values, no I/O.

Tools of Anthropic's own, which its servers run or its models are trained for, are nothing that another model has.
"""

from __future__ import annotations

from typing import Final

from gateway.dialects.fields import Fields, RawObject
from gateway.dialects.messages_content import Json

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}
_DIRECT: Final = (b'["direct"]', b"[]")


def chat_tools(tools: list[RawObject], only: list[str]) -> Json:
    """`tools`, where any of them is the caller's own. Raises ClientError that names the field."""
    chat = [told for i, values in enumerate(tools) if (told := _tool(Fields(values, f"tools.{i}", only))) is not None]
    return {"tools": chat} if chat else {}


def _tool(tool: Fields) -> Json | None:
    kind = tool.text_or_none("type")
    if kind not in (None, "custom"):
        tool.cannot_hold("type")
        return None
    function: Json = {"name": tool.text("name")}
    description = tool.text_or_none("description")
    if description is not None:
        function["description"] = description
    function["parameters"] = tool.object("input_schema")
    if tool.flag("strict"):
        function["strict"] = True
    mark = tool.mark()
    tool.neutral("allowed_callers", *_DIRECT)
    tool.neutral("defer_loading", b"false")
    tool.neutral("input_examples", b"[]")
    tool.left_out("eager_input_streaming")  # how finely the arguments are cut in a stream
    tool.close()
    return {"type": "function", "function": function, **mark}


def chat_tool_choice(choice: Fields, *, has_tools: bool) -> Json:
    """`tool_choice` and `parallel_tool_calls`. Raises ClientError that names the field.

    has_tools: without any, servers refuse both fields, and `auto` and `none` say what is so anyway.
    """
    kind = choice.text("type")
    fields: Json = {}
    if kind == "tool":
        fields["tool_choice"] = {"type": "function", "function": {"name": choice.text("name")}}
    elif kind not in _CHOICES:
        raise choice.wrong("type", f"{kind!r} is none of auto, any, tool and none")
    elif has_tools or kind == "any":
        fields["tool_choice"] = _CHOICES[kind]
    if choice.flag("disable_parallel_tool_use") and has_tools:
        fields["parallel_tool_calls"] = False
    choice.close()
    return fields
