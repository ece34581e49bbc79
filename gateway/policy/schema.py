"""The grammar of a policy file, as types. The JSON Schema that editors use is generated from them.

A key that the format knows but this version cannot do is in LATER and is refused by name, never ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from gateway.policy.conditions import condition_schema
from gateway.policy.grammar import Name, Share, Strict
from gateway.policy.schema_budgets import AlertsSpec, BudgetSpec
from gateway.policy.schema_cache import CacheSetup
from gateway.policy.schema_limits import LimitSpec
from gateway.policy.schema_models import ModelSpec, ProviderSpec
from gateway.policy.schema_responses import ResponsesSpec
from gateway.policy.schema_routes import DefaultsSpec, RouteSpec

LATER: dict[str, frozenset[str]] = {
    "policy": frozenset({"quality", "capture"}),
    "route": frozenset({"output", "compress"}),
}
"""Known keys of the format that are not built yet, by the place they stand in."""


class ClassifierSpec(Strict):
    """Which classifier scores requests, and what it is allowed."""

    artifact: Annotated[str, Field(min_length=1)] = "default"
    abstain_below: Share = 0.55
    max_ms: Annotated[float, Field(gt=0)] = 50.0
    on_error: Literal["unsure", "skip", "small", "strong"] = "unsure"
    strong_above: Annotated[
        float | None,
        Field(ge=0, le=1, description="score.strong from which the class is `strong`; `turnout calibrate` finds it"),
    ] = None
    intents: Annotated[str | None, Field(min_length=1, description="an intent artifact, for the condition `intent`")] = None
    intent_above: Share = 0.9


class Expectation(Strict):
    """What a test demands of the decision; each given key must hold."""

    route: Name | None = None
    class_: Annotated[Literal["skip", "small", "strong", "unsure"] | None, Field(alias="class")] = None
    model: Name | None = None
    cache: Literal["bypass", "off", "exact", "semantic"] | None = None


class TestSpec(Strict):
    """One prompt and where it must go; run by `turnout policy test`."""

    __test__ = False  # not pytest's

    prompt: str
    model: str = "auto"
    tags: dict[str, str] = {}
    has_tools: bool = False
    has_images: bool = False
    expect: Expectation


class PolicyFile(Strict):
    """A Turnout policy."""

    version: Literal[1]
    providers: Annotated[dict[Name, ProviderSpec], Field(min_length=1)]
    models: Annotated[dict[Name, ModelSpec], Field(min_length=1)]
    baseline: Name | None = None
    classifier: ClassifierSpec | None = None
    cache: CacheSetup = CacheSetup()
    responses: ResponsesSpec = ResponsesSpec()
    defaults: DefaultsSpec = DefaultsSpec()
    routes: Annotated[list[RouteSpec], Field(min_length=1)]
    limits: list[LimitSpec] = []
    budgets: list[BudgetSpec] = []
    alerts: AlertsSpec | None = None
    tests: list[TestSpec] = []


class FaqEntry(Strict):
    """One answer and the ways people ask for it."""

    id: Name
    questions: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    answer: Annotated[str, Field(min_length=1)]


class FaqFile(Strict):
    """Answers that need no LLM, for a route's `answer: {faq: FILE}`."""

    entries: Annotated[list[FaqEntry], Field(min_length=1)]


def policy_json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a policy file."""
    schema = PolicyFile.model_json_schema(by_alias=True)
    for section in ("providers", "models"):
        schema["properties"][section]["additionalProperties"] = False  # a key that is not a Name
    schema["$defs"]["When"] = condition_schema()
    schema["$defs"]["RouteSpec"]["properties"]["when"] = {"anyOf": [{"$ref": "#/$defs/When"}, {"type": "null"}], "default": None}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
