"""A feature, how each client asks for it, what each provider must get, and what comes of each pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.clients.pairing.callers.base import CALLERS, CallerName
from tests.clients.pairing.says import Fails, Json, Says

ProviderName = Literal["chat", "responses", "anthropic", "gemini"]
"""What the provider speaks: OpenAI's two dialects, Anthropic's, and Gemini's behind litellm."""
PROVIDERS: tuple[ProviderName, ...] = ("chat", "responses", "anthropic", "gemini")
# The caller's own dialect: the request's bytes are passed on.
SAME: Mapping[CallerName, ProviderName] = {"chat": "chat", "messages": "anthropic", "responses": "responses"}
Mode = Literal["stream", "whole"]
MODES: tuple[Mode, ...] = ("stream", "whole")


@dataclass(frozen=True)
class Works:
    """It arrives, and what comes back is all there. told: how else than as it came, and what the caller hears of it then."""

    told: str = ""
    hears: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Refused:
    """The caller gets a 400 that names `field`, and nothing was sent."""

    field: str


@dataclass(frozen=True)
class LeftOut:
    """The rest works. lost: fields that the provider is not sent, at any depth. hears: what the caller hears in place of all."""

    why: str
    lost: tuple[str, ...] = ()
    hears: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Unsaid:
    """The dialect has no such thing. missing: what is not among its SDK's arguments, or arguments that its types do not allow."""

    missing: str | Json


Verdict = Works | Refused | LeftOut
Asks = Mapping[CallerName, Json | Unsaid]
Pair = tuple[CallerName | Literal["any"], ProviderName | Literal["any"]]
"""A client and a provider, or any of them."""


@dataclass(frozen=True)
class Feature:
    """One row of docs/compatibility.md.

    name: in tests. title: on the page. asks: each SDK's arguments, less the model. sent: on each provider's wire, as
    much of the body as the feature is about, of the last request if there are more. says: what the models answer, a request each.
    spoken: the providers whose APIs can answer so. unplayed: what cannot be tried here, and why. results: of the calls in each
    answer but the last, told by the caller. but: where not all of it works; in one mode alone if it is named. raises: the SDKs'
    exception, where the provider fails. only: the modes that it is about. is_kept: the gateway adds what it keeps of the
    conversation, whatever the provider speaks.
    """

    name: str
    title: str
    asks: Asks
    sent: Mapping[ProviderName, Json] = field(default_factory=dict)
    says: tuple[Says | Fails, ...] = (Says(),)
    spoken: tuple[ProviderName, ...] = PROVIDERS
    unplayed: Mapping[ProviderName, str] = field(default_factory=dict)
    results: tuple[tuple[str, ...], ...] = ()
    but: Mapping[Pair | tuple[CallerName | Literal["any"], ProviderName, Mode], Verdict] = field(default_factory=dict)
    raises: str | None = None
    only: tuple[Mode, ...] = MODES
    is_kept: bool = False

    def verdict(self, caller: CallerName, provider: ProviderName, mode: Mode) -> Verdict:
        """What is declared for the pair; the more exact declaration holds."""
        keys = ((caller, provider, mode), ("any", provider, mode), (caller, provider), ("any", provider), (caller, "any"))
        return next((verdict for key in keys for declared, verdict in self.but.items() if declared == key), Works())

    @property
    def fails(self) -> bool:
        return isinstance(self.says[-1], Fails)


@dataclass(frozen=True)
class Cell:
    """A feature, asked for by one client, of one provider, streamed or not."""

    feature: Feature
    caller: CallerName
    provider: ProviderName
    mode: Mode

    @property
    def id(self) -> str:
        return f"{self.feature.name}-{self.caller}-{self.provider}-{self.mode}"

    @property
    def verdict(self) -> Verdict:
        return self.feature.verdict(self.caller, self.provider, self.mode)

    @property
    def asked(self) -> Json:
        asked = self.feature.asks[self.caller]
        assert not isinstance(asked, Unsaid)
        return asked


def cells(features: tuple[Feature, ...]) -> list[Cell]:
    """Every cell of the matrix whose caller has words for the feature."""
    return [
        Cell(feature, caller, provider, mode)
        for feature in features
        for caller in CALLERS
        if not isinstance(feature.asks[caller], Unsaid)
        for provider in feature.spoken
        if provider not in feature.unplayed
        for mode in feature.only
    ]


def saying(
    prompt: str = "What is the capital of Norway?",
    *,
    chat: Json | Unsaid | None = None,
    messages: Json | Unsaid | None = None,
    responses: Json | Unsaid | None = None,
) -> Asks:
    """A prompt in each dialect, with what each is given besides."""
    turn = [{"role": "user", "content": prompt}]
    given: dict[CallerName, tuple[Json, Json | Unsaid | None]] = {
        "chat": ({"messages": turn}, chat),
        "messages": ({"messages": turn, "max_tokens": 2048}, messages),
        "responses": ({"input": prompt}, responses),
    }
    return {name: more if isinstance(more, Unsaid) else {**basis, **(more or {})} for name, (basis, more) in given.items()}
