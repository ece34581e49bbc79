"""What the doctor and the first screen find: said without secrets, and without a trace of the search."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.cli.finding import Finding
from gateway.cli.findings import find_all
from gateway.cli.model_findings import find_models
from gateway.ledger.sqlite import SqliteLedger
from gateway.loading import load_policy
from gateway.policy.grammar import day
from gateway.policy.model import Candidate
from gateway.pricing.book import shipped_book
from gateway.providers import litellm
from gateway.settings import Settings
from tests.pricing.tables import map_bytes
from tests.redis_server import RedisServer


def policy(folder: Path, base_url: str, route: str = "") -> Path:
    path = folder / "policy.yaml"
    path.write_text(f"""
version: 1
providers: {{p: {{kind: openai, base_url: "{base_url}", api_key: key}}}}
models: {{m: {{provider: p, id: x, price: unknown}}}}
routes: [{{name: all, model: m{route}}}]
""")
    return path


def found(folder: Path, base_url: str = "http://127.0.0.1:9/v1", data_dir: Path | None = None) -> list[Finding]:
    data_dir = data_dir or folder / "data"
    return list(find_all(Settings(policy(folder, base_url), data_dir=data_dir, ledger=data_dir / "ledger.db")))


def one(findings: list[Finding], thing: str) -> Finding:
    (finding,) = [f for f in findings if f.thing == thing]
    return finding


@contextmanager
def speaking(answer: bytes) -> Iterator[int]:
    """The port of a server that says this to its first caller."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            caller, _ = listener.accept()
            with caller:
                caller.recv(65_536)
                caller.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


@pytest.mark.parametrize("url", ["http://user:secret@127.0.0.1:9/v1", "http://user:secret@[::1]:9/v1"])
def test_user_and_password_of_an_address_are_not_shown(tmp_path: Path, url: str) -> None:
    findings = found(tmp_path, url)
    assert "secret" not in str(findings)
    assert one(findings, "reach").level == "broken"
    compiled = load_policy(tmp_path / "policy.yaml")
    first_screen = str(list(find_models(compiled, {"m": Candidate("m", "p")})))
    assert "secret" not in first_screen
    assert ":9)" in first_screen


def test_server_behind_user_and_password_is_reached(tmp_path: Path) -> None:
    with speaking(b"HTTP/1.1 401 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n") as port:
        reach = one(found(tmp_path, f"http://user:secret@127.0.0.1:{port}/v1"), "reach")
    assert (reach.level, reach.what) == ("ok", f"p: 127.0.0.1:{port} answers")


def test_server_that_does_not_speak_http_is_a_finding(tmp_path: Path) -> None:
    with speaking(b"220 mail ready\r\n") as port:
        reach = one(found(tmp_path, f"http://127.0.0.1:{port}/v1"), "reach")
    assert reach.level == "broken"
    assert "does not answer" in reach.what


@pytest.mark.parametrize("data_dir", ["", "data", "data/of/turnout"])
def test_ledger_that_is_not_there_yet_is_not_made(tmp_path: Path, data_dir: str) -> None:
    ledger = one(found(tmp_path, data_dir=tmp_path / data_dir), "ledger")
    assert ledger.level == "ok"
    assert "not there yet" in ledger.what
    assert [p.name for p in tmp_path.rglob("*")] == ["policy.yaml"]


def test_ledger_that_cannot_be_made_is_broken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = one(found(tmp_path, data_dir=tmp_path / "file" / "data"), "ledger")
    assert ledger.level == "broken"
    assert str(tmp_path / "file") in ledger.what and "TURNOUT_DATA_DIR" in ledger.remedy


def test_ledger_that_is_there_is_counted(tmp_path: Path) -> None:
    SqliteLedger(tmp_path / "ledger.db").close()
    assert one(found(tmp_path, data_dir=tmp_path), "ledger").what.endswith("writable, 0 entries")


