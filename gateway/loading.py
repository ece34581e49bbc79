"""From a policy file on disk to a Router: reads the file, what it names, the price map and the classifier."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from pathlib import Path

import classifiers
from classifiers.artifact import Artifact, load_artifact
from classifiers.embed import StaticEmbedder
from classifiers.errors import ArtifactError
from gateway.answers.faq import Faq
from gateway.errors import ConfigError
from gateway.ledger.price import shipped_price
from gateway.policy.compile import Policy, compile_policy
from gateway.router import Router

ARTIFACTS = Path(classifiers.__file__).parent / "artifacts"


def load_policy(path: Path, env: Mapping[str, str] | None = None) -> Policy:
    """Raises ConfigError when the file cannot be read, PolicyError when it is not a policy."""
    return _compiled(path, _read(path), env)


def load_router(path: Path, env: Mapping[str, str] | None = None) -> Router:
    """A policy with everything that decisions need. Raises ConfigError and PolicyError."""
    policy = load_policy(path, env)
    needs_classifier = bool({"class", "confidence"} & policy.needs)
    needs_embedder = needs_classifier or bool(policy.faqs) or any(r.cache.mode == "semantic" for r in policy.routes)
    needs_embedder = needs_embedder or policy.cache.mode == "semantic"
    try:
        embedder = _embedder() if needs_embedder else None
        classifier = _classifier(policy, path) if needs_classifier else None
    except ArtifactError as exc:
        raise ConfigError(str(exc)) from exc
    faqs = {name: Faq(file, embedder) for name, file in policy.faqs.items()} if embedder else {}
    return Router(policy, classifier, embedder, faqs)


def watched_files(policy: Policy, path: Path) -> list[Path]:
    """The files whose change is a change of the policy."""
    return [path, *(path.parent / name for name in policy.faqs)]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ConfigError(f"cannot read the policy '{path}': {reason}; set --policy or TURNOUT_POLICY") from exc


def _compiled(path: Path, text: str, env: Mapping[str, str] | None) -> Policy:
    def read_file(name: str) -> str:
        return (path.parent / name).read_text(encoding="utf-8")

    return compile_policy(str(path), text, env=os.environ if env is None else env, price_of=shipped_price, read_file=read_file)


@functools.cache
def _embedder() -> StaticEmbedder:
    return StaticEmbedder.load()


def _classifier(policy: Policy, path: Path) -> Artifact:
    """A name is a folder of ours; anything with a slash is a path from the policy's own folder."""
    assert policy.classifier is not None
    name = policy.classifier.artifact
    folder = path.parent / name if "/" in name else ARTIFACTS / name
    if not folder.is_dir():
        known = ", ".join(sorted(p.name for p in ARTIFACTS.iterdir() if p.is_dir()))
        line = next((n for n, text in enumerate(_read(path).splitlines(), 1) if "artifact:" in text), 1)
        raise ConfigError(f"{path}:{line}: classifier.artifact: there is no folder '{folder}'; shipped: {known}")
    return load_artifact(folder, _embedder())
