"""Events, callInfo and several incoming calls, as Plivo documents them, over the lab."""

import asyncio
import dataclasses
import logging
import subprocess
import sys

import numpy as np
import pytest
from waiting import until

from plivo_nb import CallFailed, Client, Engine, InvalidState, Lab, Plivo, Tone
from plivo_nb.engine import call_manager
from plivo_nb.events import EVENT_NAMES, CallInfo, Event

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("spec-4")]


def names(events: list[tuple]) -> list[str]:
    return [event[0] for event in events]


# ---------------------------------------------------------------- listening


@pytest.mark.spec("4 on, once, off")
async def test_callbacks_are_functions_coroutines_or_decorated(alice: Client) -> None:
    heard: list[str] = []

    async def later(info: CallInfo) -> None:
        await asyncio.sleep(0)
        heard.append(f"async {info.state}")

    alice.on("onCallAnswered", later)
    alice.once("onCalling", lambda: heard.append("once"))

    @alice.on("onCalling")
    def calling() -> None:
        heard.append("decorated")

    for _ in range(2):
        answered = len(heard)
        call = await alice.call("echo")
        await until(lambda answered=answered: "async answered" in heard[answered:])
        await call.hangup()
        alice.off("onCalling", calling)
    assert heard == ["once", "decorated", "async answered", "async answered"]
    with pytest.raises(ValueError, match="onCallAnswerd"):
        alice.on("onCallAnswerd", calling)


@pytest.mark.spec("4 a callback that raises")
async def test_a_callback_that_raises_breaks_nothing(alice: Client, caplog) -> None:
    heard: list[str] = []

    async def broken_later(info: CallInfo) -> None:
        raise RuntimeError("later")

    alice.on("onCallAnswered", lambda info: 1 / 0)
    alice.on("onCallAnswered", broken_later)
    alice.on("onCallAnswered", lambda info: heard.append(info.state))
    call = await alice.call("echo")

    def logged() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]

    await until(lambda: len(logged()) == 2)
    assert heard == ["answered"]
    errors = logged()
    assert all("onCallAnswered" in error for error in errors)
    await call.hangup()


async def test_waiting_for_an_event_and_a_stream_of_them(alice: Client) -> None:
    stream = alice.events()
    answered = alice.wait_for("onCallAnswered", timeout=10)
    alice.call("echo")
    info = await answered
    assert info.state == "answered"
    failed = alice.wait_for("onCallFailed")
    await alice.hangup()
    alice.call("busy")
    cause, info = await failed
    assert (cause, info.code) == ("Busy", 486)
    with pytest.raises(TimeoutError, match="onLogin did not come within"):
        await alice.wait_for("onLogin", timeout=0.01)
    heard = []
    async for event in stream:
        assert isinstance(event, Event)
        heard.append(event.name)
        if event.name == "onCallFailed":
            break
    assert heard[:4] == ["onCalling", "onCallRemoteRinging", "onCallAnswered", "onCallTerminated"]
    never = alice.wait_for("onIncomingCall")
    await alice.close()
    with pytest.raises(InvalidState, match="closed"):
        await never
    assert [event.name async for event in stream][-1] == "onLogout"


# ---------------------------------------------------------------- single events


@pytest.mark.spec("4 onCallAnswered", "4 onCallTerminated", "4 onIncomingCall", "4 callInfo", "4 callUUID")
async def test_both_sides_of_a_call_hear_of_it(alice: Client, bob: Client, heard_events) -> None:
    at_alice, at_bob = heard_events(alice), heard_events(bob)
    operation = alice.call("bob", {"X-PH-One": "1"})
    await until(lambda: bob.incoming_calls)
    _, caller, headers, ringing = next(event for event in at_bob if event[0] == "onIncomingCall")
    assert caller == "alice@phone.plivo.com"
    assert {name.lower() for name in headers} == {"x-ph-one"}
    await bob.answer(ringing.callUUID)
    await operation
    await bob.hangup()
    await until(lambda: "onCallTerminated" in names(at_alice))
    assert names(at_bob) == ["onIncomingCall", "onCallAnswered", "onCallTerminated"]
    assert names(at_alice) == ["onCalling", "onCallRemoteRinging", "onCallAnswered", "onCallTerminated"]
    ours, theirs = at_alice[-1][1], at_bob[-1][1]
    assert (ours.originator, theirs.originator) == ("remote", "local")
    assert (ours.direction, ours.src, ours.dest) == ("OUTGOING", "sip:alice@phone.plivo.com", "bob")
    assert (theirs.direction, theirs.src, theirs.dest) == ("INCOMING", "alice", "sip:bob@phone.plivo.com")
    uuids = {event[-1].callUUID for event in at_alice[1:] + at_bob}
    assert len(uuids) == 1
    assert ringing.state == "ringing"  # a snapshot: as it was
    with pytest.raises(dataclasses.FrozenInstanceError):
        ringing.state = "ended"
    assert list(ringing)[:6] == ["callUUID", "direction", "src", "dest", "state", "extraHeaders"]
    assert dict(ours)["extraHeaders"] == {"X-PH-One": "1"}


