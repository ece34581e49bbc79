"""`turnout policy check | explain | test | schema`: everything about a policy that needs no server."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from gateway.cli.table import coloured
from gateway.edge.auth import keyless_tenant
from gateway.edge.chat_completions import read_request
from gateway.edge.dialect import Incoming
from gateway.errors import ClientError, ConfigError, UsageError
from gateway.loading import load_router
from gateway.policy.model import Candidate
from gateway.policy.schema import TestSpec, policy_json_schema
from gateway.router import Router
from gateway.sessions import session_draw

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def define(policy: argparse.ArgumentParser) -> None:
    """Give the parser its options and its description."""
    policy.description = "Check, explain and test a policy. Starts nothing and asks no model."
    policy.epilog = "example: turnout policy check policies/default.yaml"
    kinds = policy.add_subparsers(dest="policy_command", metavar="COMMAND", required=True)
    _add_check(kinds)
    _add_explain(kinds)
    _add_test(kinds)
    schema = kinds.add_parser(
        "schema",
        help="print the JSON Schema, for editors",
        description="Print the JSON Schema of policy files, for editors.",
        epilog="example: turnout policy schema > policy.schema.json",
    )
    schema.set_defaults(run=print_schema)


def _add_check(kinds: Commands) -> None:
    check = kinds.add_parser(
        "check",
        help="validate a policy file",
        description="Validate a policy file. Exit 0, or 1 with FILE:LINE: message and the remedy.",
        epilog="example: turnout policy check policies/default.yaml",
    )
    check.add_argument("file", metavar="FILE", type=Path)
    check.set_defaults(run=check_policy)


def _add_explain(kinds: Commands) -> None:
    explain = kinds.add_parser(
        "explain",
        help="show where a prompt would go and why",
        description="Show the decision for a prompt: every rule tried, and why it did or did not match.",
        epilog="example: turnout policy explain policies/default.yaml --prompt 'Is 7 prime?' --header x-turnout-tags=data=x",
    )
    explain.add_argument("file", metavar="FILE", type=Path)
    explain.add_argument("--prompt", metavar="TEXT", required=True, help="the user's message")
    explain.add_argument("--model", metavar="M", default="auto", help="the model that the app asks for (default: auto)")
    explain.add_argument("--header", metavar="K=V", action="append", default=[], help="a request header; may be repeated")
    explain.add_argument("--draw", metavar="D", type=float, help="the draw in [0, 1) that decides splits (default: random)")
    explain.add_argument("--json", action="store_true", help="print the decision as JSON")
    explain.set_defaults(run=explain_prompt)


def _add_test(kinds: Commands) -> None:
    test = kinds.add_parser(
        "test",
        help="run the tests in a policy file",
        description="Run the file's own `tests:`; a line each, exit 1 if any fails.",
        epilog="example: turnout policy test policies/default.yaml",
    )
    test.add_argument("file", metavar="FILE", type=Path)
    test.add_argument("--json", action="store_true", help="print the results as JSON")
    test.set_defaults(run=test_policy)


def print_schema(args: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print(json.dumps(policy_json_schema(), indent=2, ensure_ascii=False))
    return 0


def check_policy(args: argparse.Namespace) -> int:
    """Validate a file, with all it names."""
    policy = load_router(args.file).policy
    for provider, why in policy.unavailable.items():
        print(f"note: provider '{provider}' cannot be called here: {why}", file=sys.stderr)
    print(f"{args.file}: ok ({policy.hash}; {len(policy.routes)} routes, {len(policy.models)} models, {len(policy.tests)} tests)")
    return 0


def explain_prompt(args: argparse.Namespace) -> int:
    """Print one decision."""
    if args.draw is not None and not 0 <= args.draw < 1:
        raise UsageError(f"--draw {args.draw} is not in [0, 1)")
    headers = {}
    for item in args.header:
        name, sign, value = item.partition("=")
        if not sign or not name:
            raise UsageError(f"--header {item!r}: write NAME=VALUE, as x-turnout-tags=data=confidential")
        headers[name.lower().encode()] = value.encode()
    router = load_router(args.file)
    body = {"model": args.model, "messages": [{"role": "user", "content": args.prompt}]}
    story = _decide(router, body, headers, args.draw)
    print(json.dumps(story, indent=2, ensure_ascii=False) if args.json else _told(story))
    return 1 if story["decision"] == "denial" else 0


def test_policy(args: argparse.Namespace) -> int:
    """Run a file's tests."""
    router = load_router(args.file)
    results = []
    for test in router.policy.tests:
        failures = _failures(router, test)
        results.append({"prompt": test.prompt, "model": test.model, "passed": not failures, "failures": failures})
        if not args.json:
            mark = coloured("FAIL", "red") if failures else coloured("ok  ", "green")
            print(f"{mark} {test.prompt[:80]!r} ({test.model}){': ' if failures else ''}{'; '.join(failures)}")
    failed = sum(not r["passed"] for r in results)
    if args.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    else:
        print(
            f"{len(results) - failed} passed, {failed} failed"
            if results
            else f"{args.file} has no tests; add some under `tests:`"
        )
    return 1 if failed else 0


