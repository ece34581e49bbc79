"""Policies with limits, and a way to change one while it is in force."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx

from tests.live_gateway import LiveGateway


def limited(*rules: str, script: Sequence[str] = ("ok",), route: str = "", pace: float | None = None, words: int = 6) -> str:
    """Two models, the second the fallback of the first; rules: of `limits`, flow style. pace: tokens per second of the first."""
    steps = ", ".join(f'"{step}"' for step in script)
    speed = "" if pace is None else f", tokens_per_second: {pace}"
    lines = "\n".join(f"  - {rule}" for rule in rules)
    return f"""
version: 1
providers:
  one: {{kind: fake, words: {words}, script: [{steps}]{speed}}}
  two: {{kind: fake, words: 6}}
models:
  first: {{provider: one, id: first-1, price: {{input: 1.00, output: 2.00}}}}
  second: {{provider: two, id: second-1, price: {{input: 10.00, output: 20.00}}}}
baseline: second
defaults:
  timeouts: {{connect: 1s, first_token: 2s, idle: 2s, total: 10s}}
  retry: {{attempts: 1}}
routes:
  - {{name: all, model: first, fallback: [second]{", " + route if route else ""}}}
limits: {(chr(10) + lines) if rules else "[]"}
"""


def write(gateway: LiveGateway, policy: str, answer: httpx.Response, within_s: float = 10.0) -> None:
    """Change the policy, and return once it is in force. answer: one of the policy before."""
    gateway.policy_path.write_text(policy)
    until = time.monotonic() + within_s
    while gateway.http.get("/health/ready").json()["policy"] == answer.headers["x-turnout-policy"]:
        assert time.monotonic() < until, "the changed policy is not taken"
        time.sleep(0.05)
