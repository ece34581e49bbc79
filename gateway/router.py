"""From a request to a decision: facts, engine and the answers that need no LLM. Sends nothing anywhere.

The pipeline, the dry run, `policy explain` and `policy test` all decide here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from classifiers.artifact import Artifact
from classifiers.embed import StaticEmbedder
from gateway.answers.faq import Faq
from gateway.policy.compile import Policy
from gateway.policy.engine import decide
from gateway.policy.explain import explain
from gateway.policy.model import Answer, Candidate, Decision, Denial, Facts, Plan
from gateway.prompt import Prompt
from gateway.request import ChatRequest
from gateway.signals import gather


@dataclass(frozen=True, slots=True)
class Routed:
    """A decision and all it was made from. text, faq_entry: set when the decision is an Answer."""

    decision: Decision
    facts: Facts
    prompt: Prompt
    draw: float
    passed: frozenset[str]
    text: str | None = None
    faq_entry: str | None = None

    @property
    def scores(self) -> dict[str, float]:
        """The classifier's probabilities, by class."""
        return {k[6:]: float(v) for k, v in self.facts.values.items() if k.startswith("score.")}


@dataclass(frozen=True)
class Router:
    """One policy with what it decides by. embedder: there if the classifier, a FAQ or the cache needs it."""

    policy: Policy
    classifier: Artifact | None
    embedder: StaticEmbedder | None
    faqs: Mapping[str, Faq]

    async def route(self, request: ChatRequest, candidates: Mapping[str, Candidate], draw: float) -> Routed:
        """Decide, passing over FAQs that have nothing to say."""
        prompt = Prompt(request.last_user_text, self.embedder)
        facts = await gather(request, self.policy, prompt, self.classifier)
        passed: frozenset[str] = frozenset()
        while True:
            decision = decide(self.policy, facts, candidates, draw, passed)
            if not isinstance(decision, Answer):
                return Routed(decision, facts, prompt, draw, passed)
            if decision.rule.static is not None:
                return Routed(decision, facts, prompt, draw, passed, text=decision.rule.static)
            found = self.faqs[str(decision.rule.faq)].answer(prompt, decision.rule.min_similarity)
            if found is not None:
                return Routed(decision, facts, prompt, draw, passed, text=found.text, faq_entry=found.entry)
            passed |= {decision.route}

    def story(self, routed: Routed) -> dict[str, Any]:
        """The decision as JSON, every route tried with its reason: what the dry run and `policy explain` show."""
        decision, facts = routed.decision, routed.facts
        story: dict[str, Any] = {
            "decision": "plan" if isinstance(decision, Plan) else "answer" if isinstance(decision, Answer) else "denial",
            "route": None if isinstance(decision, Denial) else decision.route,
            "decided_by": None if isinstance(decision, Denial) else decision.decided_by,
            "requested_model": facts.values["model"],
            "class": facts.values.get("class"),
            "confidence": facts.values.get("confidence"),
            "scores": routed.scores,
            "facts": {k: v for k, v in facts.values.items() if not k.startswith("score.")},
            "missing": dict(facts.missing),
        }
        if isinstance(decision, Plan):
            targets = [self.policy.models[name] for name in decision.targets]
            story |= {
                "model": targets[0].name if targets else None,
                "provider": targets[0].provider if targets else None,
                "targets": [{"model": m.name, "provider": m.provider, "id": m.id} for m in targets],
                "left_out": [{"model": name, "why": why} for name, why in decision.left_out],
                "cache": decision.cache.mode if decision.cache.mode != "off" else "bypass",
            }
        elif isinstance(decision, Answer):
            story |= {"answer": routed.text, "faq_entry": routed.faq_entry, "cache": "bypass"}
        else:
            story |= {"error": {"code": decision.code, "message": decision.message}}
        story["routes"] = [
            {"route": t.route, "matched": t.matched, "why": t.why} for t in explain(self.policy, facts, routed.passed)
        ]
        story |= {"policy": self.policy.hash, "draw": routed.draw}
        return story
