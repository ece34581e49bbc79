"""Ask a plan's models once more, for nobody in particular: what audits and refreshes do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from gateway.attempt import Attempt
from gateway.cache.base import Form
from gateway.chat import worst_finish
from gateway.errors import LedgerUnavailable, TurnoutError, UpstreamError, status_of
from gateway.execute import Execution
from gateway.ledger.base import Entry
from gateway.ledger.writer import LedgerWriter
from gateway.policy.model import Plan
from gateway.request import ChatRequest
from gateway.runtime import Runtime
from gateway.tenant import Tenant

Purpose = Literal["audit", "refresh"]


class Errand(msgspec.Struct, frozen=True):
    """What is to be asked, and for which request: of whom, by which plan, when which policy was in force."""

    request: ChatRequest
    tenant: Tenant
    plan: Plan
    runtime: Runtime
    purpose: Purpose


@dataclass(frozen=True, slots=True)
class Brought:
    """A complete answer. data: all of its events, or its body."""

    data: bytes
    form: Form
    finish: str | None
    answering: Attempt


def form_of(request: ChatRequest) -> Form:
    """The form in which this request's answer comes."""
    return "stream" if request.is_stream else "whole"


async def run_errand(
    errand: Errand, entry: Entry, attempts: list[Attempt], clock: Callable[[], float] = time.monotonic
) -> Brought | None:
    """The answer, or None when there is none; the entry then says why. attempts: what was tried is added to them."""
    plan = errand.plan
    execution = Execution(plan, [errand.runtime.targets[name] for name in plan.targets], errand.request, clock)
    try:
        return await _whole(execution, errand.request)
    except TurnoutError as exc:
        is_timeout = isinstance(exc, UpstreamError) and exc.fault == "timeout"
        entry.outcome, entry.status, entry.error = "timeout" if is_timeout else "error", status_of(exc), exc.message
        return None
    except BaseException:
        entry.outcome, entry.status = "cancelled", 499
        raise
    finally:
        await execution.aclose()
        attempts += execution.attempts


async def _whole(execution: Execution, request: ChatRequest) -> Brought:
    data: list[bytes] = []
    finish: str | None = None
    pieces = await execution.begin()
    while True:
        for piece in pieces:
            finish = worst_finish(finish, piece.finish)
            if piece.data and not piece.is_usage_only:
                data.append(piece.data)
        if pieces[-1].is_end:
            break
        pieces = await execution.read()
    assert execution.answering is not None, "begin says who answers, or raises"
    return Brought(b"".join(data), form_of(request), finish, execution.answering)


def background_entry(errand: Errand) -> Entry:
    """An entry of its own for an errand."""
    request, tenant = errand.request, errand.tenant
    return Entry(
        request_id=f"{errand.purpose}_{secrets.token_hex(16)}",
        at=time.time(),
        dialect=request.dialect,
        requested_model=request.head.model,
        stream=request.is_stream,
        key=tenant.key,
        team=tenant.team,
        tags=dict(request.tags),
        session=request.session,
        policy_hash=errand.runtime.policy.hash,
        draw=0.0,
        route=errand.plan.route,
        decided_by=errand.purpose,
        purpose=errand.purpose,
        of=request.request_id,
    )


def has_place(ledger: LedgerWriter) -> bool:
    """Take a place in the ledger, if there is one: an errand must be booked, and is not worth a request's place."""
    try:
        ledger.reserve()
    except LedgerUnavailable:
        return False
    return True
