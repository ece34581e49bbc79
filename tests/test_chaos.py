"""`make chaos` and `make soak`, cut short: what they call whole, false, false failover or growth, and that they run at all."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import soak
from benchmarks.chaos import figures
from benchmarks.chaos.__main__ import CRASHES, MARKS, fill, keep, main
from benchmarks.chaos.answers import Question, case_of, questions, remaining, right_answer
from benchmarks.chaos.client import Received, ask, judge, unchunked
from benchmarks.chaos.lines import lines, table, warnings
from benchmarks.chaos.load import Load, Record
from benchmarks.chaos.run import Run, run
from benchmarks.chaos.scenarios import LITELLM, SCENARIOS, TURNOUT
from benchmarks.chaos.script import Call, Phase, Target
from benchmarks.soak import Sample

ROOT = Path(__file__).resolve().parents[1]
STREAMED = Question("abcdefgh", "Case abcdefgh. Tell me about noon.", True)
DOCUMENT = Question("abcdefgh", STREAMED.prompt, False)
TOKENS = right_answer(STREAMED.prompt)
DONE = b"data: [DONE]\n\n"


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if content is None else {"content": content}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


def stream(*events: bytes, is_over: bool = True) -> Received:
    return Received(status=200, body=b"".join(events), is_over=is_over)


def document(text: str, finish: str = "stop") -> Received:
    body = {"choices": [{"message": {"content": text}, "finish_reason": finish}]}
    return Received(status=200, body=json.dumps(body).encode(), is_over=True)


ALL = [chunk(token) for token in TOKENS]
HALF = ALL[: len(ALL) // 2]
STOP = chunk(finish="stop")


@pytest.mark.parametrize(
    ("received", "question", "verdict"),
    [
        pytest.param(stream(*ALL, STOP, DONE), STREAMED, "whole", id="stream"),
        pytest.param(document("".join(TOKENS)), DOCUMENT, "whole", id="document"),
        pytest.param(stream(*HALF), STREAMED, "falsely complete", id="cut that ends as HTTP wants it"),
        pytest.param(stream(*HALF, STOP, DONE), STREAMED, "falsely complete", id="cut that is ended for the caller"),
        pytest.param(stream(*ALL, STOP), STREAMED, "falsely complete", id="no [DONE]"),
        pytest.param(stream(*ALL, DONE), STREAMED, "falsely complete", id="no finish_reason"),
        pytest.param(stream(*HALF, *ALL, STOP, DONE), STREAMED, "falsely complete", id="begun anew without a word"),
        pytest.param(document("Noon."), DOCUMENT, "falsely complete", id="another's answer"),
        pytest.param(document("".join(TOKENS), "length"), DOCUMENT, "falsely complete", id="cut off by length"),
        pytest.param(stream(*ALL, STOP, DONE, is_over=False), STREAMED, "failed", id="broken off"),
        pytest.param(stream(*HALF, b'data: {"error": {"message": "cut"}}\n\n'), STREAMED, "failed", id="error event"),
        pytest.param(stream(*HALF, b"data: {oops\n\n"), STREAMED, "failed", id="no JSON"),
        pytest.param(Received(status=200, body=b'{"error": {}}', is_over=True), DOCUMENT, "failed", id="error under a 200"),
        pytest.param(Received(status=502, body=b"{}", is_over=True), DOCUMENT, "failed", id="502"),
        pytest.param(Received(error="refused"), STREAMED, "failed", id="refused"),
        pytest.param(Received(status=200, is_hung=True), STREAMED, "hung", id="no end"),
    ],
)
def test_only_the_right_answer_with_its_end_is_whole(received: Received, question: Question, verdict: str) -> None:
    found, why = judge(received, question)
    assert found == verdict
    assert bool(why) == (verdict != "whole")


def test_a_restart_that_is_announced_forgets_what_came_before_it() -> None:
    anew = chunk(turnout={"midstream": "restart"})
    assert judge(stream(*HALF, anew, *ALL, STOP, DONE), STREAMED)[0] == "whole"


@pytest.mark.parametrize(
    ("data", "body", "is_over"),
    [
        (b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde", True),
        (b"3\r\nabc\r\n", b"abc", False),
        (b"3\r\nab", b"ab", False),
        (b"3\r\nabc\r\n0\r\n", b"abc", False),
    ],
)
def test_a_body_is_over_with_its_last_chunk(data: bytes, body: bytes, is_over: bool) -> None:
    assert unchunked(data) == (body, is_over)


def test_questions_are_ever_new_and_have_one_answer() -> None:
    asked = [question for question, _ in zip(questions(7, 0.5, 0.1), range(500), strict=False)]
    assert (
        len({question.case for question in asked}) == len({"".join(right_answer(question.prompt)) for question in asked}) == 500
    )
    assert all(case_of(question.prompt) == question.case for question in asked)
    assert {question.is_stream for question in asked} == {True, False}
    again = [question for question, _ in zip(questions(7, 0.5, 0.1), range(500), strict=False)]
    assert asked == again


@pytest.mark.parametrize("begun", range(len(TOKENS) + 1))
def test_a_begun_answer_goes_on_where_it_stopped(begun: int) -> None:
    assert remaining(TOKENS, "".join(TOKENS[:begun])) == (TOKENS[begun:] if begun < len(TOKENS) else TOKENS)
    assert remaining(TOKENS, "something else") == TOKENS


def record(case: str, due_s: float, verdict: str = "whole", took_s: float = 0.1) -> Record:
    return Record(case, True, 10, 5, due_s, due_s, due_s + took_s, verdict, 200, due_s + 0.05)  # type: ignore[arg-type]


def call(case: str, target: str, at_s: float, played: str = "ok", **more: Any) -> Call:
    return Call(target, case, at_s, "healthy", played, tokens_in=10, **{"tokens_out": 5, "is_whole": played == "ok"} | more)


def a_run(records: Sequence[Record], calls: Sequence[Call], phases: Sequence[Phase]) -> Run:
    targets = [Target("a", 1, list(phases)), Target("b", 2, [Phase(100)])]
    return Run("outage", TURNOUT, Load(rate=1, seconds=30), targets, list(records), list(calls), cpu_s=1.0, waited_s=0.0)


def test_a_failover_is_false_if_the_first_target_was_well_and_not_asked_in_vain() -> None:
    phases = [Phase(10), Phase(20, "down"), Phase(30)]
    records = [record("well", 5), record("down", 15), record("just-back", 21), record("long-back", 25), record("cut", 6)]
    calls = [call(case, "b", at) for case, at in (("well", 5), ("down", 15), ("just-back", 21), ("long-back", 25), ("cut", 6.1))]
    calls.append(call("cut", "a", 6, "cut"))
    found = a_run(records, calls, phases)
    assert figures.false_failovers(found, settle_s=3) == 2  # well, long-back
    assert figures.answered_by(found) == dict.fromkeys(["well", "down", "just-back", "long-back", "cut"], "b")
    assert figures.returned_after_s(found, "a") is None
    assert figures.returned_after_s(a_run(records, [call("long-back", "a", 25)], phases), "a") == 5


def test_cost_is_told_beside_that_of_the_whole_answers_alone() -> None:
    calls = [
        call("one", "a", 1),
        call("two", "a", 2, "500", tokens_out=0),
        call("two", "b", 2),
        call("one", "b", 1, "cut", tokens_out=2),
    ]
    found = a_run([record("one", 1), record("two", 2)], calls, [Phase(30)])
    assert figures.extra_cost(found) == pytest.approx((10 + 2 * 4) / (2 * (10 + 5 * 4)))  # a refusal costs nothing
    assert figures.extra_calls(found) == 1.0


def test_the_table_says_which_goals_were_missed() -> None:
    records = [record("one", 1), record("two", 2, "falsely complete"), record("three", 3, took_s=9)]
    shown = table(lines("outage", [a_run(records, [call("one", "a", 1)], [Phase(30)])]), [TURNOUT])
    assert "| answered whole | ≥ 99.95 % | 66.67 % | ✗ |" in shown
    assert "| falsely complete | 0 | 1 | ✗ |" in shown
    assert "| hung | 0 | 0 | ✓ |" in shown


def test_a_machine_too_busy_to_tell_latencies_is_told_of() -> None:
    quiet = a_run([record("one", 1)], [call("one", "a", 1)], [Phase(30)])
    assert warnings([quiet]) == []
    busy = a_run([record("one", 1)], [call("one", "a", 1, late_s=0.2)], [Phase(30)])
    assert "200 ms later than scripted" in warnings([busy])[0]
    starved = dataclasses.replace(quiet, waited_s=0.8)
    assert "waited 800 ms for a core" in warnings([starved])[0]


def test_the_page_gets_the_table_and_the_pictures_that_it_shows(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}\nold\n{MARKS[1]}\n![](pictures/outage.svg)\n")
    fill(page, "| new |", {"outage": "<svg/>", "tail": "<svg/>"})
    assert page.read_text() == f"before\n{MARKS[0]}\n| new |\n{MARKS[1]}\n![](pictures/outage.svg)\n"
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["outage.svg"]


@pytest.mark.parametrize(
    ("rss_mb", "files", "verdicts", "status"),
    [
        (lambda at: 100.0, lambda at: 40, {"whole": 9}, 0),
        (lambda at: 100.0 + (3.0 if at > 1500 else 0.0), lambda at: 40, {"whole": 9}, 0),  # a step is no growth
        (lambda at: 100.0 + at / 60 * 1.5, lambda at: 40, {"whole": 9}, 1),
        (lambda at: 100.0, lambda at: 40 + int(at / 60), {"whole": 9}, 1),
        (lambda at: 100.0, lambda at: 40, {"whole": 9, "falsely complete": 1}, 1),
        (lambda at: 100.0, lambda at: 40, {"whole": 9, "hung": 1}, 1),
    ],
    ids=["flat", "a step", "memory grows", "files grow", "false", "hung"],
)
def test_a_soak_fails_by_growth_and_by_wrong_answers(rss_mb: Any, files: Any, verdicts: dict[str, int], status: int) -> None:
    samples = [Sample(at, rss_mb(at), files(at)) for at in range(0, 1800, 5)]
    assert soak.report(collections.Counter(verdicts), samples, 1800) == status


def test_an_unknown_scenario_is_refused() -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--only", "earthquake"])
    assert stopped.value.code == 2


def test_a_server_that_refuses_is_a_failure_and_not_the_end_of_the_run() -> None:
    received = asyncio.run(ask("127.0.0.1", 1, STREAMED, 5))
    assert judge(received, STREAMED)[0] == "failed"


def test_the_documentation_has_the_table_of_a_whole_run() -> None:
    page = ROOT / "docs/reliability.md"
    measured = page.read_text().split(MARKS[0])[1].split(MARKS[1])[0]
    assert re.findall(r"^\| (\w+) \|", measured, re.MULTILINE)[1:] == [*SCENARIOS, CRASHES]
    for picture in re.findall(r"\((pictures/\w+\.svg)\)", page.read_text()):
        assert len((page.parent / picture).read_bytes()) < 60_000


@pytest.mark.timeout(90)  # starts two servers
def test_an_outage_of_a_few_seconds_is_played_and_told_of(tmp_path: Path) -> None:
    found = played(TURNOUT, 0.1, tmp_path)
    assert {call.played for call in found.calls} > {"ok"}, "no fault was played"
    assert set(figures.answered_by(found).values()) > {"a"}, "nothing was failed over"
    assert figures.count(found.records, "falsely complete") == 0
    assert "| outage | questions |" in table(lines("outage", [found]), [TURNOUT])
    keep([found], tmp_path / "out")
    root = ElementTree.fromstring((tmp_path / "out/outage.svg").read_text())
    assert len(root.findall("{*}polyline")) == 2
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.timeout(90)  # imports litellm besides
def test_the_other_contender_is_put_through_the_same(tmp_path: Path) -> None:
    played(LITELLM, 0.03, tmp_path)


def played(contender: str, factor: float, folder: Path) -> Run:
    scenario = SCENARIOS["outage"]().scaled(factor)
    found = run("outage", contender, scenario.contenders[contender].start, scenario.load, scenario.phases, folder, seed=1)
    assert len(found.records) > 5
    assert figures.count(found.records, "whole") > len(found.records) / 2
    assert figures.count(found.records, "hung") == 0
    return found
