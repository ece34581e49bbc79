"""A value that an object works out once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class lazily(Generic[T]):
    """As functools.cached_property, which up to Python 3.11 takes a lock for each object: three times the cost.

    Two threads that ask at the same time may both work it out.
    """

    def __init__(self, work_out: Callable[[Any], T]) -> None:
        self._work_out, self._name = work_out, work_out.__name__
        self.__doc__ = work_out.__doc__

    @overload
    def __get__(self, it: None, owner: type | None = None) -> lazily[T]: ...
    @overload
    def __get__(self, it: object, owner: type | None = None) -> T: ...
    def __get__(self, it: object | None, owner: type | None = None) -> lazily[T] | T:
        if it is None:
            return self
        value = it.__dict__[self._name] = self._work_out(it)  # where it is found from now on, before we are asked
        return value
