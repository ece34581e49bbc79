"""One scenario in this process: `python -m benchmarks.hot_path.child NAME` prints its counts as JSON."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys

from benchmarks.hot_path import stillness


def main() -> int:
    """Count it."""
    stillness.install()
    from benchmarks.hot_path.playing import play  # which imports the gateway, so not before

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    print(json.dumps(dataclasses.asdict(play(sys.argv[1]))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
