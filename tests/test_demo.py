"""`make demo`, cut short: a real gateway in a process of its own, a real small model, a rehearsed strong one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
import pytest
import yaml

from benchmarks.demo import PROMPTS, REWORDINGS, choose
from benchmarks.prompt_traffic import Gateway, Prompt

ROOT = Path(__file__).resolve().parents[1]
KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
pytestmark = pytest.mark.timeout(60)  # starts a gateway and a real model
ROUTES = {"private", "small-talk", "tools", "easy", "escalate"}


def demo(*options: str) -> subprocess.Popen[str]:
    # A ledger of the user's own, to see that the demo does not write into it.
    env = {k: v for k, v in os.environ.items() if k not in KEYS} | {"TURNOUT_LEDGER_URL": "sqlite:////nowhere/ledger.db"}
    command = [sys.executable, "-m", "benchmarks.demo", *options]
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hears_interrupts
    )


def _hears_interrupts() -> None:
    """A shell starts what runs in the background deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_demo_ends_with_the_spend_of_at_least_four_routes() -> None:
    process = demo("--requests", "30")
    out, err = process.communicate(timeout=55)
    assert process.returncode == 0, f"{out}\n{err}"
    table = out.partition("$ turnout spend --by route\n")[2]
    routes = {line.split()[0] for line in table.splitlines() if line.split()} & ROUTES
    assert len(routes) >= 4, out
    assert "REHEARSAL" in out and "no real model" in out
    counts = [int(n) for n in re.findall(r"^(?:without|from|by) .*?  +(\d+) ", table, re.MULTILINE)]
    assert sum(counts) == 30, out
    assert "NOT answered" not in out
    assert re.findall(r"^ ?(\d+)%", out, re.MULTILINE) == [str(n) for n in range(10, 110, 10)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_stops_its_gateway(number: signal.Signals) -> None:
    process = demo("--requests", "100")
    family: list[psutil.Process] = []
    assert process.stdout is not None and process.stderr is not None
    try:
        while "10%" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 2, "the gateway and its local model"
        process.send_signal(number)
        process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=2)
    assert alive == []


def test_a_gateway_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    shell = "import sys, benchmarks.demo as d; from pathlib import Path; d.POLICY = d.ROOT / 'nothing.yaml'; sys.exit(d.main([]))"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", shell], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "the gateway exited with status 1" in done.stderr and "nothing.yaml" in done.stderr
    assert time.monotonic() - began < 20


def test_the_templates_of_the_apps_are_recognised() -> None:
    asks = choose({"apps": yaml.safe_load(PROMPTS.read_text("utf-8"))["apps"]}, None)
    gateway = Gateway()
    ids = [gateway.ask(Prompt(ask.system or "", ask.prompt, ask.app)) for ask in asks]
    reported = Counter((ask.app, id_ and gateway.recogniser.families.of(id_)) for ask, id_ in zip(asks, ids, strict=True))
    often = {app: id_ for (app, id_), n in reported.items() if n >= 5 and id_ is not None}
    assert set(often) == {ask.app for ask in asks}, reported
    assert len(set(often.values())) == len(often), "each app has one of its own"
    assert all(gateway.recogniser.families.text(id_) for id_ in often.values())


def test_every_kind_of_prompt_comes_in_its_proportion_and_in_the_same_order_each_time() -> None:
    kinds = {**yaml.safe_load(PROMPTS.read_text("utf-8")), "rewordings": REWORDINGS}
    everything = choose(kinds, None)
    assert everything == choose(kinds, None)
    few = choose(kinds, 30)
    assert len(few) == 30 and set(few) <= set(everything)
    assert any(ask.tool for ask in few)
    assert len(choose(kinds, 2 * len(everything))) == 2 * len(everything)
