"""Counts what Python executes, instructions, calls and memory, of the gateway's work and not of what stands in for the world.

asyncio's event loop stands in for uvloop, which is no Python: what is called of it counts as one call of a C function, and what
it does inside counts as nothing. So do the clock and the network in memory.
"""

from __future__ import annotations

import asyncio.base_events
import asyncio.events
import asyncio.selector_events
import gc
import selectors
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

from benchmarks.hot_path import network, peers, stillness

ROOT = Path(__file__).resolve().parents[2]


def _file(module: ModuleType) -> str:
    assert module.__file__ is not None
    return module.__file__


_WORLD = frozenset(
    _file(module)
    for module in (asyncio.base_events, asyncio.events, asyncio.selector_events, selectors, network, peers, stillness)
)
_OURS = _WORLD | {str(path) for path in Path(__file__).parent.glob("*.py")}

Once = Callable[[], Awaitable[None]]


@dataclass
class Function:
    """Of one function, what it did itself. calls: of it, a coroutine's or generator's each time it goes on."""

    instructions: int = 0
    calls: int = 0
    c_calls: int = 0


@dataclass
class Counts:
    """Of one request, as the mean of those that were counted. peak_bytes: of memory held at a time, beyond what was before."""

    instructions: float
    calls: float
    c_calls: float
    peak_bytes: float
    functions: dict[str, list[float]] = field(default_factory=dict)  # name: instructions, calls, C calls


async def count(once: Once, requests: int) -> Counts:
    """What one `once` costs. It must do the same each time, having been called before."""
    found: dict[int, _Named] = {}
    gc.collect()
    gc.disable()  # finalizers run when the last reference goes, and never in between
    try:
        with _instructions(found):
            for _ in range(requests):
                await once()
        with _calls(found):
            for _ in range(requests):
                await once()
        peak_bytes = await _peak_bytes(once)
    finally:
        gc.enable()
    functions: dict[str, Function] = {}
    for one in found.values():
        into = functions.setdefault(one.name, Function())
        into.instructions += one.cost.instructions
        into.calls += one.cost.calls
        into.c_calls += one.cost.c_calls
    costs = {name: [f.instructions / requests, f.calls / requests, f.c_calls / requests] for name, f in functions.items()}
    instructions, calls, c_calls = (sum(column) for column in zip(*costs.values(), strict=True))
    return Counts(instructions, calls, c_calls, peak_bytes, dict(sorted(costs.items(), key=lambda item: -item[1][0])))


@dataclass
class _Named:
    code: CodeType  # held, or another one could get its id
    name: str
    cost: Function


def _named(found: dict[int, _Named], frame: FrameType) -> _Named:
    code = frame.f_code
    one = found.get(id(code))  # by identity: codes are equal when their text is
    if one is None:
        one = found[id(code)] = _Named(code, _name(code, frame), Function())
    return one


def _name(code: CodeType, frame: FrameType) -> str:
    """`gateway/frame.py:Frame.run`; a library's path begins at its package."""
    path, name = code.co_filename, code.co_qualname
    if path.startswith("<"):  # made by a dataclass
        return f"{type(frame.f_locals.get('self')).__qualname__}:{name}"
    for part in ("/site-packages/", f"{ROOT}/", f"/python{sys.version_info[0]}.{sys.version_info[1]}/"):
        if part in path:
            return f"{path.partition(part)[2]}:{name}"
    return f"{Path(path).name}:{name}"


@contextmanager
def _instructions(found: dict[int, _Named]) -> Iterator[None]:
    def traced(frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename in _OURS:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        cost = _named(found, frame).cost

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            if event == "opcode":
                cost.instructions += 1
            return local

        return local

    sys.settrace(traced)
    try:
        yield
    finally:
        sys.settrace(None)


@contextmanager
def _calls(found: dict[int, _Named]) -> Iterator[None]:
    def profiled(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            if frame.f_code.co_filename not in _OURS:
                _named(found, frame).cost.calls += 1
            elif frame.f_code.co_filename in _WORLD:
                caller = frame.f_back
                if caller is not None and caller.f_code.co_filename not in _OURS:
                    _named(found, caller).cost.c_calls += 1
        elif event == "c_call" and frame.f_code.co_filename not in _OURS:
            _named(found, frame).cost.c_calls += 1

    sys.setprofile(profiled)
    try:
        yield
    finally:
        sys.setprofile(None)


async def _peak_bytes(once: Once) -> float:
    tracemalloc.start()
    try:
        await once()  # what is kept of the first one is allocated anew
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        await once()
        return float(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