def test_missing_litellm_is_said_in_the_adapters_words(tmp_path: Path) -> None:
    path = policy(tmp_path, "http://127.0.0.1:9/v1")
    path.write_text(path.read_text().replace("kind: openai", "kind: litellm, litellm_provider: groq"))
    adapter = litellm.LiteLLMProvider("p", "groq").unavailable
    settings = Settings(path, data_dir=tmp_path, ledger=tmp_path / "ledger.db")
    model = one(list(find_all(settings)), "model")
    assert model.level == "ok" if adapter is None else adapter in model.what


@pytest.mark.parametrize(("key", "is_told"), [("", True), (", api_key: key", False)])
def test_credentials_that_litellm_finds_itself_are_told_as_not_checked(tmp_path: Path, key: str, is_told: bool) -> None:
    path = policy(tmp_path, "http://127.0.0.1:9/v1")
    given = path.read_text()
    path.write_text(given.replace("kind: openai", "kind: litellm, litellm_provider: bedrock").replace(", api_key: key", key))
    findings = list(find_all(Settings(path, data_dir=tmp_path, ledger=tmp_path / "ledger.db")))
    told = [f"{f.level} {f.what}" for f in findings if f.thing == "check"]
    looked_for = ["missing p: its credentials are not checked: litellm looks for them itself, when it is first asked"]
    assert told == (looked_for if is_told else [])


def of_cache(folder: Path, route: str, redis_url: str | None = None) -> list[Finding]:
    path = policy(folder, "http://127.0.0.1:9/v1", route)
    settings = Settings(path, data_dir=folder, ledger=folder / "ledger.db", redis_url=redis_url)
    return [finding for finding in find_all(settings) if finding.thing == "cache"]


def test_the_cache_is_found_in_memory_or_in_redis_or_nowhere(tmp_path: Path) -> None:
    assert [f.what for f in of_cache(tmp_path, "")] == ["no route has one"]
    assert [f.what for f in of_cache(tmp_path, ", cache: {mode: exact}")] == [
        "in this process's memory, 64 MB; replicas share none"
    ]
    with RedisServer() as server:
        store, match = of_cache(tmp_path, ", cache: {mode: semantic}", server.url)
    assert (store.level, store.what) == ("ok", f"redis://127.0.0.1:{server.port}/0 answers")
    assert match.what == "embedder wordllama; audits are judged by comparing texts"
    (gone,) = of_cache(tmp_path, ", cache: {mode: exact}", server.url.replace("//", "//:secret@"))
    assert gone.level == "missing"
    assert "connection" in gone.what and "secret" not in gone.what
    (wrong,) = of_cache(tmp_path, ", cache: {mode: exact}", "http://h")
    assert wrong.level == "broken"


PRICED = """
version: 1
providers: {p: {kind: openai, base_url: "http://127.0.0.1:9/v1"}}
models: {m: {provider: p, id: x, price: {input: 1, output: 2}}}
baseline: m
routes: [{name: all, model: m}]
"""


def prices_found(folder: Path) -> list[Finding]:
    (folder / "policy.yaml").write_text(PRICED)
    settings = Settings(folder / "policy.yaml", data_dir=folder / "data", ledger=folder / "ledger.db")
    return [finding for finding in find_all(settings) if finding.thing == "prices"]


def test_the_map_in_use_is_named_with_its_day(tmp_path: Path) -> None:
    (shipped,) = prices_found(tmp_path)
    assert shipped == Finding("ok", "prices", f"every model has one; the shipped price map is of {shipped_book().date}")
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "prices.json"
    file.write_bytes(map_bytes({}, "2099-01-31"))
    (own,) = prices_found(tmp_path)
    assert own == Finding("ok", "prices", f"every model has one; the price map {file} is of 2099-01-31")


def test_a_map_that_has_grown_old_is_to_be_refreshed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = day(shipped_book().date) + 181 * 86_400
    monkeypatch.setattr("gateway.cli.findings.time.time", lambda: later)
    old = prices_found(tmp_path)[0]
    assert (old.level, old.what) == ("missing", f"the shipped price map is of {shipped_book().date}, 181 days old")
    assert old.remedy == "turnout prices refresh; or give `price:` in the policy"


def test_a_map_that_cannot_be_read_is_broken(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "prices.json").write_text("{")
    (broken,) = prices_found(tmp_path)
    assert broken.level == "broken" and "write it anew with `turnout prices refresh`" in broken.what
