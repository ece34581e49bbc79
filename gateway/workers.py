"""What several processes that serve one address share, and what they cannot: said or refused before they serve."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError
from gateway.policy.compile import Policy
from gateway.policy.schema_models import LocalProvider
from gateway.settings import Settings

log = logging.getLogger("turnout.workers")


def check_workers(policy: Policy, settings: Settings) -> None:
    """Raises ConfigError where several workers would not do what the policy says. Also asked when the policy changes."""
    if settings.workers == 1:
        return
    _refuse_limits_apart(policy, settings)
    _refuse_budgets_apart(policy, settings)
    _refuse_local_models(policy, settings)


def _refuse_limits_apart(policy: Policy, settings: Settings) -> None:
    if policy.limits and settings.redis_url is None:
        raise ConfigError(
            f"the policy has limits, and each of {settings.workers} workers would count by itself, so that callers get up to "
            f"{settings.workers} times as much; set TURNOUT_REDIS_URL, where workers count together, or run one worker"
        )


def _refuse_budgets_apart(policy: Policy, settings: Settings) -> None:
    if policy.budgets and settings.redis_url is None:
        raise ConfigError(
            f"the policy has budgets, and each of {settings.workers} workers would count by itself, so that more is spent than "
            "they allow; set TURNOUT_REDIS_URL, where workers count together, or run one worker"
        )


def _refuse_local_models(policy: Policy, settings: Settings) -> None:
    # Each worker would load the weights and start threads for all cores; handing one worker's server to the others would
    # have them fail whenever that worker is started anew.
    local = [name for name, model in policy.models.items() if isinstance(policy.providers[model.provider], LocalProvider)]
    if local:
        raise ConfigError(
            f"model '{local[0]}' runs on this machine (kind: local), and each of {settings.workers} workers would start it; "
            "run one worker, or run the model in a server of its own and name that with kind: openai"
        )


def say_what_is_apart(policy: Policy, settings: Settings) -> None:
    """A line in the log for what each worker has by itself. Once, by the first of them."""
    if settings.workers == 1 or settings.worker != 1 or settings.redis_url is not None:
        return
    kept = "cached answers and its own view" if policy.cache_modes - {"off"} else "view"
    log.info("each of %d workers has its own %s of which models fail; TURNOUT_REDIS_URL has them share", settings.workers, kept)


@contextmanager
def metrics_folder(settings: Settings) -> Iterator[Path]:
    """Where the workers of one supervisor tell each other what they have counted, until the block is left.

    Its name is nobody else's, and its lock says that the supervisor lives: process ids repeat among containers that share a
    data folder. Those that killed supervisors left are removed. Raises ConfigError when the folder cannot be had.
    """
    parent = settings.data_dir / "workers"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for other in parent.iterdir():
            _remove_unless_locked(other)
        folder, lock = _locked_folder(parent)
    except OSError as exc:
        reason = f"cannot make a folder in '{parent}': {exc.strerror}"
        raise ConfigError(f"{reason}; make it writable or set TURNOUT_DATA_DIR to a folder that is") from exc
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    """A new folder, and the file descriptor that holds its lock; processes that this one starts do not inherit it."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent))
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:  # somebody else took it for one of a dead supervisor, as below
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _remove_unless_locked(folder: Path) -> None:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no folder, no longer there, or another user's
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # its supervisor lives
        pass
    else:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
