"""The cells of the matrix, and for each the story that a request in it must have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from gateway.providers.http_response import ERROR_S
from tests.scenario.faults.matrix import BREAKING, CALLER, FAULTS, KINDS, MODES, NOT_IN_TIME, ODD, Fault, Kind, Mode
from tests.scenario.faults.outcomes import Breaks, Counted, Fails, Leaves, Outcome, Passes, Refuses, Wait
from tests.scenario.faults.plays import DATE_S, SLOW_S, Asked
from tests.scenario.faults.responses_wire import RESPONSES
from tests.scenario.faults.wires import ANTHROPIC, EMBEDDINGS, OPENAI, Wire
from tests.scripted_server import HANG

Dialect = Literal["chat", "embeddings", "messages", "responses"]
"""The caller's."""

WIRES: Final[Mapping[Kind, Wire]] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "responses": RESPONSES,
    "litellm": OPENAI,
    "litellm-anthropic": ANTHROPIC,
}
# Who speaks the caller's dialect, and one who does not.
NATIVE: Final[Mapping[Dialect, Kind]] = {"messages": "anthropic", "responses": "responses"}
FOREIGN: Final[Mapping[Dialect, Kind]] = {"messages": "openai", "responses": "anthropic"}

TRANSLATED: Final = (*NOT_IN_TIME, *BREAKING, *ODD, *CALLER)

TRIES = 2  # the policy's retry.attempts
WAIT_BEFORE_FALLBACK_S = 1.0  # who asks for a longer wait is left for the next target
SLACK_S = 6.0  # what a busy machine may take for what takes milliseconds


@dataclass(frozen=True)
class Timeouts:
    """Seconds, as in a policy."""

    connect: float
    first_token: float
    idle: float
    total: float


LONG = Timeouts(connect=6.0, first_token=10.0, idle=10.0, total=15.0)
SHORT = Timeouts(connect=0.8, first_token=1.4, idle=1.4, total=6.0)
DEFAULTS = Timeouts(connect=1.5, first_token=10.0, idle=10.0, total=6.0)  # of embeddings, which have no route


@dataclass(frozen=True)
class Cell:
    """One fault, met in one way. Embeddings name their model, so that they have no other to fall back to."""

    fault: Fault
    dialect: Dialect
    mode: Mode
    kind: Kind
    has_fallback: bool

    @property
    def id(self) -> str:
        form = {"chat": self.mode, "embeddings": self.dialect}.get(self.dialect, f"{self.dialect}-{self.mode}")
        return f"{self.fault.name}-{form}-{self.kind}-{'fallback' if self.has_fallback else 'alone'}"

    @property
    def spare(self) -> str:
        """The model to fall back to. It never speaks what the failing one does."""
        return f"spare-{NATIVE[self.dialect]}" if FOREIGN.get(self.dialect) == self.kind else "spare"

    @property
    def outcome(self) -> Outcome:
        outcome = self.fault.outcome(self.mode, self.kind)
        if self.dialect == "embeddings":
            outcome = self.fault.embeddings or outcome
        assert outcome is not None, f"{self.id} is no cell"
        return outcome

    @property
    def wire(self) -> Wire:
        """What the provider speaks."""
        return EMBEDDINGS if self.dialect == "embeddings" else WIRES[self.kind]

    @property
    def is_endless(self) -> bool:
        """Whether the provider would go on, so that it must see its connection closed."""
        steps = self.fault.play(Asked(self.wire, self.mode == "stream", 1)).steps
        return not isinstance(self.outcome, Passes) and any(step is HANG or isinstance(step, float) for step in steps)

    @property
    def timeouts(self) -> Timeouts:
        """Short where the fault is to run into them, and long else, so that a busy machine runs into none."""
        if self.dialect == "embeddings":
            return DEFAULTS
        match getattr(self.outcome, "wait", "none"):
            case "connect":
                return replace(LONG, connect=SHORT.connect)
            case "first_token" if self.mode == "stream":
                return replace(LONG, first_token=SHORT.first_token)
            case "idle":
                return replace(LONG, idle=SHORT.idle)
            case "total" | "first_token":
                return replace(LONG, total=SHORT.total)
        return LONG


def cells() -> Iterator[Cell]:
    """All of them."""
    for fault in FAULTS:
        for kind in KINDS:
            for mode in MODES:
                if fault.outcome(mode, kind) is not None:
                    yield Cell(fault, "chat", mode, kind, has_fallback=False)
                    if kind != "responses":  # who comes next does not depend on what the first one spoke
                        yield Cell(fault, "chat", mode, kind, has_fallback=True)
        if fault.whole is not None:
            yield Cell(fault, "embeddings", "whole", "openai", has_fallback=False)
        for dialect in NATIVE:
            yield from _in_dialect(fault, dialect)


