"""`anthropic.Anthropic().messages`."""

from __future__ import annotations

import json
from typing import Any

import httpx2
from anthropic import Anthropic
from anthropic.types import Message

from tests.clients.pairing.callers.base import Answer, well_formed
from tests.clients.pairing.says import Called, Heard, Json, Source, Stop, Used

STOPS: dict[str | None, Stop] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "calls",
    "refusal": "refused",
}
# What the SDK's types have for an answer and the API does not take back.
NOT_GIVEN_BACK = ("parsed_output", "caller")


class MessagesCaller:
    """base_url: without /v1."""

    def __init__(self, base_url: str) -> None:
        self.last_body: Json = {}
        self._http = httpx2.Client(event_hooks={"request": [self._note]})
        self._client = Anthropic(base_url=base_url, api_key="sk-caller", max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def ask(self, asked: Json, *, is_stream: bool) -> Answer:
        if not is_stream:
            message = self._client.messages.create(**asked)
            well_formed(message)
            return _answer(message)
        pieces, cost = 0, None
        with self._client.messages.stream(**asked) as stream:
            for event in stream:
                well_formed(event)
                pieces += event.type == "input_json" and bool(event.partial_json)
                if event.type == "message_delta":
                    cost = event.usage.model_dump().get("cost")
            return _answer(stream.get_final_message(), pieces, cost)

    def going_on(self, asked: Json, answer: Answer, results: tuple[str, ...]) -> Json:
        told: list[Json] = [
            {"type": "tool_result", "tool_use_id": id_, "content": result}
            for id_, result in zip(answer.call_ids, results, strict=True)
        ]
        turns = [{"role": "assistant", "content": answer.turn}, {"role": "user", "content": told}]
        return {**asked, "messages": [*asked["messages"], *turns]}

    def _note(self, request: Any) -> None:
        self.last_body = json.loads(request.read())


def _answer(message: Message, pieces: int = 0, cost: float | None = None) -> Answer:
    raw = message.model_dump(mode="json", exclude_none=True, warnings=False)
    blocks: list[Json] = raw["content"]
    calls = [block for block in blocks if block["type"] == "tool_use"]
    used = raw["usage"]
    cached, written = used.get("cache_read_input_tokens", 0), used.get("cache_creation_input_tokens", 0)
    cited = [citation for block in blocks for citation in block.get("citations", [])]
    heard = Heard(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thinking="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=tuple(Called(call["name"], call["input"]) for call in calls),
        refusal=raw.get("stop_details", {}).get("explanation", ""),
        stop=STOPS[raw["stop_reason"]],
        used=Used(
            input=used["input_tokens"] + cached + written,
            output=used["output_tokens"],
            cached=cached,
            written=written,
            reasoning=used.get("output_tokens_details", {}).get("thinking_tokens", 0),
        ),
        sources=tuple(Source(c["url"], c["title"]) for c in cited),
    )
    turn = [{k: v for k, v in block.items() if k not in NOT_GIVEN_BACK} for block in blocks]
    return Answer(heard, turn, raw, pieces, cost, [call["id"] for call in calls])
