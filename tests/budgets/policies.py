"""Policies with budgets, for a gateway with a dear model, a cheap one and one whose machine is paid anyway."""

from __future__ import annotations

# A prompt of 4 characters, one token in; six words out: 1 × $1 + 6 × $1 a thousand tokens.
DEAR_IN_NUSD = 1_000_000
DEAR_OUT_NUSD = 1_000_000


def budgeted(*rules: str, alerts: str = "", routes: str = "", words: int = 6, more: str = "", pace: float | None = None) -> str:
    """rules: of `budgets`, flow style. routes: before the last one, which asks `dear`. `easy` is a route for `cheap`."""
    lines = "\n".join(f"  - {rule}" for rule in rules)
    speed = "" if pace is None else f", tokens_per_second: {pace}"
    return f"""
version: 1
providers:
  one: {{kind: fake, words: {words}{speed}}}
  two: {{kind: fake, words: 6}}
  own: {{kind: fake, words: 6}}
models:
  dear: {{provider: one, id: dear-1, price: {{input: 1000, output: 1000}}}}
  cheap: {{provider: two, id: cheap-1, price: {{input: 1, output: 1}}}}
  ours: {{provider: own, id: ours-1, gpu: {{usd_per_hour: 1, count: 1, tokens_per_second: measured}}}}
baseline: dear
defaults:
  timeouts: {{connect: 1s, first_token: 15s, idle: 15s, total: 60s}}
  retry: {{attempts: 1}}
routes:
{routes}
  - {{name: easy, when: {{tag.easy: "yes"}}, model: cheap}}
  - {{name: all, model: dear, fallback: [ours]}}
{more}
budgets:
{lines}
{alerts}
"""
