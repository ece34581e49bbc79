"""What came of a cell, in the words of its Story: from the response and the ledger's entry. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from tests.scenario.faults.cells import FROM_SPARE, WHOLE, Try, broken_off, refused
from tests.scenario.faults.outcomes import Counted
from tests.scenario.faults.wires import ANSWER, BIG_CHARS, INPUT_TOKENS, OUTPUT_TOKENS, SPARE, VECTOR

INPUT_NUSD, OUTPUT_NUSD = 1000, 2000  # of a token
PRICE = {"input": INPUT_NUSD / 1000, "output": OUTPUT_NUSD / 1000}  # USD per million tokens


def heard(response: httpx.Response) -> str:
    """What the caller got."""
    if response.status_code != 200:
        error = response.json()["error"]
        return refused(response.status_code, error["code"], is_told_when="retry-after" in response.headers)
    if response.headers["content-type"].startswith("text/event-stream"):
        return _streamed(response.text)
    fields = response.json()
    if "data" in fields:
        return WHOLE if [d["embedding"] for d in fields["data"]] == [VECTOR] else f"embeddings {fields['data']}"
    return _answered(fields["choices"][0]["message"]["content"], fields["choices"][0]["finish_reason"])


def _streamed(body: str) -> str:
    events = [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]
    is_ended = events[-1] == "[DONE]"
    payloads = [json.loads(event) for event in events if event != "[DONE]"]
    choices = [choice for payload in payloads for choice in payload.get("choices") or ()]
    text = "".join(choice["delta"].get("content") or "" for choice in choices)
    error = payloads[-1].get("error")
    if error is not None and not is_ended and text.startswith(ANSWER[0]):
        return broken_off(error["code"])
    if error is not None or not is_ended:
        return f"{text[:99]!r}, then {error}"
    return _answered(text, next((choice["finish_reason"] for choice in choices if choice["finish_reason"]), None))


def _answered(text: str | None, finish: str | None) -> str:
    known = {"".join(ANSWER): WHOLE, "x" * BIG_CHARS: WHOLE, SPARE: FROM_SPARE}
    if text in known and finish == "stop":
        return known[text]
    return f"{(text or 'no text')[:99]!r}, finished by {finish}"


def attempted(attempt: Mapping[str, Any]) -> Try:
    """An attempt of the ledger's entry."""
    usage = attempt["usage"]
    counted: Counted = "none" if usage is None else "estimated" if usage["estimated"] else "counted"
    model = "spare" if attempt["model"] == "spare" else "first"
    return Try(model, attempt["outcome"], attempt["fault"], attempt["status"], counted)


def miscounted(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the money: an attempt costs what its tokens do, a count is the provider's, the entry is the sum."""
    for attempt in entry["attempts"]:
        usage = attempt["usage"] or {"input": 0, "output": 0, "estimated": True}
        cost_nusd = usage["input"] * INPUT_NUSD + usage["output"] * OUTPUT_NUSD
        if attempt["cost"] != cost_nusd:
            yield f"{attempt['model']} cost {attempt['cost']} nano-USD, its tokens {cost_nusd}"
        # Vectors have no output tokens.
        if not usage["estimated"] and (usage["input"], usage["output"]) not in ((INPUT_TOKENS, OUTPUT_TOKENS), (INPUT_TOKENS, 0)):
            yield f"{attempt['model']} counted {usage['input']} and {usage['output']} tokens"
        if attempt["usage"] and not usage["input"]:
            yield f"{attempt['model']} read nothing"
    total_nusd = sum(attempt["cost"] for attempt in entry["attempts"])
    if entry["cost_nusd"] != total_nusd:
        yield f"the entry has {entry['cost_nusd']} nano-USD, its attempts {total_nusd}"
