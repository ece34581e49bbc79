"""Records of every kind for the ledger's suite."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from gateway.attempt import Attempt
from gateway.ledger.base import Entry
from gateway.ledger.months import begin_of
from gateway.usage import Usage

counts = st.integers(0, 2**40)
maybe = st.none() | counts
# NUL is a matter of each store's own.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
usages = st.none() | st.builds(
    Usage,
    **{name: counts for name in Usage.__struct_fields__ if name not in ("estimated", "service", "unpriced")},
    estimated=st.booleans(),
    service=st.none() | texts,
    unpriced=st.none() | texts,
)
attempts = st.builds(
    Attempt,
    provider=texts,
    model=texts,
    outcome=st.sampled_from(["ok", "error", "timeout", "cancelled", "rejected", "unconvincing"]),
    status=maybe,
    ttft_ms=st.none() | st.floats(0, 1e6),
    duration_ms=st.floats(0, 1e6),
    busy_s=st.floats(0, 1e6),
    prefill_s=st.floats(0, 1e6),
    usage=usages,
    cost_nusd=maybe,
    error=st.none() | texts,
    fault=st.none() | texts,
    accept=st.none() | st.dictionaries(texts, st.booleans() | counts | st.floats(-20, 1) | texts, max_size=3),
    seam=st.sampled_from([None, "restart", "continue"]),
    seam_chars=maybe,
    is_hedge=st.booleans(),
)
entries = st.builds(
    Entry,
    request_id=texts,
    at=st.floats(0, 4e9),
    dialect=texts,
    requested_model=texts,
    stream=st.booleans(),
    key=texts,
    policy_hash=texts,
    draw=st.floats(0, 1, exclude_max=True),
    team=st.none() | texts,
    tags=st.dictionaries(texts, texts, max_size=3),
    session=st.none() | texts,
    route=st.none() | texts,
    decided_by=st.none() | texts,
    scores=st.dictionaries(texts, st.floats(0, 1), max_size=3),
    cache=st.sampled_from(["hit-exact", "hit-semantic", "miss", "bypass"]),
    cache_entry=st.none() | texts,
    model=st.none() | texts,
    provider=st.none() | texts,
    attempts=st.lists(attempts, max_size=3),
    usage=usages,
    cost_nusd=maybe,
    overhead_nusd=counts,
    baseline_nusd=maybe,
    ttft_ms=st.none() | st.floats(0, 1e6),
    duration_ms=st.floats(0, 1e6),
    overhead_ms=st.floats(0, 1e6),
    outcome=st.sampled_from(["ok", "error", "timeout", "cancelled", "refused"]),
    status=st.integers(100, 599),
    error=st.none() | texts,
    purpose=st.sampled_from(["request", "audit", "refresh", "gpu"]),
    of=st.none() | texts,
    verdict=st.none() | st.sampled_from(["right", "wrong", "unsure"]),
    prompt_id=st.none() | texts,
)

# Few groups, so that many entries fall into each; durations that add up to the same in any order; times about the turn of the
# hour and of the month.
_turns = [begin_of(202512), begin_of(202601), begin_of(202601) + 3600.0]
_near = [near for at in _turns for near in (math.nextafter(at, 0), at, at + 0.5, at - 3600.0)]
_names = st.sampled_from(["a", "b"])
_whole = st.integers(0, 1000).map(float)
_small_usages = st.none() | st.builds(Usage, *[st.integers(0, 99)] * 5, st.booleans())
grouped_attempts = st.builds(
    Attempt,
    provider=_names,
    model=_names,
    outcome=st.sampled_from(["ok", "error", "lost_hedge"]),
    duration_ms=_whole,
    busy_s=_whole,
    prefill_s=_whole,
    usage=_small_usages,
    cost_nusd=st.none() | st.integers(0, 10**12),
    is_hedge=st.booleans(),
)
grouped = st.builds(
    Entry,
    request_id=_names,
    at=st.sampled_from(_near),
    dialect=st.just("openai_chat"),
    requested_model=_names,
    stream=st.booleans(),
    key=_names,
    policy_hash=st.just("abc"),
    draw=st.just(0.5),
    team=st.none() | _names,
    route=st.none() | _names,
    cache=st.sampled_from(["hit-exact", "miss"]),
    model=st.none() | _names,
    provider=st.none() | _names,
    attempts=st.lists(grouped_attempts, max_size=3),
    usage=_small_usages,
    cost_nusd=st.none() | st.integers(-(10**12), 10**12),
    overhead_nusd=st.integers(0, 10**9),
    baseline_nusd=st.none() | st.integers(0, 10**12),
    duration_ms=_whole,
    outcome=st.sampled_from(["ok", "error"]),
    purpose=st.sampled_from(["request", "audit", "gpu"]),
    verdict=st.none() | st.sampled_from(["right", "wrong", "unsure"]),
    prompt_id=st.none() | _names,
)
