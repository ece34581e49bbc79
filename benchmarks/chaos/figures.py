"""From what was noted in a run to figures. Pure: no clock, no network, no words for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from benchmarks.chaos.client import Verdict
from benchmarks.chaos.load import Record
from benchmarks.chaos.run import Run
from benchmarks.chaos.script import Call, Target

INPUT_PRICE, OUTPUT_PRICE = 1.0, 4.0  # for a token, in any unit; as in the policies of the scenarios
UNBILLED = frozenset({"500", "503", "429"})


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that this share of them does not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else None


def count(records: Sequence[Record], verdict: Verdict) -> int:
    return sum(record.verdict == verdict for record in records)


def share_whole(records: Sequence[Record]) -> float:
    return count(records, "whole") / len(records) if records else 0.0


def ttft_ms(records: Sequence[Record], share: float) -> float | None:
    """Of the time to the first token, from when the question was due."""
    found = quantile([record.ttft_s for record in records if record.ttft_s is not None], share)
    return None if found is None else found * 1000


def scripted_p99_ms(run: Run, target: str) -> float:
    """What the script deals in a hundred first tokens of this target at worst: nothing of any gateway or machine in it."""
    phase = next(each for each in run.targets if each.name == target).at(0.0)
    return 1000 * phase.ttft_s * math.exp(NormalDist(0, phase.spread).inv_cdf(0.99))


def between(records: Sequence[Record], span: tuple[float, float]) -> list[Record]:
    """Those that were due in [from, until)."""
    return [record for record in records if span[0] <= record.due_s < span[1]]


def by_case(calls: Sequence[Call]) -> dict[str, list[Call]]:
    """The calls for each question, as they came in."""
    found: dict[str, list[Call]] = {}
    for call in sorted(calls, key=lambda call: call.at_s):
        found.setdefault(call.case, []).append(call)
    return found


def answered_by(run: Run) -> dict[str, str]:
    """case: the target whose answer it was that came to its end; whole answers only."""
    whole = {record.case for record in run.records if record.verdict == "whole"}
    calls = by_case(run.calls)
    return {case: found[-1].target for case in whole if (found := [call for call in calls.get(case, ()) if call.is_whole])}


def span_of(run: Run, target: str, kind: str) -> tuple[float, float]:
    """(from, until) of a target's only phase of this kind."""
    found = next(each for each in run.targets if each.name == target)
    return next((start, until) for start, until, phase in found.spans() if phase.kind == kind)


def share_on(run: Run, records: Sequence[Record], target: str) -> float:
    """Of these records' whole answers, the share that this target gave."""
    who = answered_by(run)
    answered = [who[record.case] for record in records if record.case in who]
    return answered.count(target) / len(answered) if answered else 0.0


def returned_after_s(run: Run, target: str) -> float | None:
    """Seconds from the end of a target's last fault to the first question after it that this target answered."""
    spans = next(each for each in run.targets if each.name == target).spans()
    end = max((until for _, until, phase in spans if phase.kind != "healthy"), default=0.0)
    who = answered_by(run)
    return next((r.due_s - end for r in run.records if r.due_s >= end and who.get(r.case) == target), None)


def false_failovers(run: Run, settle_s: float) -> int:
    """Questions that another target answered while the one they should have gone to first was well.

    Well: healthy from settle_s before the question was due until it was answered; that long a fault may be remembered.
    The first: in the order of the run's targets. A question whose call the first target failed at is none of these.
    """
    who, calls = answered_by(run), by_case(run.calls)
    wrong = 0
    for record in run.records:
        answering = who.get(record.case)
        for target in run.targets:
            if target.name == answering or answering is None:
                break
            if _is_well(target, record.due_s - settle_s, record.end_s):
                faults = [c for c in calls[record.case] if c.target == target.name and not c.is_whole and not c.was_left]
                wrong += not faults
                break
    return wrong


def _is_well(target: Target, start_s: float, end_s: float) -> bool:
    return all(phase.kind == "healthy" for start, until, phase in target.spans() if start < end_s and until > start_s)


def billed(calls: Sequence[Call]) -> float:
    """What the providers charge for all these calls."""
    return sum(INPUT_PRICE * c.tokens_in + OUTPUT_PRICE * c.tokens_out for c in calls if c.played not in UNBILLED)


def extra_cost(run: Run) -> float:
    """By how much the bill exceeds that of the whole answers alone, each asked for once; a share of the latter."""
    due = sum(
        INPUT_PRICE * record.tokens_in + OUTPUT_PRICE * record.tokens_out for record in run.records if record.verdict == "whole"
    )
    return billed(run.calls) / due - 1 if due else 0.0


def extra_calls(run: Run) -> float:
    """Calls beyond one a question, as a share of the questions. Refused connections reach nobody and are not counted."""
    return len(run.calls) / len(run.records) - 1 if run.records else 0.0


def lag_ms(run: Run, share: float) -> float:
    """How late questions left, a measure of a machine too busy to tell latencies."""
    return (quantile([record.sent_s - record.due_s for record in run.records], share) or 0.0) * 1000


def late_ms(run: Run, share: float) -> float:
    """How late the providers' first tokens were, by their script; such a measure too."""
    return (quantile([call.late_s for call in run.calls], share) or 0.0) * 1000


def waited_ms(run: Run) -> float:
    """For how long, on average over the questions, the contender could have worked and had no core; such a measure too."""
    return 1000 * run.waited_s / len(run.records) if run.records else 0.0