def _in_dialect(fault: Fault, dialect: Dialect) -> Iterator[Cell]:
    """Every fault of a provider that speaks the caller's dialect, and of one that does not what an answer may look like."""
    for mode in MODES:
        native, foreign = (fault.outcome(mode, by[dialect]) for by in (NATIVE, FOREIGN))
        if native is not None:
            yield Cell(fault, dialect, mode, NATIVE[dialect], has_fallback=False)
        if isinstance(native, Fails) and mode == "stream":
            yield Cell(fault, dialect, mode, NATIVE[dialect], has_fallback=True)
        if foreign is not None and fault in TRANSLATED:
            yield Cell(fault, dialect, mode, FOREIGN[dialect], has_fallback=isinstance(foreign, Fails))


@dataclass(frozen=True)
class Try:
    """One attempt of the ledger."""

    model: Literal["first", "spare"]
    outcome: str
    fault: str | None
    status: int | None
    usage: Counted


@dataclass(frozen=True)
class Story:
    """What the caller got, and what the ledger has."""

    client: str
    attempts: tuple[Try, ...]
    outcome: str
    status: int


WHOLE, FROM_SPARE, LEFT = "the whole answer", "the fallback's answer", "nothing more"
_SPARE = Try("spare", "ok", None, 200, "counted")


def broken_off(code: str) -> str:
    """A stream that began well and ends with an error event and no terminator."""
    return f"what came so far, then the error `{code}` and no terminator"


def refused(status: int, code: str | None, *, is_told_when: bool = False) -> str:
    """An error answer. is_told_when: it has `retry-after`."""
    return f"{status} `{code}`{' with `retry-after`' if is_told_when else ''}"


def story(cell: Cell) -> Story:
    """What must happen in a cell."""
    outcome = cell.outcome
    match outcome:
        case Passes():
            tries = tuple(_failed(fails) for fails in outcome.before)
            return Story(WHOLE, (*tries, Try("first", "ok", None, 200, outcome.usage)), "ok", 200)
        case Breaks():
            how = _how(outcome.fault)
            tried = Try("first", how, outcome.fault, None, "estimated")
            return Story(broken_off(f"upstream_{outcome.fault}"), (tried,), how, 502)
        case Refuses():
            tried = Try("first", "error", "status", outcome.status, "none")
            return Story(refused(outcome.status, outcome.code), (tried,), "refused", outcome.status)
        case Leaves():
            return Story(LEFT, (Try("first", "cancelled", None, None, "estimated"),), "cancelled", 499)
        case Fails():
            tries = (_failed(outcome),) * _tries(cell, outcome)
            if cell.has_fallback:
                return Story(FROM_SPARE, (*tries, _SPARE), "ok", 200)
            if outcome.fault == "timeout":
                return Story(refused(504, "deadline_exceeded"), tries, "timeout", 504)
            if outcome.status == 429:
                client = refused(429, "rate_limit_exceeded", is_told_when=outcome.wait == "retry-after")
                return Story(client, tries, "error", 429)
            return Story(refused(502, "all_targets_failed"), tries, "error", 502)


def _tries(cell: Cell, fails: Fails) -> int:
    is_left = fails.wait == "retry-after" and cell.has_fallback
    return 1 if is_left else fails.tries


def _failed(fails: Fails) -> Try:
    return Try("first", _how(fails.fault), fails.fault, fails.status, fails.usage)


def _how(fault: str) -> str:
    return "timeout" if fault == "timeout" else "error"


def bounds_s(cell: Cell) -> tuple[float, float]:
    """How long the request takes at least and at most."""
    outcome = cell.outcome
    match outcome:
        case Fails():
            tries = _tries(cell, outcome)
            if outcome.wait == "retry-after":
                return (1.0, DATE_S + SLACK_S) if tries > 1 else (0.0, SLACK_S)
            return 0.0, tries * _wait_s(cell, outcome.wait) + SLACK_S
        case Passes(before=before, wait=wait) if before and wait == "retry-after":
            return 1.0, 1.0 + SLACK_S
        case Breaks(wait=wait) | Passes(wait=wait):
            return 0.0, _wait_s(cell, wait) + SLACK_S
    return 0.0, SLACK_S


def _wait_s(cell: Cell, wait: Wait) -> float:
    timeouts = cell.timeouts
    if wait == "first_token" and cell.mode == "whole":
        return timeouts.total / 2 if cell.has_fallback else timeouts.total
    of_policy = {"connect": timeouts.connect, "first_token": timeouts.first_token, "idle": timeouts.idle, "total": timeouts.total}
    return {"none": 0.0, "slow": SLOW_S, "error body": ERROR_S, **of_policy}[wait]
