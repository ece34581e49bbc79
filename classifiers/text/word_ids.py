"""Token ids word by word, with a memory of words met before: the same ids as the tokenizer gives for the whole text.

In this kind of vocabulary (SentencePiece's byte-pair encoding, as Llama 2 uses it) the mark of a space stands only at a
token's beginning, a line break is in no token but its byte's own, and a digit in none but its own. So no token reaches over
any of them: what stands between can be turned into tokens one at a time, and no number is a new word.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from typing import Final, cast

import numpy as np
from tokenizers import Tokenizer
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as Steps

from classifiers.base import Ids

SPACE_MARK: Final = "▁"  # what the tokenizer turns a space into, and puts before every text
NORMALIZER: Final = Steps([Prepend(SPACE_MARK), Replace(" ", SPACE_MARK)])
DIVIDER: Final = "\0"  # like a line break in no token but its byte's own
BYTE_TOKEN: Final = re.compile("<0x[0-9A-F]{2}>")
OVER_A_BOUND: Final = re.compile(f"[^{SPACE_MARK}{DIVIDER}]{SPACE_MARK}|\n|[^{DIVIDER}][0-9]|[0-9][^{DIVIDER}]")
PIECE: Final = re.compile(" *[^ \n]+|\n| +")
DIGIT_OR_OTHERS: Final = re.compile("[0-9]|[^0-9]+")
WORDS_MAX: Final = 32_768  # some 7 MB
WORD_CHARS_MAX: Final = 24  # longer ones are seldom met twice


class WordIds:
    """Safe to share between threads: what is remembered changes no answer."""

    def __init__(self, tokenizer: Tokenizer, vocabulary: Iterable[str]) -> None:
        """Raises ValueError if it is not of the kind whose words can be taken apart."""
        tokens = BYTE_TOKEN.sub("", DIVIDER.join(vocabulary))
        is_as_known = tokenizer.normalizer is not None and tokenizer.normalizer.__getstate__() == NORMALIZER.__getstate__()
        if not is_as_known or tokenizer.pre_tokenizer is not None or OVER_A_BOUND.search(tokens):
            raise ValueError("not a byte-pair tokenizer whose tokens end where words do")
        # What the tokenizer does around its model is done here: it keeps each character's place, which nobody here needs,
        # and takes three times as long over a word.
        self._model: Final = tokenizer.model
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
        if "  " in text or text[0] == " " or DIVIDER in text:
            pieces = PIECE.findall(f" {text}")
        else:  # each space and each line break begins a piece: a third of the time
            pieces = f" {text}".replace(" ", f"{DIVIDER} ").replace("\n", f"{DIVIDER}\n")[1:].split(DIVIDER)
        try:
            return b"".join(map(self._words.__getitem__, pieces))
        except KeyError:
            return b"".join(self._with_new_ones(pieces))

    def _with_new_ones(self, pieces: Sequence[str]) -> list[bytes]:
        """The ids of each piece, of which some are not remembered."""
        found = list(map(self._words.get, pieces))
        place = -1
        for _ in range(found.count(None)):  # mostly one or two of hundreds, so that nothing of a loop is in Python but for them
            place = found.index(None, place + 1)
            found[place] = self._of_new(pieces[place])
        return cast(list[bytes], found)

    def _of_new(self, piece: str) -> bytes:
        """The ids of a piece that is not remembered. Its digits, and what stands between them, are or will be."""
        parts = DIGIT_OR_OTHERS.findall(piece)
        ids = {part: self._words.get(part) or self._learned(part) for part in set(parts)}
        return b"".join(map(ids.__getitem__, parts))

    def _learned(self, part: str) -> bytes:
        ids = _packed([token.id for token in self._model.tokenize(part.replace(" ", SPACE_MARK))])
        if len(self._words) >= WORDS_MAX:
            self._words.clear()  # the common ones are soon back
        if len(part) <= WORD_CHARS_MAX:
            self._words[part] = ids
        return ids


def _packed(ids: Sequence[int]) -> bytes:
    return array("q", ids).tobytes()
