"""A JSON body read into what a dialect makes of it; what is wrong with it is told by field."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import msgspec

from gateway.errors import ClientError

T = TypeVar("T")


def read_json(body: bytes, decode: Callable[[bytes], T], needs: str) -> T:
    """decode(body). needs: what the body must have, for people. Raises ClientError that names the field and its fault."""
    try:
        body.decode("utf-8")  # fields that are not looked at are not checked, and are passed on
        return decode(body)
    except msgspec.ValidationError as exc:
        raise _wrong_field(str(exc)) from exc
    except UnicodeDecodeError as exc:
        raise ClientError(f"the body is not UTF-8 (byte {exc.start}); encode it so", code="invalid_json") from exc
    except msgspec.DecodeError as exc:
        if not body.strip():
            raise ClientError(f"the body is empty; send a JSON object with {needs}", code="invalid_json") from exc
        raise ClientError(f"the body is not valid JSON: {exc}", code="invalid_json") from exc
    except RecursionError as exc:
        raise ClientError("the body is nested too deeply", code="invalid_json") from exc


def _wrong_field(said: str) -> ClientError:
    """said: by msgspec, as "Expected `int`, got `str` - at `$.dimensions`"."""
    problem, _, path = said.partition(" - at `")
    param = path.rstrip("`").removeprefix("$").removeprefix(".") or None
    missing = "missing required field `"
    if missing in problem:
        name = problem.partition(missing)[2].rstrip("`")
        param = f"{param}.{name}" if param else name
        return ClientError(f"`{param}` is missing", code="invalid_type", param=param)
    return ClientError(f"`{param}`: {problem}" if param else problem, code="invalid_type", param=param)
