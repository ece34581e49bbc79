"""Run an SDK's own test suite through the gateway: `python -m tools.sdk_suites openai --sdk REPOSITORY …`.

The suites of OpenAI's and Anthropic's Python SDKs talk to a mock that is made from the API's description: Steady (npm
`@stdy/cli`) checks each request against it and makes up an answer that keeps to it. Run with the gateway between the two, they
tell whether requests arrive as they were sent and answers come back as they were given. What passes at the mock alone must pass
through the gateway, but for what a suite has an explanation for. Exits with 1 where it does not, or where one is out of date.

REPOSITORY is a checkout of the SDK, PYTHON an interpreter with that SDK and what its tests need.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.clients.processes import running_gateway

START_S = 60.0
SUITE_S = 1200.0
ARRAYS = "--validator-{}-array-format=brackets", "--validator-{}-object-format=brackets"

Results = Mapping[str, bool]
"""Test → whether it passed. A test's name is its file under tests/api_resources, its class and its function with parameters."""


@dataclass(frozen=True)
class Suite:
    """files: under tests/api_resources. models: what must be in the policy; any other name is routed to the first.

    base: what the SDK's base URL ends with. explained: by a pattern of test names, why they do not pass through the gateway.
    """

    files: Sequence[str]
    provider: str
    models: Sequence[str]
    base: str
    explained: Mapping[str, str]
    spec: str | None = None  # of the API, in the SDK's repository

    def policy(self, mock: str) -> str:
        """Of a gateway in front of the mock, which is at that address. A model that fails is asked again by the next test."""
        provider = f'{{{self.provider}, base_url: "{mock}", api_key: upstream-key, breaker: {{failures: 1000, min_calls: 1000}}}}'
        models = "\n".join(f"  {name}: {{provider: mock, id: {name}, price: {{input: 1, output: 2}}}}" for name in self.models)
        timeouts = "{connect: 5s, first_token: 20s, idle: 20s, total: 30s}"
        return f"""version: 1
providers:
  mock: {provider}
models:
{models}
baseline: {self.models[0]}
defaults: {{timeouts: {timeouts}, retry: {{attempts: 1}}}}
routes:
  - {{name: named, when: {{model: "*"}}, model: {self.models[0]}}}
  - {{name: rest, model: {self.models[0]}}}
"""


SUITES = {
    "openai": Suite(
        files=[
            "chat",
            "responses",
            "test_responses.py",
            "test_completions.py",
            "test_embeddings.py",
            "test_models.py",
        ],
        provider="kind: openai, dialects: [chat, responses, completions]",
        models=["gpt-5.4", "gpt-4o-mini", "text-embedding-3-small"],
        base="/v1",
        explained={
            r"^test_models\..*_delete\[": "models are the policy's; a caller cannot delete one",
            r"^test_responses\..*_create_with_all_params_": "`background` is refused: its usage could not be booked",
        },
        spec="api_reference/openapi.transformed.yml",
    ),
    "anthropic": Suite(
        files=["test_messages.py", "test_models.py", "test_completions.py", "beta/test_messages.py", "beta/test_models.py"],
        provider="kind: anthropic",
        models=["claude-opus-4-6", "model_id", "after_id", "before_id"],
        base="",
        explained={
            r"^test_completions\.": "`/v1/complete`, the predecessor of messages, is not served",
        },
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.sdk_suites", description=__doc__.splitlines()[0])
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--sdk", type=Path, required=True, metavar="REPOSITORY", help="a checkout of the SDK")
    parser.add_argument("--python", default=sys.executable, help="an interpreter with the SDK and what its tests need")
    parser.add_argument("--steady", default="steady", help="the mock's command (npm @stdy/cli)")
    parser.add_argument("--spec", type=Path, help="the API's description, where the SDK's repository has none")
    args = parser.parse_args()
    suite = SUITES[args.suite]
    spec = args.spec or (args.sdk / suite.spec if suite.spec else None)
    if spec is None or not spec.exists():
        parser.error(f"no description of the API at {spec}: name one with --spec")
    with tempfile.TemporaryDirectory() as folder, running_mock(args.steady, spec) as mock:
        direct = run(suite, args.sdk, args.python, mock)
        with running_gateway(Path(folder), suite.policy(mock)) as gateway:
            through = run(suite, args.sdk, args.python, f"{gateway}{suite.base}")
    return report(suite, direct, through)


@contextlib.contextmanager
def running_mock(command: str, spec: Path) -> Iterator[str]:
    """Its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arrays = [form.format(place) for place in ("query", "form") for form in ARRAYS]
    command_line = [command, "--host", "127.0.0.1", "-p", str(port), *arrays, str(spec)]
    process = subprocess.Popen(command_line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_S
        while not _is_up(f"http://127.0.0.1:{port}/_x-steady/health"):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command} does not serve {spec}; run it by hand to see why")
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _is_up(url: str) -> bool:
    with contextlib.suppress(urllib.error.URLError, ConnectionError):
        urllib.request.urlopen(url, timeout=2).close()
        return True
    return False


def run(suite: Suite, sdk: Path, python: str, url: str) -> Results:
    """How the suite's tests go against an API at that address."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as file:
        paths = [f"tests/api_resources/{name}" for name in suite.files]
        options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:logging", "--tb=no", f"--junitxml={file.name}"]
        variables = {**os.environ, "TEST_API_BASE_URL": url, "OPENAI_MAX_RETRIES": "0"}
        command = [python, "-m", "pytest", *options, *paths]
        subprocess.run(command, cwd=sdk, env=variables, stdout=subprocess.DEVNULL, timeout=SUITE_S, check=False)
        return read_results(Path(file.name).read_text())


def read_results(report_xml: str) -> Results:
    """From pytest's JUnit report. Tests that were skipped are left out."""
    results = {}
    for case in ElementTree.fromstring(report_xml).iter("testcase"):
        *folders, file, _ = case.attrib["classname"].removeprefix("tests.api_resources.").split(".")
        name = "/".join([*folders, file]) + "." + case.attrib["classname"].rpartition(".")[2] + "." + case.attrib["name"]
        if case.find("skipped") is None:
            results[name] = case.find("failure") is None and case.find("error") is None
    return results


def report(suite: Suite, direct: Results, through: Results) -> int:
    """Prints what passed, and what did not and why. 0 where every failure has its reason, and every reason its failure."""
    sound = [name for name, is_passed in direct.items() if is_passed]
    failed = [name for name in sound if not through.get(name, False)]
    reasons = {name: reason for name in failed for pattern, reason in suite.explained.items() if re.search(pattern, name)}
    lines = [
        f"{len(direct)} tests, {len(sound)} pass at the mock alone, {len(sound) - len(failed)} of these through the gateway",
        *(f"  {count} explained: {reason}" for reason, count in Counter(reasons.values()).most_common()),
        *(f"  FAILED {name}" for name in failed if name not in reasons),
    ]
    idle = [pattern for pattern in suite.explained if not any(re.search(pattern, name) for name in failed)]
    lines += [f"  an explanation that nothing needs: {pattern}" for pattern in idle]
    print("\n".join(lines))
    return 0 if sound and len(reasons) == len(failed) and not idle else 1


if __name__ == "__main__":
    sys.exit(main())
