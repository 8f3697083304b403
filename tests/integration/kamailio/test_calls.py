"""Two of our clients call each other through Kamailio, media end to end (tests/integration/kamailio)."""

from __future__ import annotations

import asyncio
import functools
import itertools
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cable import cable
from client_phone import Person, hear_each_other, people, talk
from hearing import Ear
from kamailio_rig import FLAVOURS, Kamailio, expected_uuid, free_ports, password
from sip_phone import SipPhone
from waiting import stays, until
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from plivo_nb import CallFailed, LoginFailed
from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.transport.dtls import make_certificate
from plivo_nb.plane import wire
from plivo_nb.plane.media_session import MediaSession
from plivo_nb.quality.sampler import ClockAnchor
from plivo_nb.sip import events as sip_events
from plivo_nb.sip.message import Request, Response, parse
from plivo_nb.sip.user_agent import UserAgentConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.call import Call

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    server = Kamailio(tmp_path_factory.mktemp("kamailio"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


def names(*stems: str) -> list[str]:
    """Users that no other test has."""
    number = next(_numbers)
    return [f"{stem}{number}" for stem in stems]


def plain(kamailio: Kamailio, *stems: str) -> list[tuple[str, str]]:
    return [(kamailio.plain, user) for user in names(*stems)]


async def test_login_and_logout(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice")) as [alice]:
        assert alice.client.is_logged_in
        assert len(await kamailio.contacts(alice.user)) == 1
        await alice.client.logout()
        assert not alice.client.is_logged_in
        assert await kamailio.contacts(alice.user) == []
        assert [event for event in alice.names() if event != "onMediaPermission"] == [
            "onConnectionChange",
            "onLogin",
            "onLogout",
        ]


async def test_wrong_password_and_banned_user(kamailio: Kamailio) -> None:
    mallory, banned = names("mallory", "banned")
    for user, secret, cause in (
        (mallory, "not-it", "Authentication Error"),
        (banned, f"{banned}-secret", "Rejected"),
    ):
        person = Person(kamailio.bare, user)
        try:
            with pytest.raises(LoginFailed) as caught:
                await person.client.login(user, secret)
            assert caught.value.cause == cause
            assert await person.expect("onLoginFailed") == (cause,)
            assert not person.client.is_logged_in
        finally:
            await person.client.close()


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_call_with_sound_both_ways(kamailio: Kamailio, flavour: str) -> None:
    url = kamailio.url(flavour)
    async with people(*((url, user) for user in names("alice", "bob"))) as [alice, bob]:
        calling = alice.client.call(bob.user, {"X-PH-Order": "a-1"})
        caller_id, headers, info = await bob.expect("onIncomingCall")
        assert caller_id == f"{alice.user}@phone.plivo.com"
        assert {key.lower(): value for key, value in headers.items()} == {"x-ph-order": "a-1"}
        [ringing] = await alice.expect("onCallRemoteRinging")
        there = await bob.client.answer(info.callUUID)
        here = await calling
        await hear_each_other(here, there)
        assert ringing.callUUID == here.info.callUUID == there.info.callUUID
        call_id = alice.last_call_id()
        assert here.info.callUUID == (call_id if flavour == "bare" else expected_uuid(call_id))
        ending = here if flavour == "plain" else there  # each side hangs up in its turn
        await ending.hangup()
        ended = await asyncio.gather(alice.expect("onCallTerminated"), bob.expect("onCallTerminated"))
        assert {one.state for one, *_ in ended} == {"ended"}
        assert {one.originator for one, *_ in ended} == {"local", "remote"}


async def test_reject_and_busy(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob", "carol")) as [alice, bob, carol]:
        calling = alice.client.call(bob.user)
        await bob.expect("onIncomingCall")
        await bob.client.reject()
        with pytest.raises(CallFailed) as caught:
            await calling
        assert caught.value.cause == "Busy"  # reject sends 486
        assert (await bob.expect("onCallFailed"))[0] == "Rejected"

        here, there = await talk(alice, bob)
        with pytest.raises(CallFailed) as caught:
            await carol.client.call(bob.user)
        assert (caught.value.cause, caught.value.call_info.code) == ("Busy", 486)
        assert bob.names().count("onIncomingCall") == 2  # carol's attempt was silent
        assert (here.phase, there.phase) == ("answered", "answered")
        await here.hangup()


async def test_cancel_while_ringing(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        calling = alice.client.call(bob.user)
        await bob.expect("onIncomingCall")
        await alice.expect("onCallRemoteRinging")
        info = await alice.client.hangup()
        assert info.state == "canceled"
        with pytest.raises(CallFailed) as caught:
            await calling
        assert caught.value.cause == "Canceled"
        [canceled] = await bob.expect("onIncomingCallCanceled")
        assert canceled.state == "canceled"


async def test_ignored_then_408(kamailio: Kamailio, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = functools.partial(UserAgentConfig, no_answer_timeout_s=1.0)
    monkeypatch.setattr("plivo_nb.engine.account.UserAgentConfig", impatient)
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        calling = alice.client.call(bob.user)
        await bob.expect("onIncomingCall")
        assert (await bob.client.ignore()).state == "ignored"
        await bob.expect("onIncomingCallIgnored")
        with pytest.raises(CallFailed) as caught:
            await calling
        assert caught.value.call_info.code == 408
        await stays(lambda: bob.names()[-1] == "onIncomingCallIgnored", 0.1, describe=bob.names)


async def test_nobody_answers(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        calling = alice.client.call(f"wait-{bob.user}")
        await bob.expect("onIncomingCall")
        with pytest.raises(CallFailed) as caught:
            await calling
        assert caught.value.call_info.code == 408
        await bob.expect("onIncomingCallCanceled")


async def test_failures_by_number(kamailio: Kamailio) -> None:
    wanted = {
        403: "Rejected",
        404: "Not Found",
        480: "Unavailable",  # whatever the Reason header says (here Q.850 cause 18)
        484: "Address Incomplete",
        486: "Busy",
        488: "Incompatible SDP",
        500: "SIP Failure Code",
        503: "SIP Failure Code",
        600: "Busy",
        603: "Rejected",
    }
    async with people(*plain(kamailio, "alice")) as [alice]:
        got = {}
        for code in wanted:
            with pytest.raises(CallFailed) as caught:
                await alice.client.call(f"code-{code}")
            info = caught.value.call_info
            assert (info.code, info.originator) == (code, "remote")
            got[code] = caught.value.cause
            if code == 486:
                assert "User busy" in str(info.protocol) + str(info.reason)
        assert got == wanted


async def test_redirected_call_follows(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        here, there = await talk(alice, bob, f"moved-{bob.user}")
        await hear_each_other(here, there)
        await there.hangup()
        await alice.expect("onCallTerminated")


async def test_forked_calls(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob", "carol")) as [alice, bob, carol]:
        calling = alice.client.call(f"fork-{bob.user}-{carol.user}")
        await asyncio.gather(bob.expect("onIncomingCall"), carol.expect("onIncomingCall"))
        there = await carol.client.answer()
        here = await calling
        await bob.expect("onIncomingCallCanceled")
        await hear_each_other(here, there)
        await here.hangup()
        await carol.expect("onCallTerminated")

        calling = alice.client.call(f"hunt-{bob.user}-{carol.user}")
        await bob.expect("onIncomingCall")
        await bob.client.reject()
        await carol.expect("onIncomingCall")
        there = await carol.client.answer()
        here = await calling
        await hear_each_other(here, there)
        await there.hangup()
        await alice.expect("onCallTerminated")


async def test_an_ack_without_the_sdp_that_is_due_ends_the_call(kamailio: Kamailio) -> None:
    gateway_user, bob_user = names("gateway", "bob")
    gateway = SipPhone(kamailio.plain, gateway_user)
    async with people((kamailio.plain, bob_user)) as [bob]:
        await gateway.connect()
        await gateway.register()
        gateway.invite(bob_user, b"")
        await bob.expect("onIncomingCall")
        with pytest.raises(CallFailed, match="Incompatible SDP"):
            await bob.client.answer()
        ended = await gateway.expect(sip_events.Ended)
        assert ended.originator == "remote"
        await gateway.disconnect()


async def far_end(offer: str, tone_hz: float) -> tuple[MediaSession, asyncio.Task[None], str]:
    """A media session that answers an offer and plays a tone; and its ticker."""
    made = MediaSession(
        1, wire.SessionConfig(loopback_candidates=True), lambda report: None, ClockAnchor.now()
    )
    made.set_source(Tone(tone_hz, -10))
    made.set_remote("offer", offer)
    answer = await made.create_answer()

    async def tick() -> None:
        due = time.monotonic()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            made.tick(time.monotonic())

    return made, asyncio.create_task(tick()), answer


async def test_the_branch_that_answers_is_heard_though_another_with_its_certificate_was_before(
    kamailio: Kamailio, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice_user, server_user = names("alice", "server")
    server = SipPhone(kamailio.plain, server_user)
    async with people((kamailio.plain, alice_user)) as [alice]:
        certificate = make_certificate()  # the client has its own already; a server has one for all calls
        await server.connect()
        await server.register()
        calling = alice.client.call(server_user)
        incoming = await server.expect(sip_events.InviteReceived)
        monkeypatch.setattr("plivo_nb.media.transport.transport.make_certificate", lambda: certificate)
        first, first_ticks, first_sdp = await far_end(incoming.body.decode(), 600)
        second, second_ticks, second_sdp = await far_end(incoming.body.decode(), 1500)
        invite = parse(server.requests("INVITE")[-1])
        assert isinstance(invite, Request)
        early = Response.to_request(invite, 183, to_tag="first")
        early.headers.add("Contact", f"<{server.agent.contact}>")
        early.headers.add("Content-Type", "application/sdp")
        early.body = first_sdp.encode()
        await server.send(str(early))
        await until(lambda: first.stats().get("inbound-rtp", {}).get("packetsReceived", 0) > 10)
        first_ticks.cancel()
        await first.close()
        server.do(server.agent.accept, incoming.call, second_sdp.encode())
        call = await calling
        ear = Ear()
        call.add_sink(ear)
        await ear.hears(1500)
        await call.hangup()
        second_ticks.cancel()
        await second.close()
        await asyncio.gather(first_ticks, second_ticks, return_exceptions=True)
        await server.disconnect()


def tshark(path: Path, *arguments: str) -> list[list[str]]:
    """Rows of what tshark finds without any setting."""
    command = ["tshark", "-r", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


def fields(path: Path, what: str, *names: str) -> list[list[str]]:
    """The values of these fields in the packets that a display filter finds."""
    return tshark(path, "-Y", what, "-T", "fields", *(word for name in names for word in ("-e", name)))


@pytest.mark.parametrize(("codec", "decoded"), [("OPUS", "opus"), ("PCMU", "g711U")])
async def test_a_capture_opens_as_a_call(
    kamailio: Kamailio, tmp_path: Path, codec: str, decoded: str
) -> None:
    path = tmp_path / "call.pcapng"
    async with people(*plain(kamailio, "alice", "bob"), codecs=[codec]) as [alice, bob]:
        here, there = await talk(alice, bob)
        await here.capture(path)
        await hear_each_other(here, there)
        await here.hangup()
        await here.ended
    rows = fields(path, "sip", "sip.Method", "sip.Status-Code", "frame.comment")
    messages = [row[0] or row[1] for row in rows]
    final = [message for message in messages if message not in ("100", "407", "180")]
    # The answer to the BYE is in the file if it comes before the media session has closed.
    assert final[-4:] == ["INVITE", "200", "ACK", "BYE"] or final[-5:-1] == ["INVITE", "200", "ACK", "BYE"]
    assert "UDP/TLS/RTP/SAVPF" in "".join(row[-1] for row in rows)
    rows = fields(path, "rtp", "rtp.ssrc", "rtp.setup-method")
    assert len({row[0] for row in rows}) == 2
    assert {row[1] for row in rows} == {"SDP"}
    assert len(rows) > 20
    if codec == "OPUS":
        assert len(fields(path, "opus", "rtp.seq")) == len(rows)
    streams = [" ".join(row) for row in tshark(path, "-q", "-z", "rtp,streams")]
    assert len([line for line in streams if f" {decoded} " in line]) == 2, streams
    assert fields(path, "rtcp", "rtcp.pt")
    assert not [user for user in (alice.user, bob.user) if password(user).encode() in path.read_bytes()]


async def test_digits_by_info(kamailio: Kamailio) -> None:
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        here, there = await talk(alice, bob)
        await here.send_dtmf("159#*0")
        received = [(await bob.expect("onDtmfReceived"))[0]["tone"] for _ in range(6)]
        assert "".join(received) == "159#*0"
        await there.send_dtmf("7")
        assert (await alice.expect("onDtmfReceived"))[0] == {"tone": "7", "duration": 100}
        await here.hangup()


@pytest.mark.parametrize("flavour", ["plain", "bare"])
async def test_socket_cut_in_mid_call_and_back(kamailio: Kamailio, flavour: str) -> None:
    alice_name, bob_name = names("alice", "bob")
    async with cable(kamailio.ports[flavour]) as line:
        specs = [(line.url, alice_name), (kamailio.url(flavour), bob_name)]
        async with people(*specs) as [alice, bob]:
            await alice.expect("onConnectionChange")
            here, there = await talk(alice, bob)
            ears = await hear_each_other(here, there)
            line.cut()
            [change] = await alice.expect("onConnectionChange")
            assert (change["state"], change["eventCode"]) == ("disconnected", 1006)
            await back_and_hung_up(kamailio, alice, bob, there, ears)


async def test_socket_closed_by_the_server_in_mid_call_and_back(kamailio: Kamailio) -> None:
    """Kamailio sends a Close and leaves the TCP connection open: the client must not wait for its end."""
    async with people(*plain(kamailio, "alice", "bob")) as [alice, bob]:
        await alice.expect("onConnectionChange")
        here, there = await talk(alice, bob)
        ears = await hear_each_other(here, there)
        assert await kamailio.close_socket(alice.user) == 1
        [change] = await alice.expect("onConnectionChange", timeout_s=3)
        assert (change["state"], change["eventCode"]) == ("disconnected", 1000)
        assert change["eventReason"] == "Normal closure"
        await back_and_hung_up(kamailio, alice, bob, there, ears)


async def back_and_hung_up(
    server: Kamailio, alice: Person, bob: Person, at_bob: Call, ears: tuple[Ear, Ear]
) -> None:
    """Alice is back on a new socket, the sound never went, and Bob's hang-up finds its way to her."""
    assert await alice.expect("onConnectionChange") == ({"state": "connected"},)
    await until(lambda: _registered(server, alice.user))
    await back_on_the_line(alice, bob, at_bob, ears)


async def back_on_the_line(alice: Person, bob: Person, at_bob: Call, ears: tuple[Ear, Ear]) -> None:
    """The sound goes both ways, no end was told, and Bob's hang-up finds its way to Alice."""
    ears[0].forget(), ears[1].forget()
    await asyncio.gather(ears[0].hears(660), ears[1].hears(440))
    assert "onCallTerminated" not in alice.names() + bob.names()
    await at_bob.hangup()
    [info] = await alice.expect("onCallTerminated", timeout_s=3)
    assert info.originator == "remote"


async def test_server_killed_in_mid_call_and_back(tmp_path: Path) -> None:
    """Kamailio is killed and comes back with an empty memory: the sound goes on, and the next call works.

    Neither side's new connection can be told to the other, so each hangs up for itself.
    """
    server = Kamailio(tmp_path)
    server.start()
    try:
        async with people(*plain(server, "alice", "bob")) as [alice, bob]:
            here, there = await talk(alice, bob)
            ears = await hear_each_other(here, there)
            await asyncio.to_thread(server.restart)
            for phone in (alice, bob):
                await until(lambda phone=phone: _registered(server, phone.user))
            ears[0].forget(), ears[1].forget()
            await asyncio.gather(ears[0].hears(660), ears[1].hears(440))
            await asyncio.gather(here.hangup(), there.hangup())
            here, there = await talk(bob, alice)
            await hear_each_other(here, there)
            await here.hangup()
            await alice.expect("onCallTerminated")
    finally:
        server.stop()


async def test_next_server_takes_over(kamailio: Kamailio) -> None:
    """The first server of the list does not listen, the second goes away in mid-call, the third keeps it."""
    alice_name, bob_name = names("alice", "bob")
    [nobody] = free_ports(1)
    async with cable(kamailio.ports["plain"]) as second, cable(kamailio.ports["plain"]) as third:
        servers = [f"ws://127.0.0.1:{nobody}", second.url, third.url]
        async with people((servers, alice_name), (kamailio.plain, bob_name)) as [alice, bob]:
            assert (second.accepted, third.accepted) == (1, 0)
            await alice.expect("onConnectionChange")
            here, there = await talk(alice, bob)
            ears = await hear_each_other(here, there)
            await second.close()
            [change] = await alice.expect("onConnectionChange")
            assert change["state"] == "disconnected"
            await back_and_hung_up(kamailio, alice, bob, there, ears)
            assert third.accepted == 1


async def test_silent_server_is_found_out(kamailio: Kamailio, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection stays open and nothing comes any more: it is replaced, and the call goes on."""
    wary = functools.partial(UserAgentConfig, keepalive_s=1.0, response_s=1.0)
    monkeypatch.setattr("plivo_nb.engine.account.UserAgentConfig", wary)
    alice_name, bob_name = names("alice", "bob")
    async with cable(kamailio.ports["plain"]) as frozen, cable(kamailio.ports["plain"]) as good:
        specs = [([frozen.url, good.url], alice_name), (kamailio.plain, bob_name)]
        async with people(*specs) as [alice, bob]:
            await alice.expect("onConnectionChange")
            here, there = await talk(alice, bob)
            ears = await hear_each_other(here, there)
            frozen.freeze()
            [change] = await alice.expect("onConnectionChange", timeout_s=6)
            assert (change["state"], change["eventCode"]) == ("disconnected", 1006)
            await alice.expect("onConnectionChange", timeout_s=6)
            await until(lambda: _registered(kamailio, alice.user))
            await back_on_the_line(alice, bob, there, ears)


async def test_login_passes_over_a_server_that_says_nothing(
    kamailio: Kamailio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "plivo_nb.engine.account.UserAgentConfig", functools.partial(UserAgentConfig, response_s=1.0)
    )
    [alice_name] = names("alice")
    async with serve(_listen_only, "127.0.0.1", 0, subprotocols=[Subprotocol("sip")]) as mute:
        port = next(iter(mute.sockets)).getsockname()[1]
        async with people(([f"ws://127.0.0.1:{port}", kamailio.plain], alice_name)) as [alice]:
            assert alice.client.is_logged_in
            assert len(await kamailio.contacts(alice.user)) == 1
            assert alice.names().count("onLogin") == 1
            assert "onLoginFailed" not in alice.names()


async def _listen_only(connection: ServerConnection) -> None:
    async for _ in connection:
        pass


async def test_blocked_kernel_registers_again_and_keeps_its_call(tmp_path: Path) -> None:
    """A cell blocks the loop for longer than the registration lasts: sound goes on, then all is as before."""
    server = Kamailio(tmp_path, max_expires_s=4)
    server.start()
    try:
        async with people(*plain(server, "alice", "bob")) as [alice, bob]:
            here, there = await talk(alice, bob)
            ears = await hear_each_other(here, there)

            def contacts_after_a_while() -> list[dict[str, Any]]:
                time.sleep(6)
                return asyncio.run(server.contacts(alice.user))

            with ThreadPoolExecutor(1) as other:  # this thread is blocked until that one knows
                assert other.submit(contacts_after_a_while).result() == []
            await until(lambda: _registered(server, alice.user), timeout_s=2)
            await back_on_the_line(alice, bob, there, ears)
            assert "disconnected" not in str(alice.events)
            assert "onLoginFailed" not in alice.names()
    finally:
        server.stop()


async def _registered(server: Kamailio, user: str) -> bool:
    return len(await server.contacts(user)) == 1
