"""What stands in paths, queries and headers, for the API's own description."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gateway.edge.cache_entries import LIMIT, LIMIT_MAX
from gateway.edge.json_schema import Schema
from gateway.edge.kept_by_provider import PROVIDER
from gateway.edge.openapi_schemas import TEXT
from gateway.edge.request_headers import DIRECTIVES, TAGS_MAX
from gateway.edge.responses_kept import PAGE, PAGE_MAX


@dataclass(frozen=True, slots=True)
class Parameter:
    """One in a path, a query or a header."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    schema: Schema


def header(name: str, description: str, schema: Schema | None = None) -> Parameter:
    """One that may be left out."""
    return Parameter(name, "header", description, schema or TEXT)


def query(name: str, description: str, schema: Schema | None = None) -> Parameter:
    """One that may be left out; if it is there it says something."""
    return Parameter(name, "query", description, schema or {"type": "string", "minLength": 1})


def path(name: str, description: str) -> Parameter:
    """One step of the path."""
    return Parameter(name, "path", description, {"type": "string", "minLength": 1})


def _count(name: str, usual: int, most: int) -> Parameter:
    return query(name, f"At most so many; {usual} if it is not said.", {"type": "integer", "minimum": 1, "maximum": most})


_TAG: Final = r"\s*[A-Za-z0-9_.\-]{1,64}\s*=\s*[^,=]{1,256}\s*"
_UNIT: Final = "(ms|s|m|h|d)"
_TIME: Final = rf"[0-9]+(\.[0-9]+)?{_UNIT}"
_MORE_THAN_NO_TIME: Final = rf"([0-9]*[1-9][0-9]*(\.[0-9]+)?|[0-9]+\.[0-9]*[1-9][0-9]*){_UNIT}"


def _empty_or(pattern: str, example: str) -> Schema:
    """An empty header is as good as none: some clients send those that they have nothing for."""
    return {"type": "string", "pattern": f"^({pattern})?$", "examples": [example]}


CALL_HEADERS: Final = (
    header("x-request-id", "The caller's own id for the request, given back and written into the ledger."),
    header("x-turnout-route", "The name of a route, which is then taken."),
    header(
        "x-turnout-tags",
        f"`NAME=VALUE,NAME=VALUE`, at most {TAGS_MAX}; what is spent can be told by them.",
        _empty_or(f"{_TAG}(,{_TAG}){{0,{TAGS_MAX - 1}}}", "app=ide,team=search"),
    ),
    header("x-turnout-session", "Requests of one session go to one model."),
    header("x-turnout-cache", "What kept answers are to be used for.", _empty_or("|".join(DIRECTIVES), "bypass")),
    header("x-turnout-cache-ttl", "How long the answer is kept.", _empty_or(_MORE_THAN_NO_TIME, "10m")),
    header("x-turnout-debug", "`1` for more headers on how the request was decided."),
)
SELECTORS: Final = (
    query("id", "The entry's id."),
    query("tenant", "Whose it is."),
    query("route", "Of which route."),
    query("older_than", "Kept for longer than this.", {"type": "string", "pattern": f"^{_TIME}$", "examples": ["7d"]}),
)
ENTRIES: Final = (*SELECTORS, _count("limit", LIMIT, LIMIT_MAX))
EVICTED: Final = (*SELECTORS, query("all", "Every one; not beside a selector.", {"const": "true"}))
AT_PROVIDER: Final = header(PROVIDER, "The name of the provider that keeps it; the policy's first that may, if it is not said.")
COMPLETION: Final = (path("id", "Of the chat completion."), AT_PROVIDER)
RESPONSE: Final = (path("id", "Of the response."), AT_PROVIDER)
ITEMS: Final = (
    *RESPONSE,
    _count("limit", PAGE, PAGE_MAX),
    query("order", "The oldest or the newest first.", {"enum": ["asc", "desc"]}),
    query("after", "Those behind the one with this id."),
)
VERSION: Final = header("anthropic-version", "With it the answer, and an error, has Anthropic's shape.")
MODELS: Final = (
    VERSION,
    query("limit", "At most so many; read with `anthropic-version`.", TEXT),
    query("after_id", "Those behind this one; read with `anthropic-version`.", TEXT),
    query("before_id", "Those before this one; read with `anthropic-version`.", TEXT),
)
MODEL: Final = (path("name", "As the policy names it."), VERSION)
