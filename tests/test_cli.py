"""The turnout command as its users run it: a process with a command line, an environment and an exit status."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import openai
import pytest

from tests.scenario.policies import one_model

TURNOUT = [sys.executable, "-m", "gateway.cli.main"]
ROOT = Path(__file__).parent.parent
DEFAULT = ROOT / "policies/default.yaml"
PROVE = "Prove that there are infinitely many primes of the form 4k+3."


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TURNOUT_", "OPENAI_", "ANTHROPIC_"))}
    return {**kept, "TURNOUT_DATA_DIR": str(data_dir), "NO_COLOR": "1", **more}


def run(*args: str, data_dir: Path, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TURNOUT, *args], capture_output=True, text=True, timeout=50, cwd=cwd, env=environment(data_dir, **env), check=False
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Serving:
    """`turnout serve` as a child, until the block is left."""

    def __init__(self, data_dir: Path, *args: str, **env: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [*TURNOUT, "serve", "--port", str(self.port), *args]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.child = subprocess.Popen(command, text=True, cwd=ROOT, env=environment(data_dir, **env), **pipes)  # type: ignore[call-overload]

    def __enter__(self) -> Serving:
        until = time.monotonic() + 30
        while time.monotonic() < until and self.child.poll() is None:
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                time.sleep(0.02)
        self.child.kill()
        raise AssertionError(f"the gateway did not start: {self.child.communicate()}")

    def stop(self) -> tuple[str, str]:
        """(standard output, standard error), after it ended well."""
        self.child.send_signal(signal.SIGTERM)
        out, err = self.child.communicate(timeout=30)
        assert self.child.returncode == 0, err
        return out, err

    def __exit__(self, *exc: object) -> None:
        if self.child.poll() is None:
            self.child.kill()
        self.child.communicate()


@pytest.mark.timeout(60)
def test_the_main_job_with_a_real_model_and_the_real_client(tmp_path: Path) -> None:
    """What the README promises: start, ask with only the base URL changed, see what it cost."""
    with Serving(tmp_path) as gateway:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="unused", max_retries=0, timeout=50) as client:
            question = [{"role": "user", "content": "What is the capital of France?"}]
            plain = client.chat.completions.create(model="auto", messages=question, max_tokens=12)  # type: ignore[arg-type]
            assert plain.choices[0].message.content
            assert plain.model == "smollm2-135m-instruct"
            hard = [{"role": "user", "content": PROVE}]
            stream = client.chat.completions.create(model="auto", messages=hard, max_tokens=12, stream=True)  # type: ignore[call-overload]
            assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices)
        report = run("spend", "--by", "route", "--json", data_dir=tmp_path)
        rows = {row["route"]: row for row in json.loads(report.stdout)["rows"]}
        assert set(rows) == {"easy", "escalate"}
        assert all(row["requests"] == 1 and row["cost_nusd"] > 0 and row["saved_nusd"] > 0 for row in rows.values())
        out, err = gateway.stop()
    assert gateway.url in out and "curl" in out
    assert "small: smollm2-135m-instruct" in out
    assert "export OPENAI_API_KEY=…" in out
    assert err.count("strong is left out: OPENAI_API_KEY is not set; 'small' answers instead") == 1
    assert "Traceback" not in err


def test_nothing_is_lost_at_shutdown(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(one_model())
    with Serving(tmp_path, "--policy", str(policy)) as gateway, httpx.Client(base_url=gateway.url) as client:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        for _ in range(50):
            client.post("/v1/chat/completions", json=body)
        gateway.stop()
    report = json.loads(run("spend", "--json", data_dir=tmp_path).stdout)
    assert report["total"]["requests"] == 50


@pytest.mark.parametrize("by", ["route", "model", "provider", "day", "hour", "key"])
def test_spend_sums_to_the_same_total_however_it_is_split(tmp_path: Path, by: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(one_model())
    with Serving(tmp_path, "--policy", str(policy)) as gateway:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
        for _ in range(3):
            httpx.post(f"{gateway.url}/v1/chat/completions", json=body)
        gateway.stop()
    report = json.loads(run("spend", "--by", by, "--json", data_dir=tmp_path).stdout)
    table = run("spend", "--by", by, data_dir=tmp_path).stdout
    assert [row["requests"] for row in report["rows"]] == [3]
    # "hello" is 2 tokens in at 1 USD per million, the answer 6 out at 2: 14,000 nano-USD each.
    assert report["total"]["cost_nusd"] == 3 * 14_000
    assert "0.000042" in table


def test_explain_names_route_class_confidence_and_why_not_the_others(tmp_path: Path) -> None:
    shown = run("policy", "explain", str(DEFAULT), "--prompt", PROVE, "--json", data_dir=tmp_path)
    story = json.loads(shown.stdout)
    assert (story["route"], story["class"]) == ("escalate", "strong")
    assert 0.55 <= story["confidence"] <= 1
    assert {r["route"]: r["matched"] for r in story["routes"]} == {
        "private": False,
        "small-talk": False,
        "tools-and-images": False,
        "easy": False,
        "escalate": True,
    }
    assert "class strong is not skip" in {r["route"]: r["why"] for r in story["routes"]}["small-talk"]
    told = run("policy", "explain", str(DEFAULT), "--prompt", PROVE, data_dir=tmp_path).stdout
    assert told.startswith("route escalate: strong (openai: gpt-4.1)")


def test_explain_reads_headers(tmp_path: Path) -> None:
    args = ["policy", "explain", str(DEFAULT), "--prompt", "hi", "--header", "x-turnout-tags=data=confidential", "--json"]
    assert json.loads(run(*args, data_dir=tmp_path).stdout)["route"] == "private"


@pytest.mark.parametrize("file", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda p: p.name)
def test_every_shipped_policy_is_valid_and_passes_its_own_tests(tmp_path: Path, file: Path) -> None:
    if file.name == "faq.yaml":
        return  # not a policy; default.yaml names it
    check = run("policy", "check", str(file), data_dir=tmp_path)
    assert (check.returncode, "ok" in check.stdout) == (0, True), check.stderr
    tests = run("policy", "test", str(file), data_dir=tmp_path)
    assert tests.returncode == 0, tests.stdout


def test_a_failing_policy_test_says_what_it_got_and_exits_1(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(one_model() + 'tests: [{prompt: "hi", expect: {route: all, cache: exact}}]\n')
    tested = run("policy", "test", str(policy), data_dir=tmp_path)
    assert tested.returncode == 1
    assert "cache is 'bypass', expected 'exact'" in tested.stdout


def test_a_policy_with_a_typo_is_refused_with_file_line_and_remedy(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(one_model().replace("routes:", "ruotes:"))
    line = policy.read_text().splitlines().index("ruotes:") + 1
    for command in (["policy", "check", str(policy)], ["serve", "--policy", str(policy)]):
        refused = run(*command, data_dir=tmp_path)
        assert refused.returncode == 1
        assert f"{policy}:{line}: unknown key `ruotes`; did you mean `routes`?" in refused.stderr
        assert "Traceback" not in refused.stderr


def one_line_error(done: subprocess.CompletedProcess[str], status: int = 1) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_line_error(run("serve", "--port", str(port), data_dir=tmp_path))
    assert f"port {port} on 127.0.0.1 is in use" in said and "--port" in said


def test_a_data_directory_that_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("not a folder")
    said = one_line_error(run("serve", "--port", str(free_port()), data_dir=in_the_way))
    assert str(in_the_way) in said and "TURNOUT_DATA_DIR" in said


@pytest.mark.parametrize(
    ("args", "env", "said"),
    [
        (["serve", "--policy", "nowhere.yaml"], {}, "cannot read the policy 'nowhere.yaml'"),
        (["serve", "--host", "0.0.0.0"], {}, "--insecure"),
        (["serve"], {"TURNOUT_GRACE_S": "soon"}, "'soon'"),
        (["serve"], {"TURNOUT_LEDGER_URL": "postgresql://x:y/z"}, "TURNOUT_LEDGER_URL is not an address of PostgreSQL"),
        (["serve"], {"TURNOUT_REDIS_URL": "http://x"}, "does not begin with redis://"),
        (["serve"], {"TURNOUT_MAX_BODY_MB": "lots"}, "'lots'"),
        (["spend"], {}, "there is no ledger"),
        (["policy", "check", "nowhere.yaml"], {}, "cannot read the policy"),
    ],
)
def test_a_wrong_set_up_is_said_in_one_line(tmp_path: Path, args: list[str], env: dict[str, str], said: str) -> None:
    assert said in one_line_error(run(*args, data_dir=tmp_path, **env))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "COMMAND"),
        (["nonsense"], "nonsense"),
        (["serve", "--port", "x"], "'x'"),
        (["serve", "--port", "99999"], "99999"),
        (["serve", "--workers", "0"], "0"),
        (["spend", "--by", "nonsense"], "route, model"),
        (["spend", "--by", "tag:"], "tag:NAME"),
        (["spend", "--format", "xml"], "parquet"),
        (["spend", "--since", "1d", "--until", "2d"], "not after"),
        (["spend", "--compare", "1d..2d"], "BEGIN..END"),
        (["spend", "--watch", "--format", "csv"], "--watch"),
        (["spend", "--since", "week"], "'week'"),
        (["policy", "explain", str(DEFAULT), "--prompt", "x", "--header", "bad"], "NAME=VALUE"),
        (["policy", "explain", str(DEFAULT), "--prompt", "x", "--draw", "7"], "[0, 1)"),
    ],
)
def test_wrong_usage_exits_2_and_names_what_is_wrong(tmp_path: Path, args: list[str], said: str) -> None:
    done = run(*args, data_dir=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["serve"],
        ["policy"],
        ["policy", "check"],
        ["policy", "explain"],
        ["policy", "test"],
        ["policy", "schema"],
        ["spend"],
        ["prices"],
        ["prices", "refresh"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_every_command_has_help_with_an_example(tmp_path: Path, command: list[str]) -> None:
    shown = run(*command, "--help", data_dir=tmp_path)
    assert shown.returncode == 0
    assert "example: turnout" in shown.stdout


def test_the_doctor_says_what_is_missing_and_what_to_do(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("""
version: 1
providers:
  away: {kind: openai, base_url: "http://127.0.0.1:9/v1"}
  keyed: {kind: anthropic, api_key: "${ANTHROPIC_API_KEY}"}
