"""`client.responses` of the real `openai` SDK, whatever dialect the provider behind speaks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.clients.processes import Upstream, play, running_upstream
from tests.live_gateway import LiveGateway

EVERY = ["chat-1", "native-1", "claude-1"]
TRANSLATED = ["chat-1", "claude-1"]
PATHS = {"chat-1": "/v1/chat/completions", "native-1": "/v1/responses", "claude-1": "/v1/messages"}
LOOK: Any = {
    "type": "function",
    "name": "look",
    "description": "The weather at a place.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"], "additionalProperties": False},
    "strict": True,
}
WEB_SEARCH: Any = {"type": "web_search"}


def policy(url: str, more: str = "", models: list[str] = EVERY) -> str:
    price = "price: {input: 2, output: 8}"
    given = {
        "chat-1": (f'kind: openai, base_url: "{url}/v1", api_key: k, dialects: [chat]', "chat"),
        "native-1": (f'kind: openai, base_url: "{url}/v1", api_key: k, dialects: [chat, responses]', "native"),
        "claude-1": (f'kind: anthropic, base_url: "{url}", api_key: k', "anthropic"),
    }
    providers = "\n".join(f"  {given[name][1]}: {{{given[name][0]}}}" for name in models)
    named = "\n".join(f"  {name}: {{provider: {given[name][1]}, id: {name}-id, {price}}}" for name in models)
    return f"""
version: 1
providers:
{providers}
models:
{named}
defaults:
  timeouts: {{connect: 5s, first_token: 20s, idle: 20s, total: 40s}}
  retry: {{attempts: 1}}
