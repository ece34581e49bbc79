"""Kill a gateway under load, start it again, and compare what its clients got with what its ledger has.

python -m benchmarks.crashes --times 100 --workers 1

Each time `kill -9` comes at a random moment while clients ask; with several workers it hits one of them, and the others go
on. A process that is killed in the middle of a write leaves half a record: that is rare, so it is added each time to what a
single process left. Prints one line; exit 1 if an answer that was received whole has no entry, or an entry is there twice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.server import TURNOUT, Server, environment
from benchmarks.witness import POLICY, Witness, booked, doubles
from gateway.ledger.base import Feedback
from gateway.ledger.spool import abandoned, encode

START_S = 60.0
REPLAY_S = 30.0


@dataclass
class Tally:
    """What the kills came to. lost: answers received whole without an entry. doubled: entries too many."""

    kills: int = 0
    answers: int = 0
    broken: int = 0
    lost: int = 0
    doubled: int = 0

    @property
    def is_sound(self) -> bool:
        return self.lost == 0 and self.doubled == 0

    def line(self) -> str:
        return (
            f"{self.kills} x kill -9 under load: {self.answers} answers received whole, {self.broken} broken off by the kill, "
            f"{self.lost} entries lost, {self.doubled} doubled"
        )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def serve(folder: Path, port: int, *, workers: int = 1, policy: str = POLICY, **env: str) -> Server:
    """A gateway on its way up, with its policy, data and log in the folder."""
    (folder / "policy.yaml").write_text(policy)
    command = [*TURNOUT, "serve", "--policy", str(folder / "policy.yaml"), "--port", str(port), "--workers", str(workers)]
    more = {"TURNOUT_DATA_DIR": str(folder), "OMP_NUM_THREADS": "1", **env}
    return Server("turnout", command, f"http://127.0.0.1:{port}", folder / "log", env=environment(**more))


def workers_of(server: Server) -> list[int]:
    """Process ids of its workers."""
    return [child.pid for child in psutil.Process(server.pid).children()]


async def crash(folder: Path, times: int, workers: int, chance: random.Random) -> Tally:
    """Kill so many times; the ledger goes on from one time to the next."""
    tally = Tally()
    port = free_port()
    known: set[str] = set()
    for _ in range(times):
        with serve(folder, port, workers=workers) as server:
            await asyncio.to_thread(server.wait_ready, "/health/ready", START_S)
            async with Witness(server.url) as witness:
                await witness.answered(10)
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                victim = server.pid if workers == 1 else chance.choice(workers_of(server))
                os.kill(victim, signal.SIGKILL)
                if workers > 1:
                    await witness.answered(10)  # by those that are left
                else:
                    server.ended_within(START_S)
                    tear(folder / "spool")
        tally.kills += 1
        tally.answers += len(witness.whole)
        tally.broken += len([a for a in witness.answers.values() if a.has_begun and not a.is_whole])
        known |= witness.whole
    with serve(folder, port, workers=workers) as server:
        await asyncio.to_thread(server.wait_ready, "/health/ready", START_S)
        tally.lost = len(await asyncio.to_thread(missing, folder / "ledger.db", known, REPLAY_S))
    tally.doubled = doubles(folder / "ledger.db")
    return tally


def tear(spool: Path) -> None:
    """Add half a record to what a process that is dead has left."""
    for segment in abandoned(spool):
        with segment.open("ab") as file:
            file.write(encode(Feedback("torn", 0.0, 1.0))[:-10])


def missing(ledger: Path, ids: set[str], within_s: float) -> set[str]:
    """Those that have no entry, after the gateway had so long to bring them in."""
    until = time.monotonic() + within_s
    while True:
        left = ids - {id_ for id_, *_ in booked(ledger)}
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill a gateway under load and look for lost ledger entries.")
    parser.add_argument("--times", type=int, default=100, help="how often (default: 100; about 4 s each)")
    parser.add_argument("--workers", type=int, default=1, help="with more than one, one of them is killed each time")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = asyncio.run(crash(Path(folder), args.times, args.workers, random.Random(args.seed)))
    print(tally.line())
    return 0 if tally.is_sound else 1


if __name__ == "__main__":
    sys.exit(main())
