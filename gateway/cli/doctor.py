"""`turnout doctor`: check the set-up and say what to do."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict

from gateway.cli.findings import find_all
from gateway.cli.table import coloured
from gateway.settings import load_settings


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Check keys, address, policy, prices, ledger, Redis, cache, limits, budgets. Asks no model. "
        "Exit 1 if something is broken."
    )
    command.epilog = "example: turnout doctor --policy policies/default.yaml"
    command.add_argument("--policy", metavar="FILE", help="the policy (default: $TURNOUT_POLICY or policies/default.yaml)")
    command.add_argument("--json", action="store_true", help="print the findings as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was found; 1 if something is broken."""
    logging.getLogger("turnout").addHandler(logging.NullHandler())  # what a gateway would log of it is a finding here
    findings = []
    for finding in find_all(load_settings(policy=args.policy)):
        findings.append(finding)
        if not args.json:
            print(f"{coloured(finding.mark, finding.colour)} {finding.thing:<10} {finding.what}")
            if finding.remedy:
                print(f"{'':18} → {finding.remedy}")
    if args.json:
        print(json.dumps([asdict(f) for f in findings], indent=2, ensure_ascii=False))
    return 1 if any(f.level == "broken" for f in findings) else 0
