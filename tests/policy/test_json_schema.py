"""The JSON Schema that editors use: shipped as it is generated, and of one mind with the compiler."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.policy.schema import policy_json_schema
from gateway.policy.source import parse_source
from tests.policy.sample import HEAD, SAMPLE, problems
from tests.policy.test_schema import FULL

POLICIES = Path(__file__).resolve().parents[2] / "policies"
SHIPPED = sorted(p for p in POLICIES.glob("*.yaml") if "routes:" in p.read_text(encoding="utf-8"))
SCHEMA = policy_json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)


def objections(text: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(parse_source("p.yaml", text).data)]


def test_shipped_schema_is_the_generated_one() -> None:
    shipped = (POLICIES / "policy.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == SCHEMA, "generate it anew: turnout policy schema > policies/policy.schema.json"


def test_schema_obeys_its_own_specification() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_every_reference_in_the_schema_resolves() -> None:
    def refs(node: Any) -> Iterator[str]:
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "$ref":
                    yield value
                yield from refs(value)
        elif isinstance(node, list):
            for value in node:
                yield from refs(value)

    assert {ref.removeprefix("#/$defs/") for ref in refs(SCHEMA)} <= set(SCHEMA["$defs"])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_policy_validates(path: Path) -> None:
    assert objections(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_policy_names_the_schema_beside_it(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=./policy.schema.json"


@pytest.mark.parametrize("text", [FULL, SAMPLE], ids=["full", "sample"])
def test_policy_with_every_key_validates(text: str) -> None:
    assert objections(text) == []


REFUSED = [
    ("baseline: a", "basline: a"),
    ("version: 1", "version: 2"),
    ("kind: local", "kind: locl"),
    ("  a:\n", "  a b:\n"),
    ("  own: {", "  own one: {"),
    ("context: 100", "context: 0"),
    ("context: 100", 'context: "100"'),
    ("input: 3,", "input: -3,"),
    ("price: {input: 3, output: 15, cached_input: 0.3, cache_write: 3.75}", "price: free"),
    ("connect: 1s", "connect: 1"),
    ("connect: 1s", "connect: 1w"),
    ("attempts: 3", "attempts: 0"),
    ("scope: key", "scope: world"),
    ("fallback: [b]", "fallback: b"),
    ("    when: {any", "    hedge: {after: p0}\n    when: {any"),
    ("class: skip, confidence", "class: skp, confidence"),
    ('">=0.9"', '">=x"'),
    ("has_tools: false", "has_tools: 0"),
    ("{stream: true}", "{streem: true}"),
    ("{turns: 1}", "{}"),
    ("all: [{stream: true}]", "all: []"),
    ("usd: 0.5/24h", "usd: 0.5"),
    ("usd: 70/week", "usd: 70/fortnight"),
    ("at: 0.9", "at: 1.5"),
    ("then: refuse", "then: refused"),
    ("then: {route: r2}", "then: {route: [r2]}"),
    ('per: "tag:app"', 'per: "tag:"'),
    ("tag.x: [y, z]", "tag.x: []"),
    ("tag.x: [y, z]", "tag.: y"),
    ("prompt: hi, ", ""),
]


@pytest.mark.parametrize(("right", "wrong"), REFUSED)
def test_schema_and_compiler_refuse_the_same(right: str, wrong: str) -> None:
    assert FULL.count(right) == 1
    text = FULL.replace(right, wrong)
    assert objections(text)
    assert problems(text)


@pytest.mark.parametrize("section", ["quality", "capture"])
def test_schema_does_not_offer_what_is_not_built(section: str) -> None:
    assert section not in SCHEMA["properties"]


def test_schema_explains_each_condition() -> None:
    properties = SCHEMA["$defs"]["When"]["properties"]
    assert all(properties[name]["description"] for name in properties if name not in ("any", "all", "not"))


def test_route_without_a_when_may_leave_it_blank() -> None:
    text = HEAD + "routes:\n  - name: r\n    when:\n    model: strong\n"
    assert objections(text) == []
    assert problems(text) == []
