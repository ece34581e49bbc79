"""The ledger's attempts are the lines of the provider's invoice, and its sum is the bill, to the nano-dollar."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.scenario.reconciliation.books import keep_books
from tests.scenario.reconciliation.sheet import NAMES

REQUESTS = 10_000
PARTS = 5


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", range(PARTS))
def test_the_ledger_is_the_invoice(tmp_path: Path, seed: int) -> None:
    books = asyncio.run(keep_books(tmp_path, REQUESTS // PARTS, seed))
    assert books.differences() == []
    assert books.told_otherwise() == []
    assert books.paid_nusd == books.billed_nusd > 0
    # What it is about has happened, and often.
    outcomes = Counter(attempt.outcome for _, entry, _ in books.entries for attempt in entry.attempts)
    assert {name for name, count in outcomes.items() if count >= 20} >= {"ok", "error", "cancelled", "lost_hedge", "unconvincing"}
    used = [attempt.usage for _, entry, _ in books.entries for attempt in entry.attempts if attempt.usage is not None]
    for kind in ("cached_input", "cache_write_1h", "reasoning", "audio_input", "audio_output", "service", "estimated"):
        assert sum(bool(getattr(usage, kind)) for usage in used) >= 10, f"hardly any call has {kind}"
    callers = Counter(entry.dialect for _, entry, _ in books.entries if entry.attempts)
    assert {f"openai_{name}" for name in ("chat", "responses", "completions", "embeddings")} | {"anthropic_messages"} == set(
        callers
    )
    assert min(callers.values()) >= 20
    models = Counter(attempt.model for _, entry, _ in books.entries for attempt in entry.attempts if entry.outcome == "ok")
    assert min(models[name] for name in NAMES.values()) >= 20
    assert sum(entry.overhead_nusd > 0 for _, entry, _ in books.entries) >= 20, "hardly any hedge has lost"
    assert sum(entry.cache == "hit-exact" for _, entry, _ in books.entries) >= 20
