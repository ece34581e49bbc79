"""`turnout`: parse the command line, run the subcommand, say errors in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from gateway import __version__
from gateway.cli import (
    budgets,
    cache,
    calibrate,
    doctor,
    estimate,
    evaluate,
    keys,
    ledger,
    policy,
    prices,
    providers,
    serve,
    spend,
    train,
)
from gateway.errors import ConfigError, UsageError
from gateway.policy.errors import PolicyError

EXIT_FAILED = 1
EXIT_USAGE = 2  # argparse's own


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all else does; its commands' parsers are of the same kind."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: {message}; `{self.prog} --help` says more\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="turnout",
        description="An LLM gateway that decides, for each request, whether to skip the LLM, use a small model or escalate.",
        epilog="example: turnout serve --policy policies/default.yaml",
    )
    top.add_argument("--version", action="version", version=f"turnout {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    running = (serve, policy, providers, keys, budgets, spend, ledger, prices, estimate, cache)
    for module in (*running, train, calibrate, evaluate, doctor):
        module.add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    args = parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except PolicyError as exc:
        print(exc, file=sys.stderr)
        return EXIT_FAILED
    except ConfigError as exc:
        print(f"turnout: {exc}", file=sys.stderr)
        return EXIT_USAGE if isinstance(exc, UsageError) else EXIT_FAILED
    except BrokenPipeError:  # `turnout spend | head`
        sys.stderr.close()
        return EXIT_FAILED
    except KeyboardInterrupt:
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main())
