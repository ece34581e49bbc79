"""Policies to test with, and short ways to compile one or to see what is wrong with it."""

from collections.abc import Mapping

from gateway.policy.catalog import PriceFrom, Provider, TokenPrice
from gateway.policy.compile import Policy, compile_policy
from gateway.policy.errors import PolicyError
from gateway.policy.model import Candidate

FAQ = """entries:
  - id: greeting
    questions: ["hi"]
    answer: "Hello!"
"""
HEAD = """version: 1
providers:
  near: {kind: fake}
  far: {kind: openai, base_url: "https://api.example.com/v1", api_key: "sk-1"}
models:
  small: {provider: near, id: tiny, price: unknown, context: 1000}
  strong: {provider: far, id: gpt, price: {input: 3, output: 15}}
  backup: {provider: far, id: other, price: {input: 1, cached_input: 0.5, output: 2}}
classifier: {}
"""
ROUTES = """routes:
  - {name: talk, when: {class: skip, model: [auto, "gpt-*"]}, answer: {faq: faq.yaml}}
  - {name: private, when: {any: [{pii: true}, {tag.data: confidential}]}, model: small}
  - {name: tools, when: {has_tools: true}, model: strong, fallback: [backup]}
  - {name: fixed, when: {tag.app: kiosk}, answer: {static: "Please ask at the desk."}}
  - {name: easy, when: {class: small, confidence: ">=0.8"}, model: small, fallback: [strong, small]}
  - {name: rest, split: [{model: strong, weight: 90}, {model: backup, weight: 10}], fallback: [backup, small]}
"""
SAMPLE = HEAD + ROUTES
PRICE = TokenPrice(input=2_000_000, output=8_000_000, cached_input=500_000, cache_write=2_000_000, source="map")


def compiled(
    text: str,
    env: Mapping[str, str] | None = None,
    prices: Mapping[str, TokenPrice] | None = None,
    files: Mapping[str, str] | None = None,
) -> Policy:
    """The policy in `text`. prices: of the map, by model id."""
    listed = prices or {}
    there = {"faq.yaml": FAQ} if files is None else files

    def read_file(name: str) -> str:
        if name not in there:
            raise FileNotFoundError(2, "No such file or directory")
        return there[name]

    def price_of(_: Provider, model_id: str) -> tuple[PriceFrom, ...] | None:
        return (PriceFrom(0.0, listed[model_id]),) if model_id in listed else None

    return compile_policy("p.yaml", text, env=env or {}, price_of=price_of, read_file=read_file)


def problems(
    text: str,
    env: Mapping[str, str] | None = None,
    prices: Mapping[str, TokenPrice] | None = None,
    files: Mapping[str, str] | None = None,
) -> list[str]:
    """Everything wrong with the policy in `text`, as FILE:LINE: message."""
    try:
        compiled(text, env, prices, files)
    except PolicyError as exc:
        return str(exc).splitlines()
    return []


def only_problem(text: str) -> str:
    """What is wrong with `text`, which must be one thing."""
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


def line_of(text: str, part: str) -> int:
    """The line, from 1, in which `part` stands; it must stand in one only."""
    lines = [n for n, line in enumerate(text.splitlines(), 1) if part in line]
    assert len(lines) == 1, (part, lines)
    return lines[0]


def candidates(policy: Policy, unavailable: Mapping[str, str] | None = None) -> dict[str, Candidate]:
    """Every model of the policy. unavailable: model name to the reason."""
    why = unavailable or {}
    return {m.name: Candidate(m.name, m.provider, m.context_tokens, why.get(m.name)) for m in policy.models.values()}
