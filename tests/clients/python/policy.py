"""The policy of the client tests: one model for each way that a provider can be spoken to, all of them the scripted upstream."""

from __future__ import annotations

# What the gateway must know them by, and what the upstream must be asked for.
IDS = {
    "gpt-4.1": "gpt-4.1-2025-04-14",  # a provider like OpenAI, which speaks all of its dialects
    "gpt-5.1": "gpt-5.1-2025-11-13",  # one that is asked in Responses whatever the caller speaks
    "llama-3.3-70b": "llama-3.3-70b-instruct",  # one that speaks chat alone, as most that call themselves compatible
    "claude-sonnet-4-6": "claude-sonnet-4-6-v1",  # Anthropic
}
EVERY_MODEL = list(IDS)
PATHS = {
    "gpt-4.1": "/v1/chat/completions",
    "gpt-5.1": "/v1/responses",
    "llama-3.3-70b": "/v1/chat/completions",
    "claude-sonnet-4-6": "/v1/messages",
}
# Each of one test, which has its provider say that it is at its limit: for a while the gateway does not ask it then.
LIMITED = {f"limited-{kind}-{number}": kind for kind in ("openai", "anthropic") for number in range(1, 5)}
COST_USD = (11 * 2 + 7 * 8) / 1e6  # of an answer that does not say otherwise: 11 tokens in and 7 out


def policy(upstream: str) -> str:
    """upstream: its address, without /v1."""
    all_of_them = "[chat, responses, completions]"
    price = "price: {input: 2, output: 8}"
    # Tests make models fail on purpose, and the next test must find them well.
    patient = "breaker: {failures: 1000, min_calls: 1000}"
    limited = "\n".join(f"  {name}: {{provider: {kind}, id: {name}-1, {price}}}" for name, kind in LIMITED.items())
    return f"""
version: 1
providers:
  openai: {{kind: openai, base_url: "{upstream}/v1", api_key: sk-upstream-openai, dialects: {all_of_them}, {patient}}}
  responses: {{kind: openai, base_url: "{upstream}/v1", api_key: sk-upstream-responses, dialects: [responses], {patient}}}
  chat: {{kind: openai, base_url: "{upstream}/v1", api_key: sk-upstream-chat, dialects: [chat], {patient}}}
  anthropic: {{kind: anthropic, base_url: "{upstream}", api_key: sk-ant-upstream, {patient}}}
models:
  gpt-4.1: {{provider: openai, id: {IDS["gpt-4.1"]}, {price}}}
  gpt-5.1: {{provider: responses, id: {IDS["gpt-5.1"]}, {price}}}
  llama-3.3-70b: {{provider: chat, id: {IDS["llama-3.3-70b"]}, {price}}}
  claude-sonnet-4-6: {{provider: anthropic, id: {IDS["claude-sonnet-4-6"]}, {price}}}
  gpt-3.5-turbo-instruct: {{provider: openai, id: gpt-3.5-turbo-instruct-0914, {price}}}
{limited}
  text-embedding-3-small: {{provider: openai, id: text-embedding-3-small, price: {{input: 0.02, output: 0}}}}
baseline: gpt-4.1
defaults:
  timeouts: {{connect: 5s, first_token: 20s, idle: 20s, total: 40s}}
  retry: {{attempts: 1, backoff: 10ms}}   # so that what is sent again is sent again by the client
routes:
  - {{name: all, model: gpt-4.1}}
"""
