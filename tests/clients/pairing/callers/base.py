"""The port: an SDK client that asks as its users do, and tells what it hands them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from pydantic import BaseModel

from tests.clients.pairing.says import Heard, Json

CallerName = Literal["chat", "messages", "responses"]
CALLERS: tuple[CallerName, ...] = ("chat", "messages", "responses")


@dataclass(frozen=True)
class Answer:
    """heard: in the words of every dialect. turn: what the user adds to the conversation to go on with it.

    pieces: deltas that a stream brought of tool arguments. cost: a stream's `usage.cost`. raw: the SDK's object as JSON.
    """

    heard: Heard
    turn: list[Json]
    raw: Json
    pieces: int = 0
    cost: float | None = None
    call_ids: list[str] = field(default_factory=list)


def well_formed(made: BaseModel) -> Json:
    """What an SDK has built of an answer or an event, as JSON. The SDKs believe the server; here it must be what their types say.

    Raises pydantic.ValidationError.
    """
    raw: Json = made.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
    type(made).model_validate(raw)
    return raw


class Caller(Protocol):
    """Asks through a real SDK. last_body: what the SDK put on the wire."""

    last_body: Json

    def ask(self, asked: Json, *, is_stream: bool) -> Answer:
        """asked: the arguments of the SDK's method. Raises what the SDK raises."""
        ...

    def going_on(self, asked: Json, answer: Answer, results: tuple[str, ...]) -> Json:
        """The arguments of the next call: the conversation so far, the answer in it, and its calls' results.

        Where the server keeps the conversation (`store`) it is named in place of told.
        """
        ...

    def close(self) -> None: ...
