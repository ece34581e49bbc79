"""How large a decoder is and what a GPU allows it: against published counts, by hand, and from end to end of the table."""

from __future__ import annotations

import datetime
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.estimate.bounds import Load, bound, read_flops, write_flops
from gateway.estimate.configuration import KINDS, read_configuration
from gateway.estimate.decoder import BITS, Decoder, by_hand, kv_bytes, kv_bytes_per_token, parts, size_bytes, stored
from gateway.estimate.gpus import Gpu, gpu_table
from gateway.policy.errors import PolicyError

OPT_350M = (Path(__file__).resolve().parents[2] / "examples/opt-350m.json").read_text()


def layers(layers: int, hidden: int, heads: int, feed_forward: int, vocabulary: int, **more: object) -> dict[str, Any]:
    """A configuration in the words that all but GPT-2 have; OPT says `ffn_dim`."""
    wide = {"ffn_dim": feed_forward} if more["model_type"] == "opt" else {"intermediate_size": feed_forward}
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        **wide,
        **more,
    }


LLAMA_2_7B = layers(32, 4096, 32, 11008, 32000, model_type="llama")
MISTRAL_7B = layers(32, 4096, 32, 14336, 32000, model_type="mistral", num_key_value_heads=8)
GPT_2 = {"model_type": "gpt2", "n_layer": 12, "n_embd": 768, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}


def decoder(configuration: dict[str, Any], **changed: object) -> Decoder:
    return read_configuration("config.json", json.dumps({**configuration, **changed}))


@pytest.mark.parametrize(
    ("configuration", "parameters"),
    [
        (LLAMA_2_7B, 6_738_415_616),
        (layers(32, 4096, 32, 14336, 128256, model_type="llama", num_key_value_heads=8), 8_030_261_248),  # Llama 3 8B
        (
            layers(16, 2048, 32, 8192, 128256, model_type="llama", num_key_value_heads=8, head_dim=64, tie_word_embeddings=True),
            1_235_814_400,  # Llama 3.2 1B
        ),
        # SmolLM2-135M; the tensors of its GGUF file add up to this.
        (layers(30, 576, 9, 1536, 49152, model_type="llama", num_key_value_heads=3, tie_word_embeddings=True), 134_515_008),
        (MISTRAL_7B, 7_241_732_096),
        (layers(24, 896, 14, 4864, 151936, model_type="qwen2", num_key_value_heads=2, tie_word_embeddings=True), 494_032_768),
        (layers(28, 1024, 16, 3072, 151936, model_type="qwen3", num_key_value_heads=8, tie_word_embeddings=True), 596_049_920),
        (GPT_2, 124_439_808),
        (layers(12, 768, 12, 3072, 50272, model_type="opt"), 125_239_296),
        (layers(24, 2048, 32, 8192, 50272, model_type="opt"), 1_315_758_080),
        (json.loads(OPT_350M), 331_196_416),
    ],
    ids=[
        *("llama-2-7b", "llama-3-8b", "llama-3.2-1b", "smollm2-135m", "mistral-7b", "qwen2-0.5b", "qwen3-0.6b"),
        *("gpt-2", "opt-125m", "opt-1.3b", "opt-350m"),
    ],
)
def test_stored_parameters_are_those_of_the_published_checkpoint(configuration: dict[str, Any], parameters: int) -> None:
    assert stored(decoder(configuration)) == parameters


def test_opt_350m_counted_by_hand_is_the_published_count() -> None:
    model = read_configuration("opt-350m.json", OPT_350M)
    found = {part.name: part.weights for part in parts(model)}
    assert found == {
        "token embedding": 50_272 * 512,
        "output": 50_272 * 512,
        "positions": 2_050 * 1_024,
        "projections": 2 * 512 * 1_024,
        "attention": 24 * 4 * 1_024**2,
        "feed-forward": 24 * 8 * 1_024**2,
        "norms": 24 * 4_096,
    }
    assert found["attention"] + found["feed-forward"] == 24 * 12_582_912
    assert by_hand(model) == 356_714_496
    assert size_bytes(by_hand(model), "fp32") == 1_426_857_984


