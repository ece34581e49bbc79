"""Ask a rung of a cascade for its whole answer, and judge it: what convinces is handed on as if it had just come.

Agreement asks the same model several times at once; every sample is an attempt of its own.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.attempt import Attempt
from gateway.cascade.agreement import say_the_same
from gateway.cascade.draft import Draft, UnreadableAnswer, read_drafts
from gateway.cascade.judge import Terms, Verdict, judge
from gateway.cascade.logprobs import LogprobTally, asking_for_logprobs
from gateway.cascade.refused import refuses
from gateway.cascade.sample import sample_request
from gateway.errors import UpstreamError
from gateway.policy.model import AcceptRule, Agreement, Plan, Timeouts
from gateway.providers.base import Piece
from gateway.request import ChatRequest
from gateway.running import Running
from gateway.target import Target

JUDGED_BYTES_MAX = 256 * 1024  # a longer answer is not held back; as the caller would get it, without log-probabilities
INLINE_BYTES_MAX = 8 * 1024  # a longer one is judged in a thread: 64 kB of events take 4 ms


class Start(Protocol):
    """Begins a call of the rung's target, which is then among the request's attempts."""

    async def __call__(self, request: ChatRequest, *, is_probe: bool) -> Running:
        """Raises UpstreamError when there is no room for it."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer and what is thought of it. pieces: all of it, the end included; None if it did not come whole."""

    verdict: Verdict
    attempt: Attempt
    pieces: list[Piece] | None


class Rung:
    """One target of a plan that has a rule for its answer. `ask` it once.

    until: on the clock, when the next rung needs the time that is left. start: begins a call of the target.
    """

    def __init__(
        self,
        rule: AcceptRule,
        request: ChatRequest,
        timeouts: Timeouts,
        until: float,
        start: Start,
        clock: Callable[[], float],
    ) -> None:
        self._rule, self._request, self._timeouts = rule, request, timeouts
        self._until, self._start, self._clock = until, start, clock

    async def ask(self, *, is_probe: bool) -> Judged:
        """The answer, judged. Raises UpstreamError when none came.

        A model that refuses to give log-probabilities is asked again without: its answer does not convince, but it is
        one to fall back on.
        """
        if not self._rule.needs_logprobs:
            return await self._ask(self._request, LogprobTally(keeps=True), is_probe=is_probe)
        body, is_callers = asking_for_logprobs(self._request.body)
        try:
            return await self._ask(self._request.rewritten(body), LogprobTally(keeps=is_callers), is_probe=is_probe)
        except UpstreamError as exc:
            if not refuses(exc, "logprobs"):
                raise
            if is_callers or self._clock() >= self._until:
                # Not the caller's fault: the next rung may well give them.
                raise UpstreamError(exc.message, fault="unsupported", status=exc.status, param="logprobs") from exc
            return await self._ask(self._request, LogprobTally(keeps=True), is_probe=False)

    async def _ask(self, request: ChatRequest, tally: LogprobTally, *, is_probe: bool) -> Judged:
        if self._rule.agreement is None:
            judged, _ = await self._first(request, tally, is_probe=is_probe)
        else:
            judged = await self._agreed(self._rule.agreement, request, tally, is_probe=is_probe)
        attempt, verdict = judged.attempt, judged.verdict
        attempt.accept = {"accepted": verdict.is_accepted, **verdict.measures}
        if verdict.rule is not None:
            attempt.accept["rule"] = verdict.rule
            attempt.outcome, attempt.error = "unconvincing", f"not accepted: {verdict.why}"
        return judged

    async def _first(self, request: ChatRequest, tally: LogprobTally, *, is_probe: bool) -> tuple[Judged, Sequence[Draft]]:
        running = await self._start(request, is_probe=is_probe)
        pieces = await self._whole(running, request, tally)
        if pieces is None:
            why = f"longer than {JUDGED_BYTES_MAX // 1024} KiB, too long to judge"
            return Judged(Verdict("bytes", why), running.attempt, None), ()
        data = b"".join(piece.data for piece in pieces if not piece.is_usage_only)

        def verdict() -> tuple[Verdict, Sequence[Draft]]:
            try:
                drafts = read_drafts(data, is_stream=request.is_stream, chances=tally.by_choice)
            except UnreadableAnswer as exc:
                return Verdict("answer", str(exc), badness=3), ()
            return judge(self._rule, Terms.of(self._request), drafts), drafts

        found, drafts = verdict() if len(data) <= INLINE_BYTES_MAX else await asyncio.to_thread(verdict)
        return Judged(found, running.attempt, pieces), drafts

    async def _whole(self, running: Running, request: ChatRequest, tally: LogprobTally) -> list[Piece] | None:
        """Every piece, without the log-probabilities that the caller did not ask for; None for too long an answer."""
        now = self._clock()
        limit = min(now + self._timeouts.first_token_s, self._until) if request.is_stream else self._until
        new = await running.begin(limit, connect_s=min(self._timeouts.connect_s, limit - now), may_be_empty=True)
        pieces: list[Piece] = []
        held_bytes = 0
        while True:
            new = [tally.take(piece, is_stream=request.is_stream) for piece in new]
            pieces += new
            held_bytes += sum(len(piece.data) for piece in new)
            if held_bytes > JUDGED_BYTES_MAX:
                await running.end("unconvincing")  # cancelled upstream, if it had not ended
                return None
            if pieces[-1].is_end:
                return pieces
            new = await running.read(self._timeouts.idle_s, self._until)

    # Agreement.

    async def _agreed(self, rule: Agreement, request: ChatRequest, tally: LogprobTally, *, is_probe: bool) -> Judged:
        """The first answer, which stands if it passes its checks and enough of the samples say the same.

        All are asked at once; as soon as it is known how it ends, those under way are cancelled.
        """
        failed: UpstreamError | None = None
        heard: list[Attempt] = []
        async with asyncio.TaskGroup() as group:
            samples = [group.create_task(self._sample(n, heard)) for n in range(2, rule.samples + 1)]
            try:
                judged, drafts = await self._first(request, tally, is_probe=is_probe)
                if judged.verdict.is_accepted:
                    judged = replace(judged, verdict=await self._compared(rule, judged.verdict, drafts, samples))
            except UpstreamError as exc:
                failed = exc  # raised below: a task group would wrap it
            finally:
                for sample in samples:
                    sample.cancel()
        if failed is not None:
            raise failed
        if not judged.verdict.is_accepted:
            for attempt in heard:
                attempt.outcome = "unconvincing"
        return judged

    async def _compared(
        self, rule: Agreement, verdict: Verdict, drafts: Sequence[Draft], samples: Sequence[asyncio.Task[Sample]]
    ) -> Verdict:
        """The verdict when enough samples are there. Of several choices each must be agreed with."""
        needed = math.ceil(rule.share * rule.samples - 1e-9)
        agreeing = [1] * len(drafts)  # each with itself
        pending: set[asyncio.Task[Sample]] = set(samples)
        while pending and min(agreeing) < needed <= min(agreeing) + len(pending):
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                sample = task.result()
                agrees = await _compare(drafts, sample.draft)
                agreeing = [count + same for count, same in zip(agreeing, agrees, strict=True)]
                if sample.attempt is not None and sample.attempt.accept is not None:
                    sample.attempt.accept["agrees"] = all(agrees)
        share = min(agreeing) / rule.samples
        measures = {**verdict.measures, "agreement": round(share, 5)}
        if min(agreeing) >= needed:
            return Verdict(measures=measures)
        why = f"{min(agreeing)} of {rule.samples} answers agree, {needed} are needed"
        return Verdict("agreement", why, measures, badness=1)

    async def _sample(self, number: int, heard: list[Attempt]) -> Sample:
        """The same question once more. One that fails says nothing."""
        try:
            return await self._sampled(sample_request(self._request, number), number, heard)
        except UpstreamError as exc:
            if not refuses(exc, "temperature") or self._clock() >= self._until:
                return Sample(None, None)
        try:
            return await self._sampled(sample_request(self._request, number, at_own_temperature=True), number, heard)
        except UpstreamError:
            return Sample(None, None)

    async def _sampled(self, request: ChatRequest, number: int, heard: list[Attempt]) -> Sample:
        running = await self._start(request, is_probe=False)
        running.attempt.accept = {"sample": number}
        connect_s = min(self._timeouts.connect_s, self._until - self._clock())
        pieces = await running.begin(self._until, connect_s=connect_s, may_be_empty=True)
        while not pieces[-1].is_end:
            pieces += await running.read(math.inf, self._until)
        heard.append(running.attempt)
        data = b"".join(piece.data for piece in pieces)
        try:
            drafts = read_drafts(data, is_stream=False, chances={}) if len(data) <= JUDGED_BYTES_MAX else []
        except UnreadableAnswer:
            drafts = []
        return Sample(running.attempt, drafts[0] if drafts else None)


