"""What the README and docs/ tell a user to type works, and what they list is what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.cli.main import parser
from gateway.loading import load_router
from gateway.policy import (
    conditions,
    grammar,
    schema,
    schema_budgets,
    schema_cache,
    schema_limits,
    schema_models,
    schema_responses,
    schema_routes,
)
from tests.live_gateway import LiveGateway
from tests.scenario.policies import one_model

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
HTTP = (ROOT / "docs/http.md").read_text()
POLICY = "".join((ROOT / f"docs/{page}.md").read_text() for page in ("policy", "cache", "limits", "budgets"))


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[list[str]]:
    """Every turnout command in a code block or between backticks that is complete enough to run."""
    for page in PAGES:
        for block in blocks(page.read_text(), "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith(".venv/bin/turnout "):
                    yield shlex.split(line)[1:]


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_turnout_command_in_the_docs_is_understood(command: list[str]) -> None:
    assert parser().parse_args(command).run


@pytest.mark.parametrize("command", [c for c in commands() if c[0] == "policy"], ids=" ".join)
def test_every_policy_command_in_the_docs_succeeds(command: list[str]) -> None:
    assert parser().parse_args(command).run(parser().parse_args(command)) == 0


def test_the_curl_line_of_the_readme_gets_an_answer(tmp_path: Path) -> None:
    (line,) = [b for b in blocks(README, "sh") if b.startswith("curl ")]
    with LiveGateway(tmp_path, one_model()) as gateway:
        words = shlex.split(line.replace("http://127.0.0.1:8080", gateway.url).replace("\\\n", " "))
        done = subprocess.run([*words, "--silent", "--fail"], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert '"chat.completion"' in done.stdout


def test_the_python_of_the_readme_prints_an_answer(tmp_path: Path) -> None:
    (code,) = blocks(README, "python")
    with LiveGateway(tmp_path, one_model()) as gateway:
        code = code.replace("http://127.0.0.1:8080", gateway.url)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "This is a rehearsed answer from", done.stderr


def test_the_policy_of_the_readme_compiles_and_passes_its_tests(tmp_path: Path) -> None:
    (text,) = blocks(README, "yaml")
    file = tmp_path / "policy.yaml"
    file.write_text(text)
    assert [r.name for r in load_router(file).policy.routes] == ["private", "easy", "escalate"]
    args = parser().parse_args(["policy", "test", str(file)])
    assert args.run(args) == 0


def test_make_has_every_target_that_the_docs_name() -> None:
    named = {
        name
        for page in PAGES
        for name in re.findall(r"\bmake ([a-z]+)\b", page.read_text())
        if f"`make {name}`" in page.read_text()
    }
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets
    assert {"setup", "run", "test", "check", "bench", "demo"} <= targets


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def sources() -> str:
    return "\n".join(p.read_text() for p in (ROOT / "gateway").rglob("*.py"))


def test_the_docs_list_the_variables_that_there_are() -> None:
    used = set(re.findall(r'"(TURNOUT_[A-Z_]+)"', (ROOT / "gateway/settings.py").read_text()))
    assert set(re.findall(r"`(TURNOUT_[A-Z_]+)`", README)) == used


def test_the_docs_list_the_headers_that_there_are() -> None:
    used = set(re.findall(r"\"(x-turnout-[a-z-]+)\"", sources()))
    assert set(re.findall(r"x-turnout-[a-z]+(?:-[a-z]+)*", HTTP)) == used


def test_the_docs_list_the_headers_of_limits_that_there_are() -> None:
    used = set(re.findall(r"x-ratelimit-[a-z]+-", sources()))
    assert set(re.findall(r"x-ratelimit-[a-z]+-", HTTP)) == used


def test_the_docs_list_the_error_codes_that_there_are() -> None:
    used = set(re.findall(r"code=\"([a-z_]+)\"", sources())) | {"all_targets_failed", "deadline_exceeded"}
    documented = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", HTTP))
    ours = {code for code in used if not code.startswith(("unsupported", "upstream"))}
    assert ours - documented - {"invalid_request"} == set()


@pytest.mark.parametrize("name", [*conditions.LEAVES, "tag.NAME", "any", "all", "not"])
def test_the_docs_explain_every_condition(name: str) -> None:
    assert f"`{name}" in POLICY


@pytest.mark.parametrize(
    "kind",
    [
        schema.PolicyFile,
        schema_models.ModelSpec,
        schema.ClassifierSpec,
        schema_routes.RouteSpec,
        schema_cache.CacheSpec,
        schema_cache.CacheSetup,
        schema_limits.LimitSpec,
        schema_responses.ResponsesSpec,
        schema_budgets.BudgetSpec,
        schema_budgets.AlertsSpec,
        schema_routes.TimeoutsSpec,
        schema_routes.RetrySpec,
        schema_routes.RungSpec,
        schema_routes.AcceptSpec,
        schema_routes.AgreementSpec,
        schema_models.FakeProvider,
        schema_models.LocalProvider,
        schema_models.OpenAIProvider,
        schema_models.LiteLLMProvider,
        schema.TestSpec,
    ],
)
def test_the_docs_name_every_key(kind: type[grammar.Strict]) -> None:
    words = set(re.findall(r"[a-z_]+", POLICY))
    assert {f.alias or name for name, f in kind.model_fields.items()} - {"version", "kind"} <= words
