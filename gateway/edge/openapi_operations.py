"""Every operation of the API, for its own description: what it takes, what it answers and with which errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from gateway.edge.openapi_parameters import (
    AT_PROVIDER,
    CALL_HEADERS,
    COMPLETION,
    ENTRIES,
    EVICTED,
    ITEMS,
    MODEL,
    MODELS,
    RESPONSE,
    Parameter,
    path,
)

Door = Literal["caller", "operator", "open"]

NOT_READ: Final = (400, 408, 413, 415)
NOT_LET_IN: Final = (401, 403)
NOT_ANSWERED: Final = (*NOT_READ, 404, 422, 429, 502, 503, 504)
NOT_GIVEN: Final = (*NOT_ANSWERED, 405, 409)  # of what a provider keeps


@dataclass(frozen=True, slots=True)
class Operation:
    """answer, request: names of schemas; None for text, and for no body. door: whose key it needs.

    errors: statuses besides those of the door. fine: statuses that come with the answer itself.
    """

    method: Literal["get", "post", "delete"]
    path: str
    id: str
    summary: str
    answer: str | None
    request: str | None = None
    door: Door = "caller"
    errors: tuple[int, ...] = ()
    error: str = "OpenAIError"
    fine: tuple[int, ...] = (200,)
    can_stream: bool = False
    parameters: tuple[Parameter, ...] = ()


def _call(
    path: str, id_: str, summary: str, request: str, answer: str, *, error: str = "OpenAIError", can_stream: bool = True
) -> Operation:
    """One that a model answers."""
    return Operation(
        "post",
        path,
        id_,
        summary,
        answer,
        request,
        errors=NOT_ANSWERED,
        error=error,
        can_stream=can_stream,
        parameters=CALL_HEADERS,
    )


OPERATIONS: Final = (
    _call("/v1/chat/completions", "create_chat_completion", "Answer a conversation.", "ChatRequest", "ChatCompletion"),
    Operation(
        "get",
        "/v1/chat/completions",
        "list_chat_completions",
        "Those that a provider keeps; for the operator, or without keys.",
        "ProvidersOwn",
        errors=NOT_GIVEN,
        parameters=(AT_PROVIDER,),
    ),
    Operation(
        "get",
        "/v1/chat/completions/{id}",
        "get_chat_completion",
        "One that a provider keeps.",
        "ProvidersOwn",
        errors=NOT_GIVEN,
        parameters=COMPLETION,
    ),
    Operation(
        "post",
        "/v1/chat/completions/{id}",
        "change_chat_completion",
        "Give it other metadata.",
        "ProvidersOwn",
        "ForProvider",
        errors=NOT_GIVEN,
        parameters=COMPLETION,
    ),
    Operation(
        "delete",
        "/v1/chat/completions/{id}",
        "delete_chat_completion",
        "Have the provider delete it.",
        "ProvidersOwn",
        errors=NOT_GIVEN,
        parameters=COMPLETION,
    ),
    Operation(
        "get",
        "/v1/chat/completions/{id}/messages",
        "list_chat_completion_messages",
        "What it answered.",
        "ProvidersOwn",
        errors=NOT_GIVEN,
        parameters=COMPLETION,
    ),
    _call(
        "/v1/messages",
        "create_message",
        "Answer a conversation, as Anthropic does.",
        "MessagesRequest",
        "Message",
        error="AnthropicError",
    ),
    _call(
        "/v1/messages/count_tokens",
        "count_tokens",
        "How many tokens a conversation has for the model that would answer it. Books nothing.",
        "CountTokensRequest",
        "CountedTokens",
        error="AnthropicError",
        can_stream=False,
    ),
    _call(
        "/v1/responses",
        "create_response",
        "Answer, and keep the conversation where the policy says so.",
        "ResponsesRequest",
        "Response",
    ),
    _call(
        "/v1/responses/compact",
        "compact_response",
        "Make a conversation shorter, at a provider that speaks Responses.",
        "ResponsesRequest",
        "Compaction",
        can_stream=False,
    ),
    _call(
        "/v1/responses/input_tokens",
        "count_input_tokens",
        "How many tokens a request has for the model that would answer it. Books nothing.",
        "ResponsesRequest",
        "InputTokens",
        can_stream=False,
    ),
    Operation(
        "get",
        "/v1/responses/{id}",
        "get_response",
        "One that was kept, here or by the provider.",
        "Response",
        errors=NOT_GIVEN,
        can_stream=True,
        parameters=RESPONSE,
    ),
    Operation(
        "delete",
        "/v1/responses/{id}",
        "delete_response",
        "Forget one.",
        "DeletedResponse",
        errors=NOT_GIVEN,
        parameters=RESPONSE,
    ),
    Operation(
        "get",
        "/v1/responses/{id}/input_items",
        "list_input_items",
        "All that one was made from, in pages.",
        "Items",
        errors=NOT_GIVEN,
        parameters=ITEMS,
    ),
    Operation(
        "post",
        "/v1/responses/{id}/cancel",
        "cancel_response",
        "Cancel one that runs in the background at the provider; nothing does here.",
        "Response",
        errors=NOT_GIVEN,
        parameters=RESPONSE,
    ),
    _call("/v1/completions", "create_completion", "Go on from a prompt.", "CompletionRequest", "Completion"),
    _call(
        "/v1/embeddings", "create_embeddings", "Give the vectors of texts.", "EmbeddingsRequest", "Embeddings", can_stream=False
    ),
    Operation(
        "get",
        "/v1/models",
        "list_models",
        "The models that the caller may name, `auto` first.",
        "AnyModels",
        errors=(400,),
        error="AnyError",
        parameters=MODELS,
    ),
    Operation(
        "get", "/v1/models/{name}", "get_model", "One model.", "AnyModel", errors=(404,), error="AnyError", parameters=MODEL
    ),
    Operation(
        "post",
        "/v1/route",
        "route",
        "Where a chat request would go and why. Sends nothing upstream and books nothing.",
        "Decision",
        "ChatRequest",
        errors=(*NOT_READ, 503),
        parameters=CALL_HEADERS,
    ),
    Operation(
        "post",
        "/v1/feedback",
        "give_feedback",
        "What somebody thought of an answer. Below zero, a kept answer is evicted with its neighbourhood.",
        "FeedbackTaken",
        "Feedback",
        errors=(*NOT_READ, 404, 503),
    ),
    Operation(
        "get",
        "/v1/requests/{id}",
        "get_request",
        "One ledger entry with its attempts: of the caller's own requests, of anybody's for the operator.",
        "Entry",
        errors=(404, 503),
        parameters=(path("id", "The `x-request-id` of the answer."),),
    ),
    Operation("get", "/health/live", "live", "Whether the process answers.", "Live", door="open"),
    Operation(
        "get",
        "/health/ready",
        "ready",
        "Whether requests can be answered, and what is amiss.",
        "Ready",
        door="open",
        fine=(200, 503),
    ),
    Operation("get", "/healthz", "healthz", "The same as `/health/ready`.", "Ready", door="open", fine=(200, 503)),
    Operation("get", "/metrics", "metrics", "What Prometheus reads.", None, door="open"),
    Operation(
        "get",
        "/admin/cache",
        "get_cache",
        "Where answers are kept, what is amiss there, and how often they were given, by route, since the start.",
        "Cache",
        door="operator",
    ),
    Operation(
        "get",
        "/admin/cache/entries",
        "list_cache_entries",
        "Kept answers that match, the newest first.",
        "CacheEntries",
        door="operator",
        errors=(400, 503),
        parameters=ENTRIES,
    ),
    Operation(
        "delete",
        "/admin/cache/entries",
        "evict_cache_entries",
        "Forget the kept answers that match; needs a selector, or `all=true`.",
        "CacheEvicted",
        door="operator",
        errors=(400, 503),
        parameters=EVICTED,
    ),
    Operation(
        "get",
        "/admin/budgets",
        "list_budgets",
        "Each budget with each holder that has spent something: the numbers that requests are held against.",
        "Budgets",
        door="operator",
    ),
)
