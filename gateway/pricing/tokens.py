"""Count the tokens of texts, for the answers whose provider does not: cut ones, hedges that lost, servers without usage.

With OpenAI's own vocabularies, which tiktoken reads and the litellm package brings along; neither is asked for over the
network, and litellm is not imported. Without the two a token is taken for four characters.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import importlib.util
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal, Protocol

import msgspec

from gateway.chat import Message, call_text
from gateway.embeddings import EmbeddingsRequest
from gateway.request import ChatRequest
from gateway.usage import estimate_tokens

log = logging.getLogger("turnout.tokens")

EncodingName = Literal["o200k_base", "cl100k_base"]

# A longer text is counted in parts and scaled: 16 k characters of prose take 1.6 ms, of the worst kind 9 ms, on the event loop.
COUNTED_CHARS_MAX: Final = 16_384
_PARTS: Final = 8

# OpenAI's cookbook, "How to count tokens with tiktoken": of each message, of a name in it, and of the answer's beginning.
MESSAGE_TOKENS: Final = 3
NAME_TOKENS: Final = 1
REPLY_TOKENS: Final = 3
IMAGE_TOKENS: Final = 765  # of 1024 × 1024 pixels in high detail, by OpenAI's rule; the size is not looked at

# Fine-tuned models and deployments have the name within theirs: `ft:gpt-4:…`, `openai/gpt-3.5-turbo`. Newer ones have o200k.
_CL100K: Final = re.compile(r"(?:^|[/:])(?:gpt-4(?!o|\.|-o)|gpt-3\.?5|text-embedding-|davinci-002|babbage-002)")


class _File(msgspec.Struct, frozen=True):
    """name: tiktoken's, by the address it comes from, which is how litellm's package has it as well. pattern: of words."""

    name: str
    sha256: str
    pattern: str


# Of tiktoken 0.14 (MIT), tiktoken_ext/openai_public.py: its own functions would go to the network for a file they do not find.
_LETTERS: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
_CAPITALS: Final = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
_ENDS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_FILES: Final[dict[EncodingName, _File]] = {
    "o200k_base": _File(
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_LETTERS}{_ENDS}|[^\r\n\p{{L}}\p{{N}}]?{_CAPITALS}{_ENDS}|\p{{N}}{{1,3}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    "cl100k_base": _File(
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    ),
}
VOCABULARIES: Final = tuple(_FILES)


class TokenCounter(Protocol):
    """Counts as one model does."""

    def prepare(self) -> None:
        """Calls of the model have begun, so it may be needed soon. Returns at once."""
        ...

    def count(self, text: str) -> int:
        """About how many tokens this text has. Bounded in time."""
        ...


class Characters:
    """Four characters a token."""

    def prepare(self) -> None:
        """It is ready."""

    def count(self, text: str) -> int:
        return estimate_tokens(len(text))


CHARACTERS: Final = Characters()


class Vocabulary:
    """Counts with a vocabulary that a thread loads at the first call; until it is there, by characters.

    load: reads it, which takes 0.3 to 0.6 s and 35 to 80 MB; gives what counts, None where there is none.
    """

    def __init__(self, load: Callable[[], Callable[[str], int] | None]) -> None:
        self._load = load
        self._count: Callable[[str], int] = CHARACTERS.count
        self._loading: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        if self._loading is None:
            self._loading = asyncio.create_task(self._loaded(), name="load-vocabulary")

    async def aclose(self) -> None:
        """A thread cannot be stopped: wait for it."""
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)

    def count(self, text: str) -> int:
        if len(text) <= COUNTED_CHARS_MAX:
            return self._count(text)
        size, step = COUNTED_CHARS_MAX // _PARTS, len(text) // _PARTS
        parts = [text[at : at + size] for at in range(0, step * _PARTS, step)]
        return round(sum(map(self._count, parts)) * len(text) / (size * _PARTS))

    async def _loaded(self) -> None:
        count = await asyncio.to_thread(self._load)
        if count is not None:
            self._count = count


class Vocabularies:
    """The vocabularies of all models; each is loaded once, by the first call of a model that has it."""

    def __init__(self) -> None:
        self._by_name = {name: Vocabulary(functools.partial(load, name)) for name in VOCABULARIES}

    def of(self, model_id: str) -> TokenCounter:
        """What counts for a model, by the name that its provider knows it by."""
        return self._by_name[encoding_of(model_id)]

    async def aclose(self) -> None:
        await asyncio.gather(*(vocabulary.aclose() for vocabulary in self._by_name.values()))


def encoding_of(model_id: str) -> EncodingName:
    """The vocabulary of a model; for all that OpenAI does not make, its latest, which is a guess like any other."""
    return "cl100k_base" if _CL100K.search(model_id) else "o200k_base"


@functools.cache
def load(name: EncodingName) -> Callable[[str], int] | None:
    """What counts with this vocabulary; None where tiktoken or the vocabulary's file is missing, or is not what it should be.

    Once in a process, however many gateways it holds. Not for the event loop's thread.
    """
    path = folder() / _FILES[name].name
    if importlib.util.find_spec("tiktoken") is None or not path.is_file():
        log.info("tokens that no provider counts are estimated by length: tiktoken or its vocabulary %s is missing", name)
        return None
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != _FILES[name].sha256:
        log.warning("tokens that no provider counts are estimated by length: '%s' is not the vocabulary %s", path, name)
        return None
    tiktoken = importlib.import_module("tiktoken")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines() if line)}
    # What looks like a special token in somebody's text is text.
    encoding = tiktoken.Encoding(name, pat_str=_FILES[name].pattern, mergeable_ranks=ranks, special_tokens={})
    return lambda text: len(encoding.encode_ordinary(text))


def folder() -> Path:
    """Where the litellm package has the vocabularies, if it is installed."""
    found = importlib.util.find_spec("litellm")
    places = (found.submodule_search_locations if found is not None else None) or [""]
    return Path(places[0]) / "litellm_core_utils" / "tokenizers"


def tokens_read(request: ChatRequest, counter: TokenCounter, *, is_prompt: bool = False) -> int:
    """About how many input tokens a provider counts for this request.

    Of chats as OpenAI's cookbook has it; what tools cost is not published, and is taken to be that of their JSON. is_prompt: the
    model goes on from the text alone, as completions have it.
    """
    if isinstance(request, EmbeddingsRequest):
        return _items(request, counter)
    messages = request.head.messages
    if is_prompt:
        return _together([text for message in messages for text in _said(message)], counter)
    extra = REPLY_TOKENS + MESSAGE_TOKENS * len(messages) + IMAGE_TOKENS * request.images
    extra += sum(NAME_TOKENS for message in messages if message.has_name)
    return extra + _together([text for message in messages for text in _texts(message)] + list(_tools(request)), counter)


def _items(request: EmbeddingsRequest, counter: TokenCounter) -> int:
    arrays = sum(item.count(b",") + 1 for item in request.items if item.startswith(b"["))
    return arrays + _together([msgspec.json.decode(item) for item in request.items if item.startswith(b'"')], counter)


def _said(message: Message) -> Iterator[str]:
    if isinstance(message.content, str):
        yield message.content
    else:
        yield from (part.text for part in message.content or () if part.text)


def _texts(message: Message) -> Iterator[str]:
    yield message.role
    yield from _said(message)
    yield call_text(message.tool_calls)
    if message.has_name:
        yield bytes(message.name).decode(errors="replace").strip('"')


def _tools(request: ChatRequest) -> Iterator[str]:
    offered = [*(request.head.tools or []), *(request.head.functions or [])]
    yield from (bytes(value).decode(errors="replace") for tool in offered for value in tool.values())


def _together(texts: list[str], counter: TokenCounter) -> int:
    """Each by itself, as providers see them; as one where they are long, which is counted in part."""
    if sum(map(len, texts)) <= COUNTED_CHARS_MAX:
        return sum(counter.count(text) for text in texts if text)
    return counter.count("\n".join(texts))
