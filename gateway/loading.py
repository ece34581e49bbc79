"""From a policy file on disk to a Router: reads the file, what it names and the price map."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from classifiers.cascade.confidence import shipped_model
from gateway.errors import ConfigError
from gateway.policy.compile import Policy, compile_policy
from gateway.policy.errors import PolicyError, Problem
from gateway.policy.source import parse_source
from gateway.pricing.book import FILE_NAME, open_book
from gateway.router import Router
from gateway.settings import data_folder
from gateway.signals import JUDGED

LEARNED: Final = JUDGED | {"confidence"}  # facts that a classifier tells


def load_policy(path: Path, env: Mapping[str, str] | None = None) -> Policy:
    """Raises ConfigError when the file cannot be read, PolicyError when it is not a policy."""
    return _compiled(path, _read(path), env)


def load_router(path: Path, env: Mapping[str, str] | None = None) -> Router:
    """A policy with everything that decisions need. Raises ConfigError and PolicyError."""
    text = _read(path)
    policy = _compiled(path, text, env)
    if not (LEARNED & policy.needs or policy.faqs or "semantic" in policy.cache_modes):
        return Router(policy, None, None, None, {})
    from gateway.learned import learned_router  # with numpy, tokenizers and classifiers: a third of a start

    return learned_router(policy, path, text)


def watched_files(policy: Policy, path: Path) -> list[Path]:
    """The files whose change is a change of the policy, or of its prices."""
    calibrations = {name for route in policy.routes for name in route.calibrations}
    prices = data_folder(os.environ) / FILE_NAME
    return [path, prices, *(path.parent / name for name in (*policy.faqs, *sorted(calibrations)))]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the policy '{path}': {reason}; set --policy or TURNOUT_POLICY") from exc


def _compiled(path: Path, text: str, env: Mapping[str, str] | None) -> Policy:
    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8")

    env = os.environ if env is None else env
    book = open_book(data_folder(env))
    policy = compile_policy(
        str(path),
        text,
        env=env,
        price_of=book.prices_of,
        read_file=read_file,
        cannot_of=book.cannot_of,
        names_like=book.ids_like,
        now=time.time(),
    )
    problems = list(_unreachable(policy, text))
    if problems:
        raise PolicyError(problems)
    return policy


def _unreachable(policy: Policy, text: str) -> Iterator[Problem]:
    """Rungs that want more confidence than the shipped model ever says; of a calibration file the compiler sees to it."""
    for i, route in enumerate(policy.routes):
        for k, (_, rule) in enumerate(route.cascade):
            if rule is None or rule.confidence is None or rule.calibration is not None:
                continue
            curve = shipped_model().curve
            highest = curve[-1][1] if curve else 1.0
            if rule.confidence > highest:
                line = parse_source(policy.file, text).line_of(("routes", i, "cascade", k, "accept", "confidence"))
                message = (
                    f"no answer reaches {rule.confidence:g}: {highest:.3g} is the highest that the shipped model says; "
                    "ask for less, or name a `calibration` of your own"
                )
                yield Problem(policy.file, line, message)
