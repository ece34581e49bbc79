"""`python -m tests.clients.stand`: what clients of other languages are tested against, until standard input closes.

The scripted upstream and a gateway in front of it, each in a process of its own. Their addresses and the policy's model ids are
printed as one line of JSON: {"gateway", "upstream", "ids": {model: the id that the upstream is asked for}, "cost_usd"}.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from tests.clients.processes import running_gateway, running_upstream
from tests.clients.python.policy import COST_USD, IDS, policy


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_upstream() as upstream:
        with running_gateway(Path(folder), policy(upstream.url)) as gateway:
            stand = {"gateway": gateway, "upstream": upstream.url, "ids": IDS, "cost_usd": COST_USD}
            print(json.dumps(stand), flush=True)  # noqa: T201
            sys.stdin.read()  # closes when whoever started this ends, however that happens


if __name__ == "__main__":
    main()
