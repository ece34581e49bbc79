"""docs/performance.md is what its results say, and its picture can be read."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.gateways.contenders import CONTENDERS
from benchmarks.gateways.curve import COLOURS, picture, spread
from benchmarks.gateways.page import PAGE, RESULTS, documents, main, page
from benchmarks.gateways.results import dump_results, load_results
from tests.benchmarks.made_results import made, without

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_what_is_committed_is_made_of_the_committed_results() -> None:
    results = load_results((ROOT / RESULTS).read_bytes())
    for name, text in documents(results).items():
        assert (ROOT / name).read_text() == text, f"{name}: run python -m benchmarks.gateways.page"


def test_the_page_says_what_was_measured_on_what_and_how() -> None:
    text = page(made())
    for fact in ("Abacus 3, 2 cores", "Linux 6.1", "CPython 3.11.7, built without profile-guided optimisation", "2026-01-31"):
        assert fact in text
    assert "`0123456789+`, with changes that were not committed" in text
    assert "`python -m benchmarks.gateways`" in text and "3 of 2 s a load" in text
    assert "| `litellm` | LiteLLM | 1.106.2 |" in text
    assert "Left out was `nginx`: nginx is not installed." in text
    assert "{{" not in text


def test_a_page_is_written_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.gateways.page.ROOT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "results.json").write_bytes(dump_results(made()))
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / PAGE).read_text() == page(made())
    first = (tmp_path / PAGE).stat().st_mtime_ns
    assert main([]) == 0  # from what it has kept
    assert (tmp_path / PAGE).read_text() == page(made()) and (tmp_path / PAGE).stat().st_mtime_ns > first


def test_the_picture_has_a_line_in_each_panel_and_a_name_for_each_gateway() -> None:
    svg = picture(made())
    lines = list(ET.fromstring(svg).iter(f"{SVG}polyline"))
    assert [line.get("class") for line in lines] == ["c-default", "c-portkey", "c-litellm"] * 2
    assert all(len((line.get("points") or "").split()) == 4 for line in lines)
    assert {"default", "portkey", "litellm"} <= set(texts(svg)) and "direct" not in texts(svg)
    assert {"1", "4", "16", "64"} <= set(texts(svg))


def test_the_picture_is_of_what_was_measured_alone() -> None:
    assert "litellm" not in picture(without(made(), "litellm"))
    ET.fromstring(picture(without(made(), "litellm", "default", "portkey")))


def test_a_slower_contender_is_drawn_higher() -> None:
    lines = {line.get("class"): line.get("points") or "" for line in ET.fromstring(picture(made())).iter(f"{SVG}polyline")}
    heights = {name: float(points.split()[-1].partition(",")[2]) for name, points in lines.items()}
    assert heights["c-litellm"] < heights["c-portkey"] < heights["c-default"]  # y counts from the top


def test_every_contender_that_is_measured_without_asking_has_colours_that_can_be_read() -> None:
    def contrast(colour: str, paper: str) -> float:
        """WCAG 2.2, contrast ratio."""

        def luminance(text: str) -> float:
            parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
            red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue

        high, low = sorted((luminance(colour), luminance(paper)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for name, contender in CONTENDERS.items():
        if name != "direct" and not contender.is_asked_for:
            light, dark = COLOURS[name]
            assert contrast(light, "#ffffff") >= 4 and contrast(dark, "#0d1117") >= 4, name
    assert re.search(r"@media\(prefers-color-scheme:dark\)\{\.paper\{fill:#0d1117\}", picture(made()))


@given(st.lists(st.floats(min_value=50, max_value=390), max_size=12))
def test_names_never_touch_and_stay_on_the_paper(places: list[float]) -> None:
    moved = spread(sorted(places), 13, 390)
    assert all(after - before >= 12.8 for before, after in itertools.pairwise(moved))
    assert all(place <= 390 for place in moved)
