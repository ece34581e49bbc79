"""The request of a sample: the same question to the same model once more, so that the answers can be compared."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.request import ChatRequest

TEMPERATURE = 0.7  # where the caller's own would give the same answer again; as in Wang et al., arXiv 2203.11171
_DROPPED = ("stream", "stream_options", "logprobs", "top_logprobs", "n")


def sample_request(request: ChatRequest, number: int, *, at_own_temperature: bool = False) -> ChatRequest:
    """Not streamed, one choice, no log-probabilities; a temperature that lets answers differ, and a seed of its own.

    number: 2 for the first sample, the answer itself being the first of all. A caller's seed would give the caller's
    answer again, so each sample adds its number to it. at_own_temperature: for a model that lets nobody set it.
    """
    fields: dict[str, Any] = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
    for name in _DROPPED:
        fields.pop(name, None)
    temperature = _value(fields, "temperature")
    if not at_own_temperature and (not isinstance(temperature, int | float) or temperature <= 0):
        fields["temperature"] = TEMPERATURE
    seed = _value(fields, "seed")
    if isinstance(seed, int):
        fields["seed"] = seed + number - 1 if seed < 2**31 - 8 else number
    head = msgspec.structs.replace(request.head, stream=None, stream_options=None, n=None)
    return request.rewritten(msgspec.json.encode(fields), head)


def _value(fields: dict[str, Any], name: str) -> Any:
    return msgspec.json.decode(fields[name]) if name in fields else None
