"""The SIP core against Kamailio: every message real, no media (tests/integration/kamailio)."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from typing import TYPE_CHECKING

import pytest
from kamailio_rig import FLAVOURS, Kamailio, expected_uuid
from sip_phone import HELD, HOLD, SDP, SipPhone, phones
from waiting import stays, until

from plivo_nb.sip import events as ua

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    server = Kamailio(tmp_path_factory.mktemp("kamailio"))
    try:
        server.start()
        yield server
        assert server.complaints == []
    finally:
        server.stop()


@pytest.fixture(scope="module")
def other_kamailio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kamailio]:
    """SHA-256, and registrations of 5 s at the most."""
    server = Kamailio(tmp_path_factory.mktemp("kamailio-other"), sha256=True, max_expires_s=5)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def name(stem: str) -> str:
    """A user that no other test has."""
    return f"{stem}{next(_numbers)}"


def header(text: str, wanted: str) -> str | None:
    found = re.search(rf"^{wanted}:[ ]*(.*?)\r$", text, re.MULTILINE | re.IGNORECASE)
    return found[1] if found else None


async def talk(caller: SipPhone, callee: SipPhone, target: str | None = None) -> tuple[str, str]:
    """Call, ring, answer, confirm. Gives the call's keys at both ends."""
    out = caller.invite(target or callee.user)
    incoming = await callee.expect(ua.InviteReceived)
    callee.do(callee.agent.ring, incoming.call)
    progress = await caller.expect(ua.Progress)
    assert progress.code == 180
    callee.do(callee.agent.accept, incoming.call, SDP)
    answered = await caller.expect(ua.Answered)
    assert (answered.call, answered.body) == (out, SDP)
    await callee.expect(ua.Confirmed)
    return out, incoming.call


async def hang_up(one: SipPhone, other: SipPhone, call: str) -> None:
    one.do(one.agent.hangup, call)
    ended_here, ended_there = await asyncio.gather(one.expect(ua.Ended), other.expect(ua.Ended))
    assert ended_here.originator == "local"
    assert ended_there.originator == "remote"


# -- registration ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_registers_and_unregisters(kamailio: Kamailio, flavour: str) -> None:
    async with phones((kamailio.url(flavour), name("alice"))) as [alice]:
        contacts = await kamailio.contacts(alice.user)
        assert len(contacts) == 1
        assert ".invalid;transport=ws" in contacts[0]["Address"]
        assert contacts[0]["Reg-Id"] == 1
        assert contacts[0]["Instance"].startswith("<urn:uuid:")
        alice.do(alice.agent.unregister)
        await alice.expect(ua.Unregistered)
        assert await kamailio.contacts(alice.user) == []


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_registers_and_calls_with_sha256(other_kamailio: Kamailio, flavour: str) -> None:
    url = other_kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        assert any("algorithm=SHA-256" in text for text in alice.received)
        out, _ = await talk(alice, bob)
        await hang_up(alice, bob, out)


async def test_wrong_password_is_401_twice(kamailio: Kamailio) -> None:
    phone = SipPhone(kamailio.plain, name("mallory"), password="not-it")
    await phone.connect()
    try:
        phone.do(phone.agent.register, phone.user, phone.password)
        failed = await phone.expect(ua.RegistrationFailed)
        assert failed.code == 401
        await stays(lambda: len(phone.requests("REGISTER", received=False)) == 2, 0.2)
    finally:
        await phone.disconnect()


async def test_banned_user_gets_403(kamailio: Kamailio) -> None:
    phone = SipPhone(kamailio.bare, name("banned"))
    await phone.connect()
    try:
        phone.do(phone.agent.register, phone.user, phone.password)
        assert (await phone.expect(ua.RegistrationFailed)).code == 403
    finally:
        await phone.disconnect()


async def test_interval_too_brief_is_asked_again_with_what_the_server_wants(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("brief"))) as [phone]:
        assert any(text.startswith("SIP/2.0 423") for text in phone.received)
        [contact] = await kamailio.contacts(phone.user)
        assert contact["Expires"] > 290


