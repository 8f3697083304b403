"""Faults on demand, shown by what the clients see."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from waiting import stays, until
from websockets.asyncio.client import ClientConnection, connect

from plivo_nb import Call, CallFailed, Client, Lab, LabError, LoginFailed
from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import Request, Response, parse

pytestmark = pytest.mark.asyncio(loop_scope="module")


_numbers = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_lab() -> AsyncIterator[Lab]:
    async with Lab(servers=2) as lab:
        yield lab


@pytest_asyncio.fixture(loop_scope="module")
async def lab(own_lab: Lab) -> AsyncIterator[Lab]:
    yield own_lab
    await own_lab.faults.clear()


@pytest_asyncio.fixture(loop_scope="module")
async def alice(lab: Lab) -> AsyncIterator[Client]:
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        yield client


async def registered(lab: Lab, user: str) -> None:
    async def is_back() -> bool:
        return user in [entry["user"] for entry in (await lab.status())["registrations"]]

    await until(is_back)


async def packets_received(call: Call) -> int:
    stats = await call.stats()
    return int(next(entry for entry in stats.values() if entry["type"] == "inbound-rtp")["packetsReceived"])


def options_request() -> Request:
    request = Request("OPTIONS", "sip:phone.plivo.com", Headers())
    number = next(_numbers)
    for name, value in [
        ("Via", f"SIP/2.0/WS raw.invalid;branch=z9hG4bKraw{number}"),
        ("From", "<sip:raw@phone.plivo.com>;tag=raw"),
        ("To", "<sip:phone.plivo.com>"),
        ("Call-ID", f"raw{number}"),
        ("CSeq", f"{number} OPTIONS"),
    ]:
        request.headers.add(name, value)
    return request


@contextlib.asynccontextmanager
async def raw_socket(lab: Lab, url: str | None = None) -> AsyncIterator[ClientConnection]:
    async with connect(url or lab.url, subprotocols=["sip"], proxy=None) as socket:  # type: ignore[list-item]
        yield socket


async def ask(socket: ClientConnection, timeout_s: float = 5.0) -> Response:
    await socket.send(str(options_request()))
    async with asyncio.timeout(timeout_s):
        answer = parse(await socket.recv())
    assert isinstance(answer, Response)
    return answer


@pytest.mark.parametrize(("code", "reason"), [(1012, "service restart"), (4000, "lesson"), (1006, "")])
async def test_a_dropped_socket_is_told_and_the_client_comes_back(
    lab: Lab, alice: Client, code: int, reason: str
) -> None:
    changes: list[dict[str, Any]] = []
    alice.on("onConnectionChange", lambda change: changes.append(dict(change)))
    assert await lab.faults.drop_socket("alice", code, reason) == 1
    await until(lambda: [change["state"] for change in changes] == ["disconnected", "connected"])
    assert changes[0]["eventCode"] == code
    if reason:
        assert changes[0]["eventReason"] == reason
    await registered(lab, "alice")


async def test_a_call_outlives_its_socket(lab: Lab, alice: Client) -> None:
    call = await alice.call("tone-1000")
    await until(lambda: "first_rtp_received" in call.timings)
    await lab.faults.drop_socket("alice", 1006)
    await registered(lab, "alice")
    received = await packets_received(call)

    async def more_packets() -> bool:
        return await packets_received(call) > received + 10

    await until(more_packets)
    info = await call.hangup()
    assert info.state == "ended"

    async def no_calls() -> bool:
        return not (await lab.status())["calls"]

    await until(no_calls, 5)  # the BYE arrives over the new socket


async def test_wrong_close_codes_are_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="close code"):
        await lab.faults.drop_socket("alice", 77)


@pytest.mark.parametrize(("status", "retry_after_s"), [(403, None), (503, 5)])
async def test_a_refused_registration(lab: Lab, status: int, retry_after_s: int | None) -> None:
    await lab.faults.refuse_registration(status, retry_after_s=retry_after_s, user="bob", times=1)
    async with raw_socket(lab) as socket:
        request = options_request()
        register = Request("REGISTER", "sip:phone.plivo.com", request.headers)
        register.headers.set("CSeq", "1 REGISTER")
        register.headers.set("To", "<sip:bob@phone.plivo.com>")
        await socket.send(str(register))
        answer = parse(await socket.recv())
        assert isinstance(answer, Response)
        assert answer.status == status
        assert answer.headers.get("Retry-After") == (None if retry_after_s is None else str(retry_after_s))
    await lab.faults.refuse_registration(status, user="bob")
    async with lab.client() as bob:
        with pytest.raises(LoginFailed):
            async with asyncio.timeout(10):
                await bob.login("bob", lab.password("bob"))
        await lab.faults.clear()
        await bob.login("bob", lab.password("bob"))


async def test_refusals_are_failures(lab: Lab) -> None:
    with pytest.raises(LabError, match="300 to 699"):
        await lab.faults.refuse_registration(200)


async def test_a_slow_server_makes_a_slow_login(lab: Lab) -> None:
    await lab.faults.slow(0.4)
    async with lab.client() as bob:
        began = time.monotonic()
        await bob.login("bob", lab.password("bob"))
        assert time.monotonic() - began > 0.8  # a challenge and an answer
        await lab.faults.clear()


async def test_a_silent_server_says_nothing(lab: Lab) -> None:
    async with raw_socket(lab) as socket:
        await lab.faults.silent()
        with pytest.raises(TimeoutError):
            await ask(socket, 0.5)
        await lab.faults.silent(False)
        assert (await ask(socket)).status == 200


async def test_a_restarted_server_is_found_again(lab: Lab, alice: Client) -> None:
    changes: list[str] = []
    alice.on("onConnectionChange", lambda change: changes.append(change["state"]))
    await lab.faults.restart(away_s=0.2)
    await until(lambda: changes[-1:] == ["connected"])
    await registered(lab, "alice")

    async def answered_call() -> Call | None:
        with contextlib.suppress(CallFailed):
            return await alice.call("echo")
        return None

    call = await until(answered_call, 30, interval_s=0.5)  # the robots register again too
    await call.hangup()


@pytest.mark.spec("2 registrationDomainSocket")
async def test_a_client_fails_over_to_the_second_server(lab: Lab, alice: Client) -> None:
    first, second = lab.options()["registrationDomainSocket"]
    await lab.faults.stop_server(0)
    with pytest.raises(OSError):
        async with raw_socket(lab, first):
            pass
    await registered(lab, "alice")
    async with raw_socket(lab, second) as socket:
        assert (await ask(socket)).status == 200
    await lab.faults.start_server(0)
    async with raw_socket(lab, first) as socket:
        assert (await ask(socket)).status == 200
    with pytest.raises(LabError, match="no server 7"):
        await lab.faults.stop_server(7)


async def test_a_stale_nonce_only_costs_a_round_trip(lab: Lab) -> None:
    await lab.faults.stale_nonce(1)
    async with lab.client() as bob:
        await bob.login("bob", lab.password("bob"))
        assert bob.is_logged_in


async def test_a_wrong_cseq(lab: Lab) -> None:
    async with raw_socket(lab) as socket:
        await lab.faults.wrong_cseq(1)
        first, second = await ask(socket), await ask(socket)
        assert first.cseq.sequence - 1000 == second.cseq.sequence - 1


@pytest.mark.parametrize(
    "text", ["nonsense", "SIP/2.0 200\r\n\r\n", "INVITE sip:alice SIP/2.0\r\nVia: \r\n\r\n", "\0"]
)
async def test_malformed_sip_does_not_harm_the_client(lab: Lab, alice: Client, text: str) -> None:
    assert await lab.faults.send_raw("alice", text) == 1
    call = await alice.call("silence")
    await call.hangup()
    assert alice.is_logged_in


async def test_another_address_is_told(lab: Lab) -> None:
    async with raw_socket(lab) as socket:
        assert (await ask(socket)).via.parameters["received"] == "127.0.0.1"
        await lab.faults.client_address("203.0.113.9")
        assert (await ask(socket)).via.parameters["received"] == "203.0.113.9"


async def test_a_killed_robot_falls_silent(lab: Lab, alice: Client) -> None:
    call = await alice.call("tone-1000")
    await until(lambda: "first_rtp_received" in call.timings)
    name = await lab.faults.kill_robot()
    assert name.startswith("robot-")
    await asyncio.sleep(0.3)  # packets in transit arrive
    received = await packets_received(call)

    async def no_more() -> bool:
        return await packets_received(call) == received

    await stays(no_more, 0.5)
    await call.hangup()
    with pytest.raises(LabError, match="No robot is in a call"):
        await lab.faults.kill_robot()


async def test_the_statistics_service_can_be_stopped_and_started(lab: Lab) -> None:
    url = urlsplit(lab.options()["statsUrl"])
    await lab.faults.statistics_away()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(url.hostname, url.port)
    await lab.faults.statistics_away(False)
    _, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.close()
    await writer.wait_closed()
