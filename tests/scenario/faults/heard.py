"""What came of a cell, in the words of its Story: from the response and the ledger's entry. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from tests.scenario.faults.cells import FROM_SPARE, WHOLE, Dialect, Try, broken_off, refused
from tests.scenario.faults.outcomes import Counted
from tests.scenario.faults.streams import Said, said
from tests.scenario.faults.wires import ANSWER, BIG_CHARS, INPUT_TOKENS, OUTPUT_TOKENS, SPARE, VECTOR

INPUT_NUSD, OUTPUT_NUSD = 1000, 2000  # of a token
PRICE = {"input": INPUT_NUSD / 1000, "output": OUTPUT_NUSD / 1000}  # USD per million tokens


def heard(dialect: Dialect, response: httpx.Response) -> str:
    """What the caller got, if it is in its dialect."""
    if response.status_code != 200:
        error = response.json()
        assert (error.get("type") == "error") is (dialect == "messages"), f"another dialect's error: {error}"
        return refused(response.status_code, error["error"]["code"], is_told_when="retry-after" in response.headers)
    if response.headers["content-type"].startswith("text/event-stream"):
        return _streamed(said(dialect, response.text))
    fields = response.json()
    match dialect:
        case "embeddings":
            vectors = [d["embedding"] for d in fields["data"]]
            return WHOLE if vectors == [VECTOR] else f"embeddings {vectors}"
        case "messages":
            return _answered("".join(block["text"] for block in fields["content"]), fields["stop_reason"] == "end_turn")
        case "responses":
            texts = [part["text"] for item in fields["output"] for part in item["content"]]
            return _answered("".join(texts), fields["status"] == "completed")
        case "chat":
            choice = fields["choices"][0]
            return _answered(choice["message"]["content"], choice["finish_reason"] == "stop")


def _streamed(stream: Said) -> str:
    if stream.code is None:
        return _answered(stream.text, stream.is_whole)
    if not stream.is_whole and stream.text.startswith(ANSWER[0]):
        return broken_off(stream.code)
    return f"{stream.text[:99]!r}, then {stream.code}"


def _answered(text: str | None, is_whole: bool) -> str:
    known = {"".join(ANSWER): WHOLE, "x" * BIG_CHARS: WHOLE, SPARE: FROM_SPARE}
    if text in known and is_whole:
        return known[text]
    return f"{(text or 'no text')[:99]!r}, {'whole' if is_whole else 'not whole'}"


def attempted(attempt: Mapping[str, Any]) -> Try:
    """An attempt of the ledger's entry."""
    usage = attempt["usage"]
    counted: Counted = "none" if usage is None else "estimated" if usage["estimated"] else "counted"
    model = "spare" if attempt["model"].startswith("spare") else "first"
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
