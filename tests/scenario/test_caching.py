"""What a cache owes: ages, directives, what is never kept, one request upstream for many, and audits of what was served."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.cache.base import Neighbour
from gateway.cache.semantic import Matcher
from gateway.caching import visit
from gateway.ledger.sqlite_reader import SqliteReader
from gateway.report.dimension import parse
from gateway.report.period import Period
from gateway.report.spend import spend as lines
from tests.live_gateway import LiveGateway, events, text_of
from tests.scenario.upstream import Call, Fails, Says, Upstream

ASKED = "How do I sharpen a chisel?"
ALIKE = "How can I sharpen a chisel"
ANSWER = "Hold it flat on the stone and move it in circles."


def policy(url: str, route: str, top: str = "", defaults: str = "") -> str:
    """One route over a provider at `url`; a second model `judge` for audits."""
    return f"""
version: 1
providers:
  one: {{kind: openai, base_url: "{url}/v1", api_key: sk-1}}
models:
  first: {{provider: one, id: first-1, price: {{input: 1.00, output: 2.00}}}}
  judge: {{provider: one, id: judge-1, price: {{input: 10.00, output: 20.00}}}}
baseline: first
{top}
defaults:
  timeouts: {{connect: 1s, first_token: 5s, idle: 5s, total: 10s}}
  retry: {{attempts: 1}}
{defaults}
routes:
  - {{name: all, model: first, cache: {route}}}
