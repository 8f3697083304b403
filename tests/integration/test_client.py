"""The client over the lab: a real WebSocket, real SIP, real ICE, DTLS-SRTP and RTP."""

import asyncio
import contextlib
import copy
import gc
import pickle
import sys
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from waiting import stays, until

from plivo_nb import Call, CallFailed, Client, InvalidState, Lab, LoginFailed, Tone

pytestmark = pytest.mark.asyncio(loop_scope="session")


def names(events: list[tuple]) -> list[str]:
    return [event[0] for event in events]


async def test_login_tells_by_event_and_by_await(lab: Lab, clients, heard_events) -> None:
    client = clients()
    events = heard_events(client)
    await client.login("alice", lab.password("alice"))
    assert client.is_logged_in
    assert names(events) == ["onConnectionChange", "onLogin"]
    await client.login("alice", lab.password("alice"))
    assert names(events).count("onLogin") == 1
    await client.logout()
    assert not client.is_logged_in
    assert names(events)[-1] == "onLogout"


async def test_a_wrong_password_is_an_authentication_error(clients, heard_events) -> None:
    client = clients()
    events = heard_events(client)
    with pytest.raises(LoginFailed) as failure:
        await client.login("alice", "wrong")
    assert failure.value.cause == "Authentication Error"
    assert ("onLoginFailed", "Authentication Error") in events
    assert "wrong" not in client.log.to_string()


async def test_empty_credentials_are_refused_in_the_documented_words(clients, heard_events) -> None:
    client = clients()
    events = heard_events(client)
    with pytest.raises(LoginFailed):
        await client.login("", "")
    assert events == [("onLoginFailed", "Username and password must be filled out")]


async def test_no_server_is_a_connection_error(unused_tcp_port: int, clients) -> None:
    client = clients(registration_domain_socket=[f"ws://127.0.0.1:{unused_tcp_port}"])
    with pytest.raises(LoginFailed, match=str(unused_tcp_port)) as failure:
        await client.login("alice", "x")
    assert failure.value.cause == "Connection Error"


async def test_an_unknown_callee_is_not_found(alice: Client, heard_events) -> None:
    events = heard_events(alice)
    with pytest.raises(CallFailed) as failure:
        await alice.call("nobody-here")
    assert failure.value.cause == "Not Found"
    assert failure.value.call_info.state == "failed"
    assert failure.value.call_info.code == 404
    assert names(events) == ["onCalling", "onCallFailed"]


async def test_what_is_no_address_is_refused_and_the_client_works_on(alice: Client) -> None:
    for number in ("sip:", "a b@c d", "bob@"):
        with pytest.raises(CallFailed) as failure:
            await alice.call(number)
        assert failure.value.cause in ("Address Incomplete", "Not Found")
    for number in ("sip:bob@phone.plivo.com\r\nX-Evil: 1", "\x00"):
        with pytest.raises(InvalidState, match="cannot be dialled"):
            await alice.call(number)
    await (await alice.call("echo")).hangup()


async def test_a_call_to_the_echo_robot_has_sound_numbers_and_one_ending(
    alice: Client, heard_events, tmp_path
) -> None:
    events = heard_events(alice)
    operation = alice.call("echo", {"X-PH-Test": "hello_1", "Nope": "x"})
    assert operation.call is not None
    call = await operation
    assert call.info.state == "answered"
    assert call.info.extraHeaders == {"X-PH-Test": "hello_1"}
    assert alice.get_call_uuid() == call.call_uuid
    recorder = call.record(tmp_path / "heard.wav")
    call.play(Tone(440.0))
    await until(lambda: recorder.seconds > 2.5 and len(call.samples) >= 2)
    samples = call.samples
    assert 35 <= samples["packets_in"].iloc[-1] <= 55
    assert samples["level_in_dbfs"].iloc[-1] > -30
    assert samples["loss_in"].max() == 0
    stats = await alice.get_peer_connection()["pc"].getStats()
    assert {"inbound-rtp", "outbound-rtp"} <= {entry["type"] for entry in stats.values()}
    info = await call.hangup()
    assert info.state == "ended"
    assert info.originator == "local"
    assert names(events) == ["onCalling", "onCallRemoteRinging", "onCallAnswered", "onCallTerminated"]
    assert alice.get_call_uuid() is None
    assert alice.get_last_call_uuid() == call.call_uuid
    row = alice.calls.iloc[-1]
    assert row["state"] == "ended"
    assert row["media_setup_ms"] < 3000
    assert alice.get_peer_connection() == {"status": "called in wrong state", "pc": None}


