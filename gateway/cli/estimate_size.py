"""`turnout estimate --size`: a decoder's parameters, memory, cache, and what each GPU allows at best."""

from __future__ import annotations

import json
from dataclasses import dataclass

from gateway.cli.table import table
from gateway.errors import UsageError
from gateway.estimate.bounds import USABLE_SHARE, Bound, Load, bound, read_flops, write_flops
from gateway.estimate.configuration import read_configuration
from gateway.estimate.decoder import BITS, Decoder, by_hand, kv_bytes, kv_bytes_per_token, parts, size_bytes, stored
from gateway.estimate.gpus import Gpu, gpu_table

COUNTS = {
    "stored": "as a checkpoint has them: all biases, a tied embedding once",
    "by_hand": "as added up on paper: no biases, the embedding both in and out",
}


@dataclass(frozen=True, slots=True)
class _Size:
    """A decoder and how it is used, with what each GPU makes of it."""

    model: Decoder
    load: Load
    counts: dict[str, int]
    gpus: list[tuple[Gpu, list[Bound]]]


def show(file: str, text: str, context: int | None, batch: int, *, is_json: bool) -> None:
    """Print the size of the decoder that a config.json describes.

    file: its name, for messages. context: tokens of each conversation, None for as many as it can. Raises PolicyError for
    the file and UsageError for the context.
    """
    model = read_configuration(file, text)
    if context is not None and context > model.context_max:
        raise UsageError(f"--context {context} is more than the {model.context_max} tokens that {file} allows")
    load = Load(context or model.context_max, batch)
    gpus = [(gpu, [bound(model, gpu, precision, load) for precision in BITS]) for gpu in gpu_table().gpus]
    size = _Size(model, load, {"stored": stored(model), "by_hand": by_hand(model)}, gpus)
    print(json.dumps(_json(size), indent=2, ensure_ascii=False) if is_json else _text(size))


def _json(size: _Size) -> dict[str, object]:
    model, load = size.model, size.load
    return {
        "kind": model.kind,
        "counts": [
            {"count": name, "parameters": n, **{f"{p}_bytes": size_bytes(n, p) for p in BITS}} for name, n in size.counts.items()
        ],
        "parts": [
            {"part": part.name, "weights": part.weights, "biases": part.biases, "is_stored": part.is_stored}
            for part in parts(model)
        ],
        "kv_cache": {
            "bytes_per_token": kv_bytes_per_token(model),
            "context": load.context,
            "batch": load.batch,
            "bytes": kv_bytes(model, load.context, load.batch),
        },
        "write_flops_per_token": write_flops(model, load),
        "read_flops_per_token": read_flops(model),
        "gpus_of": gpu_table().date,
        "gpus": [_gpu_json(gpu, bounds) for gpu, bounds in size.gpus],
    }


def _gpu_json(gpu: Gpu, bounds: list[Bound]) -> dict[str, object]:
    return {
        "gpu": gpu.name,
        "memory_gb": gpu.memory_gb,
        "bandwidth_gb_s": gpu.bandwidth_gb_s,
        "fp16_tflops": gpu.fp16_tflops,
        "source": gpu.source,
        **{
            b.precision: {
                "needed_bytes": b.needed_bytes,
                "fits": b.gpus == 1,
                "gpus": b.gpus,
                "compute_ms_per_token": _in_ms(b.compute_s),
                "memory_ms_per_token": _in_ms(b.memory_s),
                "write_ms_per_token": _in_ms(b.write_s),
                "read_ms_per_token": _in_ms(b.read_s),
            }
            for b in bounds
        },
    }


def _text(size: _Size) -> str:
    model, load = size.model, size.load
    tensors = [(p.name, f"{p.weights:,}", f"{p.biases:,}", "yes" if p.is_stored else "no, tied") for p in parts(model)]
    counts = [(name, f"{n:,}", *(f"{size_bytes(n, p):,}" for p in BITS)) for name, n in size.counts.items()]
    cache = kv_bytes(model, load.context, load.batch)
    talks = "1 conversation" if load.batch == 1 else f"{load.batch:,} conversations"
    return "\n".join(
        (
            f"{model.kind}: {model.layers} layers of {model.hidden:,}, {model.heads} heads, {model.kv_heads} of keys and values",
            "",
            table(("part", "weights", "biases", "stored"), tensors),
            "",
            table(("parameters", "", *(f"{p} bytes" for p in BITS)), counts),
            *(f"{name}: {meaning}" for name, meaning in COUNTS.items()),
            "",
            f"KV cache: {kv_bytes_per_token(model):,} bytes a token; {cache:,} for {talks} of {load.context:,} tokens",
            "",
            f"milliseconds at least; GPUs of {gpu_table().date}",
            table(
                ("GPU", "memory GB", *(f"{p} write" for p in BITS), "read 1,000"),
                [_gpu_cells(gpu, bounds) for gpu, bounds in size.gpus],
            ),
            "write: the next token of every conversation; read 1,000: a thousand tokens of a prompt",
            f"×2: it takes two to hold the stored weights and the cache, with {USABLE_SHARE:.0%} of each one's memory",
        )
    )


def _gpu_cells(gpu: Gpu, bounds: list[Bound]) -> list[str]:
    writes = (f"×{b.gpus:,}" if b.write_s is None else f"{b.write_s * 1000:.3g}" for b in bounds)
    read_s = next((b.read_s for b in bounds if b.read_s is not None), None)
    return [gpu.name, f"{gpu.memory_gb:g}", *writes, "" if read_s is None else f"{read_s * 1e6:.3g}"]


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000
