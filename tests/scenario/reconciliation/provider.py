"""A fake provider that writes an invoice: OpenAI's dialects and Anthropic messages, over real HTTP.

Each call that it serves is a line, with the tokens that it generated and what they cost by its own sheet, whether the answer
was whole, cut, or left by its reader. It speaks each dialect's bytes, with the oddities of servers in the wild.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from tests.scenario.reconciliation.cases import NOTHING, Case, Play
from tests.scenario.reconciliation.openai_bytes import CHAT, COMPLETIONS, RESPONSES, Wire
from tests.scenario.reconciliation.published import prompt_tokens, tokens
from tests.scenario.reconciliation.sheet import BIG, CLAUDE, DEEP, EMBEDDER, MINI, Tokens, price_nusd
from tests.scripted_server import CUT, HANG, Reply, Request, Step, json_reply, sse_reply

SETTLE_S: Final = 0.1  # several turns of the loop that the gateway shares with us: it has read all that came before a cut
NO_ANSWER: Final = Reply([HANG], status=None)
_CASE: Final = re.compile(r"case (\d+):")


@dataclass(frozen=True)
class Line:
    """A call on the invoice."""

    case: int
    model: str
    tokens: Tokens
    nusd: int


class Provider:
    """Hand `reply` to a ScriptedServer. invoice: what has been served so far."""

    def __init__(self, cases: list[Case], seed: int) -> None:
        self._cases = {case.number: case for case in cases}
        self._seed = seed
        self._random = random.Random(seed)
        self._calls: dict[tuple[int, str], int] = {}
        self.invoice: list[Line] = []
        self.problems: list[str] = []

    def reply(self, request: Request) -> Reply:
        try:
            return self._reply(request.path, request.json())
        except Exception as exc:
            self.problems.append(repr(exc))  # the server's task would keep it to itself
            raise

    def _reply(self, path: str, body: dict[str, Any]) -> Reply:
        found = _CASE.search(json.dumps(body))
        assert found is not None, "every prompt names its case"
        case, model = self._cases[int(found[1])], body["model"]
        number = self._calls[case.number, model] = self._calls.get((case.number, model), -1) + 1
        assert number < len(case.plays.get(model, ())), f"case {case.number}: call {number + 1} of {model} is one too many"
        play = case.plays[model][number]
        case.see(model)
        self._random = random.Random(f"{self._seed} {case.number} {model} {number}")  # in whatever order calls come
        if play.ending == "error":
            return json_reply({"error": {"message": "told to fail"}, "type": "error"}, status=play.status)
        if model == EMBEDDER:
            return self._embeddings(case, body, play)
        if model == CLAUDE:
            return self._anthropic(case, model, play)
        if model == DEEP:
            assert path == "/v1/responses", path
            return self._openai(case, model, play, RESPONSES, prompt_tokens(model, case.messages))
        if path == "/v1/completions":
            return self._openai(case, model, play, COMPLETIONS, tokens(model, body["prompt"]))
        return self._openai(case, model, play, CHAT, prompt_tokens(model, body["messages"]))

    def _bill(self, case: Case, model: str, used: Tokens) -> None:
        self.invoice.append(Line(case.number, model, used, price_nusd(model, used)))

    # What was used.

    def _used(self, model: str, read: int, play: Play) -> Tokens:
        """Of an answer that is counted by the provider: what it read and wrote, and what is dearer or cheaper of that."""
        used = Tokens(read, tokens(model, "".join(play.chunks)))
        if self._random.random() < 0.4:
            used = replace(used, cached_input=read // 2)
        if self._random.random() < 0.3 and play.counted != "continuous":
            thought = self._random.randint(1, 900)
            used = replace(used, reasoning=thought, output=used.output + thought)
        if model == BIG and self._random.random() < 0.2:
            used = replace(used, audio_input=read // 5, audio_output=7, output=used.output + 7)
        if model in (CLAUDE, DEEP) and self._random.random() < 0.5:
            written = self._random.randint(1, 5000)
            kept = self._random.choice((0, written, written // 3)) if model == CLAUDE else 0
            used = replace(used, input=read + written, cache_write=written, cache_write_1h=kept)
        if model in (MINI, CLAUDE, DEEP) and self._random.random() < 0.15:
            used = replace(used, service="batch")
        return used

    # OpenAI.

    def _openai(self, case: Case, model: str, play: Play, wire: Wire, read: int) -> Reply:
        """read: what everybody can count for himself."""
        used, is_told = self._used(model, read, play), play.counted in ("own", "finish", "continuous", "apart")
        counted = Tokens(read, tokens(model, "".join(play.chunks)))  # what everybody can count for himself
        if play.ending == "whole":
            self._bill(case, model, used if is_told else counted)
        elif play.counted == "continuous" and wire.counts_on_the_way and play.at > 0 and case.is_stream:
            part = replace(used, output=tokens(model, "".join(play.chunks[: play.at])))
            self._bill(case, model, replace(part, audio_output=0))
        else:
            self._bill(case, model, Tokens(read, tokens(model, "".join(play.chunks[: max(play.at, 0)]))))
        if play.at == NOTHING and play.ending == "hang":
            return NO_ANSWER
        before: list[Step] = [case.when_seen(play.after)] if play.after else []
        if not case.is_stream:
            whole = wire.whole(model, play, used)
            return replace(whole, steps=[*before, *whole.steps]) if play.ending == "whole" else NO_ANSWER
        return sse_reply(*before, *_ending(case, play, wire.events(model, play, used)))

    def _embeddings(self, case: Case, body: dict[str, Any], play: Play) -> Reply:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        counted = sum(tokens(EMBEDDER, text) for text in texts)
        told = counted + 2 if play.counted == "own" else counted
        self._bill(case, EMBEDDER, Tokens(told))
        vectors = [{"object": "embedding", "index": n, "embedding": [0.5, len(text) / 1e3]} for n, text in enumerate(texts)]
        usage: Any = {"prompt_tokens": told, "total_tokens": told}
        usage = {"none": None, "zeros": {"prompt_tokens": 0, "total_tokens": 0}, "garbage": "soon"}.get(play.counted, usage)
        return json_reply({"object": "list", "data": vectors, "model": EMBEDDER, "usage": usage})

    # Anthropic.

    def _anthropic(self, case: Case, model: str, play: Play) -> Reply:
        read = prompt_tokens(model, case.messages)
        used = self._used(model, read, play)
        is_silent = play.counted in ("none", "garbage")  # zeros alone are no count, but Anthropic's start has none of those
        wrote = tokens(model, "".join(play.chunks[: max(play.at, 0)]))
        if play.ending == "whole":
            self._bill(case, model, Tokens(read, tokens(model, "".join(play.chunks))) if is_silent else used)
        elif play.at == NOTHING or not case.is_stream:
            self._bill(case, model, Tokens(read))
        else:
            self._bill(case, model, replace(used, output=max(wrote, 1), reasoning=0))
        if not case.is_stream:
            # Not escaped: what is counted is what was written.
            whole = json.dumps(_message(model, play, used, is_silent), ensure_ascii=False).encode()
            return json_reply(whole) if play.ending == "whole" else NO_ANSWER
        if play.at == NOTHING and play.ending == "hang":
            return NO_ANSWER
        return sse_reply(*_ending(case, play, _anthropic_events(model, play, used, is_silent)))


def _ending(case: Case, play: Play, events: Iterator[bytes]) -> list[Step]:
    """A stream's steps: all of it, or its first event and so many of content, and then its end as the play has it."""
    if play.ending == "whole":
        return list(events)
    shown = [] if play.at == NOTHING else [event for event, _ in zip(events, range(play.at + 1), strict=False)]
    steps: list[Step] = [*shown, case.when_heard(play.at) if play.at > 0 else SETTLE_S]
    return [*steps, *{"cut": [CUT], "hang": [HANG], "malformed": [b"data: {broken\n\n", HANG]}[play.ending]]