def _failures(router: Router, test: TestSpec) -> list[str]:
    content: Any = test.prompt
    if test.has_images:
        content = [{"type": "text", "text": test.prompt}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]
    body: dict[str, Any] = {"model": test.model, "messages": [{"role": "user", "content": content}]}
    if test.has_tools:
        body["tools"] = [{"type": "function", "function": {"name": "tool", "parameters": {"type": "object"}}}]
    tags = ",".join(f"{k}={v}" for k, v in test.tags.items())
    story = _decide(router, body, {b"x-turnout-tags": tags.encode()} if tags else {}, draw=0.0)
    expect = test.expect
    wanted = {"route": expect.route, "class": expect.class_, "model": expect.model}
    wanted["cache"] = "bypass" if expect.cache == "off" else expect.cache
    return [
        f"{key} is {story.get(key)!r}, expected {value!r}" for key, value in wanted.items() if value and story.get(key) != value
    ]


def _decide(router: Router, body: dict[str, Any], headers: dict[bytes, bytes], draw: float | None) -> dict[str, Any]:
    """One decision as if every provider were up: a policy's tests must not depend on whose keys are set.

    draw: None for one as the gateway makes it, always the same for a session.
    """
    candidates = {m.name: Candidate(m.name, m.provider, m.context_tokens) for m in router.policy.models.values()}
    try:
        request = read_request(Incoming("explain", msgspec.json.encode(body), headers, b"", keyless_tenant(headers)))
    except ClientError as exc:
        raise ConfigError(exc.message) from exc
    if draw is None:
        draw = random.random() if request.session is None else session_draw(request.session, keyless_tenant(headers))
    return router.story(asyncio.run(router.route(request, candidates, draw)))


def _target(target: dict[str, str]) -> str:
    accept = f", accepted if {target['accept']}" if "accept" in target else ""
    return f"{target['model']} ({target['provider']}: {target['id']}{accept})"


def _told(story: dict[str, Any]) -> str:
    if story["decision"] == "denial":
        lines = [f"refused: {story['error']['message']}"]
    elif story["decision"] == "answer":
        lines = [f"route {story['route']}: answered without a model: {story['answer']!r}"]
    else:
        targets = " → ".join(map(_target, story["targets"])) or "nothing"
        lines = [f"route {story['route']}: {targets}; cache {story['cache']}"]
        lines += [f"  left out: {left['model']} ({left['why']})" for left in story["left_out"]]
    if story["class"] is not None:
        scores = ", ".join(f"{name} {score:.2f}" for name, score in story["scores"].items())
        lines.append(f"class {story['class']}, confidence {story['confidence'] or 0:.2f} ({scores or story['class_why']})")
    if story["intent"] is not None:
        lines.append(f"intent {story['intent']}, confidence {story['facts']['intent.confidence']:.2f}")
    if story.get("choice"):
        lines.append(story["choice"])
    width = max(len(r["route"]) for r in story["routes"])
    lines += [f"  {'→' if r['matched'] else ' '} {r['route']:<{width}}  {r['why']}" for r in story["routes"]]
    return "\n".join(lines)
