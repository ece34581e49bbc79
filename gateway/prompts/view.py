"""What of a request its template shows in: the system text, and what the user said first. Bounded, whatever its size."""

from __future__ import annotations

from typing import Final, NamedTuple

from gateway.chat import ContentPart, Message
from gateway.request import ChatRequest

# Of a text longer than both its ends, what stands between is not looked at: a template around a long document has its
# words before it, after it, or both.
END_CHARS: Final = 640
CUT: Final = "\n[…]\n"
MESSAGES_MAX: Final = 16  # the system text and the user's first words come among these, or are not looked for
PARTS_MAX: Final = 16  # of a message's content, from either side


class View(NamedTuple):
    """The two texts, each its two ends at most."""

    system: str
    user: str


def view_of(request: ChatRequest) -> View | None:
    """What of the request is looked at; None when nothing is said in it.

    The user's first words, not the last ones: so all turns of a conversation are the same prompt, which its first one was.
    """
    system: list[Message] = []
    messages = request.head.messages
    for message in messages if len(messages) <= MESSAGES_MAX else messages[:MESSAGES_MAX]:
        if message.role == "user":
            user = _seen(message)
            break
        if message.role in ("system", "developer"):
            system.append(message)
    else:
        user = ""
    said = "" if not system else _seen(system[0]) if len(system) == 1 else _ends("\n".join(map(_seen, system)))
    return View(said, user) if said or user else None


def _seen(message: Message) -> str:
    content = message.content
    if isinstance(content, str):
        return content if len(content) <= 2 * END_CHARS else _ends(content)
    return "" if content is None else _ends(_text(content))


def _text(parts: list[ContentPart]) -> str:
    """The text parts, joined; of a great many parts, those at either end."""
    if len(parts) > 2 * PARTS_MAX:
        parts = parts[:PARTS_MAX] + parts[-PARTS_MAX:]
    return "\n".join(_ends(part.text) for part in parts if part.text)


def _ends(text: str) -> str:
    return text if len(text) <= 2 * END_CHARS else f"{text[:END_CHARS]}{CUT}{text[-END_CHARS:]}"
