"""The code of docs/clients works as it stands, but for the address: every block of the pages whose libraries are there is run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.clients.processes import PYTHON, ROOT, Upstream

PAGES = ROOT / "docs/clients"
NEEDS = {
    "openai-python.md": ("openai",),
    "anthropic-python.md": ("anthropic",),
    "langchain.md": ("langchain_openai", "langchain_anthropic"),
    "llamaindex.md": ("llama_index",),
    "pydantic-ai.md": ("pydantic_ai",),
    "instructor.md": ("instructor",),
    "litellm.md": ("litellm", "mcp"),
    "llm.md": ("llm",),
    "curl.md": (),
    "claude-code.md": (),
}
UNTRIED = {"README.md", "other-tools.md"}  # the first has no code, the second says so
NODE = {"openai-node.md", "anthropic-node.md", "vercel-ai.md"}  # run by tests/clients/node/documents.test.js
ANSWER = "Heard: Why is the sky blue?"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (PAGES / page).read_text(), re.MULTILINE | re.DOTALL)


def runnable(language: str) -> list[tuple[str, str]]:
    """(page, code) of every block that can be run here."""
    there = [page for page, modules in NEEDS.items() if all(find_spec(module) for module in modules)]
    return [(page, code) for page in there for code in blocks(page, language)]


def output(command: list[str], **environment: str) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment}
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=55, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wanted(code: str) -> str:
    """What it prints: an answer, the length of a vector, or a field of what was read out of the prompt."""
    if "embed" in code:
        return "4"
    return "Lyon" if "Place" in code else ANSWER


def test_every_page_is_tried() -> None:
    assert {page.name for page in PAGES.glob("*.md")} == set(NEEDS) | UNTRIED | NODE


@pytest.mark.parametrize(("page", "code"), runnable("python"), ids=lambda value: value if value.endswith(".md") else "")
def test_the_python_of_a_page_prints_an_answer(gateway: str, upstream: Upstream, page: str, code: str) -> None:
    assert "http://127.0.0.1:8080" in code
    assert output([sys.executable, "-c", code.replace("http://127.0.0.1:8080", gateway)]) == wanted(code)
    assert len(upstream.recorded()) >= 1


@pytest.mark.parametrize("code", blocks("curl.md", "sh"), ids=lambda code: code.split()[1].rsplit("/", 1)[-1])
def test_every_curl_line_gets_an_answer(gateway: str, upstream: Upstream, code: str) -> None:
    assert ANSWER in output(["sh", "-c", code.replace("http://127.0.0.1:8080", gateway).replace("curl", "curl -sS --fail", 1)])
    assert len(upstream.recorded()) == 1


@pytest.mark.skipif(find_spec("llm") is None, reason="needs llm, as `make test-clients` has it")
def test_the_lines_for_llm_get_an_answer(gateway: str, upstream: Upstream, tmp_path: Path) -> None:
    ((yaml,), (lines,)) = blocks("llm.md", "yaml"), blocks("llm.md", "sh")
    (tmp_path / "extra-openai-models.yaml").write_text(yaml.replace("http://127.0.0.1:8080", gateway))
    assert output(["sh", "-ec", lines], LLM_USER_PATH=str(tmp_path)) == ANSWER
    assert upstream.last()["path"] == "/v1/chat/completions"


@pytest.mark.parametrize("page", ["openai-python.md", "anthropic-python.md"])
def test_the_environment_is_enough(gateway: str, upstream: Upstream, page: str) -> None:
    (exports,) = blocks(page, "sh")
    code = re.sub(r"^    (base_url|api_key)=.*\n", "", blocks(page, "python")[0], flags=re.MULTILINE)
    script = exports.replace("http://127.0.0.1:8080", gateway) + f'exec "{sys.executable}" -c "$CODE"'
    assert output(["sh", "-ec", script], CODE=code) == ANSWER
    assert len(upstream.recorded()) == 1


def test_the_policy_for_claude_code_is_one(tmp_path: Path) -> None:
    (policy,) = blocks("claude-code.md", "yaml")
    (tmp_path / "policy.yaml").write_text(policy)
    output([PYTHON, "-m", "gateway.cli.main", "policy", "check", str(tmp_path / "policy.yaml")])
    explained = [PYTHON, "-m", "gateway.cli.main", "policy", "explain", str(tmp_path / "policy.yaml"), "--prompt", "hi"]
    assert "small-tasks" in output([*explained, "--model", "claude-haiku-4-5-20251001"])
