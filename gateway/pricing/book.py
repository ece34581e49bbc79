"""The price map in use: the one that ships with the gateway, or a newer one in the data folder."""

from __future__ import annotations

import difflib
import functools
import math
import urllib.parse
from collections.abc import Collection, Iterable
from importlib import resources
from pathlib import Path

import msgspec

from gateway.errors import ConfigError
from gateway.policy.capability import Capability
from gateway.policy.catalog import PriceFrom, Provider, TokenPrice, price_at
from gateway.policy.schema_models import AnthropicProvider, LiteLLMProvider, OpenAIProvider
from gateway.pricing.listing import Listed, PriceMap

FILE_NAME = "prices.json"
NEAR_MAX = 3

# Servers that speak the OpenAI API, by host, with their name in the price map.
HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.together.ai": "together_ai",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
    "api.perplexity.ai": "perplexity",
    "api.cerebras.ai": "cerebras",
    "api.deepinfra.com": "deepinfra",
    "api.moonshot.ai": "moonshot",
    "generativelanguage.googleapis.com": "gemini",
}


class PriceBook:
    """A price map to look things up in. Names are the provider's, a slash, the model's id, as `openai/gpt-4.1`.

    path: of a map in the data folder; None for the shipped one.
    """

    def __init__(self, content: PriceMap, path: Path | None = None) -> None:
        self._content, self.path = content, path

    @property
    def date(self) -> str:
        """The day its prices were taken, YYYY-MM-DD."""
        return self._content.date

    @property
    def version(self) -> str:
        """Of the package that its source came in; empty if it came in none."""
        return self._content.version

    @property
    def source(self) -> str:
        """Where its prices were taken from."""
        return self._content.source

    @property
    def names(self) -> Collection[str]:
        """Of all models that it has."""
        return self._content.models.keys()

    @property
    def title(self) -> str:
        """As a price says where it is from."""
        return f"price map of {self.date}"

    def listed(self, name: str) -> Listed | None:
        """What the map says of a model, None if nothing. Raises ConfigError if it cannot be read."""
        raw = self._content.models.get(name)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=Listed)
        except msgspec.ValidationError as exc:
            raise ConfigError(f"{_shown(self.path)}: model '{name}': {exc}; {_REMEDY}") from exc

    def all_listed(self) -> dict[str, Listed]:
        """Everything that the map says, by name. Raises ConfigError."""
        return {name: listed for name in self.names if (listed := self.listed(name)) is not None}

    def price(self, name: str, at: float = math.inf) -> TokenPrice | None:
        """A model's price, None if the map has none. at: seconds since 1970, UTC; without it, the latest. Raises ConfigError."""
        listed = self.listed(name)
        return None if listed is None else price_at(listed.prices(self.title), at)

    def prices_of(self, provider: Provider, model_id: str) -> tuple[PriceFrom, ...] | None:
        """What a model cost at its own provider from when; None where the map has none, as for a server of one's own.

        Raises ConfigError.
        """
        owner = _owner(provider)
        listed = self.listed(f"{owner}/{model_id}") if owner else None
        return None if listed is None else listed.prices(self.title)

    def cannot_of(self, provider: Provider, model_id: str) -> frozenset[Capability]:
        """What the map says that a model lacks; empty for one that it does not have. Raises ConfigError."""
        owner = _owner(provider)
        listed = self.listed(f"{owner}/{model_id}") if owner else None
        return frozenset() if listed is None else frozenset(listed.cannot)

    def ids_like(self, provider: Provider, model_id: str) -> list[str]:
        """Models of the same provider that may be meant by an id that the map does not have, the likeliest first."""
        owner = _owner(provider)
        return [] if owner is None else names_like(model_id, _ids(self.names, owner))


def names_like(name: str, known: Collection[str]) -> list[str]:
    """Names that may be meant by one that is not known: the same model at its providers, else those that are spelt like it."""
    same = sorted((other for other in known if other.endswith(f"/{name}")), key=lambda other: (len(other), other))
    return same[:NEAR_MAX] or difflib.get_close_matches(name, known, n=NEAR_MAX, cutoff=0.8)


@functools.cache
def shipped_book() -> PriceBook:
    """The map inside the package."""
    content = resources.files("gateway.pricing").joinpath(FILE_NAME).read_bytes()
    return PriceBook(msgspec.json.decode(content, type=PriceMap))


def open_book(data_dir: Path) -> PriceBook:
    """The map of the data folder if there is one and it is not older than the shipped one, else that. Raises ConfigError."""
    path, shipped = data_dir / FILE_NAME, shipped_book()
    try:
        content = msgspec.json.decode(path.read_bytes(), type=PriceMap)
    except (FileNotFoundError, NotADirectoryError):
        return shipped
    except OSError as exc:
        raise ConfigError(f"cannot read the price map '{path}': {exc.strerror}") from exc
    except msgspec.DecodeError as exc:  # not JSON, or JSON of another shape
        raise ConfigError(f"{_shown(path)}: {exc}; {_REMEDY}") from exc
    return PriceBook(content, path) if content.date >= shipped.date else shipped


_REMEDY = "write it anew with `turnout prices refresh`, or remove it to go back to the shipped one"


def _shown(path: Path | None) -> str:
    return "the shipped price map" if path is None else f"the price map '{path}' cannot be used"


def _owner(provider: Provider) -> str | None:
    """The provider's name in the map."""
    if isinstance(provider, OpenAIProvider):
        return HOSTS.get(urllib.parse.urlsplit(provider.base_url).hostname or "")
    if isinstance(provider, AnthropicProvider):
        return "anthropic"
    return provider.litellm_provider if isinstance(provider, LiteLLMProvider) else None


def _ids(names: Iterable[str], owner: str) -> list[str]:
    return [name.removeprefix(f"{owner}/") for name in names if name.startswith(f"{owner}/")]
