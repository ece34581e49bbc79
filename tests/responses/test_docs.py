"""The examples of docs/responses.md: the code prints an answer, and the policy means what the page says is the default."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from gateway.policy.responses import UNSAID, ResponsesRule
from tests.live_gateway import LiveGateway
from tests.policy.sample import SAMPLE, compiled
from tests.scenario.policies import one_model

PAGE = (Path(__file__).parents[2] / "docs/responses.md").read_text()


def test_the_python_prints_an_answer(tmp_path: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with LiveGateway(tmp_path, one_model()) as gateway:
        code = code.replace("http://127.0.0.1:8080", gateway.url)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "This is a rehearsed answer from\n", done.stderr


def test_the_policy_says_what_holds_without_it() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert compiled(SAMPLE + text).responses == ResponsesRule("memory", UNSAID.ttl_s, UNSAID.bytes_max)
