"""Whether a decoder fits a GPU, and the times that it cannot beat there: the roofline of its FLOPs and bytes.

Williams et al., "Roofline" (2009); for decoding, Pope et al., "Efficiently Scaling Transformer Inference" (2022).
Real servers are slower: they reach neither peak, and do work that is not counted here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gateway.estimate.decoder import Decoder, Precision, kv_bytes, parts, size_bytes, stored
from gateway.estimate.gpus import Gpu

# The rest is for activations, the driver and fragments; inference servers keep about as much back.
USABLE_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Load:
    """How the model is used: `batch` conversations at a time, each `context` tokens long."""

    context: int
    batch: int


@dataclass(frozen=True, slots=True)
class Bound:
    """A decoder in one precision on GPUs of one kind. The times are lower bounds on one GPU, None where it takes more.

    gpus: how many it takes to hold weights and cache. compute_s, memory_s: seconds to the next token of every conversation
    in the batch, by FLOPS and by bandwidth. read_s: seconds per token of a prompt, by FLOPS.
    """

    precision: Precision
    needed_bytes: int
    gpus: int
    compute_s: float | None = None
    memory_s: float | None = None
    read_s: float | None = None

    @property
    def write_s(self) -> float | None:
        """The larger of the two: neither can be beaten."""
        return None if self.compute_s is None or self.memory_s is None else max(self.compute_s, self.memory_s)


def write_flops(model: Decoder, load: Load) -> int:
    """Floating-point operations for the next token of one conversation: two per weight multiplied, and attention."""
    seen = min(load.context, model.window or load.context)
    attention = 4 * model.layers * model.heads * model.head_size * seen  # queries with keys, weights with values
    return 2 * sum(part.weights for part in parts(model) if part.kind == "matrix") + attention


def read_flops(model: Decoder) -> int:
    """Floating-point operations per token of a prompt, at the least: of the layers alone, the output is for the last token."""
    return 2 * sum(part.weights for part in parts(model) if part.name in ("attention", "feed-forward"))


def weight_bytes(model: Decoder, precision: Precision) -> int:
    """Bytes of weights that pass through the GPU for each step of writing: all but the tables looked up in."""
    used = sum(part.weights + part.biases for part in parts(model) if part.kind != "lookup")
    return size_bytes(used, precision)


def bound(model: Decoder, gpu: Gpu, precision: Precision, load: Load) -> Bound:
    """What the GPU's memory, bandwidth and FLOPS allow. Arithmetic is taken to be in 16 bits whatever the weights are."""
    cache = kv_bytes(model, load.context, load.batch)
    needed = size_bytes(stored(model), precision) + cache
    gpus = math.ceil(needed / (USABLE_SHARE * gpu.memory_gb * 1e9))
    if gpus > 1:
        return Bound(precision, needed, gpus)
    flops_per_s, bytes_per_s = gpu.fp16_tflops * 1e12, gpu.bandwidth_gb_s * 1e9
    return Bound(
        precision,
        needed,
        gpus,
        compute_s=load.batch * write_flops(model, load) / flops_per_s,
        memory_s=(weight_bytes(model, precision) + cache) / bytes_per_s,
        read_s=read_flops(model) / flops_per_s,
    )
