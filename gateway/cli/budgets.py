"""`turnout budgets`: who has spent how much of what."""

from __future__ import annotations

import argparse
import json
import time

from gateway.budgets.base import Account, Family, State, family_of
from gateway.budgets.budgets import Standing
from gateway.budgets.errors import dollars, utc
from gateway.budgets.frame import frame
from gateway.budgets.ledger import read_spent
from gateway.budgets.rules import Rules
from gateway.cli.table import table
from gateway.edge.standing_json import standing_json
from gateway.errors import ConfigError
from gateway.ledger.base import LedgerReader
from gateway.ledger.opening import open_reader
from gateway.loading import load_policy
from gateway.policy.budgets import BudgetRule
from gateway.settings import load_settings

HEADINGS = ("budget", "holder", "spent", "of", "share", "ends")


def define(command: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    command.description = (
        "Each budget of the policy with each key, team, tag's value or route that has spent something of it, as the ledger "
        "says. Works beside a running gateway; what it has reserved for requests under way, GET /admin/budgets tells."
    )
    command.epilog = "example: turnout budgets --json"
    command.add_argument("--policy", metavar="FILE", help="the policy (default: $TURNOUT_POLICY or policies/default.yaml)")
    command.add_argument("--json", action="store_true", help="print them as GET /admin/budgets does")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print them."""
    settings = load_settings(policy=args.policy)
    rules = load_policy(settings.policy).budgets
    reader = open_reader(settings)
    try:
        found = standings(rules, reader, time.time())
    except OSError as exc:
        raise ConfigError(str(exc)) from exc
    finally:
        reader.close()
    if args.json:
        shown = [{k: v for k, v in standing_json(one).items() if not k.startswith("reserved")} for one in found]
        print(json.dumps({"budgets": shown}, indent=2, ensure_ascii=False))
    elif not rules:
        print("the policy has no budgets")
    else:
        print(_shown(rules, found))
    return 0


def standings(rules: tuple[BudgetRule, ...], reader: LedgerReader, at: float) -> list[Standing]:
    """Each rule with each holder that has spent something, the ones farthest on first. Raises OSError."""
    found: list[Standing] = []
    by_account = Rules(rules)
    read: dict[Family, list[State]] = {}
    for rule in rules:
        family = family_of(rule)
        if family not in read:
            spent = read_spent(reader, family, at, gpu_until=at)
            read[family] = [State(Account(family, h), sum(buckets.values()), 0, buckets) for h, buckets in spent.items()]
        mine = sorted((s for s in read[family] if rule in by_account.of(s.account)), key=lambda s: (-s.spent_nusd, s.account.id))
        found += [Standing(rule, state, frame(family.period, at).ends_at) for state in mine]
    return found


def _shown(rules: tuple[BudgetRule, ...], found: list[Standing]) -> str:
    rows = []
    for rule in rules:
        mine = [one for one in found if one.rule is rule]
        rows += [_row(one) for one in mine] or [(str(rule), "(none)", dollars(0), dollars(rule.limit_nusd), "0 %", "")]
    return table(HEADINGS, rows, left=2)


def _row(standing: Standing) -> tuple[str, ...]:
    rule, state = standing.rule, standing.state
    share = f"{100 * state.spent_nusd / rule.limit_nusd:.0f} %"
    ends = utc(standing.ends_at) if standing.ends_at is not None else f"rolls, {rule.period}"
    is_reached = state.spent_nusd >= rule.threshold_nusd
    holder = "" if rule.per == "gateway" else state.account.name
    return str(rule), holder, dollars(state.spent_nusd), dollars(rule.limit_nusd), f"{share} !" if is_reached else share, ends