async def test_bob_answers_alice_and_hangs_up(alice: Client, bob: Client, heard_events) -> None:
    at_alice, at_bob = heard_events(alice), heard_events(bob)
    operation = alice.call("bob", {"X-PH-Name": "Alice"})
    await until(lambda: bob.incoming_calls)
    caller, headers, info = next(event[1:] for event in at_bob if event[0] == "onIncomingCall")
    assert caller == "alice@phone.plivo.com"
    assert {name.lower(): value for name, value in headers.items()} == {"x-ph-name": "Alice"}
    assert info.direction == "INCOMING"
    assert bob.get_call_uuid() is None
    theirs = await bob.answer(info.callUUID)
    ours = await operation
    assert ours.call_uuid == theirs.call_uuid
    assert (await bob.hangup()).originator == "local"
    assert (await ours.ended).originator == "remote"
    assert names(at_alice)[-1] == names(at_bob)[-1] == "onCallTerminated"


async def test_a_rejected_call_is_busy_for_the_caller(alice: Client, bob: Client, heard_events) -> None:
    at_bob = heard_events(bob)
    operation = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    assert (await bob.reject()).state == "rejected"
    with pytest.raises(CallFailed) as failure:
        await operation
    assert failure.value.cause == "Busy"
    assert at_bob[-1][:2] == ("onCallFailed", "Rejected")


async def test_a_canceled_call_ends_for_both(alice: Client, bob: Client, heard_events) -> None:
    at_alice, at_bob = heard_events(alice), heard_events(bob)
    operation = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    assert (await alice.hangup()).state == "canceled"
    with pytest.raises(CallFailed) as failure:
        await operation
    assert failure.value.cause == "Canceled"
    await until(lambda: not bob.incoming_calls)
    assert names(at_bob)[-1] == "onIncomingCallCanceled"
    assert at_alice[-1][:2] == ("onCallFailed", "Canceled")


async def test_an_ignored_call_goes_on_ringing_for_the_caller(
    alice: Client, bob: Client, heard_events
) -> None:
    at_alice, at_bob = heard_events(alice), heard_events(bob)
    operation = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    await bob.ignore()
    assert bob.incoming_calls == []
    assert names(at_bob)[-1] == "onIncomingCallIgnored"
    with pytest.raises(InvalidState):
        await bob.answer()
    await until(lambda: "onCallRemoteRinging" in names(at_alice))
    assert not operation.done()
    await alice.hangup()
    await stays(lambda: names(at_bob)[-1] == "onIncomingCallIgnored", for_s=0.2)
    with pytest.raises(CallFailed):
        await operation


async def test_dtmf_goes_by_info_and_arrives_in_order(alice: Client, bob: Client, heard_events) -> None:
    at_bob = heard_events(bob)
    operation = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    await bob.answer()
    await operation
    await alice.send_dtmf("19*#")
    await until(lambda: names(at_bob).count("onDtmfReceived") == 4)
    assert "".join(event[1]["tone"] for event in at_bob if event[0] == "onDtmfReceived") == "19*#"
    with pytest.raises(InvalidState):
        await alice.send_dtmf("12x")
    await alice.hangup()


async def test_digits_of_a_call_that_is_over_go_into_no_other_call(alice: Client) -> None:
    over = await alice.call("echo")
    await over.hangup()
    current = await alice.call("echo")
    with pytest.raises(InvalidState, match="over"):
        await over.send_dtmf("1")
    assert "digits sent" not in set(alice.log[alice.log["call_uuid"] == current.call_uuid]["event"])
    await current.hangup()


async def test_mute_holds_from_before_the_call_and_ends_with_it(alice: Client, bob: Client) -> None:
    assert alice.mute() is True
    operation = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    theirs = await bob.answer()
    ours = await operation
    ours.play(Tone(440.0))
    await until(lambda: len(ours.samples) >= 2 and len(theirs.samples) >= 2)
    assert (theirs.samples["level_in_dbfs"].iloc[1:] < -70).all()
    assert ours.samples["muted"].all()
    alice.unmute()
    await until(lambda: theirs.samples["level_in_dbfs"].iloc[-1] > -30)
    alice.mute()
    await alice.hangup()
    assert alice.muted is False


@pytest.mark.parametrize(
    "method", ["answer", "reject", "ignore", "hangup"], ids=lambda name: f"{name} without a call"
)
async def test_a_method_in_a_wrong_state_says_what_to_call_instead(alice: Client, method: str) -> None:
    with pytest.raises(InvalidState):
        await getattr(alice, method)()


