"""Lines of times under the names of another period's."""

from __future__ import annotations

import pytest

from gateway.report.compare import shifted
from gateway.report.dimension import parse
from gateway.report.row import Row

DAY_S, HOUR_S = 86_400, 3_600


@pytest.mark.parametrize("off_s", [0.0, 0.25, -0.25, 1_000.0, -1_000.0])
@pytest.mark.parametrize(
    ("by", "by_s", "names", "others"),
    [
        ("day", 7 * DAY_S, ["2026-10-30", "2026-10-31"], ["2026-11-06", "2026-11-07"]),
        ("hour", 3 * HOUR_S, ["2026-10-31T22:00Z"], ["2026-11-01T01:00Z"]),
        ("hour", -HOUR_S, ["2026-11-01T00:00Z"], ["2026-10-31T23:00Z"]),
        ("route", 7 * DAY_S, ["easy"], ["easy"]),
    ],
)
def test_a_line_has_the_name_of_the_nearest_whole_day_or_hour(
    by: str, by_s: int, names: list[str], others: list[str], off_s: float
) -> None:
    rows = [Row(name, cost_nusd=n) for n, name in enumerate(names)]
    assert shifted(rows, parse(by), by_s + off_s) == [Row(name, cost_nusd=n) for n, name in enumerate(others)]
