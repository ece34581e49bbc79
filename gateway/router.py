"""From a request to a decision: facts, engine and the answers that need no LLM. Sends nothing anywhere.

The pipeline, the dry run, `policy explain` and `policy test` all decide here, so they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.cache.semantic import Verifier
from gateway.conversation import Turn, last_turn
from gateway.policy.affinity import PINNED, Pinned
from gateway.policy.catalog import Model
from gateway.policy.compile import Policy
from gateway.policy.engine import FORCED, decide
from gateway.policy.explain import explain
from gateway.policy.model import Answer, Candidate, Decision, Denial, Facts, Plan
from gateway.policy.permit import ANYTHING, Permit
from gateway.policy.select import QUALITY
from gateway.prompt import Prompt
from gateway.request import ChatRequest
from gateway.signals import gather

if TYPE_CHECKING:  # a policy without a classifier needs none of it
    from classifiers.artifact import Artifact
    from classifiers.text.embed import StaticEmbedder
    from gateway.answers.faq import Faq
    from gateway.judging.judge import Judge

NONE_PASSED: Final[frozenset[str]] = frozenset()
TOLD_APART: Final = (QUALITY, f"{PINNED}.")  # facts that have a place of their own in the story


class Routed(msgspec.Struct, frozen=True):
    """A decision and all it was made from. text, faq_entry: set when the decision is an Answer.

    turn, prompt: None under a policy that does not look at what is said.
    """

    decision: Decision
    facts: Facts
    turn: Turn | None
    prompt: Prompt | None
    draw: float
    passed: frozenset[str]
    text: str | None = None
    faq_entry: str | None = None

    @property
    def qualities(self) -> dict[str, float]:
        """The predicted quality of this request's answer, by model."""
        values = self.facts.values
        return {k.removeprefix(QUALITY): float(v) for k, v in values.items() if k.startswith(QUALITY)}

    @property
    def is_judged(self) -> bool:
        """Whether a classifier had a look at the turn."""
        return not {"class", "class_reason", "intent"}.isdisjoint(self.facts.values) or bool(self.qualities)


@dataclass(frozen=True)
class Router:
    """One policy with what it decides by.

    embedder: there if a classifier, a FAQ or the cache needs it. verifier: if some route looks for similar questions.
    """

    policy: Policy
    classifier: Artifact | None
    judge: Judge | None
    embedder: StaticEmbedder | None
    faqs: Mapping[str, Faq]
    verifier: Verifier | None = None

    async def route(
        self,
        request: ChatRequest,
        candidates: Mapping[str, Candidate],
        draw: float,
        pinned: Pinned | None = None,
        permit: Permit = ANYTHING,
    ) -> Routed:
        """Decide, passing over FAQs that have nothing to say.

        pinned: the model that the conversation is with. permit: what the caller may use.
        """
        turn = prompt = None
        if self.judge is not None or self.faqs:
            turn = last_turn(request.head.messages)
            prompt = Prompt(turn.last, self.embedder)
        facts = await gather(request, self.policy, turn, self.judge, pinned)
        return self._routed(facts, turn, prompt, candidates, draw, permit)

    def reroute(self, routed: Routed, route: str, candidates: Mapping[str, Candidate], permit: Permit = ANYTHING) -> Routed:
        """The same request decided again, as if it had asked for this route."""
        facts = msgspec.structs.replace(routed.facts, values={**routed.facts.values, FORCED: route})
        return self._routed(facts, routed.turn, routed.prompt, candidates, routed.draw, permit)

    def _routed(
        self,
        facts: Facts,
        turn: Turn | None,
        prompt: Prompt | None,
        candidates: Mapping[str, Candidate],
        draw: float,
        permit: Permit,
    ) -> Routed:
        passed = NONE_PASSED
        while True:
            decision = decide(self.policy, facts, candidates, draw, passed, permit)
            if not isinstance(decision, Answer):
                return Routed(decision, facts, turn, prompt, draw, passed)
            if decision.rule.static is not None:
                return Routed(decision, facts, turn, prompt, draw, passed, text=decision.rule.static)
            assert prompt is not None, "there is a FAQ"
            found = self.faqs[str(decision.rule.faq)].answer(prompt, decision.rule.min_similarity)
            if found is not None:
                return Routed(decision, facts, turn, prompt, draw, passed, text=found.text, faq_entry=found.entry)
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
            "scores": dict(routed.facts.scores),
            "class_why": facts.missing.get("class"),
            "judged": routed.turn.basis if routed.turn is not None and routed.is_judged else None,
            "intent": facts.values.get("intent"),
            "qualities": routed.qualities,
            "pinned": facts.values.get(PINNED),
            "facts": {k: v for k, v in facts.values.items() if not k.startswith(TOLD_APART)},
            "missing": dict(facts.missing),
            "uses": sorted(facts.uses),
        }
        if isinstance(decision, Plan):
            targets = [self.policy.models[name] for name in decision.targets]
            story |= {
                "model": targets[0].name if targets else None,
                "provider": targets[0].provider if targets else None,
                "targets": [_told(m, decision) for m in targets],
                "left_out": [{"model": name, "why": why} for name, why in decision.left_out],
                "choice": decision.choice,
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


def _told(model: Model, plan: Plan) -> dict[str, str]:
    """A target for people: who it is and, in a cascade, when its answer stands."""
    rule = plan.accept.get(model.name)
    told = {"model": model.name, "provider": model.provider, "id": model.id}
    return told if rule is None else {**told, "accept": str(rule)}
