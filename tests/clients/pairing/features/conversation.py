"""Prompts, turns, and what is said of the answer wanted."""

from __future__ import annotations

from tests.clients.pairing.feature import Feature, LeftOut, Refused, Unsaid, saying
from tests.clients.pairing.says import Says

PROMPT = "What is the capital of Norway?"
UNICODE = "«Ærlig talt», sa 鉄道 🚆 — naïve café, Ω≠∞."

TEXT = Feature(
    name="text",
    title="A prompt and an answer",
    asks=saying(PROMPT),
    sent={
        "chat": {"messages": [{"role": "user", "content": PROMPT}]},
        "responses": {"input": [{"role": "user", "content": PROMPT}]},
        "anthropic": {"messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]},
    },
)

LETTERS = Feature(
    name="letters",
    title="Letters of every script, in the prompt and in the answer",
    asks=saying(UNICODE),
    sent={
        "chat": {"messages": [{"role": "user", "content": UNICODE}]},
        "responses": {"input": [{"role": "user", "content": UNICODE}]},
        "anthropic": {"messages": [{"role": "user", "content": [{"type": "text", "text": UNICODE}]}]},
        "gemini": {"contents": [{"role": "user", "parts": [{"text": UNICODE}]}]},
    },
    says=(Says(UNICODE),),
)

SYSTEM = Feature(
    name="system",
    title="System prompt",
    asks=saying(
        chat={"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": PROMPT}]},
        messages={"system": "Be brief."},
        responses={"instructions": "Be brief."},
    ),
    sent={
        "chat": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user"}]},
        "responses": {"input": [{"role": "system", "content": "Be brief."}, {"role": "user"}]},
        "anthropic": {"system": "Be brief.", "messages": [{"role": "user"}]},
        "gemini": {"system_instruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user"}]},
    },
)

TURNS = [
    {"role": "user", "content": "Of Norway?"},
    {"role": "assistant", "content": "Oslo."},
    {"role": "user", "content": "Of Sweden?"},
]
MULTI_TURN = Feature(
    name="multi-turn",
    title="Several turns",
    asks={"chat": {"messages": TURNS}, "messages": {"messages": TURNS, "max_tokens": 2048}, "responses": {"input": TURNS}},
    sent={
        "chat": {"messages": TURNS},
        "responses": {"input": TURNS},
        "anthropic": {
            "messages": [
                {"role": "user", "content": [{"text": "Of Norway?"}]},
                {"role": "assistant", "content": [{"text": "Oslo."}]},
                {"role": "user", "content": [{"text": "Of Sweden?"}]},
            ]
        },
        "gemini": {
            "contents": [
                {"role": "user", "parts": [{"text": "Of Norway?"}]},
                {"role": "model", "parts": [{"text": "Oslo."}]},
                {"role": "user", "parts": [{"text": "Of Sweden?"}]},
            ]
        },
    },
)

MAX_TOKENS = Feature(
    name="max-tokens",
    title="Longest answer, and that it was reached",
    asks=saying(chat={"max_completion_tokens": 1500}, messages={"max_tokens": 1500}, responses={"max_output_tokens": 1500}),
    sent={
        # The name that servers other than OpenAI's know.
        "chat": {"max_tokens": 1500},
        "responses": {"max_output_tokens": 1500},
        "anthropic": {"max_tokens": 1500},
        "gemini": {"generationConfig": {"max_output_tokens": 1500}},
    },
    says=(Says("Oslo is", is_cut=True),),
)

SAMPLING = Feature(
    name="sampling",
    title="Temperature and `top_p`",
    asks=saying(
        chat={"temperature": 0.5, "top_p": 0.75},
        # No arguments of the SDK's newest version; models that take them are still served.
        messages={"extra_body": {"temperature": 0.5, "top_p": 0.75}},
        responses={"temperature": 0.5, "top_p": 0.75},
    ),
    sent={
        "chat": {"temperature": 0.5, "top_p": 0.75},
        "responses": {"temperature": 0.5, "top_p": 0.75},
        "anthropic": {"temperature": 0.5, "top_p": 0.75},
        "gemini": {"generationConfig": {"temperature": 0.5, "top_p": 0.75}},
    },
)

STOP = Feature(
    name="stop",
    title="Texts that end the answer",
    asks=saying(chat={"stop": ["END", "FIN"]}, messages={"stop_sequences": ["END", "FIN"]}, responses=Unsaid("stop")),
    sent={
        "chat": {"stop": ["END", "FIN"]},
        "anthropic": {"stop_sequences": ["END", "FIN"]},
        "gemini": {"generationConfig": {"stop_sequences": ["END", "FIN"]}},
    },
    but={("any", "responses"): Refused("stop")},
)

CHOICES = Feature(
    name="n",
    title="Several answers (`n`)",
    asks=saying(chat={"n": 2}, messages=Unsaid("n"), responses=Unsaid("n")),
    sent={"gemini": {"generationConfig": {"candidate_count": 2}}},
    says=(Says("Oslo.", others=("It is Oslo.",)),),
    but={("any", "responses"): Refused("n"), ("any", "anthropic"): Refused("n"), ("any", "gemini", "stream"): Refused("n")},
)