def test_counts_agree_where_nothing_is_tied_and_nothing_biased() -> None:
    assert by_hand(decoder(LLAMA_2_7B)) == stored(decoder(LLAMA_2_7B))


def test_biases_of_llama_are_counted_where_they_are_asked_for() -> None:
    plain = stored(decoder(LLAMA_2_7B))
    assert stored(decoder(LLAMA_2_7B, attention_bias=True)) == plain + 32 * 4 * 4096
    assert stored(decoder(LLAMA_2_7B, mlp_bias=True)) == plain + 32 * (2 * 11008 + 4096)


def test_opt_without_biases_and_learned_norms_has_none() -> None:
    model = read_configuration(
        "c", json.dumps({**json.loads(OPT_350M), "enable_bias": False, "layer_norm_elementwise_affine": False})
    )
    assert stored(model) == 331_196_416 - 24 * (4 * 1024 + 4096 + 1024) - 24 * 4096
    assert "norms" not in {part.name for part in parts(model)}


def test_sizes_are_bits_of_parameters() -> None:
    assert {p: size_bytes(1001, p) for p in BITS} == {"fp32": 4004, "fp16": 2002, "int8": 1001, "int4": 501}


@pytest.mark.parametrize(
    ("configuration", "bytes_per_token"),
    [
        (LLAMA_2_7B, 524_288),  # half a MiB, as everybody quotes
        (MISTRAL_7B, 131_072),  # a quarter: 8 KV heads for 32
        (json.loads(OPT_350M), 98_304),
    ],
    ids=["llama-2-7b", "mistral-7b", "opt-350m"],
)
def test_cache_takes_a_key_and_a_value_per_layer_and_kv_head(configuration: dict[str, Any], bytes_per_token: int) -> None:
    model = decoder(configuration)
    assert kv_bytes_per_token(model) == bytes_per_token
    assert kv_bytes(model, 1000, 3) == 3000 * bytes_per_token


def test_cache_of_mistral_ends_with_its_window() -> None:
    assert kv_bytes(decoder(MISTRAL_7B), 32_768, 1) == 4096 * 131_072
    assert kv_bytes(decoder(MISTRAL_7B, sliding_window=None), 32_768, 1) == 32_768 * 131_072


def test_writing_multiplies_each_weight_of_the_matrices_and_attends_to_the_context() -> None:
    model = decoder(LLAMA_2_7B)
    multiplied = 6_738_415_616 - 32_000 * 4096 - 65 * 4096  # all but the embedding table and the norms
    assert write_flops(model, Load(context=100, batch=1)) == 2 * multiplied + 4 * 32 * 4096 * 100
    assert read_flops(model) == 2 * (multiplied - 32_000 * 4096)  # the output is for the last token alone


def test_a_tied_embedding_is_multiplied_as_the_output() -> None:
    model = decoder(GPT_2)
    blocks = 12 * 12 * 768**2
    assert write_flops(model, Load(context=1, batch=1)) == 2 * (blocks + 50257 * 768) + 4 * 12 * 768


ROUND = Gpu(name="round", memory_gb=100, bandwidth_gb_s=1000, fp16_tflops=100, source="made up")


def test_one_conversation_waits_for_memory_and_many_for_arithmetic() -> None:
    model = decoder(LLAMA_2_7B)
    alone = bound(model, ROUND, "fp16", Load(context=1, batch=1))
    read_once = 2 * (6_738_415_616 - 32_000 * 4096) + 524_288
    assert alone.memory_s == pytest.approx(read_once / 1e12)
    assert alone.compute_s == pytest.approx(write_flops(model, Load(1, 1)) / 1e14)
    assert alone.write_s == alone.memory_s
    many = bound(model, ROUND, "fp16", Load(context=1, batch=1000))
    assert many.compute_s == pytest.approx(1000 * write_flops(model, Load(1, 1)) / 1e14)
    assert many.write_s == many.compute_s


