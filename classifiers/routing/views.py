"""What the routing model looks at in a text: hashed n-grams, hand features and the embedding. numpy only."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from classifiers.base import Ids, Vector
from classifiers.text.difficulty import DIFFICULTY_NAMES, difficulty_of
from classifiers.text.embed import TOKENS_MAX
from classifiers.text.features import FEATURE_NAMES, features_of
from classifiers.text.ngrams import Buckets, Counts, char_ngrams, token_ngrams
from classifiers.text.scan import scan

HAND_NAMES: Final[tuple[str, ...]] = (*FEATURE_NAMES, *DIFFICULTY_NAMES)
CHAR_SIZES: Final = (3, 4, 5)
CHAR_BITS: Final = 18
TOKEN_SIZES: Final = (1, 2)
TOKEN_BITS: Final = 17
BITS: Final = (CHAR_BITS, TOKEN_BITS)


@dataclass(frozen=True, slots=True)
class View:
    """One text. ngrams: of characters and of tokens, as `BITS`. hand: (f,), as HAND_NAMES. embedding: (d,)."""

    ngrams: tuple[tuple[Buckets, Counts], tuple[Buckets, Counts]]
    hand: Vector
    embedding: Vector


def view(text: str, ids: Ids, embedding: Vector) -> View:
    """The text as the routing model sees it. ids: its token ids, of which the first TOKENS_MAX count."""
    seen = ids[:TOKENS_MAX]
    ngrams = char_ngrams(text, CHAR_SIZES, CHAR_BITS), token_ngrams(seen, TOKEN_SIZES, TOKEN_BITS)
    own = scan(text)
    return View(ngrams, np.concatenate((features_of(own), difficulty_of(own, seen))), embedding)
