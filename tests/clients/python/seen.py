"""What reached the upstream, read out of whichever provider's words it was said in."""

from __future__ import annotations

import json
from typing import Any

Recorded = dict[str, Any]


def turns(recorded: Recorded) -> list[tuple[str, str]]:
    """(role, text) of all that has text, instructions as `system`; results of tools as `tool`."""
    body = recorded["body"]
    if recorded["path"] == "/v1/chat/completions":
        said = [(message["role"], text_of(message.get("content"))) for message in body["messages"]]
    elif recorded["path"] == "/v1/messages":
        said = [("system", text_of(body.get("system")))]
        for message in body["messages"]:
            blocks = message["content"]
            for block in [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks:
                is_result = block["type"] == "tool_result"
                said.append(("tool", text_of(block["content"])) if is_result else (message["role"], block.get("text", "")))
    else:
        given = body["input"]
        said = [("system", body.get("instructions") or "")]
        for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
            if "role" in item:
                said.append((item["role"], text_of(item["content"])))
            elif item["type"] == "function_call_output":
                said.append(("tool", text_of(item["output"])))
    return [("system" if role == "developer" else role, text) for role, text in said if text]


def tool_names(recorded: Recorded) -> list[str]:
    """Of the tools that were offered."""
    return [tool["function"]["name"] if "function" in tool else tool["name"] for tool in recorded["body"].get("tools") or []]


def tool_schema(recorded: Recorded) -> dict[str, Any]:
    """Of the first tool that was offered."""
    tool = recorded["body"]["tools"][0]
    schema: dict[str, Any] = (
        tool["function"]["parameters"] if "function" in tool else tool.get("input_schema") or tool["parameters"]
    )
    return schema


def calls(recorded: Recorded) -> list[tuple[str, dict[str, Any]]]:
    """(name, arguments) of the calls that the conversation already has."""
    body = recorded["body"]
    if recorded["path"] == "/v1/chat/completions":
        made = [call["function"] for message in body["messages"] for call in message.get("tool_calls") or []]
        return [(call["name"], json.loads(call["arguments"])) for call in made]
    if recorded["path"] == "/v1/messages":
        blocks = [
            block for message in body["messages"] if not isinstance(message["content"], str) for block in message["content"]
        ]
        return [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]
    return [(item["name"], json.loads(item["arguments"])) for item in body["input"] if item.get("type") == "function_call"]


def schema(recorded: Recorded) -> dict[str, Any]:
    """The JSON schema that the answer is to keep to."""
    body = recorded["body"]
    if recorded["path"] == "/v1/chat/completions":
        found: dict[str, Any] = body["response_format"]["json_schema"]["schema"]
    elif recorded["path"] == "/v1/messages":
        found = body["output_config"]["format"]["schema"] if "output_config" in body else body["output_format"]["schema"]
    else:
        found = body["text"]["format"]["schema"]
    return found


def images(recorded: Recorded) -> list[str]:
    """Where each is: its address, or a data URI."""
    body = recorded["body"]
    contents = [
        item["content"] for item in body.get("messages") or body["input"] if not isinstance(item.get("content"), str | None)
    ]
    found = []
    for part in (part for content in contents for part in content):
        if part["type"] == "image_url":
            found.append(part["image_url"]["url"])
        elif part["type"] == "input_image":
            found.append(part["image_url"])
        elif part["type"] == "image":
            source = part["source"]
            found.append(source["url"] if source["type"] == "url" else f"data:{source['media_type']};base64,{source['data']}")
    return found


def text_of(content: Any) -> str:
    if isinstance(content, str | None):
        return content or ""
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)
