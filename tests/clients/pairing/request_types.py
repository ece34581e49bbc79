"""Whether a body is what the vendor's own SDK would have let its user send: its TypedDicts, read strictly."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NotRequired, Required, Union

from anthropic.types import message_create_params
from openai.types.chat import completion_create_params
from openai.types.responses import response_create_params
from typing_extensions import get_type_hints, is_typeddict

from tests.clients.pairing.feature import ProviderName
from tests.clients.pairing.says import Json

REQUESTS: Mapping[ProviderName, Any] = {
    "chat": completion_create_params.CompletionCreateParams,
    "responses": response_create_params.ResponseCreateParams,
    "anthropic": message_create_params.MessageCreateParams,
}
"""Google's SDK is not among our dependencies; what litellm sends of it is declared with each feature."""
MORE: Mapping[ProviderName, tuple[str, ...]] = {
    # Not OpenAI's own. Servers that show what a model thought want it back, others pass it over; vLLM and its like take top_k.
    "chat": ("reasoning_content", "top_k"),
    # The API's, as of the version that the adapter names; the SDK's newest version is of an API without them.
    "anthropic": ("temperature", "top_p", "top_k"),
}
_SCALARS: Mapping[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    float: (int, float),
    bool: (bool,),
    type(None): (type(None),),
}


def strangers(provider: ProviderName, body: Json) -> list[str]:
    """What in the body is not of the vendor's API: unknown fields, wrong types, missing fields."""
    if provider not in REQUESTS:
        return []
    known = tuple(f".{name} is no field of" for name in MORE.get(provider, ()))
    return [problem for problem in _problems(body, REQUESTS[provider], "body") if not any(name in problem for name in known)]


def arguments(provider: ProviderName) -> set[str]:
    """The fields that the SDK's method takes."""
    return {name for member in typing.get_args(REQUESTS[provider]) for name in _fields(member)}


@cache
def _fields(type_: Any) -> dict[str, tuple[Any, bool]]:
    """Of a TypedDict each field's type, and whether it must be there."""
    found: dict[str, tuple[Any, bool]] = {}
    for base in getattr(type_, "__orig_bases__", ()):
        if is_typeddict(base):
            found |= _fields(base)
    for name, hint in get_type_hints(type_, include_extras=True).items():
        origin = typing.get_origin(hint)
        is_required = origin is Required or (origin is not NotRequired and type_.__total__)
        found.setdefault(name, (typing.get_args(hint)[0] if origin in (Required, NotRequired) else hint, is_required))
    return found


def _problems(value: Any, type_: Any, where: str) -> Iterator[str]:
    origin, args = typing.get_origin(type_), typing.get_args(type_)
    if origin is typing.Annotated:
        yield from _problems(value, args[0], where)
    elif type_ in (Any, object):
        return
    elif origin in (Union, types.UnionType):
        yield from _best(value, args, where)
    elif origin is Literal:
        if value not in args:
            yield f"{where} is {value!r}, none of {args}"
    elif is_typeddict(type_):
        yield from _object(value, type_, where)
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{where} is no object: {value!r}"
        else:
            for name, inner in value.items():
                yield from _problems(inner, args[1], f"{where}.{name}")
    elif origin is not None:  # Iterable, List, the SDKs' SequenceNotStr
        if not isinstance(value, list):
            yield f"{where} is no list: {value!r}"
        else:
            for i, inner in enumerate(value):
                yield from _problems(inner, args[0], f"{where}[{i}]")
    elif not isinstance(value, _SCALARS.get(type_, ())) or (isinstance(value, bool) and type_ is not bool):
        yield f"{where} is {value!r}, no {type_}"


def _object(value: Any, type_: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{where} is no object: {value!r}"
        return
    fields = _fields(type_)
    for name, inner in value.items():
        if name not in fields:
            yield f"{where}.{name} is no field of {type_.__name__}"
        else:
            yield from _problems(inner, fields[name][0], f"{where}.{name}")
    for name, (_, is_required) in fields.items():
        if is_required and name not in value:
            yield f"{where}.{name} is missing of {type_.__name__}"


def _best(value: Any, members: tuple[Any, ...], where: str) -> Iterator[str]:
    """Nothing if it is one of the members; else what is wrong with it as the one that it is nearest to."""
    found = [list(_problems(value, member, where)) for member in members]
    yield from min(found, key=lambda problems: (_is_other(problems, where), len(problems)))


def _is_other(problems: list[str], where: str) -> bool:
    """Whether they say that the member is not the one meant: by its type, its role, or not being an object at all."""
    kinds = (f"{where}.type is", f"{where}.role is", f"{where} is")
    return any(problem.startswith(kinds) for problem in problems)
