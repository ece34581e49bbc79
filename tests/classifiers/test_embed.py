"""The static embedder: unit vectors for any text, its own window, and an error that names the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import ArtifactError
from classifiers.text.embed import CHARS_MAX, StaticEmbedder, map_safetensors

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)  # lone surrogates included


def test_a_vector_has_length_one_and_256_dimensions(embedder):
    vector = embedder.encode("When does the last train leave?")
    assert vector.shape == (embedder.dim,) == (256,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_the_empty_text_is_the_zero_vector_and_whole(embedder):
    assert not embedder.encode("").any()
    ids, is_whole = embedder.window("")
    assert len(ids) == len(embedder.token_ids("")) == 0
    assert is_whole


@settings(deadline=None)
@given(text=ANY_TEXT)
def test_any_text_gives_a_finite_vector_of_length_one_or_zero(embedder, text):
    vector = embedder.encode(text)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1 if text else 0, abs=1e-4)


def test_many_texts_give_the_rows_that_single_ones_give(embedder):
    texts = ["good morning", "", "f(x) = x²", "where is my card?"]
    assert np.array_equal(embedder.encode_many(texts), np.stack([embedder.encode(text) for text in texts]))
    assert embedder.encode_many([]).shape == (0, 256)


def test_like_meanings_are_nearer_than_unlike_ones(embedder):
    a, b, c = embedder.encode_many(["how do I reset my password", "I forgot my password", "boil the pasta in water"])
    assert a @ b > a @ c + 0.2


def test_the_token_count_is_not_cut_at_the_window(embedder):
    text = "one two three four " * 150
    ids, is_whole = embedder.window(text)
    assert len(embedder.token_ids(text)) > embedder.tokens_max == len(ids) == 512
    assert not is_whole


def test_text_beyond_the_window_does_not_change_the_vector_but_is_told(embedder):
    text = "one two three four " * 150
    vector, is_whole = embedder.encode_whole(text + "and something else")
    assert np.array_equal(vector, embedder.encode(text))
    assert not is_whole
    assert embedder.encode_whole("short")[1]


def test_a_text_over_the_character_bound_is_never_whole(embedder):
    assert len(embedder.token_ids(" " * CHARS_MAX)) <= embedder.tokens_max
    assert embedder.encode_whole(" " * CHARS_MAX)[1]
    assert not embedder.encode_whole(" " * (CHARS_MAX + 1))[1]


def test_the_name_tells_the_weights_and_their_fingerprint(embedder):
    assert embedder.name.startswith("wordllama-l2_supercat_256-")
    assert embedder.name == StaticEmbedder.load().name


def _safetensors(path: Path, tensor: dict[str, object], body: bytes) -> Path:
    header = json.dumps({"__metadata__": {}, "embedding.weight": tensor}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + body)
    return path


def test_a_safetensors_file_is_mapped_as_written(tmp_path):
    rows = np.arange(512, dtype=np.float16).reshape(2, 256)
    tensor = {"dtype": "F16", "shape": [2, 256], "data_offsets": [0, 1024]}
    mapped = map_safetensors(_safetensors(tmp_path / "w.safetensors", tensor, rows.tobytes()))
    assert mapped.dtype == np.float16
    assert np.array_equal(mapped, rows)


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F16", "shape": [2, 128], "data_offsets": [0, 512]},
        {"dtype": "F16", "shape": [9, 256], "data_offsets": [0, 1024]},
        {"dtype": "I8", "shape": [2, 256], "data_offsets": [0, 512]},
        {"shape": [2, 256]},
        [],
    ],
)
def test_a_safetensors_file_of_another_shape_is_refused_by_name(tmp_path, tensor):
    path = _safetensors(tmp_path / "w.safetensors", tensor, bytes(1024))
    with pytest.raises(ArtifactError, match=r"w\.safetensors.*reinstall"):
        map_safetensors(path)


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_and_never_crash(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError):
        map_safetensors(path)
