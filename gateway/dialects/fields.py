"""A JSON object of a request, read field by field, so that what nobody reads is known in the end. No I/O."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from gateway.errors import ClientError

Raw = msgspec.Raw
RawObject = dict[str, Raw]
T = TypeVar("T")

_NULL: Final = b"null"
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_object = msgspec.json.Decoder(RawObject)
_objects = msgspec.json.Decoder(list[RawObject])
_content = msgspec.json.Decoder(str | list[RawObject])


class Fields:
    """where: the path to the object, as `messages.0.content.1`. only: takes the paths of what the canonical form cannot hold.

    A field that is null counts as absent. Whatever is not of the type that is asked for raises ClientError with its path.
    """

    __slots__ = ("_only", "_values", "where")

    def __init__(self, values: RawObject, where: str, only: list[str]) -> None:
        """values: become the reader's own; what has been read is taken out of them."""
        self._values, self.where, self._only = values, where, only

    def text(self, name: str) -> str:
        """A string that must be there."""
        return self._required(name, self.text_or_none(name))

    def text_or_none(self, name: str) -> str | None:
        return self._taken(name, _text)

    def flag(self, name: str) -> bool | None:
        return self._taken(name, _flag)

    def object(self, name: str) -> Raw:
        """An object that must be there, unread."""
        return self._required(name, self.object_or_none(name))

    def object_or_none(self, name: str) -> Raw | None:
        raw = self._values.pop(name, None)
        if raw is None or bytes(raw) == _NULL:
            return None
        if not bytes(raw).startswith(b"{"):
            raise self.wrong(name, "expected an object")
        return raw

    def content_or_none(self, name: str) -> str | list[RawObject] | None:
        """A text, or blocks."""
        return self._taken(name, _content)

    def blocks(self, name: str) -> list[RawObject]:
        """Objects that must be there."""
        return self._required(name, self.blocks_or_none(name))

    def blocks_or_none(self, name: str) -> list[RawObject] | None:
        return self._taken(name, _objects)

    def inner(self, name: str) -> Fields:
        """An object that must be there, to be read."""
        return self._required(name, self.inner_or_none(name))

    def inner_or_none(self, name: str) -> Fields | None:
        values = self._taken(name, _object)
        return None if values is None else Fields(values, self.path(name), self._only)

    def part(self, name: str, index: int, values: RawObject) -> Fields:
        """One of the objects of a list."""
        return Fields(values, f"{self.path(name)}.{index}", self._only)

    def mark(self) -> dict[str, Raw]:
        """`cache_control`, to be put on what this becomes; nothing if it has none."""
        marked = self.object_or_none("cache_control")
        return {} if marked is None else {"cache_control": marked}

    def neutral(self, name: str, *values: bytes) -> None:
        """Pass over a field whose value is one of these, in JSON: it asks for what happens anyway."""
        if bytes(self._values.get(name, Raw(_NULL))) in values:
            del self._values[name]

    def left_out(self, *names: str) -> None:
        """Pass over fields without which the answer is none other."""
        for name in names:
            self._values.pop(name, None)

    def close(self) -> None:
        """All is read that can be: what is left cannot be held."""
        self._only += [self.path(name) for name, raw in self._values.items() if bytes(raw) != _NULL]
        self._values = {}

    def cannot_hold(self, name: str = "") -> None:
        """Neither this field, nor, without a name, the whole object; the rest of it need not be read."""
        self._only.append(self.path(name) if name else self.where)
        self._values = {}

    def raw(self) -> dict[str, Any]:
        """What has not been read."""
        return self._values

    def path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def wrong(self, name: str, said: str) -> ClientError:
        return wrong_field(self.path(name), said)

    def _taken(self, name: str, decoder: msgspec.json.Decoder[T]) -> T | None:
        raw = self._values.pop(name, None)
        if raw is None or bytes(raw) == _NULL:
            return None
        try:
            return decoder.decode(raw)
        except msgspec.DecodeError as exc:
            raise wrong_field(*_told(self.path(name), str(exc))) from exc

    def _required(self, name: str, value: T | None) -> T:
        if value is None:
            raise self.wrong(name, "field required")
        return value


def wrong_field(path: str, said: str) -> ClientError:
    """A field whose value is of a wrong type, or missing."""
    return ClientError(f"{path}: {said}", code="invalid_type", param=path)


def dotted(path: str) -> str:
    """A path of msgspec's, as `$.messages[0].role`, in Anthropic's way: `messages.0.role`."""
    return path.replace("[", ".").replace("]", "").removeprefix("$").removeprefix(".")


def _told(path: str, said: str) -> tuple[str, str]:
    """said: by msgspec of this field, as "Expected `str`, got `int` - at `$[0]`"."""
    problem, _, inner = said.partition(" - at `")
    within = dotted(inner.rstrip("`"))
    return (f"{path}.{within}" if within else path), problem
