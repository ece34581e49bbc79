"""JSON Schemas (2020-12) of msgspec's types, so that what is said of a body cannot differ from how it is read.

msgspec.json.schema_components does the same, but stops at a default that is msgspec.Raw, as fields have that are not looked at.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import inspect

Schema = dict[str, Any]

REF: Final = "#/components/schemas/"


class Schemas:
    """Schemas by name, each struct described once and referred to. by_name: those so far. prefix: of all names."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.by_name: dict[str, Schema] = {}
        self._described: dict[str, type] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of a type. Raises ValueError when another struct has the name of one in it."""
        return self._of(inspect.type_info(kind))

    def _of(self, info: inspect.Type) -> Schema:
        match info:
            case inspect.RawType() | inspect.AnyType():
                return {}
            case inspect.StructType():
                return self._reference(info)
            case inspect.LiteralType(values=values):
                return {"enum": list(values)}
            case inspect.UnionType(types=types):
                return _union([self._of(one) for one in types])
            case inspect.ListType(item_type=item):
                return _array(self._of(item), info)
            case inspect.DictType(value_type=value):
                return {"type": "object"} | _if_any("additionalProperties", self._of(value))
            case inspect.StrType():
                return {"type": "string"} | _said(minLength=info.min_length, maxLength=info.max_length, pattern=info.pattern)
            case inspect.IntType():
                return {"type": "integer"} | _said(minimum=info.ge, maximum=info.le)
            case inspect.FloatType():
                return {"type": "number"} | _said(minimum=info.ge, maximum=info.le)
            case inspect.BoolType():
                return {"type": "boolean"}
            case inspect.NoneType():
                return {"type": "null"}
        raise TypeError(f"no schema is known for {info!r}; say it here")

    def _reference(self, info: inspect.StructType) -> Schema:
        name = self._prefix + info.cls.__name__.lstrip("_").removeprefix(self._prefix)
        other = self._described.setdefault(name, info.cls)
        if other is not info.cls:
            raise ValueError(f"{name} is the name of {other.__module__}'s struct and of {info.cls.__module__}'s; rename one")
        if name not in self.by_name:
            self.by_name[name] = {}  # before its fields: it may hold itself
            self.by_name[name] = self._struct(info)
        return {"$ref": REF + name}

    def _struct(self, info: inspect.StructType) -> Schema:
        properties = {field.encode_name: self._of(field.type) for field in info.fields}
        required = [field.encode_name for field in info.fields if field.required]
        if info.tag_field is not None:
            properties = {info.tag_field: {"const": info.tag}, **properties}
            required = [info.tag_field, *required]
        schema: Schema = {"type": "object", "properties": properties} | _if_any("required", required)
        return schema | ({"additionalProperties": False} if info.forbid_unknown_fields else {})


def _array(item: Schema, info: inspect.ListType) -> Schema:
    return {"type": "array"} | _if_any("items", item) | _said(minItems=info.min_length, maxItems=info.max_length)


def _union(schemas: list[Schema]) -> Schema:
    """Plain types side by side as one; anything else as alternatives."""
    if {} in schemas:
        return {}
    if all(set(one) == {"type"} for one in schemas):
        return {"type": [one["type"] for one in schemas]}
    return {"anyOf": schemas}


def _if_any(keyword: str, value: Any) -> Schema:
    return {keyword: value} if value else {}


def _said(**limits: Any) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}
