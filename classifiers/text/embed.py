"""Static text embeddings: the mean of wordllama's token vectors, read from the installed wheel's files.

The package `wordllama` is located but never imported: its loader looks for its tokenizer where the wheel does not
put it and would then download one. The vectors stay float16 on disk, mapped into memory; only the rows of a text's
tokens become float32.
"""

import hashlib
import json
import math
import mmap
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from classifiers.base import Ids, Matrix, Vector
from classifiers.errors import ArtifactError
from classifiers.text.token_rows import TokenRows
from classifiers.text.word_ids import SPACE_MARK, WordIds

WEIGHTS_FILE: Final = "weights/l2_supercat_256.safetensors"
TOKENIZER_FILE: Final = "tokenizers/l2_supercat_tokenizer_config.json"
DIM: Final = 256
TOKENS_MAX: Final = 512
# Eight characters a token, twice what English needs: a text over this bound is never whole, and tokenising stays
# under about 2 ms whatever is sent.
CHARS_MAX: Final = 8 * TOKENS_MAX
ONES: Final = np.ones(TOKENS_MAX, np.float32)
HEADER_BYTES_MAX: Final = 65_536
DTYPES: Final = {"F16": np.float16, "F32": np.float32}
REMEDY: Final = "reinstall the package wordllama"


class StaticEmbedder:
    """wordllama's 256-d vectors (l2_supercat, MIT): mean over the first 512 tokens, scaled to length 1.

    Safe to share between threads: nothing changes after construction, save for a memory of words and tokens met.
    """

    dim: Final = DIM
    tokens_max: Final = TOKENS_MAX

    def __init__(self, tokenizer: Tokenizer, vectors: npt.NDArray[np.float16 | np.float32], name: str) -> None:
        """vectors: (vocabulary, 256). name: must change when tokenizer or vectors do.

        Raises ArtifactError if it is not of the kind that `WordIds` takes apart.
        """
        self.name: Final = name
        # Half the time of `get_vocab`. Of an id that stands for nothing, nothing is to be said.
        tokens = [tokenizer.id_to_token(id) or "" for id in range(len(vectors))]
        try:
            self._word_ids = WordIds(tokenizer, tokens)
        except ValueError as exc:
            raise ArtifactError(f"{name}: {exc}; {REMEDY}") from exc
        self._vectors: Final = TokenRows(vectors)
        self._opens_word = np.array([token.startswith(SPACE_MARK) for token in tokens], np.bool_)

    @classmethod
    def load(cls) -> "StaticEmbedder":
        """The embedder over the installed wheel. Raises ArtifactError if a file is missing or not as expected."""
        weights, tokenizer = _installed_file(WEIGHTS_FILE), _installed_file(TOKENIZER_FILE)
        vectors = map_safetensors(weights)
        # Texts come one at a time: without this the tokenizer hands each to a pool of threads.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        name = f"wordllama-{weights.stem}-{_fingerprint(weights, tokenizer)}"
        return cls(Tokenizer.from_file(str(tokenizer)), vectors, name)

    def token_ids(self, text: str) -> Ids:
        """Ids of the tokens in the text's first CHARS_MAX characters: not cut to `tokens_max`, so it may be longer."""
        return self._word_ids.of(_encodable(text[:CHARS_MAX]))

    def window(self, text: str) -> tuple[Ids, bool]:
        """The ids that `encode` averages, at most `tokens_max`, and whether they are all of the text."""
        ids = self.token_ids(text)
        return ids[:TOKENS_MAX], len(ids) <= TOKENS_MAX and len(text) <= CHARS_MAX

    def encode(self, text: str) -> Vector:
        """(256,) float32 of length 1; all zero for the empty text."""
        return self._mean(self.token_ids(text)[:TOKENS_MAX])

    def encode_ids(self, ids: Ids) -> Vector:
        """(256,) float32 of length 1 of tokens that `token_ids` gave; all zero for none."""
        return self._mean(ids)

    def encode_whole(self, text: str) -> tuple[Vector, bool]:
        """`encode`, and whether it saw every token of the text. A text over CHARS_MAX characters counts as cut."""
        ids, is_whole = self.window(text)
        return self._mean(ids), is_whole

    def encode_many(self, texts: Sequence[str]) -> Matrix:
        """(n,) texts to (n, 256) float32. One thread: tokenizers' batch call would take every core."""
        out = np.zeros((len(texts), DIM), np.float32)
        for row, text in zip(out, texts, strict=True):
            row[:] = self.encode(text)
        return out

    def word_vectors(self, text: str) -> Matrix:
        """(w, 256) float32 of length 1: the sum of each word's token vectors, for the words of the first TOKENS_MAX tokens.

        Words are what single spaces divide; a word of unknown tokens alone is all zero.
        """
        ids = self.token_ids(text)[:TOKENS_MAX]
        if not len(ids):
            return np.zeros((0, DIM), np.float32)
        opens = self._opens_word[ids]
        opens[0] = True
        sums: Matrix = np.add.reduceat(self._vectors.take(ids), np.flatnonzero(opens), axis=0, dtype=np.float32)
        lengths = np.sqrt((sums * sums).sum(axis=1, keepdims=True))
        lengths[lengths == 0] = 1
        sums /= lengths
        return sums

    def _mean(self, ids: Ids) -> Vector:
        if not len(ids):
            return np.zeros(DIM, np.float32)
        # A product with ones: half the time of `sum`.
        rows = self._vectors.take(ids)
        total: Vector = ONES[: len(ids)] @ rows if len(ids) <= TOKENS_MAX else rows.sum(axis=0)
        length = math.sqrt(total @ total)
        return total / np.float32(length) if length > 0 else total


def map_safetensors(path: Path) -> npt.NDArray[np.float16 | np.float32]:
    """(rows, 256) view of the one tensor in a safetensors file, mapped read-only, not loaded.

    Format: 8 bytes little-endian header length, JSON header, raw tensors (github.com/huggingface/safetensors).
    """
    try:
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        header_bytes = int.from_bytes(mapped[:8], "little")
        if not 2 <= header_bytes <= HEADER_BYTES_MAX:
            raise ValueError(f"header of {header_bytes} bytes")
        header = json.loads(mapped[8 : 8 + header_bytes])
        ((_, tensor),) = [item for item in header.items() if item[0] != "__metadata__"]
        rows, columns = tensor["shape"]
        if columns != DIM:
            raise ValueError(f"{columns} columns, expected {DIM}")
        start, _ = tensor["data_offsets"]
        flat = np.frombuffer(mapped, DTYPES[tensor["dtype"]], rows * columns, 8 + header_bytes + start)
        return flat.reshape(rows, columns)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ArtifactError(f"{path}: not the expected safetensors file ({exc}); {REMEDY}") from exc


def _installed_file(relative: str) -> Path:
    spec = find_spec("wordllama")
    if spec is None or not spec.submodule_search_locations:
        raise ArtifactError("package 'wordllama' is not installed; its wheel holds the token vectors: install wordllama")
    path = Path(spec.submodule_search_locations[0]) / relative
    if not path.is_file():
        raise ArtifactError(f"{path}: missing from the installed wordllama; {REMEDY}")
    return path


def _fingerprint(*paths: Path) -> str:
    """Eight hex digits of the files' contents, so that other weights never pass for these."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:8]


def _encodable(text: str) -> str:
    """The text with lone surrogates, which JSON can carry and UTF-8 cannot, turned into question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