async def test_calling_before_login_is_refused(clients) -> None:
    with pytest.raises(InvalidState, match="login"):
        await clients().call("echo")


async def test_closing_during_a_call_leaves_nothing_behind(lab: Lab, clients) -> None:
    before = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")}
    client = clients()
    await client.login("carol", lab.password("carol"))
    call = await client.call("echo")
    await client.close()
    assert call.info.state == "ended"
    gc.collect()
    after = {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")}
    assert after <= before
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")]
    assert tasks == []


async def test_a_call_is_hung_up_and_told_to_play_from_any_thread(alice: Client) -> None:
    call = await alice.call("echo")
    playing = await asyncio.to_thread(call.play, Tone(440))
    ending = await asyncio.to_thread(call.hangup)
    assert (await ending).state == "ended"
    await playing


async def test_what_lives_is_not_pickled_and_says_what_to_keep(alice: Client) -> None:
    call = await alice.call("echo")
    for alive, instead in ((alice, r"client\.samples"), (call, r"call\.info")):
        with pytest.raises(TypeError, match=instead):
            pickle.dumps(alive)
        with pytest.raises(TypeError, match=instead):
            copy.deepcopy(alive)
    await call.hangup()


async def test_a_callback_may_close_its_client_and_go_on(lab: Lab, clients) -> None:
    client = clients()
    went_on = asyncio.Event()

    async def at_login() -> None:
        await client.close()
        went_on.set()

    client.on("onLogin", at_login)
    client.login("alice", lab.password("alice"))
    await asyncio.wait_for(went_on.wait(), 10)
    assert not client.is_logged_in


@contextlib.asynccontextmanager
async def stopping() -> AsyncIterator[tuple[Lab, Client]]:
    """A lab of its own and Alice in it: the robots of a server that stops need a while to find it again."""
    async with Lab() as lab, lab.client() as client:
        await client.login("alice", lab.password("alice"))
        yield lab, client


async def test_a_client_whose_server_is_away_says_so() -> None:
    async with stopping() as (lab, alice):
        assert "away" not in repr(alice)
        await lab.faults.stop_server()
        await until(lambda: "server away" in repr(alice))
        await lab.faults.start_server()
        await until(lambda: alice.is_connected)
        assert "away" not in repr(alice)


async def test_a_call_while_the_server_is_away_fails_at_once(heard_events) -> None:
    async with stopping() as (lab, alice):
        await lab.faults.stop_server()
        await until(lambda: not alice.is_connected)
        events = heard_events(alice)
        with pytest.raises(CallFailed) as failure:
            await asyncio.wait_for(alice.call("echo"), 10)
        assert failure.value.cause == "Connection Error"
        assert [name for name in names(events) if "Call" in name] == ["onCalling", "onCallFailed"]
        assert alice.current_call is None
        await lab.faults.start_server()
        await until(lambda: alice.is_connected)

        async def call_again() -> Call | None:
            try:
                return await alice.call("echo")
            except CallFailed:
                return None

        call = await until(call_again, 30, interval_s=0.2)  # the robots have to find the server again too
        await call.hangup()


_FORGETFUL = """
import asyncio, sys
from plivo_nb import Client

async def main():
    server = [sys.argv[1]]
    client = Client(registration_domain_socket=server, loopback_candidates=True, sound="none", debug="WARN")
    await client.login("carol", sys.argv[2])
    await client.call("echo")

asyncio.run(main())
"""


async def test_a_script_that_forgets_to_close_says_goodbye_and_nothing_else(lab: Lab, tmp_path) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(_FORGETFUL)
    for _ in range(3):  # what ends late does not every time
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(script), lab.url, lab.password("carol")),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 40)
        assert process.returncode == 0
        assert said.decode() == ""
        status = await lab.status()
        assert "carol" not in str(status["registrations"])
        assert not [call for call in (await lab.network.counters())["calls"] if call["active"]]


async def test_a_closed_client_says_so_and_keeps_its_frames(alice: Client) -> None:
    await (await alice.call("echo")).hangup()
    await alice.close()
    with pytest.raises(InvalidState, match="closed; make a new Client"):
        await alice.login("alice", "alice-secret")
    with pytest.raises(InvalidState):
        await alice.call("echo")
    assert list(alice.calls["dest"]) == ["echo"]


async def test_an_operation_of_play_has_a_short_name(alice: Client) -> None:
    call = await alice.call("echo")
    assert "play your ndarray" in repr(call.play(np.zeros(48_000, np.int16)))
    assert "play Tone" in repr(call.play(Tone(440)))
    await call.hangup()
