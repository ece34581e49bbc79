"""Where the table is read from: a real server that is slow, broken or too generous, files, and the installed package."""

from __future__ import annotations

import importlib.util
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.pricing.litellm_table import converted, read_table
from gateway.pricing.source import read_source

OK = b"HTTP/1.1 200 OK\r\n"
Say = Callable[[socket.socket], None]


@contextmanager
def server(say: Say) -> Iterator[str]:
    """Answers every connection, one after the other, with what `say` writes; the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        is_over = threading.Event()

        def serve() -> None:
            while not is_over.is_set():
                try:
                    connection, _ = listening.accept()
                except OSError:  # closed
                    return
                with closing(connection):
                    connection.settimeout(10)
                    connection.recv(65536)
                    try:
                        say(connection)
                    except OSError:  # the client has had enough
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/prices.json"
        is_over.set()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=10)


def saying(*parts: bytes) -> Say:
    return lambda connection: connection.sendall(b"".join(parts))


def test_a_table_is_fetched_whole() -> None:
    body = b'{"m": {}}' + b" " * 300_000
    with server(saying(OK, b"content-length: %d\r\n\r\n" % len(body), body)) as url:
        table = read_source(url)
    assert table.content == body
    assert (table.name, table.version) == (url, "")


def test_a_redirect_is_followed() -> None:
    with server(saying(OK, b"content-length: 2\r\n\r\n{}")) as there:
        redirect = b"HTTP/1.1 302 Found\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % there.encode()
        with server(saying(redirect)) as url:
            assert read_source(url).content == b"{}"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "HTTP Error 404: Not Found"),
        (b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", "HTTP Error 500"),
        (OK + b"content-length: 100\r\n\r\n{}", "the connection ended after 2 of 100 bytes"),
        (OK + b"transfer-encoding: chunked\r\n\r\n64\r\n{}", "IncompleteRead"),
        (b"", "closed connection without response"),
        (b"SSH-2.0-OpenSSH\r\n", "SSH-2.0"),
    ],
)
def test_what_a_server_gets_wrong_is_said_with_a_way_out(said: bytes, why: str) -> None:
    with server(saying(said)) as url, pytest.raises(ConfigError, match=why) as told:
        read_source(url)
    assert str(told.value).startswith(f"cannot fetch {url}: ")
    assert "--from FILE" in str(told.value) and "--from installed" in str(told.value)


def test_a_body_without_an_end_is_left_when_it_is_too_large() -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while True:
            connection.sendall(b" " * 65536)

    with server(pour) as url, pytest.raises(ConfigError, match="more than 1000000 bytes came"):
        read_source(url, bytes_max=1_000_000)


def test_a_server_that_says_nothing_is_left() -> None:
    is_over = threading.Event()
    with server(lambda connection: is_over.wait(10) and None) as url:
        with pytest.raises(ConfigError, match="timed out"):
            read_source(url, silence_s=0.2)
        is_over.set()


def test_a_server_that_drips_is_left_at_the_deadline() -> None:
    is_over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(OK + b"\r\n")
        while not is_over.wait(0.05):
            connection.sendall(b" ")

    with server(drip) as url:
        with pytest.raises(ConfigError, match=r"not all of it came within 0\.3 s"):
            read_source(url, silence_s=5, deadline_s=0.3)
        is_over.set()


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConfigError, match=r"cannot fetch http://127\.0\.0\.1:\d+/x: .*refused"):
        read_source(f"http://127.0.0.1:{port}/x")


def test_a_password_in_an_address_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match="a user and a password") as told:
        read_source("http://me:secret@nowhere.invalid/x")
    assert "secret" not in str(told.value)


def test_an_address_that_cannot_be_one_is_said() -> None:
    with pytest.raises(ConfigError, match="is no address"):
        read_source("http://[::1/x")


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc/passwd", "data://,x"])
def test_only_the_web_is_fetched_from(url: str) -> None:
    with pytest.raises(ConfigError, match="is no http:// or https:// address"):
        read_source(url)


def test_a_file_is_read_and_bounded(tmp_path: Path) -> None:
    file = tmp_path / "table.json"
    file.write_bytes(b"{}" * 10)
    assert read_source(str(file)).content == b"{}" * 10
    assert read_source(str(file)).name == "table.json"
    with pytest.raises(ConfigError, match="is larger than 19 bytes"):
        read_source(str(file), bytes_max=19)
    with pytest.raises(ConfigError, match="No such file"):
        read_source(str(tmp_path / "none.json"))


def test_the_installed_packages_table_is_one() -> None:
    if importlib.util.find_spec("litellm") is None:
        pytest.skip("litellm is not installed: its table is what is read")
    table = read_source("installed")
    assert table.version
    assert len(converted(read_table(table.content)).models) > 2000
