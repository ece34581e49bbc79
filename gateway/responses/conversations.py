"""What callers go on from: finished Responses, kept and found again as the policy in force says."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from gateway.errors import Refused, StoreUnavailable
from gateway.offload import offloaded
from gateway.policy.responses import ResponsesRule
from gateway.responses.base import Kept, ResponseStore

Json = dict[str, Any]

RETRY_AFTER_S: Final = 2.0
ID_PREFIXES: Final = {  # as OpenAI names input items
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "reasoning": "rs",
}


class Conversations:
    """rule: of the policy in force. shared: None without a Redis. is_alone: no other process serves this address."""

    def __init__(
        self, rule: Callable[[], ResponsesRule], memory: ResponseStore, shared: ResponseStore | None, *, is_alone: bool
    ) -> None:
        self._rule, self._memory, self._shared, self._is_alone = rule, memory, shared, is_alone

    @property
    def store(self) -> ResponseStore | None:
        """Where Responses are kept just now; None where they are not."""
        match self._rule().store:
            case "shared":
                return self._shared
            case "memory":
                return self._memory
            case None if self._is_alone:
                return self._memory
        return None

    @property
    def problem(self) -> str | None:
        """Why less is kept than the policy says, with the remedy; None when all is well."""
        store = self.store
        return None if store is None else store.problem

    async def keep(self, owner: str, response: bytes, items: bytes) -> None:
        """Keep a finished Response. items: all that it was made from, `listed`, as a JSON array.

        A store that is away keeps nothing: the answer is there.
        """
        store = self.store
        if store is None:
            return
        said: Json = msgspec.json.decode(response)
        if not isinstance(said.get("id"), str):  # a provider's, which nobody could ask for
            return
        output_ids = [id_ for item in said.get("output") or () if isinstance(id_ := item.get("id"), str)]
        with contextlib.suppress(StoreUnavailable):  # its guard has told it
            await store.put(owner, said["id"], Kept(response, items), output_ids, self._rule().ttl_s)

    async def find(self, owner: str, id_: str) -> Kept | None:
        """One that was kept. Raises Refused when that cannot be known."""
        store = self.store
        try:
            return None if store is None else await store.get(owner, id_)
        except StoreUnavailable as exc:
            raise _away(exc) from exc

    async def items(self, owner: str, output_ids: Iterable[str]) -> dict[str, Json]:
        """Those of these items, by their ids, that are in the output of one that was kept. Raises Refused."""
        found: dict[str, Json] = {}
        store, wanted = self.store, set(output_ids)
        while store is not None and wanted:
            id_ = wanted.pop()
            try:
                holder = await store.holder(owner, id_)
            except StoreUnavailable as exc:
                raise _away(exc) from exc
            kept = None if holder is None else await self.find(owner, holder)
            if kept is None:
                continue
            # All that are asked for of one answer at once: to take it apart costs more than to look it up.
            output = await offloaded(_output, kept.response)
            found |= {item["id"]: item for item in output if item.get("id") == id_ or item.get("id") in wanted}
            wanted -= found.keys()
        return found

    async def remove(self, owner: str, id_: str) -> bool:
        """Whether there was one. Raises Refused."""
        store = self.store
        try:
            return store is not None and await store.remove(owner, id_)
        except StoreUnavailable as exc:
            raise _away(exc) from exc

    async def aclose(self) -> None:
        await self._memory.aclose()
        if self._shared is not None:
            await self._shared.aclose()


def input_of(kept: Kept) -> list[Json]:
    """All items that it was made from."""
    items: list[Json] = msgspec.json.decode(kept.items)
    return items


def output_of(kept: Kept) -> list[Json]:
    """The items that it gave."""
    return _output(kept.response)


def _output(response: bytes) -> list[Json]:
    output: list[Json] = msgspec.json.decode(response).get("output") or []
    return output


def listed(item: Json) -> Json:
    """An input item as it is listed: with an id and a type, and with parts for a text."""
    type_ = item.get("type") or "message"
    full: Json = {"id": f"{ID_PREFIXES.get(type_, 'msg')}_{secrets.token_hex(16)}", **item, "type": type_}
    if full["id"] is None:
        full["id"] = f"{ID_PREFIXES.get(type_, 'msg')}_{secrets.token_hex(16)}"
    if type_ == "message" and isinstance(full.get("content"), str):
        is_models = full.get("role") == "assistant"
        part = {"type": "output_text", "annotations": []} if is_models else {"type": "input_text"}
        full["content"] = [{**part, "text": full["content"]}]
    full.setdefault("status", "completed")
    return full


def _away(exc: StoreUnavailable) -> Refused:
    message = f"earlier responses cannot be looked up just now: {exc}; try again, or send the whole input"
    return Refused(message, status=503, code="response_store_unavailable", retry_after_s=RETRY_AFTER_S)
