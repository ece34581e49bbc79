"""`turnout prices`, as it is typed."""

from __future__ import annotations

import functools
import http.server
import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.policy.grammar import day
from gateway.pricing.book import open_book, shipped_book
from tests.pricing.tables import entry, map_bytes, priced

EARLIER = {"openai/a": priced(2_000_000, 8_000_000), "openai/b": priced(5_000_000, 5_000_000), "openai/c": priced(1, 2)}
PLAIN = priced(2_000_000, 8_000_000)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def has_map(data_dir: Path) -> None:
    """A map in the data folder that is newer than the shipped one."""
    data_dir.mkdir()
    (data_dir / "prices.json").write_bytes(map_bytes(EARLIER, "2090-01-01"))


def said(capsys: pytest.CaptureFixture[str], *args: str, status: int = 0) -> str:
    """What the command prints, on either stream."""
    assert main(["prices", *args]) == status
    shown = capsys.readouterr()
    return shown.err if status else shown.out


def table_file(folder: Path, **models: dict[str, Any]) -> str:
    """A table of these models of OpenAI's."""
    path = folder / "table.json"
    path.write_text(json.dumps(models, default=float))
    return str(path)


def test_the_list_is_of_the_models_that_match(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "list", "openai/gpt-4.1*").splitlines()
    assert lines[2].split() == ["openai/gpt-4.1", "2", "8", "0.5", "batch,", "priority"]
    assert lines[-1] == (
        f"6 models, US dollars per million tokens; price map of {shipped_book().date} (shipped, litellm {shipped_book().version})"
    )
    rows = json.loads(said(capsys, "list", "openai/gpt-4.1", "--json"))
    assert [(row["model"], row["usd_per_million"]) for row in rows] == [
        ("openai/gpt-4.1", {"input": 2, "output": 8, "cached_input": 0.5})
    ]


