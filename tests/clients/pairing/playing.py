"""Plays one cell and finds its verdict true: at the provider by what it was sent, at the caller by what its SDK hands out."""

from __future__ import annotations

from dataclasses import replace

import anthropic
import openai
import pytest

from tests.clients.pairing.callers.base import Answer
from tests.clients.pairing.feature import SAME, Cell, LeftOut, Refused, Works
from tests.clients.pairing.request_types import strangers
from tests.clients.pairing.says import Fails, Json, Says, expected
from tests.clients.pairing.stage import ANSWERED_BY, KEY, MODEL_IDS, Stage
from tests.clients.pairing.wire import mismatches, names

SDK_ERRORS = (openai.OpenAIError, anthropic.AnthropicError)
BAD_REQUEST = (openai.BadRequestError, anthropic.BadRequestError)


def check(stage: Stage, cell: Cell) -> None:
    """Raises AssertionError, or what the SDK raised, where the cell is not as it is declared."""
    if isinstance(cell.verdict, Refused):
        _check_refusal(stage, cell, cell.verdict)
    elif cell.feature.fails:
        _check_error(stage, cell)
    else:
        _check_answer(stage, cell)


def _play(stage: Stage, cell: Cell) -> Answer:
    """The whole conversation: the last answer."""
    stage.vendors.play(cell.feature.says)
    caller, asked = stage.callers[cell.caller], {"model": stage.model(cell), **cell.asked}
    answer = caller.ask(asked, is_stream=cell.mode == "stream")
    for results in cell.feature.results:
        asked = caller.going_on(asked, answer, results)
        answer = caller.ask(asked, is_stream=cell.mode == "stream")
    return answer


def _check_answer(stage: Stage, cell: Cell) -> None:
    answer = _play(stage, cell)
    assert [vendor for vendor, _ in stage.vendors.asked] == [cell.provider] * len(cell.feature.says)
    sent = stage.vendors.asked[-1][1]
    if SAME[cell.caller] == cell.provider and not cell.feature.is_kept:
        assert sent == _passed_on(stage, cell)
    else:
        assert strangers(cell.provider, sent) == []
        assert list(mismatches(sent, cell.feature.sent.get(cell.provider, {}))) == []
    said = cell.feature.says[-1]
    assert isinstance(said, Says)
    assert isinstance(cell.verdict, Works | LeftOut)
    hears = replace(expected(said), **cell.verdict.hears)
    assert answer.heard == hears
    if isinstance(cell.verdict, LeftOut):
        assert set(cell.verdict.lost) & set(names(sent)) == set()
    if SAME[cell.caller] == cell.provider:
        assert said.unknown.items() <= answer.raw.items()
    if cell.mode == "stream":
        assert answer.cost is not None, "the last usage of a stream tells the cost"
        # litellm has each call of Gemini's whole, as Gemini's API does.
        assert answer.pieces >= len(answer.heard.calls) * (1 if cell.provider == "gemini" else 2), "arguments are streamed"
    assert answer.raw["model"] in (MODEL_IDS[cell.provider], ANSWERED_BY[cell.provider])


def _passed_on(stage: Stage, cell: Cell) -> Json:
    """What the SDK sent, as a provider of the same dialect gets it."""
    return {**stage.callers[cell.caller].last_body, "model": MODEL_IDS[cell.provider]}


def _check_refusal(stage: Stage, cell: Cell, refused: Refused) -> None:
    with pytest.raises(BAD_REQUEST) as raised:
        _play(stage, cell)
    assert refused.field in str(raised.value)
    assert stage.vendors.asked == []


def _check_error(stage: Stage, cell: Cell) -> None:
    fails = cell.feature.says[-1]
    assert isinstance(fails, Fails)
    with pytest.raises(SDK_ERRORS) as raised:
        _play(stage, cell)
    module = anthropic if cell.caller == "messages" else openai
    assert isinstance(raised.value, getattr(module, cell.feature.raises or ""))
    assert fails.message in str(raised.value)
    assert KEY not in str(raised.value)
    if fails.retry_after_s is not None:
        assert 1 <= int(raised.value.response.headers["retry-after"]) <= fails.retry_after_s
