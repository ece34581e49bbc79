"""What there is to say of the ledger, for `turnout doctor`: the file, or the shared database and its clock."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.ledger import sqlite
from gateway.ledger.base import LedgerReader
from gateway.ledger.opening import open_reader
from gateway.postgres_url import check_postgres_url
from gateway.settings import Settings

CLOCK_SKEW_S = 60.0
MAJOR_MIN = 13


def find_ledger(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written, and what is in it. Never raises; makes and changes nothing."""
    if settings.ledger_url is not None:
        yield from _find_database(settings, settings.ledger_url)
    elif not os.path.lexists(settings.ledger):
        yield _file_to_be(settings.ledger)
    else:
        yield _find_file(settings)


def _find_database(settings: Settings, url: str) -> Iterator[Finding]:
    try:
        check_postgres_url(url)
    except ConfigError as exc:
        yield Finding("broken", "ledger", str(exc))
        return
    from gateway.postgres_link import PostgresLink

    link = PostgresLink(url)
    try:
        server = link.server()
    except OSError as exc:
        yield Finding("broken", "ledger", str(exc), "is it running? check TURNOUT_LEDGER_URL and the network")
        return
    finally:
        link.close()
    if server.major < MAJOR_MIN:
        yield Finding("broken", "ledger", f"{link.address} is PostgreSQL {server.version}", f"use version {MAJOR_MIN} or later")
    elif not server.may_create:
        remedy = "give the ledger a schema of its own, which its role owns: docs/ledger.md"
        yield Finding("broken", "ledger", f"{link.address}: the role may create no table, and each month needs its own", remedy)
    else:
        what = f"{link.address}: PostgreSQL {server.version}"
        try:
            yield Finding("ok", "ledger", f"{what}, {_count(open_reader(settings))} entries")
        except (ConfigError, OSError) as exc:
            yield Finding("missing", "ledger", f"{what}; {exc}")
    if abs(server.skew_s) > CLOCK_SKEW_S:
        said = f"this machine's clock is {server.skew_s:+.0f} s off {link.address}'s"
        yield Finding("broken", "clock", said, "set the clock (NTP); the ledger's days depend on it")


def _find_file(settings: Settings) -> Finding:
    path = settings.ledger
    try:
        if path.stat().st_size == 0:
            return Finding("ok", "ledger", f"{path}: nothing is in it yet")
        count = _count(open_reader(settings))
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        try:
            db.execute(f"PRAGMA busy_timeout = {sqlite.BUSY_TIMEOUT_MS}")
            db.execute("BEGIN IMMEDIATE")
            db.execute("ROLLBACK")
        finally:
            db.close()
    except ConfigError as exc:
        return Finding("broken", "ledger", str(exc))
    except (sqlite3.Error, OSError) as exc:
        return Finding("broken", "ledger", f"{path}: {exc}", "make it writable, or set TURNOUT_DATA_DIR")
    return Finding("ok", "ledger", f"{path}: writable, {count} entries")


def _count(reader: LedgerReader) -> int:
    """How many entries were ever written, those of months that were dropped included."""
    try:
        (row,) = reader.rows("SELECT coalesce(sum(requests), 0) AS count FROM rollup")
    finally:
        reader.close()
    return int(row["count"])


def _file_to_be(path: Path) -> Finding:
    """Whether the gateway could make it. Nothing is left behind: not the file, and none of its folders."""
    folder = next((p for p in path.absolute().parents if os.path.lexists(p)), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as exc:
        said = f"{path} is not there and cannot be made: {exc.strerror or exc}: {folder}"
        return Finding("broken", "ledger", said, "make the folder writable, or set TURNOUT_DATA_DIR")
    return Finding("ok", "ledger", f"{path}: not there yet; the gateway can make it")
