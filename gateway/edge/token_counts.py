"""How long a question is for the model that would answer it. Nothing is booked.

A provider that speaks the caller's dialect is asked, Anthropic's or Responses, which is free. So few at a time that counting does
not use up what the provider allows to all callers together, and not while it cools down. For others the gateway counts, as
it does for providers that do not: exact for OpenAI's texts, near for others'; a picture is taken for IMAGE_TOKENS and a document
for DOCUMENT_TOKENS, since their size is not looked at.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from typing import Final

from gateway.errors import ClientError, UpstreamError
from gateway.policy.model import Denial, Plan
from gateway.pricing.tokens import CHARACTERS, TokenCounter, tokens_read
from gateway.providers.token_counting import CountsTokens
from gateway.request import ChatRequest, Native
from gateway.router import Routed
from gateway.runtime import CurrentRuntime, Runtime
from gateway.sessions import Sessions, session_draw
from gateway.target import Target
from gateway.tenant import Tenant

log = logging.getLogger("turnout.edge")

DOCUMENT_TOKENS: Final = 2_000  # of one page of a PDF, which Anthropic puts at 1,500 to 3,000
CONNECT_S: Final = 2.0
COUNT_S: Final = 3.0
COUNTS_MAX: Final = 8  # under way at a provider
# What a provider keeps: without it a question is not whole.
KEPT_ELSEWHERE: Final = frozenset({"previous_response_id", "conversation", "prompt"})


class TokenCounts:
    """sessions: whose model is known already."""

    def __init__(self, current: CurrentRuntime, sessions: Sessions) -> None:
        self._current, self._sessions = current, sessions
        self._under_way: Counter[str] = Counter()  # by provider

    async def count(self, asked: ChatRequest, tenant: Tenant) -> int:
        """The input tokens of the request. Raises ClientError."""
        runtime = self._current.now
        draw = random.random() if asked.session is None else session_draw(asked.session, tenant)
        pinned = self._sessions.pinned(asked, tenant)
        routed = await runtime.router.route(asked, runtime.candidates(), draw, pinned, tenant.permit)
        return await self._counted(asked, _first(routed, runtime, asked))

    async def _counted(self, asked: ChatRequest, target: Target | None) -> int:
        if target is not None and asked.native is not None and _speaks(target, asked):
            counted = await self._asked(asked, asked.native, target)
            if counted is not None:
                return counted
        missing = KEPT_ELSEWHERE.intersection(asked.native.only if asked.native is not None else ())
        if missing:
            name = min(missing)
            message = (
                f"`{name}` stands for something that is not kept here, and no provider counts it; send the whole conversation"
            )
            raise ClientError(message, code="unsupported_parameter", param=name)
        counter: TokenCounter = CHARACTERS
        if target is not None:
            target.tokens.prepare()
            counter = target.tokens
        return tokens_read(asked, counter) + DOCUMENT_TOKENS * _documents(asked)

    async def _asked(self, asked: ChatRequest, native: Native, target: Target) -> int | None:
        """What the provider counts; None where it does not, or is not to be asked just now. Raises ClientError."""
        provider, name = target.provider, target.model.provider
        if not isinstance(provider, CountsTokens) or not target.health.breaker.is_closed or self._under_way[name] >= COUNTS_MAX:
            return None
        self._under_way[name] += 1
        try:
            async with asyncio.timeout(COUNT_S):
                return await provider.count_tokens(native, target.model, connect_s=CONNECT_S)
        except UpstreamError as exc:
            if exc.is_callers_fault:
                raise ClientError(exc.message, status=exc.status or 400, code=exc.code or "invalid_request") from exc
            log.info("request %s: counted here, since %s", asked.request_id, exc.message)
        except TimeoutError:
            log.info("request %s: counted here, since '%s' took its time", asked.request_id, target.model.name)
        finally:
            self._under_way[name] -= 1
        return None


def _first(routed: Routed, runtime: Runtime, asked: ChatRequest) -> Target | None:
    """Who would be asked; None where no model would. Raises ClientError."""
    decision = routed.decision
    if isinstance(decision, Denial):
        raise ClientError(decision.message, status=decision.status, code=decision.code)
    if not isinstance(decision, Plan) or not decision.targets:
        return None
    targets = [runtime.targets[name] for name in decision.targets]
    able = [target for target in targets if _speaks(target, asked)] if asked.native is not None and asked.native.only else targets
    return (able or targets)[0]


def _speaks(target: Target, asked: ChatRequest) -> bool:
    return asked.native is not None and asked.native.dialect in target.provider.dialects


def _documents(asked: ChatRequest) -> int:
    contents = [message.content for message in asked.head.messages if isinstance(message.content, list)]
    return sum(part.type == "file" for content in contents for part in content)
