"""How well prompt templates are recognised, and what that costs.

    python -m benchmarks.prompts [--each N] [--chats N] [--seeds N] [--check]

Made-up traffic (benchmarks/prompt_traffic.py) through what a gateway does with prompts, in one process, without the ledger.
Prints how well prompts are grouped, from the first on and of templates that have come ten times; for one gateway and for two
that share a ledger; how free chat fares; and the CPU time of an id and of learning from a prompt.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.prompt_traffic import TEMPLATES, Gateway, Prompt, free_chat, pair_scores, traffic
from gateway.cli.table import table
from gateway.prompts.families import is_template
from gateway.prompts.recogniser import Recogniser
from gateway.prompts.view import View, view_of
from gateway.request import ChatRequest

SEEN = 10  # a template that came so often is to be known
READ_EVERY = 100  # prompts, until two gateways look at what the other has found
F1_MIN = 0.95
CHAT_SHARE_MAX = 0.005
KNOWN_US_MAX = 10.0
ROUNDS, TRIES = 50, 5  # the best try counts: others may want the core as well
PROMPTS_TIMED = 500


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=50, metavar="N", help="prompts of each template (default: 50)")
    parser.add_argument("--chats", type=int, default=2_000, metavar="N", help="prompts of free chat (default: 2000)")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="how often, each with other traffic (default: 3)")
    parser.add_argument("--check", action="store_true", help="fail where a target is missed")
    args = parser.parse_args(argv)
    rows: list[list[str]] = []
    late_f1: list[float] = []
    for seed in range(1, args.seeds + 1):
        prompts = traffic(seed, args.each, args.chats)
        for count in (1, 2):
            found, gateways = replayed(prompts, count)
            whole, late = scores(prompts, found, 0), scores(prompts, found, SEEN)
            known = [len(gateway.written) for gateway in gateways]
            rows.append([f"{seed}", f"{count}", *_cells(whole), *_cells(late), " + ".join(map(str, known))])
            late_f1.append(late[2])
    columns = ("precision", "recall", "F1")
    print(f"{len(TEMPLATES)} templates, {args.each} prompts each, 1 in 100 with a slip, among {args.chats} of free chat\n")
    print(table(("seed", "gateways", *columns, *(f"{name} after {SEEN}" for name in columns), "found"), rows))
    share = chat_share()
    print(f"\nfree chat alone: {share:.2%} of {len(free_chat())} texts are taken to be of a template")
    known_us, unknown_us, learn_us = costs(traffic(1, args.each, args.chats))
    print("\nCPU time, µs")
    print(table(("of", "p50", "p99"), [_times("an id, template known", known_us), _times("an id, none known", unknown_us)]))
    print(table(("of", "p50", "p99"), [_times("learning from a prompt, in its thread", learn_us)]))
    missed = [
        *(["F1"] if min(late_f1) < F1_MIN else []),
        *(["free chat"] if share > CHAT_SHARE_MAX else []),
        *(["the time of a known id"] if statistics.median(known_us) > KNOWN_US_MAX else []),
    ]
    if args.check and missed:
        print(f"missed: {', '.join(missed)}", file=sys.stderr)
        return 1
    return 0


def replayed(prompts: Sequence[Prompt], count: int) -> tuple[list[str | None], list[Gateway]]:
    """The ids as a report would have them at the end, when so many gateways took turns; and these."""
    gateways = [Gateway() for _ in range(count)]
    ids: list[str | None] = []
    for n, prompt in enumerate(prompts):
        ids.append(gateways[n % count].ask(prompt))
        if count == 2 and n % READ_EVERY == READ_EVERY - 1:
            gateways[0].read(gateways[1])
            gateways[1].read(gateways[0])
    families = gateways[0].recogniser.families
    return [None if id_ is None else families.of(id_) for id_ in ids], gateways


def scores(prompts: Sequence[Prompt], found: Sequence[str | None], after: int) -> tuple[float, float, float]:
    """Precision, recall and F1 over pairs of prompts, without the first `after` of each template."""
    count: Counter[str] = Counter()
    kept: list[int] = []
    for n, prompt in enumerate(prompts):
        if prompt.template is None or count[prompt.template] >= after:
            kept.append(n)
        if prompt.template is not None:
            count[prompt.template] += 1
    precision, recall = pair_scores([found[n] for n in kept], [prompts[n].template for n in kept])
    return precision, recall, 2 * precision * recall / (precision + recall)


def chat_share() -> float:
    """How much of free chat is taken to be of a template."""
    gateway = Gateway()
    ids = [gateway.ask(Prompt("", text, None)) for text in free_chat()]
    return sum(id_ is not None and is_template(id_) for id_ in ids) / len(ids)


def costs(prompts: Sequence[Prompt]) -> tuple[list[float], list[float], list[float]]:
    """µs for the id of a prompt whose template is known, of one that has none, and for learning from a prompt."""
    gateway = Gateway()
    recogniser, learning = gateway.recogniser, []
    for prompt in prompts:
        recogniser.id_of(_view(prompt.request()))
        while recogniser.waiting:
            began = time.thread_time_ns()
            gateway.learn(recogniser.waiting.pop())
            learning.append((time.thread_time_ns() - began) / 1e3)
    chosen = random.Random(1).sample(prompts, min(len(prompts), PROMPTS_TIMED))
    known: list[float] = []
    unknown: list[float] = []
    for prompt in chosen:
        (known if gateway.template_of(prompt) else unknown).append(_timed(recogniser, prompt.request()))
    return known, unknown, learning


def _view(request: ChatRequest) -> View:
    view = view_of(request)
    assert view is not None
    return view


def _timed(recogniser: Recogniser, request: ChatRequest) -> float:
    tries = []
    for _ in range(TRIES):
        began = time.thread_time_ns()
        for _ in range(ROUNDS):
            recogniser.id_of(_view(request))
        tries.append((time.thread_time_ns() - began) / 1e3 / ROUNDS)
    return min(tries)


def _cells(scored: Sequence[float]) -> list[str]:
    return [f"{score:.3f}" for score in scored]


def _times(name: str, times: Sequence[float]) -> list[str]:
    return [name, f"{statistics.median(times):,.1f}", f"{statistics.quantiles(times, n=100)[98]:,.1f}"]


if __name__ == "__main__":
    sys.exit(main())