@pytest.mark.spec("4 onCallFailed", "4 causes")
@pytest.mark.parametrize(
    ("number", "cause", "state", "code"),
    [
        ("nobody-here", "Not Found", "failed", 404),
        ("busy", "Busy", "failed", 486),
        ("reject", "Rejected", "rejected", 603),
    ],
)
async def test_a_failure_has_its_word_and_its_code(
    alice: Client, heard_events, number: str, cause: str, state: str, code: int
) -> None:
    events = heard_events(alice)
    with pytest.raises(CallFailed) as failure:
        await alice.call(number)
    info = failure.value.call_info
    assert (failure.value.cause, info.state, info.code, info.originator) == (cause, state, code, "remote")
    assert events[-1] == ("onCallFailed", cause, info)
    assert names(events).count("onCallFailed") == 1


@pytest.mark.spec("4 causes", "4 onConnectionChange", "4 onLoginFailed")
async def test_a_dropped_socket_has_its_real_code_and_comes_back(
    lab: Lab, alice: Client, heard_events
) -> None:
    events = heard_events(alice)
    await lab.faults.drop_socket("alice", 1011, "tests")
    await until(lambda: ("onConnectionChange", {"state": "connected"}) in events)
    change = events[0][1]
    assert change == {"state": "disconnected", "eventCode": 1011, "eventReason": "tests"}
    await until(lambda: alice.is_connected)
    await (await alice.call("echo")).hangup()


@pytest.mark.spec("4 onConnectionChange", "4 onLogin")
async def test_the_first_connect_is_told_before_the_login(lab: Lab, clients, heard_events) -> None:
    client = clients()
    events = heard_events(client)
    await client.login("carol", lab.password("carol"))
    assert events == [("onConnectionChange", {"state": "connected"}), ("onLogin",)]


