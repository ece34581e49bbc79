"""The remembering embedder: one run a text, and the vectors that the embedder gives."""

import numpy as np
import pytest

from classifiers.pairs.remembered import RememberedVectors
from classifiers.text.minilm import TokenVectors

DIM = 4


class Counting:
    name = "counting"
    dim = DIM

    def __init__(self):
        self.read = []

    def token_vectors(self, text):
        self.read.append(text)
        n = len(text.split())
        matrix = np.linspace(-1, 1, n * DIM, dtype=np.float32).reshape(n, DIM)
        number = np.arange(n, dtype=np.int32)
        return TokenVectors(number, number, np.stack([number, number], 1), matrix, np.full(DIM, 0.5, np.float32), n < 3)


def test_a_text_is_read_once_however_it_is_asked_for():
    counting = Counting()
    remembered = RememberedVectors(counting)
    for _ in range(2):
        remembered.encode("one two")
        remembered.encode_many(["one two", "three"])
        remembered.token_vectors("three")
    assert counting.read == ["one two", "three"]


def test_it_gives_what_the_embedder_gives_to_half_precision():
    plain, found = Counting().token_vectors("one two three"), RememberedVectors(Counting()).token_vectors("one two three")
    assert found.matrix.dtype == np.float32
    assert found.matrix == pytest.approx(plain.matrix, abs=1e-3)
    assert np.array_equal(found.sentence, plain.sentence)
    assert np.array_equal(found.spans, plain.spans)
    assert np.array_equal(found.pieces, plain.pieces)
    assert found.is_whole is plain.is_whole is False


def test_it_stands_for_the_embedder():
    remembered = RememberedVectors(Counting())
    assert (remembered.name, remembered.dim) == ("counting", DIM)
    assert remembered.encode_many(["a", "b c"]).shape == (2, DIM)
    assert remembered.encode_many([]).shape == (0, DIM)