async def test_refreshes_before_it_runs_out(other_kamailio: Kamailio) -> None:
    """The server gives 5 s where 120 were asked for; 7 s on, the user has been there all the time, once."""
    async with phones((other_kamailio.plain, name("alice"))) as [phone]:
        event = next(one for one in phone.seen if isinstance(one, ua.Registered))
        assert (event.expires_s, event.refreshed) == (5, False)

        async def registered_once() -> bool:
            [contact] = await other_kamailio.contacts(phone.user)
            return bool(contact["Expires"] != "expired")

        await stays(registered_once, 7.0, interval_s=0.5)
        assert (await phone.expect(ua.Registered)).refreshed
        call_ids = {header(text, "Call-ID") for text in phone.requests("REGISTER", received=False)}
        assert len(call_ids) == 1


async def test_two_phones_of_one_user_ring_together(kamailio: Kamailio) -> None:
    bob = name("bob")
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, bob), (kamailio.bare, bob)) as [
        alice,
        desk,
        mobile,
    ]:
        assert len(await kamailio.contacts(bob)) == 2
        call = alice.invite(bob)
        at_desk, at_mobile = await asyncio.gather(
            desk.expect(ua.InviteReceived), mobile.expect(ua.InviteReceived)
        )
        desk.do(desk.agent.ring, at_desk.call)
        mobile.do(mobile.agent.ring, at_mobile.call)
        mobile.do(mobile.agent.accept, at_mobile.call, SDP)
        await asyncio.gather(alice.expect(ua.Answered), mobile.expect(ua.Confirmed), desk.expect(ua.Canceled))
        await hang_up(alice, mobile, call)


# -- calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_calls_both_ways(kamailio: Kamailio, flavour: str) -> None:
    url = kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        out, _ = await talk(alice, bob)
        routed = header(alice.requests("ACK", received=False)[-1], "Route")
        assert (routed is None) == (flavour == "bare")
        await hang_up(alice, bob, out)
        _, incoming = await talk(bob, alice)
        await hang_up(alice, bob, incoming)


async def test_two_record_routes_are_followed_both_ways(kamailio: Kamailio) -> None:
    """From one listener to another, Kamailio puts two Record-Routes: the order matters."""
    async with phones((kamailio.plain, name("alice")), (kamailio.strict, name("bob"))) as [alice, bob]:
        out, incoming = await talk(alice, bob)
        alice.do(alice.agent.info, out, "application/dtmf-relay", b"Signal=1\r\nDuration=100")
        received = await bob.expect(ua.InfoReceived)
        assert (received.content_type, received.body) == (
            "application/dtmf-relay",
            b"Signal=1\r\nDuration=100",
        )
        assert (await alice.expect(ua.InfoAnswered)).code == 200
        bob.do(bob.agent.info, incoming, "application/dtmf-relay", b"Signal=#\r\nDuration=100")
        await alice.expect(ua.InfoReceived)
        await hang_up(bob, alice, incoming)


@pytest.mark.parametrize("flavour", ["plain", "bare"])
async def test_call_uuid_is_read_from_every_message(kamailio: Kamailio, flavour: str) -> None:
    url = kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        out = alice.invite(bob.user, headers=(("X-PH-Test", "one"),))
        call_id = header(alice.requests("INVITE", received=False)[-1], "Call-ID")
        wanted = expected_uuid(call_id or "") if flavour == "plain" else None
        incoming = await bob.expect(ua.InviteReceived)
        assert incoming.x_call_uuid == wanted
        assert incoming.caller == f"{alice.user}@phone.plivo.com"
        assert ("x-ph-test", "one") in [(key.lower(), value) for key, value in incoming.headers]
        bob.do(bob.agent.ring, incoming.call)
        assert (await alice.expect(ua.Progress)).x_call_uuid == wanted
        bob.do(bob.agent.reject, incoming.call, code=603)
        failed = await alice.expect(ua.CallFailed)
        assert (failed.call, failed.code, failed.x_call_uuid) == (out, 603, wanted)


