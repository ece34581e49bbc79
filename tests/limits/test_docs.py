"""The example of docs/limits.md compiles, and says what the page says of it."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.policy.limits import Rate, rules_for
from tests.policy.sample import SAMPLE, compiled

PAGE = Path(__file__).parents[2] / "docs/limits.md"


def test_the_example_holds_for_whom_it_says() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    rules = compiled(SAMPLE + text).limits
    assert [rule.requests for rule in rules_for(rules, "key", "anyone")] == [Rate(600, 60), Rate(20, 1)]
    assert [rule.requests for rule in rules_for(rules, "key", "batch-jobs")] == [Rate(6000, 60)]
    assert [rule.per for rule in rules_for(rules, "model", "small")] == []
    assert len(rules_for(rules, "model", "strong")) == 1
