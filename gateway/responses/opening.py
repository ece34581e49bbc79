"""Open the store of Responses: in memory, and shared in Redis where there is one, whose library is imported only then."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.errors import ConfigError
from gateway.policy.responses import ResponsesRule
from gateway.redis_url import check_redis_url
from gateway.responses.conversations import Conversations
from gateway.responses.memory import MemoryResponses

log = logging.getLogger("turnout.responses")


def check_responses(rule: ResponsesRule, redis_url: str | None, workers: int) -> None:
    """Raises ConfigError where Responses could not be kept as the policy says. Also asked when the policy changes."""
    if rule.store == "shared" and redis_url is None:
        raise ConfigError(
            "the policy has `responses: {store: shared}`, and there is no Redis to share: set TURNOUT_REDIS_URL, "
            "or say `store: memory`"
        )
    if rule.store == "memory" and workers > 1:
        raise ConfigError(
            f"the policy has `responses: {{store: memory}}`, and each of {workers} workers would have its own, so that "
            "`previous_response_id` is found by chance: say `store: shared` and set TURNOUT_REDIS_URL, or run one worker"
        )


async def open_responses(
    rule: Callable[[], ResponsesRule], redis_url: str | None, workers: int, failed: Callable[[str], None]
) -> Conversations:
    """What callers go on from. rule: of the policy in force. failed: is called with the cause of each fault, for metrics.

    Raises ConfigError for a URL that cannot be used.
    """
    memory = MemoryResponses(lambda: rule().bytes_max)
    if workers > 1 and rule().store is None:
        said = "responses are not kept, since each of %d workers would have its own; `responses: {store: shared}` has them share"
        log.info(said, workers)
    if not redis_url:
        return Conversations(rule, memory, None, is_alone=workers == 1)
    check_redis_url(redis_url)
    from gateway.redis_link import RedisLink
    from gateway.responses.redis import RedisResponses
    from gateway.responses.shared import SharedResponses

    shared = SharedResponses(RedisResponses(RedisLink(redis_url)), failed)
    if rule().store == "shared":
        await shared.check()
    return Conversations(rule, memory, shared, is_alone=workers == 1)
