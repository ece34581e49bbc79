"""What a start imports: the time and the memory of a start, held by names and not by a clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from gateway.cli.main import COMMANDS

ROOT: Final = Path(__file__).resolve().parents[1]
POLICIES: Final = ROOT / "benchmarks/policies"

# Never before somebody asks for what they do.
SELDOM: Final = frozenset(
    "litellm redis psycopg sklearn scipy pandas torch onnxruntime xllamacpp tiktoken pyarrow openai anthropic httpx aiohttp "
    "jsonschema fastapi starlette prometheus_client".split()
)
# Only where a policy decides by what is said.
LEARNED: Final = frozenset("numpy tokenizers wordllama classifiers.artifact classifiers.text.embed gateway.learned".split())

SERVES: Final = """
import asyncio, json, sys
from gateway.cli import serve  # what the command imports
from gateway.app import build_app
from gateway.settings import load_settings

async def served() -> None:
    async with build_app(load_settings(policy=sys.argv[1])).lifespan():
        print(json.dumps(sorted(sys.modules)))

asyncio.run(served())
"""


def python(tmp_path: Path, *args: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("TURNOUT_")}
    env |= {"TURNOUT_DATA_DIR": str(tmp_path), "UPSTREAM": "http://127.0.0.1:9/v1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *args], capture_output=True, text=True, env=env, cwd=ROOT, check=True, timeout=50)
    return done.stdout


def modules_of_command(tmp_path: Path, *words: str) -> set[str]:
    """What is imported when the command line has been read."""
    code = (
        "import json, sys\nfrom gateway.cli.main import parser\n"
        "try: parser().parse_args(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    found: list[str] = json.loads(python(tmp_path, "-c", code, *words).splitlines()[-1])
    return set(found)


def served_by(tmp_path: Path, policy: str) -> set[str]:
    found: Any = json.loads(python(tmp_path, "-c", SERVES, str(POLICIES / policy)).splitlines()[-1])
    return set(found)


def test_help_imports_no_command(tmp_path: Path) -> None:
    loaded = modules_of_command(tmp_path, "--help")
    assert not {f"gateway.cli.{name}" for name in COMMANDS} & loaded
    assert not (SELDOM | LEARNED | {"pydantic", "asyncio", "uvicorn", "yaml"}) & loaded


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_itself_alone(name: str, tmp_path: Path) -> None:
    loaded = modules_of_command(tmp_path, name, "--help")
    assert {other for other in COMMANDS if f"gateway.cli.{other}" in loaded} == {name}
    assert not SELDOM & loaded


def test_a_gateway_that_passes_through_starts_without_what_it_does_not_use(tmp_path: Path) -> None:
    assert not (SELDOM | LEARNED) & served_by(tmp_path, "pass-through.yaml")


def test_a_gateway_that_decides_starts_with_what_it_was_taught_and_no_more(tmp_path: Path) -> None:
    loaded = served_by(tmp_path, "default.yaml")
    assert {"gateway.learned", "numpy"} <= loaded
    assert not SELDOM & loaded
