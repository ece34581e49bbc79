"""What is amiss with the processes of a gateway: what killed ones have left, and what several cannot do."""

from __future__ import annotations

import os
from collections.abc import Iterator

from gateway.cli.finding import Finding
from gateway.errors import ConfigError
from gateway.ledger.spool import abandoned, claimed, damaged
from gateway.policy.compile import Policy
from gateway.settings import Settings
from gateway.workers import check_workers


def find_spool(settings: Settings) -> Iterator[Finding]:
    """Records that wait for a gateway to bring them to the ledger; nothing when there are none."""
    left = 0
    if settings.spool.exists() and not os.access(settings.spool, os.W_OK | os.X_OK):
        what = f"'{settings.spool}' is not writable: a gateway that is killed loses what is not in the ledger yet"
        yield Finding("broken", "spool", what, "make it writable for the gateway")
    for path in abandoned(settings.spool):
        try:
            with claimed(path) as is_left:
                left += path.stat().st_size if is_left else 0
        except OSError as exc:
            yield Finding("broken", "spool", f"cannot read '{path}': {exc.strerror}", "make it readable for the gateway")
    if left:
        what = f"{left} bytes of records in '{settings.spool}', left by a process that was killed, may not be in the ledger yet"
        yield Finding("missing", "spool", what, "start the gateway, which brings them in")
    for path in damaged(settings.spool):
        what = f"'{path}' holds records that cannot be read; the others in it are in the ledger"
        yield Finding("broken", "spool", what, "look what they say of answers that were sent, and remove the file")


def find_workers(settings: Settings, policy: Policy) -> Iterator[Finding]:
    """Whether the policy can be served by as many processes as are wanted; nothing for one."""
    if settings.workers == 1:
        return
    try:
        check_workers(policy, settings)
    except ConfigError as exc:
        yield Finding("broken", "workers", str(exc))
    else:
        yield Finding("ok", "workers", f"{settings.workers} processes may serve this policy")
