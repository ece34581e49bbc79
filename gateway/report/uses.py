"""When keys were last used."""

from __future__ import annotations

from gateway.ledger.base import LedgerReader


def last_uses(reader: LedgerReader) -> dict[str, float]:
    """When each key's last request came, in seconds since 1970; for one whose entries are no longer kept, the hour's begin.

    Raises OSError.
    """
    used = {
        row["key"]: float(row["at"])
        for row in reader.rows("SELECT key, max(hour) AS at FROM rollup WHERE purpose = 'request' GROUP BY 1")
    }
    for part in reader.parts():
        query = f"SELECT key, max(at) AS at FROM {part.entry} WHERE purpose = 'request' GROUP BY 1"
        for row in reader.rows(query):
            used[row["key"]] = max(used.get(row["key"], 0.0), row["at"])
    return used
