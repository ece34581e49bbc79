"""What the caller sees, and what the ledger has, when targets fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.policies import one_model, two_models

FAULTS_BEFORE_CONTENT = ["refuse", "401", "429", "500", "503", "empty"]
FAULTS_IN_MID_STREAM = ["cut", "malformed", "reported", "stall"]
# A whole answer shows no content before it is complete, so all of these can still be made good.
FAULTS_OF_WHOLE_ANSWERS = ["cut", "malformed", "reported"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", FAULTS_BEFORE_CONTENT)
def test_the_fallback_answers_when_the_first_target_fails(tmp_path: Path, fault: str, stream: bool) -> None:
    with LiveGateway(tmp_path, two_models([fault])) as gateway:
        response = gateway.chat("hello", stream=stream)
        assert response.status_code == 200, response.text
        assert text_of(response).startswith("This is a rehearsed")
        assert response.headers["x-turnout-model"] == "second"
        assert response.headers["x-turnout-attempts"] == "2"
        assert gateway.attempts(response) == [("first", "error"), ("second", "ok")]


@pytest.mark.parametrize("fault", FAULTS_OF_WHOLE_ANSWERS)
def test_a_whole_answer_that_breaks_off_falls_back(tmp_path: Path, fault: str) -> None:
    with LiveGateway(tmp_path, two_models([fault])) as gateway:
        response = gateway.chat("hello")
        assert response.status_code == 200
        assert gateway.attempts(response) == [("first", "error"), ("second", "ok")]


def test_a_target_that_hangs_on_a_whole_answer_leaves_time_for_the_next(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, two_models(["stall"])) as gateway:
        response = gateway.chat("hello")
        assert response.status_code == 200
        assert gateway.attempts(response) == [("first", "timeout"), ("second", "ok")]


@pytest.mark.parametrize("fault", FAULTS_IN_MID_STREAM)
def test_a_stream_that_breaks_off_ends_with_an_error_and_no_terminator(tmp_path: Path, fault: str) -> None:
    with LiveGateway(tmp_path, two_models([fault])) as gateway:
        response = gateway.chat("hello", stream=True)
        got = events(response)
        assert response.status_code == 200
        assert got[0]["choices"][0]["delta"]["role"] == "assistant"
        assert "error" in got[-1] and got[-1]["error"]["message"]
        assert "[DONE]" not in got
        entry = gateway.entry(response)
        outcome = "timeout" if fault == "stall" else "error"
        assert entry["outcome"] == outcome
        assert [(a["model"], a["outcome"]) for a in entry["attempts"]] == [("first", outcome)]
        # What was generated before the break is owed.
        assert entry["usage"]["estimated"] is True
        assert entry["cost_nusd"] > 0


@pytest.mark.parametrize("stream", [False, True])
def test_when_every_target_fails_the_error_names_the_last_cause_of_each(tmp_path: Path, stream: bool) -> None:
    with LiveGateway(tmp_path, two_models(["500"], ["refuse"])) as gateway:
        response = gateway.chat("hello", stream=stream)
        assert response.status_code == 502
        error = response.json()["error"]
        assert error["code"] == "all_targets_failed"
        assert [(d["model"], d["fault"], d.get("status")) for d in error["details"]] == [
            ("first", "status", 500),
            ("second", "connect", None),
        ]
        entry = gateway.entry(response)
        assert (entry["outcome"], entry["status"], entry["cost_nusd"]) == ("error", 502, 0)


@pytest.mark.parametrize("stream", [False, True])
def test_a_deadline_that_passes_is_a_504(tmp_path: Path, stream: bool) -> None:
    with LiveGateway(tmp_path, one_model(["stall"]).replace("first_token: 300ms, ", "first_token: 3s, ")) as gateway:
        gateway.chat("make room", stream=stream) if stream else None
        response = gateway.chat("hello")
        assert response.status_code == 504
        assert response.json()["error"]["code"] == "deadline_exceeded"
        assert gateway.entry(response)["outcome"] == "timeout"


def test_what_the_provider_says_about_a_bad_request_reaches_the_caller_and_is_not_tried_elsewhere(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, two_models(["400"])) as gateway:
        response = gateway.chat("hello")
        assert response.status_code == 400
        assert "told to answer 400" in response.json()["error"]["message"]
        assert gateway.attempts(response) == [("first", "error")]


def test_a_failing_target_is_asked_again_as_often_as_the_policy_says(tmp_path: Path) -> None:
    policy = two_models(["500", "500", "ok"]).replace("{attempts: 1}", "{attempts: 3, backoff: 10ms}")
    with LiveGateway(tmp_path, policy) as gateway:
        response = gateway.chat("hello")
        assert gateway.attempts(response) == [("first", "error"), ("first", "error"), ("first", "ok")]


def test_a_target_that_keeps_failing_is_left_alone_and_the_ledger_still_names_it(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, two_models(["500"])) as gateway:
        seen = [gateway.attempts(gateway.chat("hello")) for _ in range(4)]
        assert seen[:3] == [[("first", "error"), ("second", "ok")]] * 3
        assert seen[3] == [("first", "rejected"), ("second", "ok")]


def test_when_every_target_cools_down_the_least_bad_is_tried(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, one_model(["500", "500", "500", "ok"])) as gateway:
        codes = [gateway.chat("hello").status_code for _ in range(3)]
        last = gateway.chat("hello")
        assert codes == [502, 502, 502]
        assert last.status_code == 200
        assert gateway.attempts(last) == [("first", "rejected"), ("first", "ok")]


@pytest.mark.parametrize("stream", [False, True])
def test_killing_the_first_target_while_it_serves_moves_the_next_request_to_the_fallback(tmp_path: Path, stream: bool) -> None:
    (tmp_path / "upstream").mkdir()
    (tmp_path / "gateway").mkdir()
    with LiveGateway(tmp_path / "upstream", one_model()) as upstream:
        policy = f"""
