"""Images and documents."""

from __future__ import annotations

from tests.clients.pairing.feature import Asks, Feature, Refused, Unsaid, Works
from tests.clients.pairing.says import Json, Says
from tests.clients.pairing.wire import ABSENT, Among

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PNG_URL = f"data:image/png;base64,{PNG}"
PDF = "JVBERi0xLjQKMSAwIG9iajw8L1R5cGUvQ2F0YWxvZz4+ZW5kb2JqCnRyYWlsZXI8PC9Sb290IDEgMCBSPj4KJSVFT0YK"
PDF_URL = f"data:application/pdf;base64,{PDF}"
WEB_PNG, WEB_PDF = "https://pictures.test/1.png", "https://pictures.test/1.pdf"
WHAT = "What is it?"


def showing(chat: Json | Unsaid, messages: Json, responses: Json) -> Asks:
    """A question with something to look at."""
    return {
        "chat": chat
        if isinstance(chat, Unsaid)
        else {"messages": [{"role": "user", "content": [{"type": "text", "text": WHAT}, chat]}]},
        "messages": {"messages": [{"role": "user", "content": [{"type": "text", "text": WHAT}, messages]}], "max_tokens": 2048},
        "responses": {"input": [{"role": "user", "content": [{"type": "input_text", "text": WHAT}, responses]}]},
    }


IN_PROMPT = Works("as a part of the prompt, in a frame that says what it is")
FRAMED = "<document>\nOslo is old.\n</document>"
TEXT_PART = {"type": "text", "text": WHAT}

IMAGE_URL = Feature(
    name="image-url",
    title="An image by its URL",
    asks=showing(
        {"type": "image_url", "image_url": {"url": WEB_PNG}},
        {"type": "image", "source": {"type": "url", "url": WEB_PNG}},
        {"type": "input_image", "image_url": WEB_PNG, "detail": "auto"},
    ),
    sent={
        "chat": {"messages": [{"content": [TEXT_PART, {"type": "image_url", "image_url": {"url": WEB_PNG}}]}]},
        "responses": {"input": [{"content": [{"type": "input_text"}, {"type": "input_image", "image_url": WEB_PNG}]}]},
        "anthropic": {"messages": [{"content": [TEXT_PART, {"type": "image", "source": {"type": "url", "url": WEB_PNG}}]}]},
    },
    says=(Says("A dot."),),
    unplayed={"gemini": "litellm fetches the image itself and sends it in base64, from public addresses only"},
)

