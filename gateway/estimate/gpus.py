"""The GPUs that models are held against: a dated table from their makers' data sheets, with no prices."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec


class Gpu(msgspec.Struct, frozen=True):
    """Peak numbers of one GPU; units in the file."""

    name: str
    memory_gb: float
    bandwidth_gb_s: float
    fp16_tflops: float
    source: str


class GpuTable(msgspec.Struct, frozen=True):
    """All of them, as of `date` (YYYY-MM-DD)."""

    date: str
    gpus: tuple[Gpu, ...]


@functools.cache
def gpu_table() -> GpuTable:
    """The table that ships with the gateway."""
    return msgspec.json.decode(resources.files("gateway.estimate").joinpath("gpus.json").read_bytes(), type=GpuTable)
