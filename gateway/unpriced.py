"""What a provider sold besides tokens, or at another rate for them, that no price here is for. An unknown price is never 0.

What costs nothing on top of its tokens, as the providers' price lists say, is passed over: Anthropic's web fetch and tool
search, MCP, and whatever the caller's own machine runs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

USUAL_SPEED: Final = "standard"
USUAL_GEO: Final = ("global", "not_available", "")
FREE_COUNTS: Final = ("web_fetch_requests", "tool_search_requests")
FREE_TOOLS: Final = ("web_fetch", "tool_search_tool_regex", "tool_search_tool_bm25")
# Of a Responses answer. Whoever is asked may be another than OpenAI, so an item that is not known here is taken to cost.
FREE_ITEMS: Final = frozenset(
    {
        "message",
        "reasoning",
        "function_call",
        "custom_tool_call",
        "local_shell_call",
        "apply_patch_call",
        "computer_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "tool_search_call",
        "tool_search_output",
        "compaction",
        "compaction_summary",
    }
)


class Extras(msgspec.Struct):
    """Of `usage`, as Anthropic and litellm write it, and in the last two fields xAI.

    iterations: the samplings behind an answer, of which only those of type `message` are in the counts of the whole.
    """

    speed: Any = None
    inference_geo: Any = None
    server_tool_use: Any = None
    iterations: Any = None
    num_server_side_tools_used: Any = None
    num_sources_used: Any = None


_decode = msgspec.json.Decoder(Extras).decode


def of_usage(raw: msgspec.Raw) -> str | None:
    """What of a `usage` has no price here, for people; None if everything has."""
    try:
        return of_extras(_decode(raw))
    except msgspec.DecodeError:
        return None


def of_extras(extras: Extras) -> str | None:
    """The same of a `usage` that was read."""
    if extras.speed not in (None, USUAL_SPEED):
        return f"speed {extras.speed}"
    if extras.inference_geo is not None and extras.inference_geo not in USUAL_GEO:
        return f"inference_geo {extras.inference_geo}"
    used = extras.server_tool_use if isinstance(extras.server_tool_use, dict) else {}
    for name, count in used.items():
        if count and name not in FREE_COUNTS:
            return str(name)
    for one in extras.iterations if isinstance(extras.iterations, list) else ():
        kind = one.get("type", "message") if isinstance(one, dict) else "message"
        if kind != "message":
            return f"an iteration of type {kind}"
    return _counted(extras)


def _counted(extras: Extras) -> str | None:
    if extras.num_server_side_tools_used:
        return "num_server_side_tools_used"
    return "num_sources_used" if extras.num_sources_used else None


def of_block(kind: str, name: str) -> str | None:
    """The tool that Anthropic ran, by a content block's type and name; None for one that costs nothing, and for other blocks."""
    return name if kind == "server_tool_use" and name not in FREE_TOOLS else None


def of_item(kind: str) -> str | None:
    """What an item of a Responses answer stands for, by its type; None for one that costs nothing but its tokens."""
    return None if kind in FREE_ITEMS else kind
