"""Which ids are one prompt: whoever reads the records, in whatever order, says the same."""

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.prompts.families import Families, Finding

TEMPLATES = st.sampled_from([f"t-{n}" for n in range(6)])
STANDS_FOR = st.lists(TEMPLATES | st.sampled_from(["p-1", "p-2"]), max_size=3)
FINDINGS = st.lists(st.tuples(TEMPLATES, STANDS_FOR), max_size=8).map(
    lambda rows: [(id_, f"text of {id_}", stands_for) for id_, stands_for in rows]
)


@given(FINDINGS, st.randoms(use_true_random=False))
def test_the_order_of_what_was_found_makes_no_difference(findings: list[Finding], chance: random.Random) -> None:
    families = Families(findings)
    shuffled = [*findings]
    chance.shuffle(shuffled)
    ids = [*(f"t-{n}" for n in range(6)), "p-1", "p-2"]
    assert [families.of(id_) for id_ in ids] == [Families(shuffled).of(id_) for id_ in ids]


@given(FINDINGS)
def test_an_id_is_reported_as_one_that_is_reported_as_itself(findings: list[Finding]) -> None:
    families = Families(findings)
    for id_ in [*(f"t-{n}" for n in range(6)), "p-1", "p-2"]:
        head = families.of(id_)
        assert families.of(head) == head
        assert id_ in families.members(head)


def test_chains_lead_to_the_widest() -> None:
    families = Families([("t-3", "<*>", ["t-2"]), ("t-2", "a <*>", ["t-1", "p-1"]), ("t-1", "a b <*>", ["p-2"])])
    assert {families.of(id_) for id_ in ("t-1", "t-2", "t-3", "p-1", "p-2")} == {"t-3"}
    assert families.members("t-3") == {"t-1", "t-2", "t-3", "p-1", "p-2"}
    assert families.text("t-3") == "<*>"


def test_a_fingerprint_that_two_prompts_claim_is_neither() -> None:
    families = Families([("t-1", "a <*>", ["p-1"]), ("t-2", "b <*>", ["p-1"])])
    assert families.of("p-1") == "p-1"
    families.add("t-3", "<*>", ["t-1", "t-2"])
    assert families.of("p-1") == "t-3", "until they turn out to be one"


def test_what_is_not_known_is_itself() -> None:
    families = Families()
    assert (families.of("t-9"), families.of("p-9"), families.text("t-9"), families.is_claimed("p-9")) == (
        "t-9",
        "p-9",
        None,
        False,
    )
