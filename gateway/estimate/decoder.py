"""A decoder-only transformer as numbers: what it is made of, what it stores and what it keeps of a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8", "int4"]
BITS: dict[Precision, int] = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4}
KV_BYTES = 2  # keys and values are kept in 16 bits, whatever the weights are


@dataclass(frozen=True, slots=True)
class Decoder:
    """Sizes, in the words of Vaswani et al., "Attention Is All You Need" (2017), and of the config.json they come from.

    embedding: width of a token's embedding, `hidden` but for models that project it. positions: rows of a learned table;
    0 for rotary ones. kv_heads: fewer than heads where they share keys and values (Ainslie et al., "GQA", 2023).
    window: tokens back that attention looks, None for all. norm_vectors: 1 for RMSNorm, 2 for LayerNorm, 0 if not learned.
    """

    kind: str
    vocabulary: int
    hidden: int
    embedding: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    context_max: int
    is_gated: bool
    is_tied: bool
    norm_vectors: int
    has_final_norm: bool = True
    has_head_norms: bool = False
    has_qkv_bias: bool = False
    has_output_bias: bool = False
    has_feed_forward_bias: bool = False
    positions: int = 0
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of tensor in all layers. lookup: of its rows a token needs one; matrix: every weight is multiplied."""

    name: str
    kind: Literal["lookup", "matrix", "vector"]
    weights: int
    biases: int = 0
    is_stored: bool = True  # False for an output layer that is the embedding once more


def parts(model: Decoder) -> list[Part]:
    """What the model is made of; the stored parts add up to its number of parameters."""
    queries, shared = model.heads * model.head_size, model.kv_heads * model.head_size
    table = model.vocabulary * model.embedding
    attention = model.hidden * (queries + 2 * shared) + queries * model.hidden
    attention_biases = model.has_qkv_bias * (queries + 2 * shared) + model.has_output_bias * model.hidden
    ways_in = 2 if model.is_gated else 1
    feed_forward = (ways_in + 1) * model.hidden * model.feed_forward
    feed_forward_biases = model.has_feed_forward_bias * (ways_in * model.feed_forward + model.hidden)
    norms = 2 * model.norm_vectors * model.hidden + model.has_head_norms * 2 * model.head_size
    found = [
        Part("token embedding", "lookup", table),
        Part("positions", "lookup", model.positions * model.hidden),
        Part("projections", "matrix", 2 * model.embedding * model.hidden if model.embedding != model.hidden else 0),
        Part("attention", "matrix", model.layers * attention, model.layers * attention_biases),
        Part("feed-forward", "matrix", model.layers * feed_forward, model.layers * feed_forward_biases),
        Part("norms", "vector", model.layers * norms + model.has_final_norm * model.norm_vectors * model.hidden),
        Part("output", "matrix", table, is_stored=not model.is_tied),
    ]
    return [part for part in found if part.weights]


def stored(model: Decoder) -> int:
    """The number of parameters, as a checkpoint has them: all biases, and a tied embedding once."""
    return sum(part.weights + part.biases for part in parts(model) if part.is_stored)


def by_hand(model: Decoder) -> int:
    """The number of parameters as one adds them up on paper: no biases, and the embedding both in and out."""
    return sum(part.weights for part in parts(model))


def size_bytes(parameters: int, precision: Precision) -> int:
    """Memory of that many parameters; without the scales that go with 8 and 4 bits, a few per cent more."""
    return -(-parameters * BITS[precision] // 8)


def kv_bytes_per_token(model: Decoder) -> int:
    """What each token of a conversation takes in the cache: a key and a value per layer and KV head."""
    return 2 * model.layers * model.kv_heads * model.head_size * KV_BYTES


def kv_bytes(model: Decoder, context: int, batch: int) -> int:
    """The cache of `batch` conversations of `context` tokens each; a window keeps no more than it sees."""
    return batch * min(context, model.window or context) * kv_bytes_per_token(model)
