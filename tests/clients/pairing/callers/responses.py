"""`openai.OpenAI().responses`."""

from __future__ import annotations

import json
from typing import Any

import httpx
from openai import APIError, OpenAI
from openai.types.responses import Response

from tests.clients.pairing.callers.base import Answer, well_formed
from tests.clients.pairing.says import Called, Heard, Json, Source, Stop, Used

ENDS = ("response.completed", "response.incomplete", "response.failed")
GROWING = ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta")
# Items of an answer go back as they came, without what only an answer has.
NOT_GIVEN_BACK = ("parsed_arguments", "parsed")


class ResponsesCaller:
    """base_url: up to and with /v1."""

    def __init__(self, base_url: str) -> None:
        self.last_body: Json = {}
        self._http = httpx.Client(event_hooks={"request": [self._note]})
        self._client = OpenAI(base_url=base_url, api_key="sk-caller", max_retries=0, http_client=self._http)

    def close(self) -> None:
        self._client.close()

    def ask(self, asked: Json, *, is_stream: bool) -> Answer:
        if not is_stream:
            response = self._client.responses.create(**asked)
            well_formed(response)
            return _answer(response)
        pieces, said, final = 0, "", None
        with self._client.responses.stream(**asked) as stream:
            for event in stream:
                well_formed(event)
                pieces += event.type in GROWING
                said += event.delta if event.type in ("response.output_text.delta", "response.refusal.delta") else ""
                final = event.response if event.type in ENDS else final
        assert final is not None, "the stream ended without one of its last events"
        if final.status == "failed":
            # Users of the SDK read it off the last event; what they would do with it is told in the same way as of other streams.
            assert final.error is not None
            raise APIError(final.error.message, self._last_request, body=final.error.model_dump())
        answer = _answer(final, pieces, final.usage.model_dump().get("cost") if final.usage else None)
        assert said == answer.heard.text + answer.heard.refusal, "the deltas are not what the last event says"
        return answer

    def going_on(self, asked: Json, answer: Answer, results: tuple[str, ...]) -> Json:
        kinds = {item["call_id"]: f"{item['type']}_output" for item in answer.turn if "call_id" in item}
        told = [
            {"type": kinds[id_], "call_id": id_, "output": result} for id_, result in zip(answer.call_ids, results, strict=True)
        ]
        if asked.get("store"):
            return {**asked, "input": told, "previous_response_id": answer.raw["id"]}
        given = asked["input"]
        before = [{"role": "user", "content": given}] if isinstance(given, str) else given
        return {**asked, "input": [*before, *answer.turn, *told]}

    def _note(self, request: httpx.Request) -> None:
        self._last_request = request
        self.last_body = json.loads(request.read())


def _called(item: Json) -> Called:
    if item["type"] == "custom_tool_call":
        return Called(item["name"], item["input"])
    return Called(item["name"], json.loads(item["arguments"]))


def _stop(raw: Json, calls: list[Json], refusal: str) -> Stop:
    reason = raw.get("incomplete_details", {}).get("reason")
    if refusal or reason == "content_filter":
        return "refused"
    assert reason in (None, "max_output_tokens"), reason
    assert (raw["status"] == "incomplete") == (reason is not None), raw["status"]
    return "length" if reason else "calls" if calls else "stop"


def _answer(response: Response, pieces: int = 0, cost: float | None = None) -> Answer:
    raw = response.model_dump(mode="json", exclude_none=True, warnings=False)
    items: list[Json] = raw["output"]
    parts = [part for item in items if item["type"] == "message" for part in item["content"]]
    calls = [item for item in items if item["type"] in ("function_call", "custom_tool_call")]
    thoughts = [part for item in items if item["type"] == "reasoning" for part in item["summary"] or item.get("content", [])]
    refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
    texts: list[dict[str, Any]] = [part for part in parts if part["type"] == "output_text"]
    used = raw["usage"]
    heard = Heard(
        text="".join(part["text"] for part in texts),
        thinking="".join(part["text"] for part in thoughts),
        calls=tuple(_called(call) for call in calls),
        refusal=refusal,
        stop=_stop(raw, calls, refusal),
        used=Used(
            input=used["input_tokens"],
            output=used["output_tokens"],
            cached=used["input_tokens_details"]["cached_tokens"],
            written=used["input_tokens_details"].get("cache_write_tokens", 0),
            reasoning=used["output_tokens_details"]["reasoning_tokens"],
        ),
        sources=tuple(Source(a["url"], a["title"]) for part in texts for a in part["annotations"]),
        tokens=tuple(token["token"] for part in texts for token in part.get("logprobs", [])),
    )
    turn = [{k: v for k, v in item.items() if k not in NOT_GIVEN_BACK} for item in items]
    return Answer(heard, turn, raw, pieces, cost, [call["call_id"] for call in calls])