routes: [{{name: all, model: {models[0]}, fallback: [{", ".join(models[1:])}]}}]
{more}
"""


@pytest.fixture(scope="module")
def started() -> Iterator[Upstream]:
    with running_upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def gateway(started: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveGateway]:
    with LiveGateway(tmp_path_factory.mktemp("responses"), policy(started.url)) as live:
        yield live


@pytest.fixture
def upstream(started: Upstream) -> Upstream:
    started.forget()
    return started


def client_of(live: LiveGateway, key: str = "whoever") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{live.url}/v1", api_key=key, max_retries=0)


@pytest.fixture
def client(gateway: LiveGateway) -> Iterator[openai.OpenAI]:
    with client_of(gateway) as opened:
        yield opened


def said(upstream: Upstream) -> str:
    """All that the model was told in the latest request, as JSON."""
    return json.dumps(upstream.last()["body"])


@pytest.mark.parametrize("model", EVERY)
def test_a_plain_answer(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.create(model=model, input=play(text="Bonjour"), instructions="Speak French.", max_output_tokens=50)
    assert answer.output_text == "Bonjour"
    assert (answer.status, answer.model, answer.instructions) == ("completed", f"{model}-id", "Speak French.")
    assert answer.usage is not None and (answer.usage.input_tokens, answer.usage.output_tokens) == (11, 7)
    assert upstream.last()["path"] == PATHS[model]
    assert "Speak French." in said(upstream)


@pytest.mark.parametrize("model", EVERY)
def test_a_streamed_answer_with_its_cost(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    with client.responses.stream(model=model, input=play(text="one two three")) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert final.output_text == "one two three"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == "one two three"
    assert final.usage is not None and final.usage.model_extra is not None
    assert final.usage.model_extra["cost"] == pytest.approx((11 * 2 + 7 * 8) / 1e6)


class Person(BaseModel):
    name: str
    age: int


@pytest.mark.parametrize("model", EVERY)
def test_structured_answers_are_parsed(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    parsed = client.responses.parse(model=model, input=play(text='{"name": "Ada", "age": 36}'), text_format=Person)
    assert parsed.output_parsed == Person(name="Ada", age=36)
    assert '"age"' in said(upstream), "the schema has arrived"


@pytest.mark.parametrize("model", EVERY)
@pytest.mark.parametrize("is_stateful", [True, False])
def test_a_loop_over_tools(client: openai.OpenAI, upstream: Upstream, model: str, is_stateful: bool) -> None:
    calls = [{"name": "look", "arguments": {"at": place}} for place in ("Rome", "Oslo")]
    prompt = play(calls=calls, then=[{"text": "Sun and snow."}])
    with client.responses.stream(model=model, input=prompt, tools=[LOOK], store=is_stateful) as stream:
        first = stream.get_final_response()
    called = [item for item in first.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in called] == [{"at": "Rome"}, {"at": "Oslo"}]
    outputs: list[Any] = [
        {"type": "function_call_output", "call_id": call.call_id, "output": text}
        for call, text in zip(called, ("sun", "snow"), strict=True)
    ]
    if is_stateful:
        last = client.responses.create(model=model, previous_response_id=first.id, input=outputs, tools=[LOOK])
    else:
        whole: list[Any] = [{"role": "user", "content": prompt}, *first.output, *outputs]
        last = client.responses.create(model=model, input=whole, tools=[LOOK], store=False)
    assert last.output_text == "Sun and snow."
    told = said(upstream)
    assert "snow" in told and "Rome" in told
    assert "previous_response_id" not in upstream.last()["body"]


@pytest.mark.parametrize("is_stream", [True, False])
def test_signed_thoughts_find_back_to_the_model_that_signed_them(
    client: openai.OpenAI, upstream: Upstream, is_stream: bool
) -> None:
    calls = [{"name": "look", "arguments": {"at": "Rome"}}]
    prompt = play(thinking="let me see", signature="c2lnbmVk", calls=calls, then=[{"text": "Sun."}])
    if is_stream:
        with client.responses.stream(model="claude-1", input=prompt, tools=[LOOK], reasoning={"effort": "high"}) as stream:
            first: Any = stream.get_final_response()
    else:
        first = client.responses.create(model="claude-1", input=prompt, tools=[LOOK], reasoning={"effort": "high"})
    thought, call = first.output
    assert thought.summary[0].text == "let me see"
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sun"}
    whole: list[Any] = [{"role": "user", "content": prompt}, *(item.to_dict() for item in first.output), output]
    last = client.responses.create(model="claude-1", input=whole, tools=[LOOK], reasoning={"effort": "high"})
    assert last.output_text == "Sun."
    [turn] = [message for message in upstream.last()["body"]["messages"] if message["role"] == "assistant"]
    assert turn["content"][0] == {"type": "thinking", "thinking": "let me see", "signature": "c2lnbmVk"}


def test_a_conversation_goes_on_with_another_model(client: openai.OpenAI, upstream: Upstream) -> None:
    """What one provider said, the others read, though each calls its ids differently."""
    answer = client.responses.create(model="claude-1", input=play(text="Paris", thinking="hm"))
    for n, model in enumerate(["native-1", "chat-1", "claude-1"]):
        answer = client.responses.create(model=model, input=play(text=f"answer {n}"), previous_response_id=answer.id)
        assert answer.output_text == f"answer {n}"
        told = said(upstream)
        assert "Paris" in told
        assert all(f"answer {earlier}" in told for earlier in range(n))
    assert "rs_turnout" not in said(upstream)


def test_instructions_are_not_inherited(client: openai.OpenAI, upstream: Upstream) -> None:
    first = client.responses.create(model="chat-1", input="Hello", instructions="Be brief.")
    client.responses.create(model="chat-1", input="And now?", previous_response_id=first.id)
    assert "Be brief." not in said(upstream)
    assert [message["role"] for message in upstream.last()["body"]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize("model", EVERY)
def test_what_was_answered_can_be_looked_at_and_forgotten(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    first = client.responses.create(model=model, input="Hello", metadata={"a": "b"})
    second = client.responses.create(model=model, input=[{"role": "user", "content": "And?"}], previous_response_id=first.id)
    assert client.responses.retrieve(second.id) == second
    items = client.responses.input_items.list(second.id, order="asc", limit=2)
    shown = list(items)  # the SDK turns the pages
    assert [item.type for item in shown] == ["message"] * 3
    assert [getattr(item, "role", None) for item in shown] == ["user", "assistant", "user"]
    assert [item.id for item in client.responses.input_items.list(second.id)] == [item.id for item in shown][::-1]
    client.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError) as gone:
        client.responses.retrieve(second.id)
    if not model.startswith("native"):  # the provider's own id is asked for there, which does not know it either
        assert gone.value.code == "response_not_found"


def test_a_streamed_answer_can_be_gone_on_from_at_once(client: openai.OpenAI, upstream: Upstream) -> None:
    for event in client.responses.create(model="chat-1", input=play(text="Paris"), stream=True):
        if event.type == "response.completed":
            again = client.responses.retrieve(event.response.id)
            assert again.output_text == "Paris"
            break
    else:
        raise AssertionError("the stream did not complete")


def test_items_are_referred_to_by_their_ids(client: openai.OpenAI, upstream: Upstream) -> None:
    """As Vercel's AI SDK does."""
    first = client.responses.create(model="claude-1", input=play(text="Paris", thinking="hm"))
    references: list[Any] = [{"type": "item_reference", "id": item.id} for item in first.output]
    whole = [{"role": "user", "content": "Where?"}, *references, {"role": "user", "content": play(text="Yes")}]
    for model in EVERY:
        assert client.responses.create(model=model, input=whole).output_text == "Yes"
        assert "Paris" in said(upstream)


