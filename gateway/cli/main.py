"""`turnout`: parse the command line, run the subcommand, say errors in one line."""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from gateway import __version__
from gateway.errors import ConfigError, UsageError
from gateway.policy.errors import PolicyError

EXIT_FAILED = 1
EXIT_USAGE = 2  # argparse's own

# A command's module, gateway.cli.NAME, is imported when the command is given: all of them together take longer to import than
# any of them takes to run. This much of each is said without it.
COMMANDS: Final = {
    "serve": "run the gateway",
    "policy": "check, explain and test a policy",
    "providers": "well-known providers, and the YAML that each needs",
    "keys": "virtual keys: make, list, rotate, revoke",
    "budgets": "who has spent how much of which budget",
    "spend": "what was spent, saved and on what",
    "ledger": "the ledger: what is in it, export, retention",
    "prices": "the price map: list, show, refresh",
    "estimate": "price a workload, or size up a model, with no traffic at all",
    "cache": "look into the cache, evict from it, measure and fit what tells questions apart",
    "train": "fit a classifier to labelled data",
    "calibrate": "find the threshold for a quality, a share or a budget",
    "evaluate": "measure a classifier on labelled rows",
    "doctor": "check the set-up and say what to do",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all else does; its commands' parsers are of the same kind.

    command: whose module defines the parser, when it first parses; None for one that is defined by whoever makes it.
    """

    def __init__(self, *, command: str | None = None, **given: Any) -> None:
        super().__init__(**given)
        self._command = command

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        command, self._command = self._command, None
        if command is not None:
            importlib.import_module(f"gateway.cli.{command}").define(self)
        return super().parse_known_args(args, namespace)

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
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, command=name)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    gc.disable()  # modules are not garbage, and looking at them again and again takes a tenth of a start
    try:
        args = parser().parse_args(argv)
    finally:
        gc.enable()
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