models:
  a: {provider: away, id: a, price: unknown}
  b: {provider: keyed, id: claude-sonnet-4-5}
routes: [{name: all, model: a, fallback: [b]}]
""")
    shown = run("doctor", "--policy", str(policy), "--json", data_dir=tmp_path)
    findings = {(f["thing"], f["level"]): f for f in json.loads(shown.stdout)}
    assert shown.returncode == 1  # a provider does not answer
    assert "127.0.0.1:9 does not answer" in findings["reach", "broken"]["what"]
    assert "ANTHROPIC_API_KEY is not set" in findings["model", "missing"]["what"]
    assert "export ANTHROPIC_API_KEY" in findings["model", "missing"]["remedy"]
    assert "unknown for a" in findings["prices", "missing"]["what"]
    assert {("policy", "ok"), ("ledger", "ok")} <= set(findings)


def test_the_doctor_is_content_with_the_default_set_up(tmp_path: Path) -> None:
    shown = run("doctor", data_dir=tmp_path)
    assert shown.returncode == 0
    assert "broken" not in shown.stdout
    assert "OPENAI_API_KEY is not set" in shown.stdout


def test_the_doctor_says_each_thing_once(tmp_path: Path) -> None:
    """Not as a line of the gateway's log besides, and not with a second remedy that leads elsewhere."""
    policy = tmp_path / "p.yaml"
    policy.write_text(one_model() + "budgets: [{per: team, usd: 1/day}]\n")
    away = run("doctor", "--policy", str(policy), data_dir=tmp_path, TURNOUT_REDIS_URL=f"redis://127.0.0.1:{free_port()}")
    assert away.stderr == ""
    assert "missing budgets    the budgets' store at redis://127.0.0.1:" in away.stdout
    (tmp_path / "prices.json").write_text("{")
    broken = run("doctor", "--policy", str(policy), data_dir=tmp_path)
    assert broken.returncode == 1
    assert broken.stdout.splitlines()[-1].endswith("or remove it to go back to the shipped one"), "no word of the policy's file"
