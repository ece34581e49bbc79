"""The `llm` command and library with its file of further OpenAI models, in which nothing but the base URL is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from llm.cli import cli

from tests.clients.processes import Upstream, play
from tests.clients.python import seen
from tests.clients.python.policy import EVERY_MODEL, PATHS

MODELS = pytest.mark.parametrize("model", EVERY_MODEL)
WAYS = pytest.mark.parametrize("by", ["chat", "responses"])
Run = Callable[..., str]
PIXEL = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000049454e44ae426082")


@pytest.fixture
def llm(gateway: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, with models named `MODEL-chat`, `MODEL-responses` and `instruct`."""
    able = "supports_tools: true, supports_schema: true, vision: true"
    lines = [
        f'- {{model_id: {model}-{by}, model_name: {model}, api_base: "{gateway}/v1", api_key_name: turnout, {by}: true, {able}}}'
        for model in EVERY_MODEL
        for by in ("chat", "responses")
    ]
    lines.append(f'- {{model_id: instruct, model_name: gpt-3.5-turbo-instruct, api_base: "{gateway}/v1", completion: true}}')
    (tmp_path / "extra-openai-models.yaml").write_text("\n".join(lines))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    (tmp_path / "keys.json").write_text(json.dumps({"turnout": "sk-callers-own", "openai": "sk-callers-own"}))

    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(cli, words)
        assert (done.exit_code != 0) == fails, done.output
        return done.stderr if fails else done.stdout

    return run


@WAYS
@MODELS
def test_a_plain_answer_with_instructions(llm: Run, upstream: Upstream, model: str, by: str) -> None:
    assert llm("-m", f"{model}-{by}", "--no-stream", "-s", "Be brief.", play(text="Grüß dich")) == "Grüß dich\n"
    asked = upstream.last()
    path = "/v1/responses" if by == "responses" and model == "gpt-4.1" else PATHS[model]
    assert (asked["path"], seen.turns(asked)[0]) == (path, ("system", "Be brief."))


@WAYS
@MODELS
def test_a_stream(llm: Run, upstream: Upstream, model: str, by: str) -> None:
    assert llm("-m", f"{model}-{by}", play(text="One, two, drei — 四 🙂", split=7)) == "One, two, drei — 四 🙂\n"
    assert upstream.last()["body"]["stream"] is True
    used = json.loads(llm("logs", "-n", "1", "--json"))[0]
    assert (used["input_tokens"], used["output_tokens"]) == (11, 7)


@WAYS
@MODELS
def test_a_loop_over_tools(llm: Run, upstream: Upstream, model: str, by: str) -> None:
    function = "def weather(city: str) -> str:\n    return '20 degrees in ' + city"
    calls = [{"name": "weather", "arguments": {"city": city}, "id": f"call_{city}"} for city in ("Oslo", "Rome")]
    said = llm("-m", f"{model}-{by}", "--functions", function, play(calls=calls))
    assert "The tools say: 20 degrees in Oslo; 20 degrees in Rome" in said
    first, second = upstream.recorded()
    assert seen.tool_names(first) == ["weather"]
    assert seen.calls(second) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@WAYS
@MODELS
def test_a_schema(llm: Run, upstream: Upstream, model: str, by: str) -> None:
    said = llm("-m", f"{model}-{by}", "--schema", "city, people int", play(text='{"city": "Lyon", "people": 522000}'))
    assert json.loads(said) == {"city": "Lyon", "people": 522000}
    assert set(seen.schema(upstream.last())["properties"]) == {"city", "people"}


@WAYS
def test_a_conversation_goes_on(llm: Run, upstream: Upstream, by: str) -> None:
    llm("-m", f"gpt-4.1-{by}", play(text="Hello Ada."))
    assert llm("-c", "Who am I?") == "Heard: Who am I?\n"
    assert seen.turns(upstream.last())[-2:] == [("assistant", "Hello Ada."), ("user", "Who am I?")]


@WAYS
def test_images(llm: Run, upstream: Upstream, tmp_path: Path, by: str) -> None:
    (tmp_path / "cat.png").write_bytes(PIXEL)
    assert llm("-m", f"claude-sonnet-4-6-{by}", "-a", str(tmp_path / "cat.png"), play(text="A cat")) == "A cat\n"
    (found,) = seen.images(upstream.last())
    assert found.startswith("data:image/png;base64,iVBOR")


def test_a_completion(llm: Run, upstream: Upstream) -> None:
    assert llm("-m", "instruct", play(text="upon a time")) == "upon a time\n"
    assert upstream.last()["path"] == "/v1/completions"


@WAYS
def test_errors(llm: Run, upstream: Upstream, by: str) -> None:
    assert "too hot" in llm("-m", f"gpt-4.1-{by}", play(fail={"status": 400, "message": "too hot"}), fails=True)
    assert len(upstream.recorded()) == 1