version: 1
providers:
  real: {{kind: openai, base_url: "{upstream.url}/v1"}}
  spare: {{kind: fake}}
models:
  first: {{provider: real, id: auto, price: {{input: 1, output: 1}}}}
  second: {{provider: spare, id: x, price: {{input: 1, output: 1}}}}
routes:
  - {{name: all, model: first, fallback: [second], retry: {{attempts: 1}}}}
"""
        with LiveGateway(tmp_path / "gateway", policy) as gateway:
            before = gateway.chat("hello", stream=stream)
            assert gateway.attempts(before) == [("first", "ok")]
            upstream.__exit__(None, None, None)
            after = gateway.chat("hello", stream=stream)
            assert after.status_code == 200
            assert gateway.attempts(after) == [("first", "error"), ("second", "ok")]
            assert "connect" in gateway.entry(after)["attempts"][0]["error"]


def test_an_entry_has_what_the_contract_promises(tmp_path: Path) -> None:
    with LiveGateway(tmp_path, two_models(["500"])) as gateway:
        tags = {"x-turnout-tags": "app=ide", "x-turnout-session": "s-1"}
        entry = gateway.entry(gateway.chat("hello", headers={**tags, "x-request-id": "the-id"}))
        assert (entry["request_id"], entry["dialect"], entry["requested_model"]) == ("the-id", "openai_chat", "auto")
        assert (entry["tags"], entry["session"], entry["stream"]) == ({"app": "ide"}, "s-1", False)
        assert (entry["route"], entry["decided_by"], 0 <= entry["draw"] < 1) == ("all", "rule:all", True)
        # "hello" is 2 tokens in, the answer 6 out, at 10 and 20 USD per million: 140,000 nano-USD, and so is the baseline.
        assert (entry["cost_nusd"], entry["baseline_nusd"], entry["overhead_nusd"], entry["saved_nusd"]) == (
            140_000,
            140_000,
            0,
            0,
        )
        assert entry["usage"] == {
            "input": 2, "output": 6, "cached_input": 0, "cache_write": 0, "reasoning": 0, "estimated": False,
            "cache_write_1h": 0, "audio_input": 0, "audio_output": 0, "images": 0, "service": None,
        }  # fmt: skip
        failed, answered = entry["attempts"]
        assert (failed["status"], failed["cost"], failed["usage"], failed["ttft_ms"]) == (500, 0, None, None)
        assert (answered["provider"], answered["status"], answered["cost"]) == ("two", 200, 140_000)
        assert entry["at"].endswith("Z") and entry["duration_ms"] >= answered["duration_ms"] >= answered["ttft_ms"] > 0