def test_a_list_of_nothing_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no name in the price map of" in said(capsys, "list", "nobody/*", status=1)


def test_a_model_is_shown_with_everything_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    shown = said(capsys, "show", "gemini/gemini-2.5-pro")
    rows = {line.split("  ")[0]: line.split()[-4:] for line in shown.splitlines()}
    assert rows["usual"] == ["1.25", "10", "0.125", "1.25"]
    assert rows["above 200,000 tokens"] == ["2.5", "15", "0.25", "2.5"]
    assert rows["batch above 200,000 tokens"] == ["1.25", "7.5", "0.25", "1.25"]


def test_a_price_is_shown_as_it_was_on_a_day(capsys: pytest.CaptureFixture[str], tmp_path: Path, has_map: None) -> None:
    table = table_file(tmp_path, a=entry(output_cost_per_token=1e-5), b=entry(), c=entry())
    said(capsys, "refresh", "--from", table, "--date", "2090-05-01", "--force")
    now, then = (json.loads(said(capsys, "show", "openai/a", "--json", *at)) for at in ([], ["--at", "2090-04-30"]))
    assert now["rates"][0]["usd_per_million"]["output"] == 10
    assert then["rates"][0]["usd_per_million"]["output"] == 8
    assert then["source"] == "price map of 2090-05-01, until 2090-05-01"
    shown = said(capsys, "show", "openai/a", "--at", "2090-04-30")
    assert shown.startswith("openai/a, until 2090-05-01, US dollars per million tokens\n")
    assert "until 2090-05-01: input 2, output 8" in shown


def test_a_name_that_is_not_there_is_told_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert "has no 'gpt-4.1-nano'; did you mean azure/gpt-4.1-nano or openai/gpt-4.1-nano or" in said(
        capsys, "show", "gpt-4.1-nano", status=1
    )
    assert "see `turnout prices list`" in said(capsys, "show", "no-such-thing-anywhere", status=1)


@pytest.mark.parametrize("args", [["show", "x", "--at", "May"], ["refresh", "--date", "2026-02-30"], []])
def test_what_cannot_be_meant_is_wrong_usage(args: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["prices", *args])
    assert stopped.value.code == 2


# Refreshing.


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A web server of the test's folder."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}/table.json"
        served.shutdown()
        thread.join(timeout=10)


def test_a_refresh_says_what_changes_and_keeps_what_was(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path, address: str, has_map: None
) -> None:
    (data_dir / "prices.json").write_bytes(map_bytes(EARLIER | {"openai/e": PLAIN}, "2090-01-01"))
    flex = {"input_cost_per_token_flex": 1e-6, "output_cost_per_token_flex": 4e-6}
    table_file(tmp_path / "web", a=entry(output_cost_per_token=1e-5), b=entry(), d=entry(), e=entry(**flex))
    shown = said(capsys, "refresh", "--from", address, "--date", "2090-05-01")
    assert shown.splitlines() == [
        "new: 1",
        "  openai/d: 2/8",
        "gone: 1",
        "  openai/c: 1e-06/2e-06",
        "dearer: 1",
        "  openai/a: 2/8 → 2/10",
        "changed: 2",
        "  openai/b: 5/5 → 2/8",
        "  openai/e: 2/8, in other rates",
        f"{data_dir / 'prices.json'}: 5 models, prices of 2090-05-01, from {address}",
    ]
    found = open_book(data_dir)
    prices = [found.price("openai/a", day(date)) for date in ("2090-04-30", "2090-05-01")]
    assert [price.output for price in prices if price is not None] == [8_000_000, 10_000_000]
    assert found.price("openai/c") is not None, "what it cost is still to be known"
    assert stat.S_IMODE(os.stat(data_dir / "prices.json").st_mode) == 0o644
    assert [path.name for path in data_dir.iterdir()] == ["prices.json"]


def test_a_refresh_without_changes_says_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path, has_map: None
) -> None:
    table = table_file(tmp_path, a=entry(), b=entry(input_cost_per_token=5e-6, output_cost_per_token=5e-6), c=entry())
    said(capsys, "refresh", "--from", table, "--date", "2090-02-01", "--force")
    assert said(capsys, "refresh", "--from", table, "--date", "2090-02-02").startswith("no price has changed\n")
    assert open_book(data_dir).date == "2090-02-02"


def test_a_long_list_of_changes_is_cut_short(capsys: pytest.CaptureFixture[str], tmp_path: Path, has_map: None) -> None:
    table = table_file(tmp_path, **{name: entry() for name in ["a", "b", "c", *(f"n{i:02}" for i in range(25))]})
    lines = said(capsys, "refresh", "--from", table, "--date", "2090-02-01", "--force").splitlines()
    assert lines[:2] == ["new: 25", "  openai/n00: 2/8"]
    assert "  and 5 more" in lines


@pytest.mark.parametrize(
    ("models", "why"),
    [
        ({"a": entry(), "z": entry()}, "it lacks 2 of the 3 models"),
        ({"a": entry(input_cost_per_token=2.1e-4), "b": entry(), "c": entry()}, "2 prices moved by more than 100 times"),
    ],
)
def test_a_table_that_cannot_be_believed_is_refused_unless_forced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path, has_map: None, models: dict[str, Any], why: str
) -> None:
    before = (data_dir / "prices.json").read_bytes()
    refresh = ("refresh", "--from", table_file(tmp_path, **models), "--date", "2090-05-01")
    told = said(capsys, *refresh, status=1)
    assert why in told and "--force" in told
    assert (data_dir / "prices.json").read_bytes() == before
    said(capsys, *refresh, "--force")
    assert open_book(data_dir).date == "2090-05-01"


@pytest.mark.parametrize("content", ["", "<html>", "[]", "{}", '{"a": 3}', '{"a": {"mode": "chat"}}', "[" * 100_000])
def test_what_is_no_table_is_refused_even_when_forced(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data_dir: Path, content: str
) -> None:
    (tmp_path / "table.json").write_text(content)
    told = said(capsys, "refresh", "--from", str(tmp_path / "table.json"), "--force", status=1)
    assert "litellm's table of prices" in told
    assert not data_dir.exists()


def test_a_table_older_than_the_map_in_use_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    told = said(capsys, "refresh", "--from", table_file(tmp_path, a=entry()), "--date", "2001-01-01", "--force", status=1)
    assert f"is of 2001-01-01, the price map in use of {shipped_book().date}" in told


def test_a_folder_that_cannot_be_written_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TURNOUT_DATA_DIR", str(tmp_path / "file" / "data"))
    told = said(capsys, "refresh", "--from", table_file(tmp_path, a=entry()), "--force", status=1)
    assert "Not a directory" in told


def test_the_installed_packages_prices_are_those_of_the_shipped_map(capsys: pytest.CaptureFixture[str], data_dir: Path) -> None:
    shown = said(capsys, "refresh", "--from", "installed")
    assert shown.startswith("no price has changed\n")
    assert open_book(data_dir).date == shipped_book().date  # reading old prices today does not make them new
    assert open_book(data_dir).path == data_dir / "prices.json"
