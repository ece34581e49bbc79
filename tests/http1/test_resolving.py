"""Names and addresses: looked up once for all who ask, remembered, and tried until one answers."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gateway.http1.failures import LookupFailed
from gateway.http1.racing import connected, interleaved
from gateway.http1.resolver import KEPT_S, Resolver, SocketAddress


class Names:
    """An event loop's getaddrinfo, its clock and its tasks."""

    def __init__(self, *found: str, delay_s: float = 0.0) -> None:
        self.found, self.delay_s, self.asked, self.now = found, delay_s, 0, 0.0
        self.create_task = asyncio.get_running_loop().create_task

    def time(self) -> float:
        return self.now

    async def getaddrinfo(self, host: str, port: int, **how: Any) -> list[Any]:
        self.asked += 1
        await asyncio.sleep(self.delay_s)
        if not self.found:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, port)) for at in self.found]


def resolver(names: Names) -> Resolver:
    return Resolver(names)  # type: ignore[arg-type]


def test_all_who_ask_at_once_share_a_lookup_and_it_is_remembered_for_a_minute() -> None:
    async def scenario() -> None:
        names = Names("10.0.0.1", delay_s=0.01)
        looking = resolver(names)
        asking = [asyncio.ensure_future(looking.addresses("a.test", 80)) for _ in range(10)]
        await asyncio.sleep(0)
        asking[0].cancel()  # the others still get their answer
        found = await asyncio.gather(*asking[1:])
        assert names.asked == 1 and {str(addresses[0].at) for addresses in found} == {"('10.0.0.1', 80)"}
        names.now = KEPT_S - 1
        await looking.addresses("a.test", 80)
        assert names.asked == 1
        names.now = KEPT_S + 1
        await looking.addresses("a.test", 80)
        assert names.asked == 2

    asyncio.run(scenario())


def test_each_of_a_names_servers_gets_its_share() -> None:
    async def scenario() -> list[str]:
        looking = resolver(Names("10.0.0.1", "10.0.0.2", "10.0.0.3"))
        return [(await looking.addresses("a.test", 80))[0].at[0][-1] for _ in range(6)]

    assert asyncio.run(scenario()) == ["1", "2", "3", "1", "2", "3"]


def test_a_failed_lookup_is_not_remembered() -> None:
    async def scenario() -> None:
        names = Names()
        looking = resolver(names)
        for _ in range(2):
            with pytest.raises(LookupFailed, match="Name or service not known"):
                await looking.addresses("a.test", 80)
        assert names.asked == 2

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("host", "at"),
    [("10.0.0.1", ("10.0.0.1", 80)), ("::1", ("::1", 80, 0, 0)), ("fe80::1%3", ("fe80::1", 80, 0, 3))],
)
def test_an_address_is_not_looked_up(host: str, at: tuple[Any, ...]) -> None:
    async def scenario() -> None:
        names = Names()
        assert [address.at for address in await resolver(names).addresses(host, 80)] == [at]
        assert names.asked == 0

    asyncio.run(scenario())


def test_closing_ends_lookups_and_whoever_asked_is_told_and_not_cancelled() -> None:
    async def scenario() -> None:
        looking = resolver(Names("10.0.0.1", delay_s=60))
        asking = [asyncio.ensure_future(looking.addresses("a.test", 80)) for _ in range(2)]
        await asyncio.sleep(0)
        asking[1].cancel()
        await looking.aclose()
        told, cancelled = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(told, LookupFailed) and isinstance(cancelled, asyncio.CancelledError)

    asyncio.run(scenario())


def address(port: int, host: str = "127.0.0.1") -> SocketAddress:
    return SocketAddress(socket.AF_INET6 if ":" in host else socket.AF_INET, (host, port))


def test_families_take_turns() -> None:
    given = [address(1, "::1"), address(2, "::1"), address(3), address(4, "::1"), address(5)]
    assert [each.at[1] for each in interleaved(given)] == [1, 3, 2, 5, 4]


def refusing() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_the_next_address_is_tried_at_once_when_one_refuses() -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            loop = asyncio.get_running_loop()
            began = loop.time()
            sock = await connected([address(refusing()), address(refusing()), address(port)])
            assert sock.getpeername()[1] == port and loop.time() - began < 0.2
            sock.close()

    asyncio.run(scenario())


def test_an_address_that_does_not_answer_costs_a_head_start() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        connecting = loop.sock_connect

        async def connect(sock: socket.socket, at: tuple[str, int]) -> None:
            if at[1] == 1:
                await asyncio.sleep(60)
            await connecting(sock, at)

        loop.sock_connect = connect  # type: ignore[method-assign, assignment]
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            began = loop.time()
            sock = await connected([address(1), address(port)])
            assert sock.getpeername()[1] == port and 0.2 < loop.time() - began < 5
            sock.close()

    asyncio.run(scenario())


def test_when_all_refuse_the_first_refusal_is_told() -> None:
    async def scenario() -> None:
        with pytest.raises(ConnectionRefusedError):
            await connected([address(refusing()), address(refusing())])

    asyncio.run(scenario())
