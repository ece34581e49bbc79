"""What the small local model costs: time to ready, memory, time to first token, tokens a second, by threads.

    python benchmarks/local_model.py [--model smollm2-135m-instruct] [--threads 1 2]

Temperature 0 and an answer of fixed length. Each question is new, so that only the chat template comes from the cache.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass
from typing import Any

import httpx
import psutil

from gateway.providers.local import LocalModel, LocalServer, find_weights, threads_to_spare

ANSWER_TOKENS = 128
QUESTIONS = 8


@dataclass(frozen=True)
class Answer:
    ttft_ms: float
    tokens_per_s: float


async def ask(client: httpx.AsyncClient, number: int) -> Answer:
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": f"Number {number}. Tell the story of a railway signal."}],
        "max_tokens": ANSWER_TOKENS,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
    }
    start_s = time.perf_counter()
    first_s = last_s = 0.0
    pieces = 0
    # A connection each: llama.cpp closes it after a stream, without saying so.
    async with client.stream("POST", "chat/completions", json=body, headers={"Connection": "close"}) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            choices = json.loads(line.removeprefix("data: "))["choices"]
            if choices and choices[0]["delta"].get("content"):
                last_s = time.perf_counter()
                first_s = first_s or last_s
                pieces += 1
    return Answer((first_s - start_s) * 1e3, (pieces - 1) / (last_s - first_s))


async def measure(model_id: str, threads: int) -> str:
    start_s = time.perf_counter()
    server = LocalServer(LocalModel("measured", find_weights(model_id), threads=threads))
    await server.start()
    try:
        if not await server.wait_ready(120):
            raise SystemExit(f"{model_id}: {server.detail}")
        ready_s = time.perf_counter() - start_s
        headers = {"authorization": f"Bearer {server.api_key}"}
        async with httpx.AsyncClient(base_url=server.base_url, timeout=120, headers=headers) as client:
            one = [await ask(client, number) for number in range(QUESTIONS)]
            two = await asyncio.gather(ask(client, QUESTIONS), ask(client, QUESTIONS + 1))
        assert server.pid is not None
        rss_mb = psutil.Process(server.pid).memory_info().rss / 1e6
    finally:
        await server.aclose()
    ttft_ms = statistics.median(answer.ttft_ms for answer in one)
    alone = statistics.median(answer.tokens_per_s for answer in one)
    both = sum(answer.tokens_per_s for answer in two)
    return f"{threads:7} {ready_s:8.2f} {rss_mb:6.0f} {ttft_ms:8.0f} {alone:10.0f} {both:14.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct", help="an id, or the path of a .gguf file")
    parser.add_argument("--threads", type=int, nargs="+", default=[threads_to_spare()])
    args = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{args.model}, {os.cpu_count()} cores ({platform.machine()}), load {load:.1f} before the start")
    print("threads  ready s  RSS MB  TTFT ms   tokens/s   two at a time")
    for threads in args.threads:
        print(asyncio.run(measure(args.model, threads)), flush=True)


if __name__ == "__main__":
    main()
