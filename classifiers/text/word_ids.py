"""Token ids word by word, with a memory of words met before: the same ids as the tokenizer gives for the whole text.

In this kind of vocabulary (SentencePiece's byte-pair encoding, as Llama 2 uses it) the mark of a space stands only at a
token's beginning, a line break is in no token but its byte's own, and a digit in none but its own. So no token reaches over
any of them: what stands between can be turned into tokens one at a time, and no number is a new word.
"""

import re
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, cast

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as Steps

from classifiers.base import Ids

SPACE_MARK: Final = "▁"  # what the tokenizer turns a space into, and puts before every text
NORMALIZER: Final = Steps([Prepend(SPACE_MARK), Replace(" ", SPACE_MARK)])
DIVIDER: Final = "\0"  # like a line break in no token but its byte's own
DIVIDER_TOKEN: Final = "<0x00>"
BYTE_TOKEN: Final = re.compile("<0x[0-9A-F]{2}>")
OVER_A_BOUND: Final = re.compile(f"[^{SPACE_MARK}{DIVIDER}]{SPACE_MARK}|\n|[^{DIVIDER}][0-9]|[0-9][^{DIVIDER}]")
PIECE: Final = re.compile(" *[^ \n]+|\n| +")
DIGIT_OR_OTHERS: Final = re.compile("[0-9]|[^0-9]+")
WORDS_MAX: Final = 32_768  # some 7 MB
WORD_CHARS_MAX: Final = 24  # longer ones are seldom met twice


class WordIds:
    """Safe to share between threads: what is remembered changes no answer."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Iterable[str]) -> None:
        """Takes the tokenizer over. Raises ValueError if it is not of the kind whose words can be taken apart."""
        tokens = BYTE_TOKEN.sub("", DIVIDER.join(vocabulary))
        divider = tokenizer.token_to_id(DIVIDER_TOKEN)
        is_as_known = tokenizer.normalizer is not None and tokenizer.normalizer.__getstate__() == NORMALIZER.__getstate__()
        if divider is None or not is_as_known or tokenizer.pre_tokenizer is not None or OVER_A_BOUND.search(tokens):
            raise ValueError("not a byte-pair tokenizer whose tokens end where words do")
        # What the normalizer does is done here: its own way, which keeps each character's place, is a quarter of the time.
        tokenizer.normalizer = None
        self._tokenizer: Final = tokenizer
        self._divider: Final[int] = divider
        # The ids of a word as the bytes of an array: a text's are joined without a Python integer for each.
        self._words: Final[dict[str, bytes]] = {}
        # Each begins a new text where it stands.
        self._own: Final = {token.content: _packed([id]) for id, token in tokenizer.get_added_tokens_decoder().items()}
        self._own_tokens: Final = re.compile("|".join(map(re.escape, self._own)) or "(?!)")

    def of(self, text: str) -> Ids:
        """The ids of any text that can be written as UTF-8. Not to be written to."""
        if SPACE_MARK in text:
            text = text.replace(SPACE_MARK, " ")
        ids = self._of_plain(text) if not self._own_tokens.search(text) else self._of_mixed(text)
        return np.frombuffer(ids, np.int64)

    def _of_mixed(self, text: str) -> bytes:
        """Of a text with tokens of the tokenizer's own in it, as `</s>`."""
        ids: list[bytes] = []
        start = 0
        for match in self._own_tokens.finditer(text):
            ids += [self._of_plain(text[start : match.start()]), self._own[match.group()]]
            start = match.end()
        return b"".join([*ids, self._of_plain(text[start:])])

    def _of_plain(self, text: str) -> bytes:
        if not text:
            return b""
        if DIVIDER in text:
            return _packed(self._encoded(f" {text}"))
        if "  " in text or text[0] == " ":
            pieces = PIECE.findall(f" {text}")
        else:  # each space and each line break begins a piece: a third of the time
            pieces = f" {text}".replace(" ", "\0 ").replace("\n", "\0\n")[1:].split("\0")
        try:
            return b"".join(map(self._words.__getitem__, pieces))
        except KeyError:
            return b"".join(self._with_new_ones(pieces))

    def _with_new_ones(self, pieces: Sequence[str]) -> list[bytes]:
        """The ids of each piece, of which some are not remembered."""
        found = list(map(self._words.get, pieces))
        learned = self._learned(set(pieces).difference(self._words))
        place = -1
        for _ in range(found.count(None)):  # mostly one or two of hundreds, so that nothing of a loop is in Python but for them
            place = found.index(None, place + 1)
            found[place] = learned[pieces[place]]
        return cast(list[bytes], found)

    def _learned(self, pieces: Collection[str]) -> dict[str, bytes]:
        """The ids of pieces that are not remembered. What stands between their digits is, or will be."""
        parts = {piece: DIGIT_OR_OTHERS.findall(piece) for piece in pieces}
        wanted = {part for own in parts.values() for part in own}
        ids = {part: known for part in wanted if (known := self._words.get(part)) is not None}
        if len(ids) < len(wanted):
            missing = list(wanted - ids.keys())
            fresh = dict(zip(missing, self._divided(missing), strict=True))
            self._remember(fresh)
            ids |= fresh
        return {piece: b"".join([ids[part] for part in own]) for piece, own in parts.items()}

    def _encoded(self, marked: str) -> list[int]:
        # The fast call leaves out the offsets into the text, which nobody here needs.
        (encoded,) = self._tokenizer.encode_batch_fast([marked.replace(" ", SPACE_MARK)], add_special_tokens=False)
        ids: list[int] = encoded.ids
        return ids

    def _divided(self, pieces: Sequence[str]) -> list[bytes]:
        """The ids of each piece, by one call: a call for each costs four times as much."""
        ids = self._encoded(DIVIDER.join([*pieces, ""]))
        out = []
        start = 0
        for _ in pieces:
            end = ids.index(self._divider, start)
            out.append(_packed(ids[start:end]))
            start = end + 1
        return out

    def _remember(self, learned: Mapping[str, bytes]) -> None:
        if len(self._words) + len(learned) > WORDS_MAX:
            self._words.clear()  # the common ones are soon back
        self._words.update((piece, ids) for piece, ids in learned.items() if len(piece) <= WORD_CHARS_MAX)


def _packed(ids: Sequence[int]) -> bytes:
    return array("q", ids).tobytes()