"""


def cache_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    return str(response.headers["x-turnout-cache"])


def eventually(is_so: Callable[[], bool], what: str, limit_s: float = 8.0) -> None:
    until = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def numbered(call: Call) -> Says:
    """An answer that tells how often it was asked."""
    return Says(f"answer {call.number} to {call.prompt}")


def test_an_answer_past_its_time_is_given_while_it_is_asked_for_anew(tmp_path: Path) -> None:
    with (
        Upstream(numbered) as upstream,
        LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, ttl: 1s, stale: 1h}")) as gateway,
    ):
        first = gateway.chat(ASKED)
        assert cache_of(gateway.chat(ASKED)) == "hit-exact"
        assert len(upstream.asked(ASKED)) == 1
        time.sleep(1.1)
        stale = gateway.chat(ASKED)
        assert (cache_of(stale), text_of(stale)) == ("hit-exact", text_of(first))
        assert int(stale.headers["age"]) >= 1
        eventually(lambda: text_of(gateway.chat(ASKED)) == f"answer 2 to {ASKED}", "the answer was not asked for anew")
        assert len(upstream.asked(ASKED)) == 2
        refreshed = gateway.entry(gateway.chat(ASKED))["cache_entry"]
        entry = gateway.http.get(f"/v1/requests/{refreshed}").json()
        assert (entry["purpose"], entry["of"]) == ("refresh", stale.headers["x-request-id"])
        assert entry["cost_nusd"] > 0


def test_an_answer_past_its_time_is_not_given_where_the_route_does_not_say_so(tmp_path: Path) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, ttl: 500ms}")) as gateway:
        gateway.chat(ASKED)
        time.sleep(0.6)
        assert cache_of(gateway.chat(ASKED)) == "miss"


def test_a_caller_may_want_a_younger_answer_than_the_route(tmp_path: Path) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, ttl: 1h}")) as gateway:
        gateway.chat(ASKED)
        assert cache_of(gateway.chat(ASKED, headers={"x-turnout-cache-ttl": "10s"})) == "hit-exact"
        time.sleep(0.3)
        assert cache_of(gateway.chat(ASKED, headers={"x-turnout-cache-ttl": "200ms"})) == "miss"
        gateway.chat("kept for a moment only", headers={"x-turnout-cache-ttl": "200ms"})
        time.sleep(0.3)
        assert cache_of(gateway.chat("kept for a moment only")) == "miss"


@pytest.mark.parametrize("given", ["soon", "10", "0s"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, given: str) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        refused = gateway.chat(ASKED, headers={"x-turnout-cache-ttl": given})
        assert refused.status_code == 400
        assert "x-turnout-cache-ttl" in refused.json()["error"]["message"]


@pytest.mark.parametrize(("temperature", "second"), [(0.7, "hit-exact"), (1.0, "hit-exact"), (1.3, "bypass")])
def test_who_asks_for_variety_gets_it(tmp_path: Path, temperature: float, second: str) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        gateway.chat(ASKED, temperature=temperature)
        assert cache_of(gateway.chat(ASKED, temperature=temperature)) == second


def test_a_policy_may_keep_high_temperatures_too(tmp_path: Path) -> None:
    with (
        Upstream(numbered) as upstream,
        LiveGateway(tmp_path, policy(upstream.url, "{mode: exact, max_temperature: 2}")) as gateway,
    ):
        gateway.chat(ASKED, temperature=1.9)
        assert cache_of(gateway.chat(ASKED, temperature=1.9)) == "hit-exact"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "says",
    [
        Says("I'm sorry, but I can't help with that."),
        Says("It is a long story", finish="length"),
        Says("Nothing of", finish="content_filter"),
    ],
    ids=["declined", "length", "filtered"],
)
def test_what_is_no_complete_answer_is_not_kept(tmp_path: Path, says: Says, stream: bool) -> None:
    with Upstream(lambda call: says) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        gateway.chat(ASKED, stream=stream)
        assert cache_of(gateway.chat(ASKED, stream=stream)) == "miss"


@pytest.mark.parametrize("stream", [False, True])
def test_of_identical_requests_at_once_one_goes_upstream(tmp_path: Path, stream: bool) -> None:
    is_open = threading.Event()

    def slow(call: Call) -> Says:
        is_open.wait(5)
        return Says(ANSWER)

    with Upstream(slow) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        with ThreadPoolExecutor(8) as pool:
            asked = [pool.submit(gateway.chat, ASKED, stream=stream) for _ in range(8)]
            eventually(lambda: len(upstream.asked(ASKED)) == 1, "nothing was asked upstream")
            time.sleep(0.3)  # the others have arrived
            is_open.set()
            found = [future.result() for future in asked]
        assert sorted(cache_of(r) for r in found) == ["hit-exact"] * 7 + ["miss"]
        assert {text_of(r) for r in found} == {ANSWER}
        assert len(upstream.asked(ASKED)) == 1
        paid = [gateway.entry(r)["cost_nusd"] for r in found]
        assert sorted(paid)[:7] == [0] * 7 and max(paid) > 0


def test_who_waits_for_one_that_fails_goes_upstream_itself(tmp_path: Path) -> None:
    is_open = threading.Event()

    def first_fails(call: Call) -> Says | Fails:
        if call.number > 1:
            return Says(ANSWER)
        is_open.wait(5)
        return Fails(400, "no such thing")

    with Upstream(first_fails) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(gateway.chat, ASKED) for _ in range(4)]
            eventually(lambda: len(upstream.asked(ASKED)) == 1, "nothing was asked upstream")
            time.sleep(0.3)
            is_open.set()
            found = [future.result() for future in asked]
        assert sorted(r.status_code for r in found) == [200, 200, 200, 400]
        assert len(upstream.asked(ASKED)) == 4


def test_a_stream_with_a_tool_call_is_replayed_as_it_came(tmp_path: Path) -> None:
    says = Says(calls=(("find", '{"what": "chisel"}'),), finish="tool_calls")
    with Upstream(lambda call: says) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        first, again = (gateway.chat(ASKED, stream=True, stream_options={"include_usage": True}) for _ in range(2))
        assert cache_of(again) == "hit-exact"
        before, after = events(first), events(again)
        assert after[:-2] == before[:-2]
        assert before[-1] == after[-1] == "[DONE]"
        usage, replayed = dict(before[-2]["usage"]), dict(after[-2]["usage"])
        assert usage.pop("cost") > 0
        assert replayed.pop("cost") == 0
        assert replayed == usage


def test_callers_share_answers_only_where_the_policy_says_so(tmp_path: Path) -> None:
    one, other = {"authorization": "Bearer one"}, {"authorization": "Bearer other"}
    for scope, expected in (("key", "miss"), ("team", "miss"), ("all", "hit-exact")):
        rule = f"{{mode: semantic, scope: {scope}}}"
        folder = tmp_path / scope
        folder.mkdir()
        with Upstream(numbered) as upstream, LiveGateway(folder, policy(upstream.url, rule)) as gateway:
            gateway.chat(ASKED, headers=one)
            assert cache_of(gateway.chat(ASKED, headers=other)) == expected
            assert cache_of(gateway.chat(ALIKE, headers=one)) == "hit-semantic"
            if scope != "all":
                assert cache_of(gateway.chat(ALIKE, headers=other)) in ("miss", "hit-semantic")
                assert "answer 2" in text_of(gateway.chat(ASKED, headers=other))  # its own answer, asked under its own key
            assert len(upstream.asked(ASKED)) == (1 if scope == "all" else 2)


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "system", "content": "Be rude."}, {"role": "user", "content": ALIKE}]},
        {"temperature": 0.5},
        {"response_format": {"type": "json_object"}},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"},
                {"role": "user", "content": ALIKE},
            ]
        },
    ],
    ids=["system", "parameter", "format", "tools", "turns"],
)
def test_a_similar_question_in_another_context_is_another_question(tmp_path: Path, fields: dict[str, Any]) -> None:
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: semantic}")) as gateway:
        gateway.chat(ASKED)
        assert cache_of(gateway.chat(ALIKE)) == "hit-semantic"
        assert cache_of(gateway.chat(ALIKE, **fields)) == "miss"


def spend(gateway: LiveGateway) -> dict[str, Any]:
    """The line of route `all` in `turnout spend`, once everything is written."""
    time.sleep(0.3)
    reader = SqliteReader(gateway.settings.ledger)
    try:
        (row,) = lines(reader, parse("route"), Period(0.0))
    finally:
        reader.close()
    return row.as_json("route")


def audited(call: Call) -> Says:
    """first-1 answers each question its own way; judge-1 says which answers do."""
    if call.model == "judge-1":
        return Says("They differ in what they say.\nDIFFERENT" if "Nothing to do with it" in call.prompt else "SAME")
    return Says("Nothing to do with it at all." if call.prompt == ALIKE else ANSWER)


def test_an_audit_that_finds_a_hit_wrong_takes_the_answer_back_and_is_booked_as_overhead(tmp_path: Path) -> None:
    rule = "{mode: semantic, audit: 1}"
    with Upstream(audited) as upstream, LiveGateway(tmp_path, policy(upstream.url, rule, "cache: {judge: judge}")) as gateway:
        gateway.chat(ASKED)
        hit = gateway.chat(ALIKE)
        assert (cache_of(hit), text_of(hit)) == ("hit-semantic", ANSWER)
        eventually(lambda: "turnout_cache_audits_total{" in gateway.http.get("/metrics").text, "no audit took place")
        said = gateway.http.get("/metrics").text
        assert 'turnout_cache_audits_total{route="all",verdict="wrong"} 1.0' in said
        assert [call.model for call in upstream.calls] == ["first-1", "first-1", "judge-1"]
        assert cache_of(gateway.chat(ASKED)) == "miss"  # the wrong answer has gone
        assert cache_of(gateway.chat(ALIKE)) == "miss"  # and its next one is not given to that question again
        assert cache_of(gateway.chat(ASKED)) == "hit-exact"
        assert cache_of(gateway.chat(ASKED, headers={"x-turnout-cache": "refresh"})) == "miss"
        report = spend(gateway)
        assert (report["requests"], report["overhead_nusd"] > 0) == (6, True)


def test_an_audit_that_finds_a_hit_right_changes_nothing(tmp_path: Path) -> None:
    rule = "{mode: semantic, audit: 1}"
    with Upstream(lambda call: Says(ANSWER)) as upstream, LiveGateway(tmp_path, policy(upstream.url, rule)) as gateway:
        gateway.chat(ASKED)
        hit = gateway.chat(ALIKE)
        said = 'turnout_cache_audits_total{route="all",verdict="right"} 1.0'
        eventually(lambda: said in gateway.http.get("/metrics").text, "no audit took place")
        assert 'turnout_cache_precision{route="all"} 1.0' in gateway.http.get("/metrics").text
        assert len(upstream.asked(ALIKE)) == 1
        assert cache_of(gateway.chat(ALIKE)) == "hit-semantic"
        assert gateway.entry(hit)["cost_nusd"] == 0


@pytest.mark.parametrize(
    "fresh",
    [Says("I'm sorry, but I can't help with that."), Says("No", finish="length"), Says("No", finish="content_filter")],
    ids=["declined", "length", "filtered"],
)
def test_an_audit_does_not_measure_an_answer_by_what_is_none(tmp_path: Path, fresh: Says) -> None:
    def play(call: Call) -> Says:
        return fresh if call.prompt == ALIKE else Says("Canberra")

    with Upstream(play) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: semantic, audit: 1}")) as gateway:
        gateway.chat(ASKED)
        assert cache_of(gateway.chat(ALIKE)) == "hit-semantic"
        said = 'turnout_cache_audits_total{route="all",verdict="unsure"} 1.0'
        eventually(lambda: said in gateway.http.get("/metrics").text, "no audit took place")
        assert cache_of(gateway.chat(ASKED)) == "hit-exact"


def test_of_two_answers_the_one_asked_for_later_is_kept(tmp_path: Path) -> None:
    def first_is_slow(call: Call) -> Says:
        if call.number == 1:
            time.sleep(0.7)  # both are answered after it, in this order
        return Says(f"answer {call.number}")

    with Upstream(first_is_slow) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(gateway.chat, ASKED)
            eventually(lambda: len(upstream.asked(ASKED)) == 1, "nothing was asked upstream")
            assert text_of(gateway.chat(ASKED, headers={"x-turnout-cache": "refresh"})) == "answer 2"
            assert text_of(slow.result()) == "answer 1"
        assert text_of(gateway.chat(ASKED)) == "answer 2"


@pytest.mark.parametrize("stream", [False, True])
def test_an_empty_answer_is_not_kept(tmp_path: Path, stream: bool) -> None:
    with Upstream(lambda call: Says("")) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: exact}")) as gateway:
        gateway.chat(ASKED, stream=stream)
        assert gateway.chat(ASKED, stream=stream).headers["x-turnout-cache"] == "miss"


def test_no_audit_where_the_policy_wants_none(tmp_path: Path) -> None:
    rule = "{mode: semantic, audit: 0}"
    with Upstream(lambda call: Says(ANSWER)) as upstream, LiveGateway(tmp_path, policy(upstream.url, rule)) as gateway:
        gateway.chat(ASKED)
        assert cache_of(gateway.chat(ALIKE)) == "hit-semantic"
        time.sleep(0.3)
        assert len(upstream.calls) == 1


def test_a_near_miss_teaches_without_asking_anybody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visit, "COMPARED_SHARE", 1.0)
    compared: list[float] = []
    plain = Matcher.score

    async def watched(matcher: Matcher, asked: str, near: Neighbour) -> float:
        compared.append(await plain(matcher, asked, near))
        return compared[-1]

    monkeypatch.setattr(Matcher, "score", watched)
    with Upstream(numbered) as upstream, LiveGateway(tmp_path, policy(upstream.url, "{mode: semantic}")) as gateway:
        gateway.chat("How do I sharpen a chisel?")
        assert cache_of(gateway.chat("How do I sharpen 3 chisels?")) == "miss"
        eventually(lambda: bool(compared), "the pair is scored")
        assert len(compared) == 1 and 0 <= compared[0] < 1
        assert len(upstream.calls) == 2
