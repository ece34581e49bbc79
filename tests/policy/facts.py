"""Arbitrary facts and candidates of the sample policy, for properties."""

from hypothesis import strategies as st

from gateway.policy.model import Candidate, Facts
from tests.policy.sample import SAMPLE, compiled

POLICY = compiled(SAMPLE)
ROUTE_NAMES = [r.name for r in POLICY.routes]
FAQ_ROUTES = [r.name for r in POLICY.routes if r.answer is not None and r.answer.faq is not None]
DRAWS = st.floats(0, 1, exclude_max=True)
PASSED = st.frozensets(st.sampled_from(FAQ_ROUTES))

_values = st.fixed_dictionaries(
    {"model": st.sampled_from(["auto", "gpt-4o", "small", "strong", "claude", "", "gpt-", "AUTO"])},
    optional={
        "forced_route": st.sampled_from([*ROUTE_NAMES, "direct", "nowhere"]),
        "class": st.sampled_from(["skip", "small", "strong", "unsure"]),
        "confidence": st.floats(0, 1),
        "pii": st.booleans(),
        "has_tools": st.booleans(),
        "tokens_in": st.integers(0, 3000),
        "tag.data": st.sampled_from(["confidential", "public"]),
        "tag.app": st.sampled_from(["kiosk", "ide"]),
    },
)
FACTS = _values.map(Facts)
CANDIDATES = st.fixed_dictionaries(
    {
        m.name: st.builds(
            Candidate,
            st.just(m.name),
            st.just(m.provider),
            st.sampled_from([None, 1000, 2000]),
            st.sampled_from([None, None, "KEY is not set"]),
        )
        for m in POLICY.models.values()
    }
)
