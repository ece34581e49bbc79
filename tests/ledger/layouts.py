"""Ledgers as earlier versions wrote them, with one entry: `old`, on route `r`, answered by model `m` for 7 nano-USD."""

from __future__ import annotations

import sqlite3
from pathlib import Path

LAYOUT_1 = """
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, dialect TEXT NOT NULL,
    requested_model TEXT NOT NULL, stream INTEGER NOT NULL, key TEXT NOT NULL, policy_hash TEXT NOT NULL,
    draw REAL NOT NULL, team TEXT, tags TEXT NOT NULL, session TEXT, route TEXT, decided_by TEXT,
    scores TEXT NOT NULL, cache TEXT NOT NULL, cache_entry TEXT, model TEXT, provider TEXT,
    usage_input INTEGER, usage_output INTEGER, usage_cached_input INTEGER, usage_cache_write INTEGER,
    usage_reasoning INTEGER, usage_estimated INTEGER,
    cost_nusd INTEGER, overhead_nusd INTEGER NOT NULL, baseline_nusd INTEGER,
    ttft_ms REAL, duration_ms REAL NOT NULL, overhead_ms REAL NOT NULL, outcome TEXT NOT NULL,
    status INTEGER NOT NULL, error TEXT
) STRICT;
CREATE INDEX entry_at ON entry (at);
CREATE INDEX entry_request_id ON entry (request_id);
CREATE TABLE attempt (
    entry INTEGER NOT NULL REFERENCES entry (id), n INTEGER NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    outcome TEXT NOT NULL, status INTEGER, ttft_ms REAL, duration_ms REAL NOT NULL, busy_s REAL NOT NULL,
    usage_input INTEGER, usage_output INTEGER, usage_cached_input INTEGER, usage_cache_write INTEGER,
    usage_reasoning INTEGER, usage_estimated INTEGER, cost_nusd INTEGER, error TEXT, fault TEXT,
    PRIMARY KEY (entry, n)
) STRICT, WITHOUT ROWID;
INSERT INTO entry VALUES (
    1, 'old', 1000000.0, 'openai_chat', 'auto', 0, 'anonymous', 'abc', 0.5, NULL, '{}', NULL, 'r', NULL,
    '{}', 'miss', NULL, 'm', 'p-m', 10, 5, 0, 0, 0, 0, 7, 0, 9, 1.0, 2.0, 1.0, 'ok', 200, NULL
);
INSERT INTO attempt VALUES (1, 1, 'p-m', 'm', 'ok', 200, 1.0, 2.0, 0.0, 10, 5, 0, 0, 0, 0, 7, NULL, NULL);
"""

FROM_2_TO_3 = """
ALTER TABLE entry ADD COLUMN purpose TEXT NOT NULL DEFAULT 'request';
ALTER TABLE entry ADD COLUMN of TEXT;
ALTER TABLE entry ADD COLUMN verdict TEXT;
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY, request_id TEXT NOT NULL, at REAL NOT NULL, value REAL NOT NULL, comment TEXT, tags TEXT NOT NULL
) STRICT;
CREATE INDEX feedback_request_id ON feedback (request_id);
INSERT INTO feedback VALUES (1, 'older', 4.0, 1.0, NULL, '[]');
"""

FROM_3_TO_4 = """
ALTER TABLE attempt ADD COLUMN seam TEXT;
ALTER TABLE attempt ADD COLUMN seam_chars INTEGER;
ALTER TABLE attempt ADD COLUMN is_hedge INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN uid TEXT;
CREATE UNIQUE INDEX entry_uid ON entry (uid);
ALTER TABLE feedback ADD COLUMN uid TEXT;
ALTER TABLE feedback ADD COLUMN entry TEXT;
CREATE UNIQUE INDEX feedback_uid ON feedback (uid);
"""


def as_of_layout(version: int, path: Path) -> None:
    """version: 1 to 4."""
    db = sqlite3.connect(path)
    db.executescript(LAYOUT_1)
    if version >= 2:
        db.execute("ALTER TABLE attempt ADD COLUMN accept TEXT")
    if version >= 3:
        db.executescript(FROM_2_TO_3)
    if version >= 4:
        db.executescript(FROM_3_TO_4)
    db.execute(f"PRAGMA user_version = {version}")
    db.commit()
    db.close()
