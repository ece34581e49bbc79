"""What is asked, under which policy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

POLICIES = Path(__file__).resolve().parents[1] / "policies"

# Seven hundred characters, as in benchmarks/overhead.py; no digits, which could be a card or a phone number.
PROMPT = (
    "Our warehouse ships about four hundred parcels a day, most of them before noon, and the carrier picks up twice. "
    "Since the second pick-up moved to three o'clock, orders from the afternoon leave a day later than they used to, and "
    "customers write in to ask where their things are. We could pay for a third pick-up, print labels in the morning for "
    "what is likely to be ordered, or tell people at the checkout when their parcel really leaves. Compare the three by "
    "what they cost in a month, by how soon they can start and by what happens on a day with twice the usual orders. "
    "Then say which one you would try first, how long, and by which number you would know that it worked or did not. "
)
_LETTERS = str.maketrans("0123456789", "abcdefghij")


@dataclass(frozen=True)
class Scenario:
    """policy: of benchmarks/policies. is_same: the prompt comes again and again, so that a cache has the answer.

    prompt_bytes: at least, of a longer prompt than usual.
    """

    name: str
    policy: str
    what: str
    path: str = "/v1/chat/completions"
    is_stream: bool = False
    is_same: bool = False
    prompt_bytes: int = 0

    def request(self, number: int, secret: str) -> bytes:
        """The bytes of one; two with different numbers are equally long."""
        serial = "" if self.is_same else f"{number:06d}".translate(_LETTERS)
        text = f"Case {serial}. {PROMPT}"
        text *= 1 + self.prompt_bytes // len(text)
        given: dict[str, object] = {"model": "auto"}
        if self.path.endswith("/embeddings"):
            given = {"model": "only", "input": text}
        else:
            given["messages"] = [{"role": "user", "content": text}]
            if self.is_stream:
                given |= {"stream": True, "stream_options": {"include_usage": True}}
            if self.path.endswith("/messages"):
                given["max_tokens"] = 100
        body = json.dumps(given).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: 127.0.0.1:8080\r\nauthorization: Bearer {secret}\r\n"
            f"content-type: application/json\r\nuser-agent: OpenAI/Python 2.0\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("pass-through", "pass-through.yaml", "a virtual key, one route, the ledger; a whole answer"),
        Scenario("pass-through stream", "pass-through.yaml", "the same, with 64 events", is_stream=True),
        Scenario(
            "pass-through 1 MB",
            "pass-through.yaml",
            "the same, with a prompt of a megabyte",
            is_same=True,
            prompt_bytes=1_000_000,
        ),
        Scenario("messages", "pass-through.yaml", "a whole answer in Anthropic's dialect", path="/v1/messages"),
        Scenario("embeddings", "pass-through.yaml", "one vector of 256 numbers", path="/v1/embeddings"),
        Scenario("default", "default.yaml", "classifier, rules, FAQ, a miss of the exact cache, ledger; a whole answer"),
        Scenario("default stream", "default.yaml", "the same, with 64 events", is_stream=True),
        Scenario("default hit", "default.yaml", "the same, answered from the cache", is_same=True),
    )
}
