"""Tables as Parquet. The only module that knows pyarrow; import it when Parquet is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from gateway.ledger.tables import Column, Kind

_TYPES: Final[dict[Kind, Any]] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "flag": pa.bool_(),
    "json": pa.string(),
}


class ParquetFile:
    """A table in a file, written in parts, each a row group. Raises OSError."""

    def __init__(self, file: Path | BinaryIO, columns: Sequence[Column]) -> None:
        self._schema = pa.schema([pa.field(c.name, _TYPES[c.kind], nullable=not c.is_required) for c in columns])
        self._flags = [c.name for c in columns if c.kind == "flag"]
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        columns = {name: [row[name] for row in rows] for name in self._schema.names}
        for name in self._flags:
            columns[name] = [None if value is None else bool(value) for value in columns[name]]
        self._writer.write_table(pa.table(columns, schema=self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._writer.close()