def test_a_model_fits_in_nine_tenths_of_the_memory_and_no_more() -> None:
    model = decoder(LLAMA_2_7B)
    needed = 2 * 6_738_415_616 + 524_288
    for memory_bytes, gpus in ((needed / 0.9 + 1, 1), (needed / 0.9 - 1, 2), (needed / 0.9 / 4 - 1, 5)):
        gpu = Gpu(name="g", memory_gb=memory_bytes / 1e9, bandwidth_gb_s=1, fp16_tflops=1, source="made up")
        found = bound(model, gpu, "fp16", Load(context=1, batch=1))
        assert (found.needed_bytes, found.gpus) == (needed, gpus)
        assert (found.write_s is None) == (found.read_s is None) == (gpus > 1)


@given(
    context=st.integers(1, 100_000),
    batch=st.integers(1, 64),
    kv_heads=st.sampled_from([1, 2, 4, 8, 16, 32]),
    gpu=st.sampled_from(gpu_table().gpus),
)
def test_fewer_bits_never_take_longer_or_more_room(context: int, batch: int, kv_heads: int, gpu: Gpu) -> None:
    model = decoder(LLAMA_2_7B, num_key_value_heads=kv_heads)
    found = [bound(model, gpu, precision, Load(context, batch)) for precision in BITS]
    for more, fewer in itertools.pairwise(found):
        assert fewer.needed_bytes < more.needed_bytes
        assert fewer.gpus <= more.gpus
        if more.write_s is not None:
            assert fewer.write_s is not None and fewer.write_s <= more.write_s


def test_the_table_of_gpus_is_dated_sourced_and_plausible() -> None:
    table = gpu_table()
    assert datetime.date.fromisoformat(table.date)
    assert len({gpu.name for gpu in table.gpus}) == len(table.gpus) >= 10
    assert [gpu.memory_gb for gpu in table.gpus] == sorted(gpu.memory_gb for gpu in table.gpus)
    for gpu in table.gpus:
        assert gpu.source.startswith(("NVIDIA ", "AMD "))
        # From a T4 to a B200, 65 to 720 operations for each byte; sparsity counted in, or GB for Gbit, is outside of it.
        assert 50 < gpu.fp16_tflops * 1e3 / gpu.bandwidth_gb_s < 450


def test_every_kind_is_refused_when_its_sizes_are_missing() -> None:
    for kind in KINDS:
        with pytest.raises(PolicyError, match=r"c:1: `vocab_size` is missing; add it"):
            read_configuration("c", json.dumps({"model_type": kind}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "c:1: the file is empty; start from examples/opt-350m.json"),
        ("[]", "c:1: a mapping of keys is expected here, this is a list"),
        ("{}", "c:1: `model_type` is missing; decoders that can be counted: llama, mistral, qwen2, qwen3, gpt2, opt"),
        (
            '{\n "model_type": "mixtral"}',
            "c:2: `model_type` is 'mixtral'; decoders that can be counted: llama, mistral, qwen2, qwen3, gpt2, opt",
        ),
        (
            json.dumps({**GPT_2, "n_layer": "12"}, indent=1),
            "c:3: `n_layer`: input should be a valid integer (it is '12')",
        ),
        (json.dumps({**GPT_2, "n_head": 5}), "c:1: `n_embd` (768) is not a multiple of `n_head` (5); one of them is wrong"),
        (
            json.dumps({**LLAMA_2_7B, "num_key_value_heads": 5}),
            "c:1: `num_attention_heads` (32) is not a multiple of `num_key_value_heads` (5); one of them is wrong",
        ),
        (
            json.dumps({**LLAMA_2_7B, "model_type": "qwen2", "use_sliding_window": True}),
            "c:1: `use_sliding_window` is only known as false here; set it so, and the cache is counted in full",
        ),
    ],
)
def test_what_is_wrong_with_a_configuration_is_said_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_configuration("c", text)
    assert str(caught.value) == problem


@given(st.sampled_from(["\t", " ", "    ", None]), st.booleans())
def test_json_is_read_however_it_is_laid_out(indent: str | None, is_sorted: bool) -> None:
    text = json.dumps({**LLAMA_2_7B, "rms_norm_eps": 1e-05, "torch_dtype": None}, indent=indent, sort_keys=is_sorted)
    assert stored(read_configuration("c", text)) == 6_738_415_616
    packed = json.dumps(LLAMA_2_7B, separators=(",", ":"))
    assert stored(read_configuration("c", packed)) == 6_738_415_616