@pytest.mark.parametrize("code", [404, 480, 486, 488, 500, 503, 603, 604])
async def test_failure_by_number(kamailio: Kamailio, code: int) -> None:
    async with phones((kamailio.plain, name("alice"))) as [alice]:
        call = alice.invite(f"code-{code}")
        call_id = header(alice.requests("INVITE", received=False)[-1], "Call-ID")
        failed = await alice.expect(ua.CallFailed)
        assert (failed.call, failed.code, failed.originator) == (call, code, "remote")
        assert failed.x_call_uuid == expected_uuid(call_id or "")
        if code == 486:
            assert failed.protocol_reason.protocol == "Q.850"
            assert int(failed.protocol_reason.cause) == 17
            assert failed.protocol_reason.text == "User busy"


async def test_nobody_there(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice"))) as [alice]:
        alice.invite(name("nobody"))
        assert (await alice.expect(ua.CallFailed)).code == 404


async def test_busy_and_declined(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        for code in (486, 603):
            alice.invite(bob.user)
            incoming = await bob.expect(ua.InviteReceived)
            bob.do(bob.agent.reject, incoming.call, code=code)
            assert (await alice.expect(ua.CallFailed)).code == code


@pytest.mark.parametrize("flavour", ["plain", "bare"])
async def test_cancel_while_it_rings(kamailio: Kamailio, flavour: str) -> None:
    url = kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        call = alice.invite(bob.user)
        incoming = await bob.expect(ua.InviteReceived)
        bob.do(bob.agent.ring, incoming.call)
        await alice.expect(ua.Progress)
        alice.do(alice.agent.hangup, call)
        failed, canceled = await asyncio.gather(alice.expect(ua.CallFailed), bob.expect(ua.Canceled))
        assert (failed.code, failed.originator) == (487, "local")
        assert canceled.call == incoming.call


async def test_cancel_at_once_waits_for_a_provisional_response(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        call = alice.invite(bob.user)
        alice.do(alice.agent.hangup, call)
        assert alice.requests("CANCEL", received=False) == []
        assert (await alice.expect(ua.CallFailed)).originator == "local"

        def seen(kind: type) -> int:
            return sum(isinstance(event, kind) for event in bob.seen)

        await until(lambda: seen(ua.InviteReceived) == seen(ua.Canceled))
        await stays(lambda: seen(ua.InviteReceived) == seen(ua.Canceled), for_s=0.3)


async def test_answer_that_crosses_the_cancel_is_hung_up(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        call = alice.invite(bob.user)
        incoming = await bob.expect(ua.InviteReceived)
        bob.do(bob.agent.ring, incoming.call)
        await alice.expect(ua.Progress)
        bob.do(bob.agent.accept, incoming.call, SDP)
        alice.do(alice.agent.hangup, call)
        await asyncio.gather(alice.expect(ua.CallFailed, ua.Ended), bob.expect(ua.Ended, ua.Canceled))
        assert alice.requests("BYE", received=False) or alice.requests("CANCEL", received=False)


async def test_ignored_call_ends_with_408_of_our_own(kamailio: Kamailio) -> None:
    specs = [(kamailio.plain, name("alice")), (kamailio.plain, name("bob"))]
    async with phones(*specs, no_answer_timeout_s=1.0) as [alice, bob]:
        alice.invite(bob.user)
        incoming = await bob.expect(ua.InviteReceived)
        bob.do(bob.agent.ring, incoming.call)
        failed, _ = await asyncio.gather(alice.expect(ua.CallFailed), bob.expect(ua.NoAnswer))
        assert failed.code == 408


async def test_no_answer_by_the_servers_timer(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        alice.invite(f"wait-{bob.user}")
        call_id = header(alice.requests("INVITE", received=False)[-1], "Call-ID")
        incoming = await bob.expect(ua.InviteReceived)
        bob.do(bob.agent.ring, incoming.call)
        failed, _ = await asyncio.gather(alice.expect(ua.CallFailed), bob.expect(ua.Canceled))
        assert (failed.code, failed.x_call_uuid) == (408, expected_uuid(call_id or ""))


async def test_moved_call_follows(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        out, _ = await talk(alice, bob, f"moved-{bob.user}")
        assert any(text.startswith("SIP/2.0 302") for text in alice.received)
        await hang_up(bob, alice, out if out == bob.seen[-1].call else bob.seen[-1].call)


# -- forking --------------------------------------------------------------------------------------


async def test_parallel_fork_the_one_that_answers_wins(kamailio: Kamailio) -> None:
    specs = [(kamailio.plain, name(stem)) for stem in ("alice", "bob", "carol")]
    async with phones(*specs) as [alice, bob, carol]:
        call = alice.invite(f"fork-{bob.user}-{carol.user}")
        at_bob, at_carol = await asyncio.gather(
            bob.expect(ua.InviteReceived), carol.expect(ua.InviteReceived)
        )
        bob.do(bob.agent.ring, at_bob.call)
        carol.do(carol.agent.ring, at_carol.call)
        await alice.expect(ua.Progress)

        def tags() -> set[str | None]:
            return {header(text, "To") for text in alice.received if text.startswith("SIP/2.0 180")}

        await until(lambda: len(tags()) == 2, timeout_s=2, describe=tags)
        carol.do(carol.agent.accept, at_carol.call, SDP)
        await asyncio.gather(alice.expect(ua.Answered), carol.expect(ua.Confirmed), bob.expect(ua.Canceled))
        await hang_up(carol, alice, at_carol.call)
        assert next(event for event in alice.seen if isinstance(event, ua.Ended)).call == call


async def test_both_answer_at_once_and_the_loser_is_hung_up(kamailio: Kamailio) -> None:
    specs = [(kamailio.plain, name(stem)) for stem in ("alice", "bob", "carol")]
    async with phones(*specs) as [alice, bob, carol]:
        call = alice.invite(f"fork-{bob.user}-{carol.user}")
        at_bob, at_carol = await asyncio.gather(
            bob.expect(ua.InviteReceived), carol.expect(ua.InviteReceived)
        )
        bob.do(bob.agent.accept, at_bob.call, SDP)
        carol.do(carol.agent.accept, at_carol.call, SDP)
        await alice.expect(ua.Answered)
        ends = {phone.user: asyncio.ensure_future(phone.expect(ua.Ended)) for phone in (bob, carol)}
        await asyncio.wait(ends.values(), return_when=asyncio.FIRST_COMPLETED)
        assert [end.done() for end in ends.values()].count(True) == 1
        assert all(end.result().originator == "remote" for end in ends.values() if end.done())
        alice.do(alice.agent.hangup, call)
        await asyncio.gather(*ends.values())
        assert len([event for event in alice.seen if isinstance(event, ua.Answered)]) == 1


async def test_serial_fork_goes_on_to_the_next(kamailio: Kamailio) -> None:
    specs = [(kamailio.plain, name(stem)) for stem in ("alice", "bob", "carol")]
    async with phones(*specs) as [alice, bob, carol]:
        call = alice.invite(f"hunt-{bob.user}-{carol.user}")
        at_bob = await bob.expect(ua.InviteReceived)
        bob.do(bob.agent.ring, at_bob.call)
        at_carol, _ = await asyncio.gather(carol.expect(ua.InviteReceived), bob.expect(ua.Canceled))
        carol.do(carol.agent.accept, at_carol.call, SDP)
        await asyncio.gather(alice.expect(ua.Answered), carol.expect(ua.Confirmed))
        await hang_up(alice, carol, call)


# -- within the call ------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_hold_by_reinvite_both_ways(kamailio: Kamailio, flavour: str) -> None:
    """The strict flavour challenges the re-INVITE too."""
    url = kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        out, incoming = await talk(alice, bob)
        for one, call, other in ((alice, out, bob), (bob, incoming, alice)):
            for offer, answer in ((HOLD, HELD), (SDP, SDP)):
                one.do(one.agent.reinvite, call, offer)
                event = await other.expect(ua.ReinviteReceived)
                assert event.body == offer
                other.do(other.agent.accept_reinvite, event.call, answer)
                assert (await one.expect(ua.ReinviteAnswered)).body == answer
        await hang_up(alice, bob, out)


async def test_refused_reinvite_leaves_the_call_up(kamailio: Kamailio) -> None:
    async with phones((kamailio.bare, name("alice")), (kamailio.bare, name("bob"))) as [alice, bob]:
        out, _ = await talk(alice, bob)
        alice.do(alice.agent.reinvite, out, HOLD)
        event = await bob.expect(ua.ReinviteReceived)
        bob.do(bob.agent.reject_reinvite, event.call, 488)
        assert (await alice.expect(ua.ReinviteFailed)).code == 488
        await hang_up(alice, bob, out)


async def test_glare_is_settled(kamailio: Kamailio) -> None:
    """Both sides hold at the same moment: 491 each way, then both come through, one after the other."""
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        out, incoming = await talk(alice, bob)
        alice.do(alice.agent.reinvite, out, HOLD)
        bob.do(bob.agent.reinvite, incoming, HOLD)

        async def settle(one: SipPhone) -> None:
            answered = offered = False
            while not (answered and offered):
                event = await one.expect(ua.ReinviteReceived, ua.ReinviteAnswered, timeout_s=10)
                answered = answered or isinstance(event, ua.ReinviteAnswered)
                if isinstance(event, ua.ReinviteReceived):
                    offered = True
                    one.do(one.agent.accept_reinvite, event.call, HELD)

        await asyncio.gather(settle(alice), settle(bob))
        assert any(text.startswith("SIP/2.0 491") for text in alice.received + bob.received)
        await hang_up(alice, bob, out)


@pytest.mark.parametrize("flavour", ["plain", "bare"])
async def test_lost_socket_in_mid_call_and_back(kamailio: Kamailio, flavour: str) -> None:
    """After the connection's loss: new socket, REGISTER, re-INVITE; then the peer's BYE finds its way."""
    url = kamailio.url(flavour)
    async with phones((url, name("alice")), (url, name("bob"))) as [alice, bob]:
        out, incoming = await talk(alice, bob)
        alice.drop()
        await alice.disconnect()
        alice.do(alice.agent.transport_down)
        await asyncio.sleep(0.2)
        await alice.connect()
        await alice.register()
        assert len(await kamailio.contacts(alice.user)) == 1
        alice.do(alice.agent.reinvite, out, SDP)
        event = await bob.expect(ua.ReinviteReceived)
        bob.do(bob.agent.accept_reinvite, event.call, SDP)
        await alice.expect(ua.ReinviteAnswered)
        await hang_up(bob, alice, incoming)


async def test_message_and_options_through_the_proxy(kamailio: Kamailio) -> None:
    async with phones((kamailio.plain, name("alice")), (kamailio.plain, name("bob"))) as [alice, bob]:
        alice.do(alice.agent.message, bob.user, "text/plain", b"how do you do")
        message = await bob.expect(ua.MessageReceived)
        assert (message.content_type, message.body) == ("text/plain", b"how do you do")
        alice.do(alice.agent.options, bob.user)

        def answers_sent() -> list[str]:
            return [text for text in bob.sent if "OPTIONS" in text and text.startswith("SIP/2.0 200")]

        answers = await until(answers_sent, timeout_s=4)
        assert "INVITE" in (header(answers[0], "Allow") or "")


async def test_nothing_is_left_of_a_call(kamailio: Kamailio) -> None:
    """After the calls the agents hold no call and no dialog; transactions wait for their timers."""
    specs = [(kamailio.plain, name("alice")), (kamailio.plain, name("bob"))]
    async with phones(*specs, keepalive_s=1000.0) as [alice, bob]:
        out, _ = await talk(alice, bob)
        await hang_up(alice, bob, out)
        alice.invite("code-486")
        await alice.expect(ua.CallFailed)
        for phone in (alice, bob):
            assert (phone.agent.calls.calls, phone.agent.calls.dialogs) == (0, 0)
            assert phone.agent.live_calls == []
            phone.agent.advance(time.monotonic() + 40.0)
            assert phone.agent.calls.transactions == 0


async def test_no_secret_is_in_the_trace(kamailio: Kamailio) -> None:
    async with phones((kamailio.strict, name("alice")), (kamailio.strict, name("bob"))) as [alice, bob]:
        out, _ = await talk(alice, bob)
        await hang_up(alice, bob, out)
        wire = "".join(alice.sent + alice.received)
        secrets = set(re.findall(r'(?:nonce|response)="([^"]+)"', wire)) | {alice.password}
        assert len(secrets) > 4
        assert len(alice.records) == len(alice.sent) + len(alice.received)
        shown = "".join(f"{record!r} {record.text}" for record in alice.records) + repr(alice.agent)
        assert [secret for secret in secrets if secret in shown] == []