IMAGE = Feature(
    name="image-base64",
    title="An image in base64",
    asks=showing(
        {"type": "image_url", "image_url": {"url": PNG_URL}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {"type": "input_image", "image_url": PNG_URL, "detail": "auto"},
    ),
    sent={
        "chat": {"messages": [{"content": [TEXT_PART, {"type": "image_url", "image_url": {"url": PNG_URL}}]}]},
        "responses": {"input": [{"content": [{"type": "input_text"}, {"type": "input_image", "image_url": PNG_URL}]}]},
        "anthropic": {
            "messages": [
                {"content": [TEXT_PART, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]}
            ]
        },
        "gemini": {"contents": [{"parts": [{"text": WHAT}, {"inline_data": {"data": PNG, "mime_type": "image/png"}}]}]},
    },
    says=(Says("A dot."),),
)

PDF_FILE = Feature(
    name="pdf-base64",
    title="A PDF in base64",
    asks=showing(
        {"type": "file", "file": {"filename": "one.pdf", "file_data": PDF_URL}},
        {"type": "document", "title": "one.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}},
        {"type": "input_file", "filename": "one.pdf", "file_data": PDF_URL},
    ),
    sent={
        "chat": {"messages": [{"content": [TEXT_PART, {"type": "file", "file": {"filename": "one.pdf", "file_data": PDF_URL}}]}]},
        "responses": {
            "input": [{"content": [{"type": "input_text"}, {"type": "input_file", "filename": "one.pdf", "file_data": PDF_URL}]}]
        },
        "anthropic": {
            "messages": [
                {
                    "content": [
                        TEXT_PART,
                        {
                            "type": "document",
                            "title": "one.pdf",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                        },
                    ]
                }
            ]
        },
        "gemini": {"contents": [{"parts": [{"text": WHAT}, {"inline_data": {"data": PDF, "mime_type": "application/pdf"}}]}]},
    },
    says=(Says("A blank page."),),
)

PDF_BY_URL = Feature(
    name="pdf-url",
    title="A PDF by its URL",
    asks=showing(
        Unsaid({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_url": WEB_PDF}}]}]}),
        {"type": "document", "source": {"type": "url", "url": WEB_PDF}},
        {"type": "input_file", "file_url": WEB_PDF},
    ),
    sent={
        "responses": {"input": [{"content": [{"type": "input_text"}, {"type": "input_file", "file_url": WEB_PDF}]}]},
        "anthropic": {"messages": [{"content": [TEXT_PART, {"type": "document", "source": {"type": "url", "url": WEB_PDF}}]}]},
    },
    says=(Says("A blank page."),),
    but={("any", "chat"): Refused("file_url"), ("any", "gemini"): Refused("file_url")},
)

SHOWN = {
    "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {}}}],
    "messages": [
        {"role": "user", "content": WHAT},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call_0", "name": "look", "input": {}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "call_0",
                    "content": [
                        {"type": "text", "text": "Here:"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                }
            ],
        },
    ],
    "max_tokens": 2048,
}
RESULT_IMAGE = Feature(
    name="image-in-result",
    title="An image in a tool's result",
    asks={
        "chat": Unsaid(
            {
                "messages": [
                    {
                        "role": "tool",
                        "tool_call_id": "c",
                        "content": [{"type": "image_url", "image_url": {"url": PNG_URL}}],
                    }
                ]
            }
        ),
        "messages": SHOWN,
        "responses": {
            "tools": [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}],
            "input": [
                {"role": "user", "content": WHAT},
                {"type": "function_call", "call_id": "call_0", "name": "look", "arguments": "{}"},
                {
                    "type": "function_call_output",
                    "call_id": "call_0",
                    "output": [
                        {"type": "input_text", "text": "Here:"},
                        {"type": "input_image", "image_url": PNG_URL, "detail": "auto"},
                    ],
                },
            ],
        },
    },
    sent={
        # OpenAI's tool messages hold text alone: the image follows, as the user's.
        "chat": {
            "messages": [
                {"role": "user"},
                {"role": "assistant"},
                {"role": "tool", "tool_call_id": "call_0"},
                {"role": "user", "content": Among({"type": "image_url", "image_url": {"url": PNG_URL}})},
            ]
        },
        "gemini": {
            "contents": [
                {"role": "user"},
                {"role": "model"},
                {
                    "role": "user",
                    "parts": [
                        {
                            "function_response": {
                                "name": "look",
                                "parts": [{"inline_data": {"data": PNG, "mime_type": "image/png"}}],
                            }
                        }
                    ],
                },
            ]
        },
        "responses": {
            "input": [
                {"role": "user"},
                {"type": "function_call"},
                {
                    "type": "function_call_output",
                    "output": [{"type": "input_text", "text": "Here:"}, {"type": "input_image", "image_url": PNG_URL}],
                },
            ]
        },
        "anthropic": {
            "messages": [
                {"role": "user"},
                {"role": "assistant"},
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "is_error": ABSENT,
                            "content": [
                                {"type": "text", "text": "Here:"},
                                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                            ],
                        }
                    ],
                },
            ]
        },
    },
    says=(Says("A dot."),),
)

PLAIN = {"type": "text", "media_type": "text/plain", "data": "Oslo is old."}
TEXT_DOCUMENT = Feature(
    name="text-document",
    title="A document of plain text",
    asks={
        "chat": Unsaid({"messages": [{"role": "user", "content": [{"type": "document", "source": PLAIN}]}]}),
        "messages": {
            "max_tokens": 2048,
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "document", "source": PLAIN},
                        {"type": "text", "text": WHAT},
                    ],
                }
            ],
        },
        "responses": Unsaid({"input": [{"role": "user", "content": [{"type": "document", "source": PLAIN}]}]}),
    },
    sent={
        "chat": {"messages": [{"role": "user", "content": f"{FRAMED}\n\n{WHAT}"}]},
        "responses": {"input": [{"role": "user", "content": f"{FRAMED}\n\n{WHAT}"}]},
        "gemini": {"contents": [{"parts": [{"text": FRAMED}, {"text": WHAT}]}]},
    },
    but={("messages", provider): IN_PROMPT for provider in ("chat", "responses", "gemini")},
)

FEATURES = (IMAGE_URL, IMAGE, PDF_FILE, PDF_BY_URL, TEXT_DOCUMENT, RESULT_IMAGE)