@dataclass(frozen=True, slots=True)
class Sample:
    """One more answer of the same model; both None if it failed, draft alone if it cannot be read."""

    attempt: Attempt | None
    draft: Draft | None


async def _compare(drafts: Sequence[Draft], sample: Draft | None) -> list[bool]:
    """Of each draft whether the sample says the same; beside the event loop if there is much to read."""
    if sample is None:
        return [False] * len(drafts)
    if max(len(draft.text) for draft in (*drafts, sample)) <= INLINE_BYTES_MAX:
        return [_agree(draft, sample) for draft in drafts]
    return await asyncio.to_thread(lambda: [_agree(draft, sample) for draft in drafts])


def _agree(one: Draft, other: Draft) -> bool:
    if one.calls or other.calls:
        names = [sorted(call.name for call in draft.calls) for draft in (one, other)]
        if names[0] != names[1]:
            return False
        arguments = [[c.arguments for c in sorted(d.calls, key=lambda c: c.name)] for d in (one, other)]
        return all(say_the_same(a or "{}", b or "{}") for a, b in zip(*arguments, strict=True))
    return say_the_same(one.text, other.text)


def rungs_for(request: ChatRequest, plan: Plan, targets: Sequence[Target]) -> Sequence[Target]:
    """The targets for this request: what cannot be judged goes straight to the last rung.

    That is an answer in sound, and one that the canonical form, in which answers are judged, does not hold.
    """
    is_judgeable = not request.wants_audio and (request.native is None or not request.native.only)
    if is_judgeable:
        return targets
    return [target for target in targets if target.model.name not in plan.accept] or targets
