"""YAML text in, plain data and a line number for each value out. Refuses what YAML lets pass silently.

Scalars follow YAML 1.2's core schema: only true and false are booleans, so `mode: off` is the word "off"
and a country code `no` stays a word. Duplicate keys are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from gateway.policy.errors import PolicyError, Problem

Path = tuple[str | int, ...]
NODES_MAX = 200_000  # aliases can blow a small file up to any size
DEPTH_MAX = 50  # and one that holds itself has no end


@dataclass(frozen=True)
class Source:
    """A parsed file. `lines` maps the path of a value to the line, from 1, where it (or its key) stands."""

    file: str
    text: str
    data: Any
    lines: dict[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of the value at `path`, or of its nearest ancestor."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own protocol


for _tag, _pattern, _first in (
    ("null", r"null|~|", ["n", "~", ""]),
    ("bool", r"true|false", ["t", "f"]),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))  # PyYAML's own reads 010 as 8, as YAML 1.1 had it


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def parse_source(file: str, text: str, example: str = "policies/default.yaml") -> Source:
    """Parse the text of a file. Raises PolicyError for bad YAML, duplicate keys and odd documents.

    example: the file that one of this kind is best begun from.
    """
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise PolicyError(
            [Problem(file, line, f"not valid YAML: the character {chr(exc.character)!r} may not stand here")]
        ) from exc
    try:
        node = loader.get_single_node()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f", column {mark.column + 1}" if mark else ""
        message = f"not valid YAML{where}: {exc.problem or exc.context}"
        raise PolicyError([Problem(file, mark.line + 1 if mark else 1, message)]) from exc
    except RecursionError as exc:
        raise PolicyError([Problem(file, 1, f"nested more than {DEPTH_MAX} deep")]) from exc
    finally:
        loader.dispose()
    if node is None:
        raise PolicyError([Problem(file, 1, f"the file is empty; start from {example}")])
    reader = _Reader(file, loader)
    data = reader.value(node, ())
    if not isinstance(data, dict):
        raise PolicyError([Problem(file, 1, f"a mapping of keys is expected here, this is a {_kind(data)}")])
    if reader.problems:
        raise PolicyError(reader.problems)
    return Source(file=file, text=text, data=data, lines=reader.lines)


class _Reader:
    def __init__(self, file: str, loader: _Loader) -> None:
        self.file, self.loader = file, loader
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self.nodes_left = NODES_MAX

    def value(self, node: yaml.Node, path: Path) -> Any:
        self.nodes_left -= 1
        line = node.start_mark.line + 1
        if self.nodes_left < 0:
            raise PolicyError([Problem(self.file, line, f"more than {NODES_MAX} values, aliases counted out in full")])
        if len(path) > DEPTH_MAX:
            raise PolicyError([Problem(self.file, line, f"nested more than {DEPTH_MAX} deep; does an alias hold itself?")])
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as exc:
            reason = getattr(exc, "problem", None) or exc
            self.problems.append(Problem(self.file, node.start_mark.line + 1, f"cannot read this value: {reason}"))
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag != "tag:yaml.org,2002:str":
                shown = repr(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "a list or a mapping"
                self.problems.append(Problem(self.file, line, f"keys are words, this one is {shown}; put a word in quotes"))
                continue
            key: str = key_node.value
            if key in out:
                first = self.lines[(*path, key)]
                message = f"duplicate key `{key}`, first given in line {first}; remove one"
                self.problems.append(Problem(self.file, line, message))
                continue
            self.lines[(*path, key)] = line
            out[key] = self.value(value_node, (*path, key))
        return out


def _kind(value: object) -> str:
    return {list: "list", str: "text", bool: "truth value", type(None): "null"}.get(type(value), "number")
