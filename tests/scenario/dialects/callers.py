"""The official clients, each asking the same thing in its own dialect and putting the answer together as it does.

They load no certificates, which would take 30 ms each, since nothing here is encrypted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anthropic
import openai

TOOL: Final = {"name": "weather", "description": "The weather of a city."}
SCHEMA: Final = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOKENS_MAX: Final = 99


@dataclass(frozen=True)
class Ask:
    """One request. id: by which the ledger has it. headers: besides."""

    prompt: str
    id: str
    model: str = "auto"
    is_stream: bool = False
    has_tool: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def extra(self) -> dict[str, str]:
        return {"x-request-id": self.id, **self.headers}

    @property
    def asked(self) -> list[dict[str, Any]]:
        return [{"role": "user", "content": self.prompt}]


@dataclass(frozen=True)
class Said:
    """What a client has in the end. thought: aloud. calls: (tool, arguments). cost_usd: as a stream tells it."""

    text: str
    thought: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    cost_usd: float | None = None


def chat(url: str, ask: Ask) -> Said:
    """`client.chat.completions`."""
    tools: Any = [{"type": "function", "function": {**TOOL, "parameters": SCHEMA}}] if ask.has_tool else openai.omit
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="x", max_retries=0, http_client=openai.DefaultHttpxClient(verify=False)
    ) as client:
        asked: Any = {"model": ask.model, "messages": ask.asked, "tools": tools, "max_tokens": TOKENS_MAX}
        if ask.is_stream:
            usage: Any = {"include_usage": True}
            with client.chat.completions.stream(**asked, stream_options=usage, extra_headers=ask.extra) as stream:
                stream.until_done()
                answer: Any = stream.get_final_completion()
        else:
            answer = client.chat.completions.create(**asked, extra_headers=ask.extra)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == ("tool_calls" if message.tool_calls else "stop")
    calls = tuple((call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or ())
    return Said(message.content or "", getattr(message, "reasoning_content", None) or "", calls, _cost(answer))


def messages(url: str, ask: Ask) -> Said:
    """`client.messages`."""
    tools: Any = [{**TOOL, "input_schema": SCHEMA}] if ask.has_tool else anthropic.omit
    with anthropic.Anthropic(
        base_url=url, api_key="x", max_retries=0, http_client=anthropic.DefaultHttpxClient(verify=False)
    ) as client:
        asked: Any = {"model": ask.model, "messages": ask.asked, "tools": tools, "max_tokens": TOKENS_MAX}
        if ask.is_stream:
            with client.messages.stream(**asked, extra_headers=ask.extra) as stream:
                costs = [_cost(event) for event in stream if event.type == "message_delta"]  # in the final message it is not
                answer: Any = stream.get_final_message()
        else:
            answer, costs = client.messages.create(**asked, extra_headers=ask.extra), [None]
    calls = tuple((block.name, block.input) for block in answer.content if block.type == "tool_use")
    assert answer.stop_reason == ("tool_use" if calls else "end_turn")
    text = "".join(block.text for block in answer.content if block.type == "text")
    return Said(text, "".join(block.thinking for block in answer.content if block.type == "thinking"), calls, costs[-1])


def responses(url: str, ask: Ask) -> Said:
    """`client.responses`."""
    tools: Any = [{"type": "function", **TOOL, "parameters": SCHEMA}] if ask.has_tool else openai.omit
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="x", max_retries=0, http_client=openai.DefaultHttpxClient(verify=False)
    ) as client:
        asked: Any = {"model": ask.model, "input": ask.prompt, "tools": tools, "max_output_tokens": TOKENS_MAX}
        if ask.is_stream:
            with client.responses.stream(**asked, extra_headers=ask.extra) as stream:
                stream.until_done()
                answer: Any = stream.get_final_response()
        else:
            answer = client.responses.create(**asked, extra_headers=ask.extra)
    assert answer.status == "completed"
    calls = tuple((item.name, json.loads(item.arguments)) for item in answer.output if item.type == "function_call")
    thoughts = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
    return Said(answer.output_text, "".join(thoughts), calls, _cost(answer))


def _cost(answer: Any) -> float | None:
    cost: float | None = (answer.usage.model_extra or {}).get("cost")
    return cost


CALLERS: Final[Mapping[str, Callable[[str, Ask], Said]]] = {
    "openai_chat": chat,
    "anthropic_messages": messages,
    "openai_responses": responses,
}
