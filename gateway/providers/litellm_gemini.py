"""Whether a stream of Gemini's really ended.

litellm calls each of its events finished with "stop", so that a stream which was cut looks like a whole one. The events' own
lines tell the difference, and are looked at on their way to litellm.
"""

from __future__ import annotations

from typing import Any, Final

VENDORS: Final = frozenset({"gemini", "vertex_ai"})
ENDS: Final = ('"finishReason"', '"blockReason"')  # of an answer, and of a prompt that is not answered


class Ends:
    """The lines of a stream, on their way. is_finished: one of them said that the answer is over."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self.is_finished = False

    def __aiter__(self) -> Ends:
        return self

    async def __anext__(self) -> Any:
        line = await anext(self._lines)
        if not self.is_finished and any(word in line for word in ENDS):
            self.is_finished = True
        return line

    async def aclose(self) -> None:
        await self._lines.aclose()


async def watched(answer: Any, vendor: str) -> Ends | None:
    """The watch over litellm's stream; None if the answer is none of Gemini's own. Sends the request if litellm has not yet."""
    if vendor not in VENDORS or not hasattr(answer, "fetch_stream"):
        return None
    stream = await answer.fetch_stream()
    lines = getattr(stream, "async_response_iterator", None)
    if lines is None or not hasattr(stream, "has_seen_tool_calls"):  # Claude's, on Vertex
        return None
    stream.streaming_response = stream.async_response_iterator = ends = Ends(lines)
    return ends