@pytest.mark.spec("4 onWebrtcNotSupported", "3 webRTC")
async def test_without_a_media_stack_it_is_told_and_refused_in_words() -> None:
    code = """
import asyncio, sys
sys.modules["aiortc"] = None
import plivo_nb
async def main():
    client = plivo_nb.Client(debug="OFF", sound="none", registrationDomainSocket=["ws://127.0.0.1:9"])
    heard = []
    client.on("onWebrtcNotSupported", lambda: heard.append("told"))
    await asyncio.sleep(0)
    assert heard == ["told"], heard
    assert client.webRTC() is False
    try:
        await client.login("a", "b")
    except plivo_nb.LoginFailed as error:
        assert "media stack" in str(error)
    await client.close()
    sys.stdout.write("as documented")
asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "as documented", done.stderr


@pytest.mark.spec("4 mediaMetrics")
async def test_media_metrics_carries_plivos_keys(clients, lab: Lab) -> None:
    client = clients(sampleInterval=0.2)
    await client.login("alice", lab.password("alice"))
    heard: list[dict] = []
    client.on("mediaMetrics", heard.append)
    call = await client.call("silence")
    await until(lambda: heard)
    assert {"group", "level", "type", "value", "active", "desc", "stream"} == set(heard[0])
    assert heard[0]["type"] == "no_audio_received"
    assert call.media_metrics["type"].iloc[0] == "no_audio_received"
    await call.hangup()


async def test_every_event_name_is_one_that_can_be_listened_to() -> None:
    assert len(EVENT_NAMES) == 18


# ---------------------------------------------------------------- the documentation's own sequence


@pytest.mark.spec("1 aliases", "3 call", "3 sendDtmf", "3 answer")
async def test_the_documentations_example_in_camel_case(lab: Lab, bob: Client) -> None:
    heard: list[str] = []
    options = {
        "debug": "DEBUG",
        "permOnClick": True,
        "audioConstraints": {"echoCancellation": True},
        "enableTracking": True,
        "allowMultipleIncomingCalls": False,
        "clientRegion": "asia",
        **{key: value for key, value in lab.options().items() if key != "debug"},
    }
    plivoBrowserSdk = Plivo(options)
    client = plivoBrowserSdk.client
    for name in EVENT_NAMES:
        client.on(name, lambda *arguments, name=name: heard.append(name))
    if not client.webRTC():
        raise AssertionError
    username, password = "alice", lab.password("alice")
    client.login(username, password)
    await until(lambda: client.isLoggedIn)
    customCallerId = "alice"
    extraHeaders = {"X-PH-Test1": "test1", "X-PH-callerId": customCallerId}
    client.call("bob", extraHeaders)
    await until(lambda: bob.incoming_calls)
    bob.answer()
    await until(lambda: "onCallAnswered" in heard)
    client.sendDtmf("1")
    client.mute()
    client.unmute()
    client.setRingTone(True)
    client.setRingToneBack(False)
    client.setConnectTone(True)
    client.getPeerConnection()
    client.sendQualityFeedback(client.getCallUUID(), 5, "audio-latency")
    client.hangup()
    await until(lambda: "onCallTerminated" in heard)
    client.sendQualityFeedback(client.getLastCallUUID(), 4, "no-audio")
    await until(lambda: bob.current_call is None)
    incoming = bob.call("alice")
    await until(lambda: client.incoming_calls)
    client.answer(client.incoming_calls[0].call_uuid)
    await incoming
    client.logout()
    await until(lambda: "onLogout" in heard)
    await client.close()
    assert {"onLogin", "onCalling", "onCallRemoteRinging", "onIncomingCall", "onConnectionChange"} <= set(
        heard
    )
    logging.getLogger("plivo_nb").setLevel(logging.INFO)


# ---------------------------------------------------------------- section 5


@pytest.mark.spec("5 one call only", "2 allowMultipleIncomingCalls")
async def test_with_one_call_a_second_one_is_refused_in_silence(
    alice: Client, bob: Client, clients, lab: Lab, heard_events
) -> None:
    events = heard_events(bob)
    first = alice.call("bob")
    await until(lambda: bob.incoming_calls)
    carol = clients()
    await carol.login("carol", lab.password("carol"))
    with pytest.raises(CallFailed, match="Busy"):
        await carol.call("bob")  # another one rings
    call = await bob.answer()
    await first
    uuid = bob.getCallUUID()
    with pytest.raises(CallFailed, match="Busy"):
        await carol.call("bob")  # one is active
    assert names(events) == ["onIncomingCall", "onCallAnswered"]
    assert bob.getCallUUID() == uuid == call.call_uuid
    assert len(bob.incoming_calls) == 0
    await bob.hangup()
    dialling = bob.call("ring-9")
    await until(lambda: names(events).count("onCallRemoteRinging") == 1)
    with pytest.raises(CallFailed, match="Busy"):
        await carol.call("bob")  # one is dialled
    assert names(events).count("onIncomingCall") == 1
    await bob.hangup()
    with pytest.raises(CallFailed):
        await dialling


@pytest.mark.spec(
    "5 several", "5 several, the others", "5 never two", "2 allowMultipleIncomingCalls", "3 reject"
)
async def test_answering_one_ends_the_active_and_rejects_the_rest(lab: Lab, clients, heard_events) -> None:
    client = clients(allowMultipleIncomingCalls=True)
    await client.login("carol", lab.password("carol"))
    events = heard_events(client)
    active = await client.call("echo")
    await lab.call("carol", 4)
    await until(lambda: len(client.incoming_calls) == 4)
    assert names(events).count("onIncomingCall") == 4
    first, second, third, fourth = client.incoming_calls
    await client.reject(first.call_uuid)
    await client.ignore(second.call_uuid)
    assert client.incoming_calls == [third, fourth]
    assert active.phase == "answered"
    events.clear()
    answered = await client.answer(third.call_uuid)
    assert answered is third
    assert (await active.ended).state == "ended"
    assert (await fourth.ended).state == "rejected"
    assert client.current_call is third
    assert names(events) == ["onCallTerminated", "onCallFailed", "onCallAnswered"]
    assert events[1][1:] == ("Rejected", fourth.info)
    await client.hangup()


@pytest.mark.spec("5 fifty")
async def test_the_fifty_first_is_refused_in_silence(lab: Lab, clients, heard_events) -> None:
    assert call_manager.MAX_RINGING == 50
    client = clients(allowMultipleIncomingCalls=True)
    await client.login("carol", lab.password("carol"))
    events = heard_events(client)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(call_manager, "MAX_RINGING", 3)  # fifty robots would take a minute here
    try:
        states = await lab.call("carol", 5)
    finally:
        monkeypatch.undo()
    assert sorted(call["state"] for call in states) == ["failed"] * 2 + ["ringing"] * 3
    assert names(events) == ["onIncomingCall"] * 3
    for call in client.incoming_calls:
        await client.reject(call.call_uuid)


# ---------------------------------------------------------------- what a Python user expects


async def test_async_with_a_call_and_all_that_it_holds(lab: Lab, tmp_path) -> None:
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        call = await client.call("echo")
        recorder = call.record(tmp_path / "both.wav", both=True)
        heard: list[int] = []
        call.add_sink(lambda samples, rate: heard.append(len(samples)))
        await call.capture(tmp_path / "call.pcapng")
        tone = (np.sin(np.arange(24_000) * 2 * np.pi * 440 / 48_000) * 8_000).astype(np.int16)
        await asyncio.wait_for(_await(call.play(piece for piece in tone.reshape(50, -1))), 10)
        await until(lambda: recorder.seconds > 0.9 and np.abs(call.audio(-1).samples).max() > 2_000)
        assert np.abs(call.audio(sent=True).samples).max() > 2_000
        assert "<audio" in call.audio()._repr_html_()
        call.play(lambda count, rate: np.zeros(count))
        assert await call.stop_capture() > 20
        await call.send_dtmf("5")
        info = await call.hangup()
        assert await call.ended == info
        assert call.cause is None
        assert len(heard) > 20
        assert recorder.seconds > 0.8
        assert (tmp_path / "call.pcapng").stat().st_size > 1_000
        assert "INVITE" in str(call.ladder())
        assert client.ladder(call)._repr_png_().startswith(b"\x89PNG")
        assert "first RTP heard" in str(client.ladder(call))
        assert set(client.sip_trace["direction"]) == {"in", "out"}
        assert lab.password("alice") not in client.sip_trace.to_string()
        for thing in (client, call, client.call("echo")):
            assert "<" in thing._repr_html_()
        with pytest.raises(InvalidState, match="media"):
            await call.capture(tmp_path / "late.pcapng")
        with pytest.raises(TypeError):
            client.current_call.play(5)
    assert client.is_logged_in is False


async def _await(operation) -> object:
    return await operation


@pytest.mark.parametrize("plane", ["thread", "loop"])
async def test_the_core_of_a_call_on_either_plane(lab: Lab, heard_events, plane: str) -> None:
    engine = Engine(plane=plane)
    one, other = Client(lab.options(), engine=engine), Client(lab.options(), engine=engine)
    try:
        await one.login("alice", lab.password("alice"))
        await other.login("bob", lab.password("bob"))
        at_one, at_other = heard_events(one), heard_events(other)
        operation = one.call("bob", {"X-PH-A": "1"})
        await until(lambda: other.incoming_calls)
        theirs = await other.answer()
        ours = await operation
        ours.play(Tone(440))
        await until(lambda: len(theirs.samples) and theirs.samples["level_in_dbfs"].iloc[-1] > -30)
        await one.send_dtmf("12")
        await until(lambda: names(at_other).count("onDtmfReceived") == 2)
        await other.hangup()
        assert (await ours.ended).originator == "remote"
        with pytest.raises(CallFailed, match="Busy"):
            await one.call("busy")
        operation = one.call("bob")
        await until(lambda: other.incoming_calls)
        await other.reject()
        with pytest.raises(CallFailed, match="Busy"):
            await operation
        assert names(at_one).count("onCallFailed") == 2
    finally:
        await one.close()
        await other.close()
    assert engine.plane_mode == plane
