"""What is asked and what then happens, drawn from a seed: one case a request, with the play of each call that it leads to."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.scenario.reconciliation.dialects import TOKENS_MAX, Caller
from tests.scenario.reconciliation.sheet import BIG, CLAUDE, DEEP, EMBEDDER, MINI, NAMES, OLD

Ending = Literal["whole", "error", "cut", "hang", "malformed"]
# Where the count of a whole answer stands: in an event of its own, beside the finish, on every event, with reasoning in the total
# alone, or nowhere that one could read it.
Counted = Literal["own", "finish", "continuous", "apart", "none", "zeros", "garbage"]

NOTHING: Final = -1  # content: not even the stream's first event has come

WORDS: Final = (
    "the invoice of a provider and our own ledger must agree to the last nano dollar whatever happened in between "
    "def price(tokens): return sum(t*r for t,r in tokens) # naïve Straße 東京 請求書 emoji 🚃🚋 1234567 0.000001 "
    "schadenfreude antidisestablishmentarianism ```python x = {'a': [1, 2]}\n``` <|endoftext|> Ünïcödé"
).split()

GAPS: Final = (" ", " ", " ", "\n\n", "", "   ")


@dataclass(frozen=True)
class Play:
    """How one call goes. at: content chunks before a stream ends as it does. after: a model whose call must have come before."""

    ending: Ending = "whole"
    chunks: tuple[str, ...] = ()
    thoughts: int = 0  # how many of the chunks are thought aloud
    is_call: bool = False  # the chunks are a tool's name and its arguments
    at: int = 0
    status: int = 500
    counted: Counted = "own"
    after: str | None = None


@dataclass(eq=False)
class Case:
    """One request. callers: who asks; all but the first do so when all other cases are over. body: in the chat dialect. plays: by
    model, a play a call, in turn. leaves_at: content events after which the client goes; 0: as soon as a provider has the call.
    """

    number: int
    callers: tuple[Caller, ...]
    route: str | None
    body: dict[str, Any]
    plays: dict[str, list[Play]]
    leaves_at: int | None = None
    has_left: asyncio.Event = field(default_factory=asyncio.Event)
    heard: int = 0
    seen: dict[str, asyncio.Event] = field(default_factory=dict)
    _waits: list[tuple[int, asyncio.Event]] = field(default_factory=list)

    @property
    def is_stream(self) -> bool:
        return bool(self.body.get("stream"))

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    def when_heard(self, events: int) -> asyncio.Event:
        """Set when the client has so many events with content."""
        event = asyncio.Event()
        self._waits.append((events, event))
        self.hear(0)
        return event

    def hear(self, events: int) -> None:
        """The client has got so many more."""
        self.heard += events
        for needed, event in self._waits:
            if self.heard >= needed:
                event.set()
        if self.leaves_at and self.heard >= self.leaves_at:
            self.has_left.set()

    def when_seen(self, model: str) -> asyncio.Event:
        """Set when a call of this model has come."""
        return self.seen.setdefault(model, asyncio.Event())

    def see(self, model: str) -> None:
        self.when_seen(model).set()
        if self.leaves_at == 0:
            self.has_left.set()


class Deck:
    """Draws cases. The same seed draws the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def cases(self, count: int, first: int = 0) -> list[Case]:
        makers = (
            *(self._plain,) * 8,
            *(self._retried, self._fallen_back, self._cut, self._left, self._left) * 2,
            *(self._cut_early, self._malformed, self._climbed, self._hedged, self._restarted, self._continued),
            *(self._embedded, self._embedded, self._kept, self._refused),
        )
        return [self._random.choice(makers)(number) for number in range(first, first + count)]

    # The parts.

    def _words(self, least: int = 2, most: int = 24) -> tuple[str, ...]:
        words = self._random.choices(WORDS, k=self._random.randint(least, most))
        return tuple(word if n == 0 else f"{self._random.choice(GAPS)}{word}" for n, word in enumerate(words))

    def _body(self, number: int, *, is_stream: bool | None = None) -> dict[str, Any]:
        stream = self._random.random() < 0.6 if is_stream is None else is_stream
        question = f"case {number}:{''.join(self._words(1, 90 if self._random.random() < 0.2 else 12))}"
        messages: list[dict[str, Any]] = [{"role": "user", "content": question}]
        if self._random.random() < 0.4:
            messages.insert(0, {"role": "system", "content": "".join(self._words())})
        if self._random.random() < 0.15:
            messages[-1]["name"] = "ada"
        if self._random.random() < 0.15:
            messages[-1]["content"] = [{"type": "text", "text": question}, {"type": "text", "text": "".join(self._words())}]
        body: dict[str, Any] = {"model": "auto", "messages": messages, "stream": stream}
        if stream and self._random.random() < 0.7:
            body["stream_options"] = {"include_usage": True}
        return body

    def _answer(self, model: str, **how: Any) -> Play:
        counted: list[Counted] = ["own", "own", "own", "finish", "continuous", "none", "zeros", "garbage"]
        if model == MINI:
            counted.append("apart")
        chunks, is_call = self._words(), self._random.random() < 0.1
        if is_call:
            chunks = ("look_up", '{"query": ', '"Straße', ' 12", "n": 3', "}")
        thoughts = self._random.randint(0, len(chunks) - 1) if not is_call and self._random.random() < 0.2 else 0
        said: dict[str, Any] = {"counted": self._random.choice(counted), **how}
        return Play(chunks=chunks, is_call=is_call, thoughts=thoughts, **said)

    def _broken(self, model: str, ending: Ending, **how: Any) -> Play:
        answer = self._answer(model, ending=ending, counted=self._random.choice(["own", "continuous"]), **how)
        return Play(**{**answer.__dict__, "at": how.get("at", self._random.randint(1, len(answer.chunks)))})

    def _chat(self, number: int, route: str | None, plays: dict[str, list[Play]], **more: Any) -> Case:
        body = self._body(number, is_stream=more.pop("is_stream", None))
        if route is None:  # the model that is asked is named outright
            body["model"] = NAMES[next(iter(plays))]
        callers = more.pop("callers", None) or (self._caller(plays),)
        asked = body["messages"][-1]
        if callers != ("chat",):
            asked.pop("name", None)  # no other dialect has them
            if not {CLAUDE, DEEP}.issuperset(plays) and isinstance(asked["content"], list):
                asked["content"] = asked["content"][0]["text"]  # in chat parts become one text: a token at each seam
        if "completions" in callers:
            asked["content"] = asked["content"] if isinstance(asked["content"], str) else asked["content"][0]["text"]
            body["messages"] = [asked]
        return Case(number, callers, route, body, plays, **more)

    def _caller(self, plays: dict[str, list[Play]]) -> Caller:
        callers: list[Caller] = ["chat", "chat", "messages", "responses"]
        if not any(play.is_call or play.thoughts for played in plays.values() for play in played):
            callers.append("completions")  # which has no place for those
        return self._random.choice(callers)

    # The cases.

    def _plain(self, number: int) -> Case:
        model = self._random.choice((MINI, BIG, OLD, CLAUDE, CLAUDE, DEEP, DEEP))
        return self._chat(number, None, {model: [self._answer(model)]})

    def _retried(self, number: int) -> Case:
        model = self._random.choice((MINI, CLAUDE, DEEP))
        failed = Play("error", status=self._random.choice((500, 503, 529)))
        return self._chat(number, None, {model: [failed, self._answer(model)]})

    def _fallen_back(self, number: int) -> Case:
        failed = [Play("error", status=502)] * 2
        plays = {MINI: failed, CLAUDE: [Play("error", status=500), self._answer(CLAUDE)]}
        if self._random.random() < 0.5:
            plays = {MINI: failed, CLAUDE: failed, BIG: [self._answer(BIG)]}
        return self._chat(number, "falls-back", plays)

    def _refused(self, number: int) -> Case:
        """Nobody answers."""
        return self._chat(number, None, {OLD: [Play("error", status=self._random.choice((400, 500)))] * 2})

    def _cut(self, number: int) -> Case:
        model = self._random.choice((MINI, OLD, CLAUDE, DEEP))
        return self._chat(number, None, {model: [self._broken(model, "cut")]}, is_stream=True)

    def _cut_early(self, number: int) -> Case:
        """Before anything is said, which is worth another try."""
        model = self._random.choice((MINI, OLD, CLAUDE, DEEP))
        cut = self._broken(model, "cut", at=self._random.choice((NOTHING, 0)))
        return self._chat(number, None, {model: [cut, self._answer(model)]}, is_stream=True)

    def _malformed(self, number: int) -> Case:
        model = self._random.choice((MINI, CLAUDE, DEEP))
        early = {"at": 0} if self._random.random() < 0.3 else {}  # before anything is said
        return self._chat(number, None, {model: [self._broken(model, "malformed", **early)]}, is_stream=True)

    def _left(self, number: int) -> Case:
        model = self._random.choice((MINI, BIG, OLD, CLAUDE, DEEP))
        if self._random.random() < 0.3:  # nothing has come yet, of a stream or a whole answer
            return self._chat(number, None, {model: [self._broken(model, "hang", at=NOTHING)]}, leaves_at=0)
        play = self._broken(model, "hang")
        return self._chat(number, None, {model: [play]}, is_stream=True, leaves_at=play.at)

    def _climbed(self, number: int) -> Case:
        declined = ("I'm", " sorry,", " but", " I", " can't", " help", " with", " that.")
        rung = Play(chunks=declined, counted=self._random.choice(("own", "none", "finish")))
        return self._chat(number, "climbs", {MINI: [rung], CLAUDE: [self._answer(CLAUDE, counted="own")]})

    def _hedged(self, number: int) -> Case:
        """The first says nothing; the second answers once the first has the call."""
        first = self._broken(MINI, "hang", at=self._random.choice((NOTHING, 0)))
        return self._chat(number, "hedges", {MINI: [first], BIG: [self._answer(BIG, after=MINI)]})

    def _restarted(self, number: int) -> Case:
        first = Play("cut", self._words(), at=2, counted="own")
        return self._chat(number, "restarts", {MINI: [first], BIG: [self._text(BIG)]}, is_stream=True)

    def _continued(self, number: int) -> Case:
        first = Play("cut", self._words(), at=2, counted="own")
        return self._chat(number, "continues", {MINI: [first], BIG: [self._text(BIG)]}, is_stream=True)

    def _text(self, model: str) -> Play:
        return Play(chunks=self._words(), counted=self._random.choice(("own", "none", "finish", "continuous")))

    def _embedded(self, number: int) -> Case:
        texts = [f"case {number}:{''.join(self._words(1, 30))}" for _ in range(self._random.randint(1, 4))]
        given: Any = texts if len(texts) > 1 or self._random.random() < 0.5 else texts[0]
        plays = [Play(counted=self._random.choice(("own", "own", "none", "zeros", "garbage")))]
        if self._random.random() < 0.2:
            plays.insert(0, Play("error", status=500))
        return Case(number, ("embeddings",), None, {"model": "embedder", "input": given}, {EMBEDDER: plays})

    def _kept(self, number: int) -> Case:
        """Answered from the cache from the second time on, whoever asks."""
        callers: list[Caller] = ["chat", "messages", "responses"]
        self._random.shuffle(callers)
        case = self._chat(number, "keeps", {MINI: [Play(chunks=self._words())]}, callers=tuple(callers))
        case.body["max_tokens"] = TOKENS_MAX  # as those who must say it
        return case
