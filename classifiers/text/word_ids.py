"""Token ids word by word, with a memory of words met before: the same ids as the tokenizer gives for the whole text.

In this kind of vocabulary (SentencePiece's byte-pair encoding, as Llama 2 uses it) the mark of a space stands only at a
token's beginning and a line break is in no token but its byte's own, so no token reaches over either: the words between
them can be turned into tokens one at a time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Final

from tokenizers import Tokenizer
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as Steps

SPACE_MARK: Final = "▁"  # what the tokenizer turns a space into, and puts before every text
NORMALIZER: Final = Steps([Prepend(SPACE_MARK), Replace(" ", SPACE_MARK)])
DIVIDER: Final = "\0"  # like a line break in no token but its byte's own
DIVIDER_TOKEN: Final = "<0x00>"
OVER_A_BOUND: Final = re.compile(f"[^{SPACE_MARK}{DIVIDER}]{SPACE_MARK}|\n")
PIECE: Final = re.compile(" *[^ \n]+|\n| +")
WORDS_MAX: Final = 32_768  # some 8 MB
WORD_CHARS_MAX: Final = 24  # longer ones are seldom met twice


class WordIds:
    """Safe to share between threads: what is remembered changes no answer."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Iterable[str]) -> None:
        """Takes the tokenizer over. Raises ValueError if it is not of the kind whose words can be taken apart."""
        tokens = DIVIDER.join(vocabulary)
        divider = tokenizer.token_to_id(DIVIDER_TOKEN)
        is_as_known = tokenizer.normalizer is not None and tokenizer.normalizer.__getstate__() == NORMALIZER.__getstate__()
        if divider is None or not is_as_known or tokenizer.pre_tokenizer is not None or OVER_A_BOUND.search(tokens):
            raise ValueError("not a byte-pair tokenizer whose tokens end where words do")
        # What the normalizer does is done here: its own way, which keeps each character's place, is a quarter of the time.
        tokenizer.normalizer = None
        self._tokenizer: Final = tokenizer
        self._divider: Final[int] = divider
        self._words: Final[dict[str, tuple[int, ...]]] = {}
        # Each begins a new text where it stands.
        self._own: Final = {token.content: id for id, token in tokenizer.get_added_tokens_decoder().items()}
        self._own_tokens: Final = re.compile("|".join(map(re.escape, self._own)) or "(?!)")

    def of(self, text: str) -> list[int]:
        """The ids of any text that can be written as UTF-8."""
        if SPACE_MARK in text:
            text = text.replace(SPACE_MARK, " ")
        if not self._own_tokens.search(text):
            return self._of_plain(text)
        ids: list[int] = []
        start = 0
        for match in self._own_tokens.finditer(text):
            ids += [*self._of_plain(text[start : match.start()]), self._own[match.group()]]
            start = match.end()
        return ids + self._of_plain(text[start:])

    def _of_plain(self, text: str) -> list[int]:
        if not text:
            return []
        if DIVIDER in text:
            return self._encoded(f" {text}")
        pieces = PIECE.findall(f" {text}")
        found = list(map(self._words.get, pieces))
        if None in found:
            missing = list(dict.fromkeys(piece for piece, ids in zip(pieces, found, strict=True) if ids is None))
            learned = dict(zip(missing, self._divided(missing), strict=True))
            self._remember(learned)
            return list(chain.from_iterable(ids or learned[piece] for piece, ids in zip(pieces, found, strict=True)))
        return list(chain.from_iterable(ids for ids in found if ids))

    def _encoded(self, marked: str) -> list[int]:
        # The fast call leaves out the offsets into the text, which nobody here needs.
        (encoded,) = self._tokenizer.encode_batch_fast([marked.replace(" ", SPACE_MARK)], add_special_tokens=False)
        ids: list[int] = encoded.ids
        return ids

    def _divided(self, pieces: Sequence[str]) -> list[tuple[int, ...]]:
        """The ids of each piece, by one call: a call for each costs four times as much."""
        ids = self._encoded(DIVIDER.join([*pieces, ""]))
        out = []
        start = 0
        for _ in pieces:
            end = ids.index(self._divider, start)
            out.append(tuple(ids[start:end]))
            start = end + 1
        return out

    def _remember(self, learned: Mapping[str, tuple[int, ...]]) -> None:
        if len(self._words) + len(learned) > WORDS_MAX:
            self._words.clear()  # the common ones are soon back
        self._words.update((piece, ids) for piece, ids in learned.items() if len(piece) <= WORD_CHARS_MAX)
