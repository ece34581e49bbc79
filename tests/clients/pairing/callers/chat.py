"""`openai.OpenAI().chat.completions`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.clients.pairing.callers.base import Answer, well_formed
from tests.clients.pairing.says import Called, Heard, Json, Source, Stop, Used

STOPS: dict[str | None, Stop] = {"stop": "stop", "length": "length", "tool_calls": "calls", "content_filter": "refused"}
# What a model thought, in the form in which it goes back to the model.
GIVES_BACK = ("reasoning_content", "thinking_blocks", "reasoning_details")


class ChatCaller:
    """base_url: up to and with /v1."""

    def __init__(self, base_url: str) -> None:
        self.last_body: Json = {}
        self._http = httpx.Client(event_hooks={"request": [self._note]})
        self._client = OpenAI(base_url=base_url, api_key="sk-caller", max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def ask(self, asked: Json, *, is_stream: bool) -> Answer:
        if not is_stream:
            completion = self._client.chat.completions.create(**asked)
            well_formed(completion)
            return _answer(completion)
        state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
        pieces, cost = 0, None
        more: Json = {}
        for chunk in self._client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
            if not _calls_custom(chunk):  # of which the SDK's types know nothing in streams
                well_formed(chunk)
            state.handle_chunk(chunk)
            pieces += sum(bool(_given(call)) for choice in chunk.choices for call in choice.delta.tool_calls or ())
            more |= chunk.model_extra or {}
            if chunk.usage is not None:
                cost = chunk.usage.model_dump().get("cost")
        answer = _answer(state.current_completion_snapshot, pieces, cost)
        return replace(answer, raw={**answer.raw, **more})

    def going_on(self, asked: Json, answer: Answer, results: tuple[str, ...]) -> Json:
        told = [
            {"role": "tool", "tool_call_id": id_, "content": result} for id_, result in zip(answer.call_ids, results, strict=True)
        ]
        return {**asked, "messages": [*asked["messages"], *answer.turn, *told]}

    def _note(self, request: httpx.Request) -> None:
        self.last_body = json.loads(request.read())


def _calls_custom(chunk: ChatCompletionChunk) -> bool:
    calls = [call.model_dump() for choice in chunk.choices for call in choice.delta.tool_calls or ()]
    return any("custom" in call for call in calls)


def _given(call: Any) -> str:
    fields = call.model_dump()
    return str((fields.get("function") or {}).get("arguments") or (fields.get("custom") or {}).get("input") or "")


def _called(call: Json) -> Called:
    if call["type"] == "custom":
        return Called(call["custom"]["name"], call["custom"]["input"])
    return Called(call["function"]["name"], json.loads(call["function"]["arguments"]))


def _answer(completion: ChatCompletion, pieces: int = 0, cost: float | None = None) -> Answer:
    raw = completion.model_dump(mode="json", exclude_none=True)
    first, *rest = raw["choices"]
    message = first["message"]
    calls = message.get("tool_calls", [])
    used = raw["usage"]
    read, written = used.get("prompt_tokens_details", {}), used.get("completion_tokens_details", {})
    cited = [a["url_citation"] for a in message.get("annotations", []) if a["type"] == "url_citation"]
    heard = Heard(
        text=message.get("content", ""),
        thinking=message.get("reasoning_content", ""),
        calls=tuple(_called(call) for call in calls),
        refusal=message.get("refusal", ""),
        stop="refused" if message.get("refusal") else STOPS[first["finish_reason"]],
        used=Used(
            input=used["prompt_tokens"],
            output=used["completion_tokens"],
            cached=read.get("cached_tokens", 0),
            written=read.get("cache_write_tokens", 0),
            reasoning=written.get("reasoning_tokens", 0),
        ),
        sources=tuple(Source(c["url"], c["title"]) for c in cited),
        tokens=tuple(token["token"] for token in first.get("logprobs", {}).get("content", [])),
        others=tuple(choice["message"]["content"] for choice in rest),
    )
    kept = {name: message[name] for name in GIVES_BACK if name in message}
    turn = {"role": "assistant", "content": message.get("content"), **kept}
    if calls:
        turn["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in calls]
    return Answer(heard, [turn], raw, pieces, cost, [call["id"] for call in calls])
