"""What comes back beside the text: usage, why it ended, refusals, citations; and what the gateway does not know."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, LeftOut, Refused, Unsaid, Works, saying
from tests.clients.pairing.says import Says, Source, Used

USAGE = Feature(
    name="usage",
    title="Usage: input, output, read from the provider's cache, reasoning",
    asks=saying(),
    says=(Says(used=Used(1000, 200, cached=600, reasoning=150)),),
)

CACHE_WRITES = Feature(
    name="usage-cache-writes",
    title="Usage: written to the provider's cache",
    asks=saying(),
    says=(Says(used=Used(1000, 200, cached=600, written=300)),),
    but={("any", "gemini"): LeftOut("Gemini's API does not tell it", hears={"used": Used(1000, 200, cached=600)})},
)

CUT = Feature(
    name="stop-length", title="An answer that is cut by its length", asks=saying(), says=(Says("Oslo is", is_cut=True),)
)

FILTERED = Feature(
    name="stop-filter",
    title="An answer that the provider's filter stopped",
    asks=saying(),
    says=(Says("Oslo is", is_filtered=True),),
    but={("any", "gemini", "whole"): LeftOut("litellm loses the text before the filter's stop", hears={"text": ""})},
)

IN_TEXT = Works("the words stand in the text as well as in `stop_details`", hears={"text": "I will not help with that."})
REFUSAL = Feature(
    name="refusal",
    title="A refusal, in the model's words",
    asks=saying(),
    says=(Says("", refusal="I will not help with that."),),
    spoken=("chat", "responses", "anthropic"),
    but={("messages", "chat"): IN_TEXT, ("messages", "responses"): IN_TEXT},
)

SOURCES = Feature(
    name="citations",
    title="Citations of web pages",
    asks=saying(),
    says=(Says(sources=(Source("https://capitals.test/no", "Norway"), Source("https://atlas.test/oslo", "Oslo"))),),
    spoken=("chat", "responses", "anthropic"),
)

UNKNOWN = Feature(
    name="unknown-field",
    title="A field that the gateway does not know",
    asks=saying(
        chat={"extra_body": {"brand_new": {"level": 3}}},
        messages={"extra_body": {"brand_new": {"level": 3}}},
        responses={"extra_body": {"brand_new": {"level": 3}}},
    ),
    says=(Says(unknown={"shiny": {"level": 4}}),),
    but={
        ("chat", "responses"): Refused("brand_new"),
        ("chat", "anthropic"): Refused("brand_new"),
        ("any", "gemini"): Refused("brand_new"),
        ("messages", "chat"): Refused("brand_new"),
        ("messages", "responses"): Refused("brand_new"),
        ("responses", "chat"): Refused("brand_new"),
        ("responses", "anthropic"): Refused("brand_new"),
    },
)

SEARCH = Feature(
    name="server-tool",
    title="A tool that the provider runs (web search)",
    asks=saying(
        chat=Unsaid({"messages": [], "tools": [{"type": "web_search"}]}),
        messages={"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        responses={"tools": [{"type": "web_search"}]},
    ),
    but={
        ("messages", "chat"): Refused("tools.0"),
        ("messages", "responses"): Refused("tools.0"),
        ("messages", "gemini"): Refused("tools.0"),
        ("responses", "chat"): Refused("tools[0]"),
        ("responses", "anthropic"): Refused("tools[0]"),
        ("responses", "gemini"): Refused("tools[0]"),
    },
)

SEARCH_OPTIONS = Feature(
    name="web-search-options",
    title="`web_search_options`",
    asks=saying(chat={"web_search_options": {}}, messages=Unsaid("web_search_options"), responses=Unsaid("web_search_options")),
    sent={"gemini": {"tools": [{"googleSearch": {}}]}},
    but={("any", "anthropic"): Refused("web_search_options"), ("any", "responses"): Refused("web_search_options")},
)

FEATURES = (USAGE, CACHE_WRITES, CUT, FILTERED, REFUSAL, SOURCES, UNKNOWN, SEARCH, SEARCH_OPTIONS)
