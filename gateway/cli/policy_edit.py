"""Put one number into a policy file and leave every other character of it as it was."""

from __future__ import annotations

import re

_SECTION = re.compile(r"^classifier:(?P<rest>.*)$", re.MULTILINE)
_FLOW = re.compile(r"^\s*\{(?P<inside>[^{}]*)\}(?P<after>\s*(?:#.*)?)$")
_BLOCK_LINE = re.compile(r"^(?P<indent>[ ]+)\S")


def set_classifier_number(text: str, key: str, value: float) -> str:
    """The policy with `classifier.KEY: value`. Raises ValueError when it has no `classifier:` section that can be edited."""
    found = _SECTION.search(text)
    if found is None:
        raise ValueError(f"there is no `classifier:` section to put `{key}` into; add one, as `classifier: {{}}`")
    shown = f"{value:.6f}"  # four decimals would round a score that many prompts share up, past them all
    if flow := _FLOW.match(found["rest"]):
        return text[: found.start("rest")] + f" {{{_in_flow(flow['inside'], key, shown)}}}{flow['after']}" + text[found.end() :]
    if found["rest"].strip() and not found["rest"].strip().startswith("#"):
        raise ValueError(f"cannot edit `classifier:{found['rest']}`; put `{key}: {shown}` there by hand")
    start = found.end() + 1
    indent, end = "  ", start
    for line in text[start:].splitlines(keepends=True):
        inner = _BLOCK_LINE.match(line)
        if inner is None and line.strip():
            break
        if inner is not None and end == start:
            indent = inner["indent"]
        end += len(line)
    section = text[start:end]
    old = re.compile(rf"^(?P<before>{indent}{key}:\s*)[^\s#]+", re.MULTILINE)
    if old.search(section):
        return text[:start] + old.sub(rf"\g<before>{shown}", section) + text[end:]
    return text[:start] + f"{indent}{key}: {shown}\n" + text[start:]


def _in_flow(inside: str, key: str, shown: str) -> str:
    old = re.compile(rf"(?P<before>(?:^|,)\s*{key}:\s*)[^,]+")
    if old.search(inside):
        return old.sub(rf"\g<before>{shown}", inside)
    return f"{inside.rstrip()}, {key}: {shown}" if inside.strip() else f"{key}: {shown}"
