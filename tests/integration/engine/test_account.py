"""An account over real WebSockets: it comes back, goes to the next server, and keeps its calls."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cancelling import connections_to
from certificates import server_context
from sip_server import SDP, SILENCE, SipServer
from sip_world import build_request
from waiting import until
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request
from websockets.typing import Subprotocol

from plivo_nb import CallFailed, Client, LoginFailed
from plivo_nb.engine import account as account_module
from plivo_nb.engine.account import Account
from plivo_nb.engine.engine import Engine
from plivo_nb.engine.log import Log
from plivo_nb.sip import events as sip


class Phone:
    """An account and what it reports."""

    def __init__(self, engine: Engine, *servers: SipServer, **settings: Any) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.sip: list[sip.Event] = []
        self.restored = 0
        self.account = Account(
            engine,
            tuple(server.url for server in servers),
            lambda *event: self.events.append(event),
            Log(),
            on_sip_event=lambda event, at: self.sip.append(event),
            on_restored=self._on_restored,
            **settings,
        )

    def _on_restored(self) -> None:
        self.restored += 1

    async def login(self) -> None:
        await self.account.login("alice", "secret")

    def names(self) -> list[str]:
        return [event[0] for event in self.events if event[0] != "onConnectionChange"]

    async def in_call(self, server: SipServer) -> str:
        call = self.account.invite("bob", SDP, [])
        await until(lambda: any(isinstance(event, sip.Answered) for event in self.sip))
        assert server.of("INVITE")
        return call


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    yield engine
    await engine.close()


@pytest.fixture
async def phones(engine: Engine) -> AsyncIterator[Any]:
    made: list[Phone] = []

    def make(*servers: SipServer, **settings: Any) -> Phone:
        made.append(Phone(engine, *servers, **settings))
        return made[-1]

    yield make
    for phone in made:
        await phone.account.logout()


async def test_refreshes_refused_until_expiry_and_then_a_drop(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 503]) as server:
        server.expires = 2
        phone = phones(server)
        await phone.login()
        await until(lambda: phone.names() == ["onLoginFailed"], 10)
        assert not phone.account.registered, "logged in means bound"
        await server.drop(1012)
    server.statuses.clear()
    server.expires = 120
    async with server:
        await until(lambda: phone.names() == ["onLoginFailed", "onLogin"], 30)
        assert phone.account.registered


@pytest.mark.parametrize("keep_alive", ["\r\n\r\n", b"\r\n\r\n"], ids=["text", "binary"])
async def test_a_keep_alive_of_the_server_is_answered_on_the_wire(
    phones: Any, keep_alive: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with SipServer() as server:
        phone = phones(server)
        await phone.login()
        for answered in (1, 2):
            await server.sockets[-1].send(keep_alive)
            await until(lambda count=answered: server.keep_alives == ["\r\n"] * count)
        await phone.in_call(server)  # messages go on, and are in the trace
        assert [record for record in caplog.records if record.name.startswith("plivo_nb")] == []


async def test_a_short_outage_is_not_told(phones: Any) -> None:
    async with SipServer() as server:
        phone = phones(server)
        await phone.login()
        await server.drop(1006 if False else 1011)
        await until(lambda: phone.restored == 1, 10)
        assert phone.names() == []
        assert phone.account.registered


@pytest.mark.parametrize("status", [503, 500, 480, 408, 100, SILENCE])
async def test_login_goes_to_the_next_server(phones: Any, status: int) -> None:
    async with SipServer(REGISTER=status) as ill, SipServer() as well:
        phone = phones(ill, well)
        async with asyncio.timeout(8):
            await phone.login()
        assert len(well.of("REGISTER")) == 1
        assert phone.account.registered


async def test_login_fails_when_no_server_takes_us_and_says_why(phones: Any) -> None:
    async with SipServer(REGISTER=503) as first, SipServer(REGISTER=SILENCE) as second:
        phone = phones(first, second)
        with pytest.raises(LoginFailed, match="503") as failed:
            async with asyncio.timeout(8):
                await phone.login()
        assert "does not answer" in str(failed.value)
        await until(lambda: not first.sockets and not second.sockets)


async def test_a_refusal_is_not_taken_to_the_next_server(phones: Any) -> None:
    async with SipServer(REGISTER=403) as first, SipServer() as second:
        with pytest.raises(LoginFailed):
            await phones(first, second).login()
        assert not second.requests


async def test_retry_after_bars_only_the_server_that_sent_it(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 503]) as first, SipServer() as second:
        first.headers[503] = [("Retry-After", "3600")]
        first.expires = 2
        phone = phones(first, second)
        await phone.login()
        await until(lambda: phone.restored == 1, 10)
        for restored in (2, 3):
            await second.drop()
            await until(lambda wanted=restored: phone.restored == wanted, 20)
        assert first.opened == 1
        assert max(phone.account._barred_until.values()) <= phone.account._now + 60


async def test_a_call_keeps_its_socket_until_another_server_has_registered_us(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 503]) as old, SipServer(REGISTER=[503, 200]) as new:
        old.expires = 2
        phone = phones(old, new)
        await phone.login()
        call = await phone.in_call(old)
        await until(lambda: len(new.of("REGISTER")) == 1, 10)
        await until(lambda: not new.sockets)
        assert len(old.sockets) == 1, "the new one refused: the call stays where it is"
        phone.account.info(call, "text/plain", b"x")
        await until(lambda: old.of("INFO"))
        await until(lambda: phone.restored == 1, 20)
        await until(lambda: not old.sockets)
        phone.account.hangup(call)
        await until(lambda: new.of("BYE") or old.of("BYE"))
        changes = [event[1] for event in phone.events if event[0] == "onConnectionChange"]
        assert [change["state"] for change in changes] == ["connected", "disconnected", "connected"]
        assert changes[1]["eventCode"] == 1000


async def test_a_call_leaves_a_server_that_falls_silent(phones: Any) -> None:
    async with SipServer(REGISTER=[200, SILENCE]) as old, SipServer() as new:
        old.expires = 2
        phone = phones(old, new)
        await phone.login()
        call = await phone.in_call(old)
        await until(lambda: phone.restored == 1, 20)
        changes = [event[1] for event in phone.events if event[0] == "onConnectionChange"]
        assert [change.get("eventCode") for change in changes] == [None, 1006, None]
        assert changes[1]["eventReason"] == "the server does not answer"
        assert call in phone.account._ua.live_calls


@pytest.mark.parametrize("method", ["INVITE", "INFO", "BYE"])
async def test_no_final_response_in_a_call_touches_the_socket(phones: Any, method: str) -> None:
    async with SipServer(**{method: 503}) as server:
        phone = phones(server)
        await phone.login()
        if method == "INVITE":
            phone.account.invite("bob", SDP, [])
        else:
            call = await phone.in_call(server)
            if method == "INFO":
                phone.account.info(call, "text/plain", b"x")
            else:
                phone.account.hangup(call)
        await until(lambda: server.of(method))
        await asyncio.sleep(1)
        assert (server.opened, len(server.sockets)) == (1, 1)


async def test_the_far_end_stops_ringing_when_our_socket_died(phones: Any) -> None:
    for status in (180, SILENCE):
        async with SipServer(INVITE=status) as server:
            phone = phones(server)
            await phone.login()
            phone.account.invite("bob", SDP, [])
            await until(lambda server=server: server.of("INVITE"))
            await asyncio.sleep(0.1)
            await server.drop()
            await until(lambda server=server: server.of("CANCEL"), 10)
            assert server.of("CANCEL")[0].via.branch == server.of("INVITE")[0].via.branch


async def test_a_ringing_call_survives_a_503_at_the_new_registration(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 503, 200]) as server:
        phone = phones(server)
        await phone.login()
        invite = build_request("INVITE")
        invite.uri = phone.account._ua.contact
        invite.headers.add("Contact", "<sip:a@a.invalid>")
        await server.send(invite)
        await until(lambda: any(isinstance(event, sip.InviteReceived) for event in phone.sip))
        received = next(event for event in phone.sip if isinstance(event, sip.InviteReceived))
        phone.account.ring(received.call)
        await server.drop()
        await until(lambda: phone.restored == 1, 20)
        assert received.call in phone.account._ua.live_calls
        phone.account.accept(received.call, SDP)
        assert not [event for event in phone.sip if isinstance(event, sip.Canceled | sip.NoAnswer)]


async def test_a_refusal_during_a_reconnection_is_told_once_and_ends_it(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 403, 403, 200]) as server:
        phone = phones(server)
        await phone.login()
        await server.drop()
        await until(lambda: phone.names() == ["onLoginFailed"], 10)
        await until(lambda: phone.account._reconnecting is None)
        assert not phone.account.registered
        await server.drop()
        await until(lambda: len(server.of("REGISTER")) == 3, 10)
        await until(lambda: phone.account._reconnecting is None)
        assert phone.names() == ["onLoginFailed"]
        await server.drop()
        await until(lambda: phone.names() == ["onLoginFailed", "onLogin"], 10)


async def test_the_time_to_the_next_attempt_is_known_while_one_is_due(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 503, SILENCE, 200]) as server:
        phone = phones(server)
        assert phone.account.reconnect_in_s is None
        coming = asyncio.ensure_future(phone.login())
        while phone.account.reconnect_in_s != 0.0 and not coming.done():
            await asyncio.sleep(0)
        assert phone.account.reconnect_in_s == 0.0
        await coming
        assert phone.account.reconnect_in_s is None
        await server.drop()
        await until(lambda: phone.account.reconnect_in_s is not None)
        assert 0.0 < phone.account.reconnect_in_s < 1.0  # the first pause
        await until(lambda: len(server.of("REGISTER")) == 2)
        await until(lambda: phone.account.reconnect_in_s > 1.0)  # the second one
        await until(lambda: phone.account.reconnect_in_s == 0.0, 10)  # under way, and not answered
        await phone.account.logout()
        assert phone.account.reconnect_in_s is None


async def test_nothing_is_attempted_after_a_refusal(phones: Any) -> None:
    async with SipServer(REGISTER=[200, 403]) as server:
        phone = phones(server)
        await phone.login()
        await server.drop()
        await until(lambda: phone.names() == ["onLoginFailed"], 10)
        await until(lambda: phone.account.reconnect_in_s is None)


async def test_logout_during_a_reconnection_leaves_nothing(phones: Any) -> None:
    async with SipServer() as server:
        phone = phones(server)
        await phone.login()
        await server.drop()
        await phone.account.logout()
        await asyncio.sleep(1)
        assert server.opened == 1


async def test_a_login_that_is_logged_out_is_canceled(phones: Any) -> None:
    async with SipServer(REGISTER=SILENCE) as server:
        phone = phones(server)
        login = asyncio.ensure_future(phone.login())
        await until(lambda: server.of("REGISTER"))
        await phone.account.logout()
        with pytest.raises(LoginFailed) as failed:
            await login
        assert failed.value.cause == "Canceled"


def test_the_pauses_are_as_long_as_said() -> None:
    for _ in range(50):
        pauses = account_module._pauses()
        for expected in (0.5, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0):
            assert 0.8 * expected <= next(pauses) <= 1.2 * expected


async def test_over_wss_via_says_so_and_a_private_authority_is_trusted_by_ca_file(
    engine: Engine, phones: Any, tmp_path: Path
) -> None:
    context, ca_file = server_context(tmp_path)
    server = SipServer()
    server.tls = context
    async with server:
        with pytest.raises(LoginFailed, match="TLS"):
            await phones(server).login()
        phone = phones(server, ca_file=str(ca_file))
        await phone.login()
        assert {request.via.transport for request in server.requests} == {"WSS"}
    assert isinstance(context, ssl.SSLContext)


@pytest.mark.parametrize(
    "url", ["ws://192.0.2.1:5066", "ws://localhost.example.com", "http://127.0.0.1", "nonsense", 3, None]
)
async def test_a_refused_server_is_not_replaced_and_login_says_so(url: Any) -> None:
    async with Client(registrationDomainSocket=[url], sound="none", debug="OFF") as client:
        causes: list[str] = []
        client.on("onLoginFailed", causes.append)
        with pytest.raises(LoginFailed, match="registrationDomainSocket"):
            await client.login("alice", "secret")
        await until(lambda: causes)


async def test_a_login_cancelled_while_its_socket_is_opened_leaves_no_connection(
    engine: Engine, phones: Any
) -> None:
    asked, go, frames = asyncio.Event(), asyncio.Event(), []

    async def accept(connection: ServerConnection, request: Request) -> None:
        asked.set()
        await go.wait()

    async def keep(connection: ServerConnection) -> None:
        frames.extend([frame async for frame in connection])

    async with SipServer() as server, serve(
        keep, "127.0.0.1", 0, subprotocols=[Subprotocol("sip")], process_request=accept
    ) as slow:  # fmt: skip
        server.port = next(iter(slow.sockets)).getsockname()[1]
        login = asyncio.create_task(phones(server).login())
        await asked.wait()
        login.cancel()
        with pytest.raises(asyncio.CancelledError):
            await login
        go.set()
        await until(lambda: not connections_to(server.port)())
        assert engine.plane_runs
        assert frames == []
    gc.collect()


async def test_a_login_cancelled_as_the_plane_stops_does_not_start_another_one(
    engine: Engine, phones: Any
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        server = SipServer()
        server.port = silent.getsockname()[1]
        login = asyncio.create_task(phones(server).login())
        await until(lambda: engine.plane_runs)
        await engine.close()
        with pytest.raises((asyncio.CancelledError, LoginFailed)):
            await login
        assert not engine.plane_runs


async def test_a_redirect_to_another_host_is_told_with_its_contact_and_not_followed() -> None:
    async with SipServer(INVITE=302) as server:
        server.headers[302] = [("Contact", '"Bob\'s cell" <sip:bob@elsewhere.example;transport=tls>')]
        async with Client(
            registrationDomainSocket=[server.url], sound="none", enableTracking=False, debug="OFF"
        ) as client:
            failures: list[Any] = []
            client.on("onCallFailed", lambda cause, info: failures.append((cause, info)))
            await client.login("alice", "secret")
            with pytest.raises(CallFailed) as caught:
                await client.call("bob")
            await until(lambda: failures)
        [(cause, info)] = failures
        assert (caught.value.cause, cause) == ("Redirected", "Redirected")
        assert caught.value.callInfo.contact == info.contact == "sip:bob@elsewhere.example;transport=tls"
        assert (info.code, info.originator, info.state) == (302, "remote", "failed")
        assert len(server.of("INVITE")) == 1
