"""The texts that decisions are about, and how much of them is looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # a policy without a classifier needs neither
    import numpy as np
    import numpy.typing as npt

    from classifiers.text.embed import StaticEmbedder

SEEN_CHARS: Final = 16 * 1024  # at either end of a text; what stands between is not looked at
# Of a text longer than the embedder reads, the beginning and the end, about its 512 tokens together: a long document
# has its question at either end.

_DATA_URI: Final = re.compile(r"data:[\w.+/-]{0,100}(?:;[\w.+=-]{0,100}){0,4};base64,[A-Za-z0-9+/=_-]*")
_CUT_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{64,}")  # what is left of one of which the beginning was not seen


class Prompt:
    """The last words of the user, and their embedding, made at most once a request."""

    def __init__(self, text: str, embedder: StaticEmbedder | None) -> None:
        self.text = text
        self._embedder = embedder
        self._encoded: tuple[npt.NDArray[np.float32], bool] | None = None

    def embedding(self) -> npt.NDArray[np.float32]:
        """(dim,) float32 of unit length, or zeros for a text without a known token."""
        return self._encode()[0]

    @property
    def is_whole(self) -> bool:
        """Whether the embedding saw all of the text; if not, two different texts can look the same."""
        return self._encode()[1]

    def _encode(self) -> tuple[npt.NDArray[np.float32], bool]:
        if self._encoded is None:
            assert self._embedder is not None, "the policy needs no embedding"
            self._encoded = self._embedder.encode_whole(self.text)
        return self._encoded


def readable(text: str) -> str:
    """The text as classifiers read it: without files written out in base64, and bounded to 32 K characters."""
    if len(text) > 2 * SEEN_CHARS:
        head, tail = text[:SEEN_CHARS], text[-SEEN_CHARS:]
        cut = _CUT_RUN.match(tail)
        return f"{_without_files(head)}\n{_without_files(tail[cut.end() :] if cut else tail)}"
    return _without_files(text)


def _without_files(text: str) -> str:
    return _DATA_URI.sub(" ", text) if ";base64," in text else text