# Anthropic's.


def _anthropic_usage(used: Tokens, output: int) -> dict[str, Any]:
    short = used.cache_write - used.cache_write_1h
    return {
        "input_tokens": used.input - used.cached_input - used.cache_write,
        "cache_read_input_tokens": used.cached_input,
        "cache_creation_input_tokens": used.cache_write,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": used.cache_write_1h},
        "output_tokens": output,
        "service_tier": used.service or "standard",
    }


def _blocks(play: Play) -> list[dict[str, Any]]:
    if play.is_call:
        return [{"type": "tool_use", "id": "t1", "name": play.chunks[0], "input": json.loads("".join(play.chunks[1:]))}]
    thought, text = "".join(play.chunks[: play.thoughts]), "".join(play.chunks[play.thoughts :])
    return [*([{"type": "thinking", "thinking": thought}] if thought else []), {"type": "text", "text": text}]


def _message(model: str, play: Play, used: Tokens, is_silent: bool) -> dict[str, Any]:
    usage = {**_anthropic_usage(used, used.output), "output_tokens_details": {"thinking_tokens": used.reasoning}}
    told: Any = None if play.counted == "none" else ["?"] if is_silent else usage
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": _blocks(play)}
    return {**message, "stop_reason": "tool_use" if play.is_call else "end_turn", "stop_sequence": None, "usage": told}


def _anthropic_events(model: str, play: Play, used: Tokens, is_silent: bool) -> Iterator[bytes]:
    def event(kind: str, **fields: Any) -> bytes:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None}
    start: Any = None if play.counted == "none" else "?" if is_silent else _anthropic_usage(used, 1)
    yield event("message_start", message={**message, "usage": start})
    kinds = ["thinking"] * play.thoughts + ["text"] * (len(play.chunks) - play.thoughts)
    opened = -1
    if play.is_call:
        # The name comes with the block's beginning, and is content.
        block = {"type": "tool_use", "id": "t1", "name": play.chunks[0], "input": {}}
        yield event("content_block_start", index=0, content_block=block)
        for chunk in play.chunks[1:]:
            yield event("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": chunk})
        opened = 0
    else:
        for place, kind in enumerate(kinds):
            begin = b""
            if place == 0 or kinds[place - 1] != kind:
                begin = event("content_block_stop", index=opened) if opened >= 0 else b""
                opened += 1
                begin += event("content_block_start", index=opened, content_block={"type": kind, kind: ""})
            delta = {"type": f"{kind}_delta", kind: play.chunks[place]}
            yield begin + event("content_block_delta", index=opened, delta=delta)
    yield event("content_block_stop", index=opened)
    delta = {"stop_reason": "tool_use" if play.is_call else "end_turn", "stop_sequence": None}
    usage = {"output_tokens": used.output, "output_tokens_details": {"thinking_tokens": used.reasoning}}
    yield event("message_delta", delta=delta, **({} if is_silent else {"usage": usage}))
    yield event("message_stop")
