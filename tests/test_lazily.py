"""Values that an object works out once."""

from __future__ import annotations

import msgspec

from gateway.lazily import lazily


class Named(msgspec.Struct, frozen=True, dict=True):
    name: str
    asked: list[str]

    @lazily
    def shout(self) -> str:
        """The name, loud."""
        self.asked.append(self.name)
        return self.name.upper()


def test_a_value_is_worked_out_once_for_each_object() -> None:
    one = Named("a", [])
    assert (one.shout, one.shout, one.asked) == ("A", "A", ["a"])
    other = msgspec.structs.replace(one, name="b")  # knows nothing of what the first has worked out
    assert (other.shout, one.shout) == ("B", "A")


def test_the_class_tells_what_it_is() -> None:
    assert Named.shout.__doc__ == "The name, loud."
