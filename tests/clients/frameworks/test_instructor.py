"""Instructor with nothing changed but the base URL: each of its modes for OpenAI's and Anthropic's clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import anthropic
import instructor
import openai
import pytest
from instructor import Mode
from pydantic import BaseModel, field_validator

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
LYON = {"city": "Lyon", "people": 522000}  # what Instructor returns is of a class derived from the one that was asked for


class Place(BaseModel):
    """A place."""

    city: str
    people: int


class Checked(Place):
    @field_validator("people")
    @classmethod
    def _is_inhabited(cls, people: int) -> int:
        if people < 1:
            raise ValueError("somebody must live there")
        return people


def by_openai(gateway: str, mode: Mode) -> Any:
    return instructor.from_openai(openai.OpenAI(base_url=f"{gateway}/v1", api_key="sk-callers-own", max_retries=0), mode=mode)


def by_anthropic(gateway: str, mode: Mode) -> Any:
    return instructor.from_anthropic(anthropic.Anthropic(base_url=gateway, api_key="sk-callers-own", max_retries=0), mode=mode)


def asks(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


@MODELS
@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.JSON_SCHEMA, Mode.MD_JSON], ids=lambda mode: mode.name)
def test_openai(gateway: str, upstream: Upstream, model: str, mode: Mode) -> None:
    is_tool = mode is Mode.TOOLS
    prompt = play(calls=[{"name": "Place", "arguments": LYON}]) if is_tool else play(text=json.dumps(LYON))
    client = by_openai(gateway, mode)
    place, answer = client.create_with_completion(model=model, messages=asks(prompt), response_model=Place, max_retries=0)
    assert isinstance(place, Place) and place.model_dump() == LYON
    assert answer.usage.total_tokens == 18
    asked = upstream.last()
    assert asked["path"] == PATHS[model]
    if mode is Mode.MD_JSON:
        assert "people" in json.dumps(asked["body"])
    else:
        schema = seen.tool_schema(asked) if is_tool else seen.schema(asked)
        assert set(schema["properties"]) == {"city", "people"}


@MODELS
def test_openai_by_responses(gateway: str, upstream: Upstream, model: str) -> None:
    client = by_openai(gateway, Mode.RESPONSES_TOOLS)
    prompt = play(calls=[{"name": "Place", "arguments": LYON}])
    place = client.create(model=model, messages=asks(prompt), response_model=Place, max_retries=0)
    assert isinstance(place, Place) and place.model_dump() == LYON
    assert set(seen.tool_schema(upstream.last())["properties"]) == {"city", "people"}


@MODELS
@pytest.mark.parametrize("mode", [Mode.TOOLS, Mode.ANTHROPIC_JSON], ids=["TOOLS", "JSON"])
def test_anthropic(gateway: str, upstream: Upstream, model: str, mode: Mode) -> None:
    is_tool = mode is Mode.TOOLS
    prompt = play(calls=[{"name": "Place", "arguments": LYON}]) if is_tool else play(text=json.dumps(LYON))
    client = by_anthropic(gateway, mode)
    place = client.create(model=model, max_tokens=99, messages=asks(prompt), response_model=Place, max_retries=0)
    assert isinstance(place, Place) and place.model_dump() == LYON
    asked = upstream.last()
    assert asked["path"] == PATHS[model]
    assert "people" in json.dumps(asked["body"])


@MODELS
def test_an_answer_that_does_not_pass_is_asked_for_again(gateway: str, upstream: Upstream, model: str) -> None:
    bad = {"name": "Checked", "arguments": {"city": "Lyon", "people": 0}}
    good = {"name": "Checked", "arguments": LYON, "id": "call_again"}
    client = by_openai(gateway, Mode.TOOLS)
    place = client.create(
        model=model, messages=asks(play(calls=[bad], then=[{"calls": [good]}])), response_model=Checked, max_retries=2
    )
    assert place.people == 522000
    assert len(upstream.recorded()) == 2
    assert "somebody must live there" in json.dumps(upstream.last()["body"])


@MODELS
def test_a_streamed_part_of_an_answer(gateway: str, upstream: Upstream, model: str) -> None:
    prompt = play(calls=[{"name": "PartialPlace", "arguments": LYON}])
    parts = list(by_openai(gateway, Mode.TOOLS).create_partial(model=model, messages=asks(prompt), response_model=Place))
    assert (parts[-1].city, parts[-1].people) == ("Lyon", 522000) and len(parts) > 1
    assert upstream.last()["body"]["stream"] is True


@MODELS
def test_several_answers(gateway: str, upstream: Upstream, model: str) -> None:
    places = [LYON, {"city": "Rome", "people": 2750000}]
    prompt = play(calls=[{"name": "IterablePlace", "arguments": {"tasks": places}}])
    found: Iterable[Place] = by_openai(gateway, Mode.TOOLS).create_iterable(
        model=model, messages=asks(prompt), response_model=Place
    )
    assert [place.city for place in found] == ["Lyon", "Rome"]
    assert len(upstream.recorded()) == 1


def test_errors(gateway: str, upstream: Upstream) -> None:
    with pytest.raises(Exception, match="too hot") as wrong:
        prompt = play(fail={"status": 400, "message": "too hot"})
        by_openai(gateway, Mode.TOOLS).create(model="gpt-4.1", messages=asks(prompt), response_model=Place, max_retries=0)
    assert "400" in str(wrong.value)
    assert len(upstream.recorded()) == 1


def test_the_async_client(gateway: str, upstream: Upstream) -> None:
    async def places() -> list[Place]:
        async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key="x", max_retries=0) as opened:
            client = instructor.from_openai(opened)
            prompt: Any = asks(play(calls=[{"name": "Place", "arguments": LYON}]))
            calls = (client.create(model=model, messages=prompt, response_model=Place) for model in EVERY_MODEL)
            return await asyncio.gather(*calls)

    assert [place.model_dump() for place in asyncio.run(places())] == [LYON] * 4
    assert len(upstream.recorded()) == 4