SEED = Feature(
    name="seed",
    title="Seed",
    asks=saying(chat={"seed": 7}, messages=Unsaid("seed"), responses=Unsaid("seed")),
    sent={"chat": {"seed": 7}, "gemini": {"generationConfig": {"seed": 7}}},
    but={
        ("any", "responses"): LeftOut("best effort where it exists", lost=("seed",)),
        ("any", "anthropic"): LeftOut("best effort where it exists", lost=("seed",)),
    },
)

LOGPROBS = Feature(
    name="logprobs",
    title="Log-probabilities",
    asks=saying(
        chat={"logprobs": True, "top_logprobs": 2},
        messages=Unsaid("top_logprobs"),
        responses={"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    ),
    sent={
        "chat": {"logprobs": True, "top_logprobs": 2},
        "responses": {"top_logprobs": 2, "include": ["message.output_text.logprobs"]},
    },
    says=(Says(logprobs=True),),
    but={("any", "anthropic"): Refused("logprobs"), ("any", "gemini"): Refused("logprobs")},
)

USER = Feature(
    name="user",
    title="Whom the request is for: `user`, `metadata.user_id`",
    asks=saying(chat={"user": "u-1"}, messages={"metadata": {"user_id": "u-1"}}, responses={"user": "u-1"}),
    sent={"chat": {"user": "u-1"}, "responses": {"user": "u-1"}, "anthropic": {"metadata": {"user_id": "u-1"}}},
    but={("any", "gemini"): LeftOut("Gemini's API has no word for it", lost=("user",))},
)

SAFETY_IDENTIFIER = Feature(
    name="safety-identifier",
    title="Whom the request is for: `safety_identifier`",
    asks=saying(chat={"safety_identifier": "u-1"}, messages=Unsaid("safety_identifier"), responses={"safety_identifier": "u-1"}),
    sent={"responses": {"safety_identifier": "u-1"}, "anthropic": {"metadata": {"user_id": "u-1"}}},
    but={
        ("any", "gemini"): LeftOut("Gemini's API has no word for it", lost=("safety_identifier",)),
        ("responses", "chat"): LeftOut("OpenAI's and Azure's servers alone are sent it", lost=("safety_identifier",)),
    },
)

DEVELOPER = Feature(
    name="developer",
    title="Instructions in the role `developer`",
    asks={
        "chat": {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": PROMPT}]},
        "messages": Unsaid({"messages": [{"role": "developer", "content": "Be brief."}], "max_tokens": 1}),
        "responses": {"input": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": PROMPT}]},
    },
    sent={
        "chat": {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user"}]},
        "responses": {"input": [{"role": "developer", "content": "Be brief."}, {"role": "user"}]},
        "anthropic": {"system": "Be brief.", "messages": [{"role": "user"}]},
        "gemini": {"system_instruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"role": "user"}]},
    },
)

TOP_K = Feature(
    name="top-k",
    title="`top_k`",
    asks=saying(chat={"extra_body": {"top_k": 5}}, messages={"extra_body": {"top_k": 5}}, responses=Unsaid("top_k")),
    sent={"chat": {"top_k": 5}, "anthropic": {"top_k": 5}, "gemini": {"generationConfig": {"top_k": 5}}},
    but={("any", "responses"): Refused("top_k")},
)

PENALTIES = Feature(
    name="penalties",
    title="Penalties for what was said already",
    asks=saying(
        chat={"frequency_penalty": 0.5, "presence_penalty": 0.25},
        messages=Unsaid("frequency_penalty"),
        responses=Unsaid("frequency_penalty"),
    ),
    sent={"gemini": {"generationConfig": {"frequency_penalty": 0.5, "presence_penalty": 0.25}}},
    but={("any", "responses"): Refused("penalty"), ("any", "anthropic"): Refused("penalty")},
)

STORED = LeftOut("marks what OpenAI keeps of the answer; the gateway's own are tags", lost=("metadata",))
METADATA = Feature(
    name="metadata",
    title="`metadata`",
    asks=saying(
        chat={"metadata": {"app": "ide"}},
        messages=Unsaid({"messages": [], "max_tokens": 1, "metadata": {"app": "ide"}}),
        responses={"metadata": {"app": "ide"}},
    ),
    sent={"responses": {"metadata": {"app": "ide"}}},
    but={("any", "anthropic"): STORED, ("any", "gemini"): STORED, ("responses", "chat"): STORED},
)

FEATURES = (
    TEXT,
    LETTERS,
    SYSTEM,
    DEVELOPER,
    MULTI_TURN,
    MAX_TOKENS,
    SAMPLING,
    TOP_K,
    PENALTIES,
    STOP,
    CHOICES,
    SEED,
    LOGPROBS,
    USER,
    SAFETY_IDENTIFIER,
    METADATA,
)
