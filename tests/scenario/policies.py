"""Policies for scenarios: fake providers whose calls go as the script says."""

from __future__ import annotations

from collections.abc import Sequence


def two_models(first: Sequence[str], second: Sequence[str] = ("ok",), route: str = "", defaults: str = "") -> str:
    """A route that asks `first` and falls back to `second`; route: more of its YAML, flow style."""
    return f"""
version: 1
providers:
  one: {{kind: fake, words: 6, script: [{_steps(first)}]}}
  two: {{kind: fake, words: 6, script: [{_steps(second)}]}}
models:
  first: {{provider: one, id: first-1, price: {{input: 1.00, output: 2.00}}}}
  second: {{provider: two, id: second-1, price: {{input: 10.00, output: 20.00}}}}
baseline: second
defaults:
  timeouts: {{connect: 1s, first_token: 300ms, idle: 300ms, total: 3s}}
  retry: {{attempts: 1}}
{defaults}
routes:
  - {{name: all, model: first, fallback: [second]{", " + route if route else ""}}}
"""


def one_model(script: Sequence[str] = ("ok",), route: str = "", words: int = 6) -> str:
    """A route with one model and nothing to fall back to."""
    return f"""
version: 1
providers:
  one: {{kind: fake, words: {words}, script: [{_steps(script)}]}}
models:
  first: {{provider: one, id: first-1, price: {{input: 1.00, output: 2.00}}}}
baseline: first
defaults:
  timeouts: {{connect: 1s, first_token: 300ms, idle: 300ms, total: 600ms}}
  retry: {{attempts: 1}}
routes:
  - {{name: all, model: first{", " + route if route else ""}}}
"""


def _steps(script: Sequence[str]) -> str:
    return ", ".join(f'"{step}"' for step in script)