def test_what_is_not_to_be_stored_is_not(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.responses.create(model="chat-1", input="Hello", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


def test_another_key_sees_nothing(gateway: LiveGateway, client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.responses.create(model="chat-1", input="my secret")
    with client_of(gateway, "somebody-else") as other:
        for ask in (
            lambda: other.responses.retrieve(answer.id),
            lambda: other.responses.delete(answer.id),
            lambda: other.responses.input_items.list(answer.id),
            lambda: other.responses.cancel(answer.id),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        with pytest.raises(openai.NotFoundError) as unknown:
            other.responses.create(model="native-1", input="What was it?", previous_response_id=answer.id)
        assert unknown.value.code == "previous_response_not_found"
    assert client.responses.retrieve(answer.id).id == answer.id


def test_an_id_that_the_provider_may_know_is_left_to_it(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.responses.create(model="auto", input="x", previous_response_id="resp_of_yesterday")
    assert answer.model == "native-1-id"
    assert upstream.last()["body"]["previous_response_id"] == "resp_of_yesterday"
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model="chat-1", input="x", previous_response_id="resp_of_yesterday")


def test_an_unknown_response_is_a_404_where_no_provider_can_know_it(
    started: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("unknown")
    with LiveGateway(folder, policy(started.url, "responses: {ttl: 1h}", TRANSLATED)) as live, client_of(live) as client:
        with pytest.raises(openai.NotFoundError, match="resp_unknown") as caught:
            client.responses.create(model="chat-1", input="x", previous_response_id="resp_unknown")
        assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_gateway_that_keeps_nothing_says_so(started: Upstream, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("off")
    with LiveGateway(folder, policy(started.url, "responses: {store: off}", TRANSLATED)) as live, client_of(live) as client:
        answer = client.responses.create(model="chat-1", input="x")
        with pytest.raises(openai.NotFoundError, match="keeps none"):
            client.responses.create(model="chat-1", input="x", previous_response_id=answer.id)


def test_tools_of_openais_own_go_to_a_provider_that_has_them(client: openai.OpenAI, upstream: Upstream) -> None:
    answer = client.responses.create(model="auto", input=play(text="found"), tools=[WEB_SEARCH])
    assert (answer.output_text, answer.model) == ("found", "native-1-id")
    assert upstream.last()["body"]["tools"] == [WEB_SEARCH]
    with pytest.raises(openai.BadRequestError, match=r"tools\[0\]"):
        client.responses.create(model="chat-1", input="x", tools=[WEB_SEARCH])


def test_a_native_request_arrives_as_it_was_sent(client: openai.OpenAI, upstream: Upstream) -> None:
    more: Any = {"made_up": {"x": [1.0, None]}}
    client.responses.create(model="native-1", input="Hello", include=["reasoning.encrypted_content"], extra_body=more)
    assert upstream.last()["body"] == {
        "model": "native-1-id",
        "input": "Hello",
        "include": ["reasoning.encrypted_content"],
        "made_up": {"x": [1.0, None]},
    }


@pytest.mark.parametrize("model", EVERY)
def test_errors_raise_the_class_that_the_sdk_has_for_them(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as wrong:
        client.responses.create(model=model, input=[{"role": "user"}])  # type: ignore[list-item]
    assert wrong.value.param == "input[0].content"
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="no-such-model", input="x")
    with pytest.raises(openai.BadRequestError) as cancelled:
        client.responses.cancel(client.responses.create(model=model, input="x").id)
    assert cancelled.value.code == "response_not_in_background"
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.create(model=model, input="x", background=True)


@pytest.mark.parametrize("model", EVERY)
def test_a_stream_that_breaks_is_raised(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    seen = []
    with pytest.raises(openai.APIError):
        for event in client.responses.create(model=model, input=play(text="one two three", cut=True), stream=True):
            seen.append(event.type)  # noqa: PERF401 - it raises
    assert seen[0] == "response.created"
    assert seen[-1] == "response.failed"


@pytest.mark.parametrize("model", EVERY)
def test_an_answer_that_is_cut_short_is_incomplete(client: openai.OpenAI, upstream: Upstream, model: str) -> None:
    answer = client.responses.create(model=model, input=play(text="one two", finish="length"))
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None and answer.incomplete_details.reason == "max_output_tokens"
