"""`turnout keys`: make, list, rotate and revoke the gateway's own credentials."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator

from gateway.cli.key_options import (
    key_cells,
    key_json,
    limits_of,
    read_duration,
    read_expiry,
    read_glob,
    read_name,
    read_rate,
    read_tag,
    read_team,
    tags_of,
)
from gateway.cli.table import table
from gateway.errors import ConfigError
from gateway.keys.model import VirtualKey, iso
from gateway.keys.opening import open_keys
from gateway.keys.secret import digest_of, new_id, new_secret
from gateway.keys.store import KeyStore, NoSuchKey
from gateway.ledger.opening import open_reader
from gateway.policy.permit import Permit
from gateway.report.uses import last_uses
from gateway.settings import load_settings

HEADINGS = ("id", "name", "team", "state", "models", "routes", "limits", "tags", "expires", "last used")
ONCE = "The secret is shown this once and kept as a hash. Callers send it as `authorization: Bearer …` or `x-api-key`."
CLOSES = "It is the first key: from now on callers need one, within a second also where a gateway runs already."


def define(keys: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    keys.description = (
        "The gateway's own credentials, kept in the data directory ($TURNOUT_DATA_DIR), or in the PostgreSQL of "
        "$TURNOUT_LEDGER_URL. A gateway that runs sees a change within a second."
    )
    keys.epilog = "example: turnout keys create --name ide --team search --model 'gpt-*' --requests 600/min"
    kinds = keys.add_subparsers(dest="kind", metavar="ACTION", required=True)
    _add_create(kinds)
    listing = kinds.add_parser(
        "list",
        help="the keys there are",
        description="The keys that were ever made, revoked ones too; no secrets. Last used: as the ledger has it.",
        epilog="example: turnout keys list --json",
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=list_keys)
    rotate = kinds.add_parser(
        "rotate",
        help="give a key another secret",
        description="Give a key another secret. The old one stays valid for a while, so that callers can change over.",
        epilog="example: turnout keys rotate key_0a1b2c3d4e5f --overlap 24h",
    )
    rotate.add_argument("id", metavar="ID", help="the key's id, as `turnout keys list` shows it")
    rotate.add_argument(
        "--overlap", metavar="TIME", type=read_duration, default=86_400.0, help="how long the old one is valid (default: 24h)"
    )
    rotate.add_argument("--json", action="store_true", help="print JSON")
    rotate.set_defaults(run=rotate_key)
    revoke = kinds.add_parser(
        "revoke",
        help="shut a key out, for good",
        description="Shut a key out, for good: all of its secrets are refused within a second.",
        epilog="example: turnout keys revoke key_0a1b2c3d4e5f",
    )
    revoke.add_argument("id", metavar="ID", help="the key's id, as `turnout keys list` shows it")
    revoke.set_defaults(run=revoke_key)


def _add_create(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    create = kinds.add_parser(
        "create",
        help="make a key",
        description="Make a key and show its secret, this once. Once a key exists, callers need one.",
        epilog="example: turnout keys create --name ide --team search --tag app=ide --expires 90d",
    )
    create.add_argument("--name", metavar="N", type=read_name, help="what it is for, for people")
    create.add_argument("--team", metavar="T", type=read_team, help="who pays: for limits, spend, and answers a team shares")
    create.add_argument(
        "--model", metavar="GLOB", type=read_glob, action="append", help="a model it may use; repeatable (default: all)"
    )
    create.add_argument(
        "--route",
        metavar="GLOB",
        type=read_glob,
        action="append",
        help="a route it may take, `direct` for models named outright; repeatable (default: all)",
    )
    create.add_argument(
        "--tag", metavar="K=V", type=read_tag, action="append", default=[], help="a tag of its requests; repeatable"
    )
    create.add_argument("--expires", metavar="WHEN", type=read_expiry, help="90d, 2027-01-31 or a time, UTC (default: never)")
    create.add_argument(
        "--requests", metavar="RATE", type=read_rate, action="append", default=[], help="a limit, as 600/min; repeatable"
    )
    create.add_argument(
        "--tokens", metavar="RATE", type=read_rate, action="append", default=[], help="a limit, as 200000/min; repeatable"
    )
    create.add_argument("--json", action="store_true", help="print JSON")
    create.set_defaults(run=create_key)


def create_key(args: argparse.Namespace) -> int:
    """Make a key."""
    models, routes = (None if globs is None else tuple(dict.fromkeys(globs)) for globs in (args.model, args.route))
    key = VirtualKey(
        id=new_id(),
        created_at=time.time(),
        name=args.name,
        team=args.team,
        tags=tags_of(args.tag),
        permit=Permit(models, routes),
        limits=limits_of(args.requests, args.tokens),
        expires_at=args.expires,
    )
    secret = new_secret()
    with _store() as store:
        is_first = not store.held()
        store.add(key, digest_of(secret.encode()))
    if args.json:
        print(json.dumps({"id": key.id, "secret": secret, **key_json(key, key.created_at)}, indent=2, ensure_ascii=False))
        return 0
    _, *cells = key_cells(key, key.created_at)
    print(f"{key.id}\n  {'secret':<8}{secret}")
    for heading, cell in zip(HEADINGS[1:], cells, strict=False):
        if cell and heading != "state":
            print(f"  {heading:<8}{cell}")
    print(ONCE)
    if is_first:
        print(CLOSES)
    return 0


def list_keys(args: argparse.Namespace) -> int:
    """Show the keys."""
    now = time.time()
    with _store() as store:
        keys = list({one.key.id: one.key for one in store.held_unless_lost()}.values())
    used = _last_uses() if keys else {}
    last = {key.id: iso(used[key.id]) if key.id in used else None for key in keys}
    if args.json:
        print(json.dumps([key_json(key, now) | {"last_used_at": last[key.id]} for key in keys], indent=2, ensure_ascii=False))
    elif keys:
        print(table(HEADINGS, [[*key_cells(key, now), last[key.id] or "never"] for key in keys], left=len(HEADINGS)))
    else:
        print(
            "there is no virtual key: a gateway started now serves programs on this machine without one; "
            "make one: turnout keys create"
        )
    return 0


def rotate_key(args: argparse.Namespace) -> int:
    """Give a key another secret."""
    now, secret = time.time(), new_secret()
    with _store() as store:
        known = next((one.key for one in store.held() if one.key.id == args.id), None)
        if known is None:
            raise NoSuchKey(args.id)
        if known.state(now) != "valid":
            raise ConfigError(f"key '{known.id}' is {known.state(now)}: another secret would open nothing; make a new key")
        key = store.rotate(args.id, digest_of(secret.encode()), now + args.overlap)
    until = iso(now + args.overlap)
    if args.json:
        print(json.dumps({"id": key.id, "secret": secret, "old_secret_until": until}, indent=2))
    else:
        print(f"{key.id}\n  {'secret':<8}{secret}\nThe old one is valid until {until}. {ONCE}")
    return 0


def revoke_key(args: argparse.Namespace) -> int:
    """Shut a key out."""
    with _store() as store:
        known = next((one.key for one in store.held() if one.key.id == args.id), None)
        if known is None:
            raise NoSuchKey(args.id)
        key = store.revoke(args.id, time.time())
    assert key.revoked_at is not None, "it has just been revoked"
    before = "" if known.revoked_at is None else "was "
    print(f"{key.id} {before}revoked at {iso(key.revoked_at)}")
    return 0


@contextlib.contextmanager
def _store() -> Iterator[KeyStore]:
    store = open_keys(load_settings())
    try:
        yield store
    finally:
        store.close()


def _last_uses() -> dict[str, float]:
    """When each key was last used, as far as the ledger can be read: a key must be found also when it cannot."""
    settings = load_settings()
    if settings.ledger_url is None and not settings.ledger.exists():
        return {}
    try:
        reader = open_reader(settings)
        try:
            return last_uses(reader)
        finally:
            reader.close()
    except (ConfigError, OSError) as exc:
        print(f"turnout: when keys were last used is not known: {exc}", file=sys.stderr)
        return {}
