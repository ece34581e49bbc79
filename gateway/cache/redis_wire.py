"""What the cache keeps in Redis: the names of its keys and the bytes of its values. Speaks to nobody.

    turnout:cache:1:e:<exact>          hash: h an answer without its data, d the data
    turnout:cache:1:o:<subject>        list of observations, the oldest first
    turnout:cache:1:i:<id>             where the answer with this id is
    turnout:cache:1:s:<request id>     what this request was served
    turnout:cache:1:v:{<partition>}    vector set: the embeddings of a partition's answers under their <exact>
    turnout:cache:1:x:{<partition>}    vector set: the embeddings of its counter-examples under their digests
    turnout:cache:1:j:{<partition>}:<digest>   a counter-example

The 1 is the layout: another one takes another number, and what is left of the old expires. Digests are in hexadecimal, for
the sake of people with redis-cli. Values are msgpack, texts in it bytes: a text of JSON may hold halves of surrogate pairs.
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeVar

import msgspec

from gateway.cache.base import CachedAnswer, Form, Objection, Observation, Served
from gateway.usage import Usage

PREFIX: Final = "turnout:cache:1:"
ENTRIES: Final = f"{PREFIX}e:"
OBSERVATIONS: Final = f"{PREFIX}o:"

S = TypeVar("S", bound=msgspec.Struct)


class Broken(Exception):
    """Not a value of this layout: cut short, or written by something else."""


class _Answer(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    partition: bytes
    id: bytes
    form: Form
    usage: Usage
    model: bytes
    provider: bytes
    question: bytes | None
    tenant: bytes
    route: bytes
    space: bytes | None
    stored_at: float
    fresh_until: float


class _Observation(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    score: float
    is_same: bool


class _Served(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    partition: bytes
    exact: bytes
    asked: bytes
    score: float


class _Objection(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    asked: bytes
    kept: bytes


class _Place(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    partition: bytes
    exact: bytes


pack: Final = msgspec.msgpack.Encoder().encode


def entry_key(exact: bytes) -> str:
    return f"{ENTRIES}{exact.hex()}"


def exact_of(key: bytes) -> bytes | None:
    """The digest in an entry's key, None in a key that is none of ours."""
    try:
        return bytes.fromhex(key.decode().removeprefix(ENTRIES))
    except ValueError:
        return None


def observations_key(subject: bytes) -> str:
    return f"{OBSERVATIONS}{subject.hex()}"


def place_key(id_: str) -> bytes:
    return f"{PREFIX}i:".encode() + to_bytes(id_)


def served_key(request_id: str) -> bytes:
    return f"{PREFIX}s:".encode() + to_bytes(request_id)


def answers_key(partition: bytes) -> str:
    """The braces keep what belongs to a partition together where keys are spread over servers."""
    return f"{PREFIX}v:{{{partition.hex()}}}"


def objections_key(partition: bytes) -> str:
    return f"{PREFIX}x:{{{partition.hex()}}}"


def objection_prefix(partition: bytes) -> str:
    """An objection's key is this and its digest."""
    return f"{PREFIX}j:{{{partition.hex()}}}:"


def objection_digest(objection: Objection) -> str:
    return hashlib.sha256(pack([to_bytes(objection.asked), to_bytes(objection.kept)])).hexdigest()[:32]


def pack_answer(partition: bytes, answer: CachedAnswer) -> bytes:
    """All but its data."""
    return pack(
        _Answer(
            partition,
            to_bytes(answer.id),
            answer.form,
            answer.usage,
            to_bytes(answer.model),
            to_bytes(answer.provider),
            None if answer.question is None else to_bytes(answer.question),
            to_bytes(answer.tenant),
            to_bytes(answer.route),
            None if answer.space is None else to_bytes(answer.space),
            answer.stored_at,
            answer.fresh_until,
        )
    )


_answers: Final = msgspec.msgpack.Decoder(_Answer)
_observations: Final = msgspec.msgpack.Decoder(_Observation)
_served: Final = msgspec.msgpack.Decoder(_Served)
_objections: Final = msgspec.msgpack.Decoder(_Objection)
_places: Final = msgspec.msgpack.Decoder(_Place)


def unpack_answer(raw: object, data: object = b"") -> tuple[bytes, CachedAnswer]:
    """The partition and the answer. Raises Broken."""
    head = _decode(_answers, raw)
    if not isinstance(data, bytes):
        raise Broken("the answer has no data")
    answer = CachedAnswer(
        id=to_text(head.id),
        form=head.form,
        data=data,
        usage=head.usage,
        model=to_text(head.model),
        provider=to_text(head.provider),
        question=None if head.question is None else to_text(head.question),
        tenant=to_text(head.tenant),
        route=to_text(head.route),
        space=None if head.space is None else to_text(head.space),
        stored_at=head.stored_at,
        fresh_until=head.fresh_until,
    )
    return head.partition, answer


def unpack_whole(parts: object) -> tuple[bytes, CachedAnswer]:
    """The same of a head and the data beside it. Raises Broken."""
    if not isinstance(parts, list):
        raise Broken(f"not a head and data: {parts!r}")
    return unpack_answer(parts[0], parts[1])


def pack_observation(observation: Observation) -> bytes:
    return pack(_Observation(observation.score, observation.is_same))


def unpack_observations(raw: object) -> tuple[Observation, ...]:
    """Raises Broken."""
    if not isinstance(raw, list):
        raise Broken(f"not a list: {raw!r}")
    seen = [_decode(_observations, one) for one in raw]
    return tuple(Observation(one.score, one.is_same) for one in seen)


def pack_served(served: Served) -> bytes:
    """All but the request's id, which is the key."""
    return pack(_Served(served.partition, served.exact, to_bytes(served.asked), served.score))


def unpack_served(request_id: str, raw: object) -> Served:
    """Raises Broken."""
    kept = _decode(_served, raw)
    return Served(request_id, kept.partition, kept.exact, to_text(kept.asked), kept.score)


def pack_objection(objection: Objection) -> bytes:
    return pack(_Objection(to_bytes(objection.asked), to_bytes(objection.kept)))


def unpack_objection(raw: object, similarity: float) -> Objection:
    """Raises Broken."""
    kept = _decode(_objections, raw)
    return Objection(to_text(kept.asked), to_text(kept.kept), similarity)


def pack_place(partition: bytes, exact: bytes) -> bytes:
    return pack(_Place(partition, exact))


def unpack_place(raw: object) -> tuple[bytes, bytes]:
    """Partition and exact digest. Raises Broken."""
    kept = _decode(_places, raw)
    return kept.partition, kept.exact


def to_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def to_text(raw: bytes) -> str:
    """Raises Broken."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as exc:
        raise Broken(str(exc)) from exc


def _decode(decoder: msgspec.msgpack.Decoder[S], raw: object) -> S:
    if not isinstance(raw, bytes):
        raise Broken(f"not bytes: {raw!r}")
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as exc:
        raise Broken(str(exc)) from exc
