"""Methods and variables of the client, as Plivo documents them, over the lab."""

import asyncio
import gc
import logging
import re

import numpy as np
import pytest
from waiting import stays, until

import plivo_nb
from plivo_nb import (
    Call,
    CallFailed,
    Client,
    InvalidFeedback,
    InvalidState,
    Lab,
    LoginFailed,
    Operation,
    Tone,
)
from plivo_nb.client import FEEDBACK_COMMENTS

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("spec-3")]


def names(events: list[tuple]) -> list[str]:
    return [event[0] for event in events]


async def ringing(caller: Client, callee: Client, **headers: str) -> Operation[Call]:
    operation = caller.call("bob", headers or None)
    await until(lambda: callee.incoming_calls)
    return operation


# ---------------------------------------------------------------- awaiting, and not


@pytest.mark.spec("3 awaitables", "3 ignored failure", "3 call")
async def test_a_call_that_nobody_awaits_happens_and_a_failure_nobody_reads_is_quiet(
    alice: Client, heard_events, caplog
) -> None:
    caplog.set_level(logging.WARNING)
    events = heard_events(alice)
    operation = alice.call("echo")
    assert isinstance(operation, Operation)
    assert isinstance(operation.call, Call)
    del operation
    await until(lambda: "onCallAnswered" in names(events))
    alice.hangup()
    await until(lambda: "onCallTerminated" in names(events))
    alice.call("nobody-here")
    await until(lambda: "onCallFailed" in names(events))
    await until(lambda: "did not succeed" in caplog.text)
    gc.collect()
    await asyncio.sleep(0)
    assert "never retrieved" not in caplog.text


@pytest.mark.spec("3 awaitables")
async def test_an_interrupted_cell_does_not_stop_the_call(alice: Client) -> None:
    operation = alice.call("echo")
    cell = asyncio.ensure_future(_await(operation))
    await asyncio.sleep(0.01)
    cell.cancel()
    await asyncio.gather(cell, return_exceptions=True)
    call = await operation
    assert call.info.state == "answered"
    assert "done" in repr(operation)
    assert "done" in operation._repr_html_()
    await call.hangup()


async def _await(operation: Operation[Call]) -> Call:
    return await operation


# ---------------------------------------------------------------- login and logout


@pytest.mark.spec("3 login, empty", "4 onLoginFailed")
@pytest.mark.parametrize(("user", "password"), [("", ""), ("alice", ""), ("", "x"), (None, "x")])
async def test_login_without_credentials(clients, heard_events, user, password) -> None:
    client = clients()
    events = heard_events(client)
    with pytest.raises(LoginFailed) as failure:
        await client.login(user, password)
    assert failure.value.cause == "Username and password must be filled out"
    assert events == [("onLoginFailed", "Username and password must be filled out")]


@pytest.mark.spec("3 login, during a call")
async def test_login_during_a_call(lab: Lab, alice: Client, heard_events) -> None:
    events = heard_events(alice)
    call = await alice.call("echo")
    with pytest.raises(LoginFailed):
        await alice.login("bob", lab.password("bob"))
    assert ("onLoginFailed", "Cannot login when there is an ongoing call") in events
    assert call.phase == "answered"
    assert alice.username == "alice"
    await call.hangup()


@pytest.mark.spec(
    "3 login, same user", "3 login, another user", "3 version, isLoggedIn", "4 onLogin", "4 onLogout"
)
async def test_the_same_user_and_another_one(lab: Lab, clients, heard_events) -> None:
    client = clients()
    events = heard_events(client)
    assert client.isLoggedIn is False
    first = client.login("alice", lab.password("alice"))
    second = client.login("alice", lab.password("alice"))  # while the first is under way
    await first
    await second
    await client.login("alice", lab.password("alice"))
    assert events.count(("onLogin",)) == 1
    assert client.isLoggedIn is True
    await client.login("bob", lab.password("bob"))
    assert [event for event in names(events) if event.startswith("onLog")] == [
        "onLogin",
        "onLogout",
        "onLogin",
    ]
    assert client.username == "bob"
    assert client.version == plivo_nb.__version__


@pytest.mark.spec("3 login")
async def test_a_login_overtaken_by_a_logout_ends(lab: Lab, clients) -> None:
    client = clients()
    operation = client.login("alice", lab.password("alice"))
    await asyncio.sleep(0)
    await client.logout()
    with pytest.raises(LoginFailed):
        await asyncio.wait_for(_await(operation), 10)
    await client.login("alice", lab.password("alice"))
    assert client.isLoggedIn


@pytest.mark.spec("3 logout", "4 onLogout", "4 onConnectionChange")
async def test_logout_hangs_up_and_closes_and_says_so_once(alice: Client, heard_events, caplog) -> None:
    events = heard_events(alice)
    call = await alice.call("echo")
    await alice.logout()
    assert call.info.state == "ended"
    assert names(events)[-2:] == ["onCallTerminated", "onLogout"]
    assert "onConnectionChange" not in names(events)
    assert not alice.is_connected
    await alice.logout()
    assert names(events).count("onLogout") == 1
    assert "nobody is logged in" in caplog.text


# ---------------------------------------------------------------- calls


@pytest.mark.spec("3 call", "4 onCalling", "4 onCallRemoteRinging", "4 onCallAnswered", "4 onCallTerminated")
async def test_a_call_tells_its_story_in_order(alice: Client, heard_events) -> None:
    events = heard_events(alice)
    call = await alice.call("echo")
    await call.hangup()
    assert names(events) == ["onCalling", "onCallRemoteRinging", "onCallAnswered", "onCallTerminated"]
    assert events[0] == ("onCalling",)
    assert [event[1].state for event in events[1:]] == ["ringing", "answered", "ended"]
    assert events[-1][1].originator == "local"


@pytest.mark.spec("3 call, checks", "3 wrong state")
async def test_call_is_refused_when_it_makes_no_sense(
    lab: Lab, clients, alice: Client, bob: Client, caplog
) -> None:
    fresh = clients()
    with pytest.raises(InvalidState, match="login"):
        await fresh.call("echo")
    for wrong in ("", "  ", None, 5):
        with pytest.raises(InvalidState, match="number"):
            await alice.call(wrong)
    operation = await ringing(alice, bob)
    with pytest.raises(InvalidState, match="hangup first"):
        await alice.call("echo")
    with pytest.raises(InvalidState, match="answer, reject or ignore"):
        await bob.call("echo")
    await bob.reject()
    with pytest.raises(CallFailed):
        await operation
    assert caplog.text.count("hangup first") == 1
    await (await alice.call("echo")).hangup()


@pytest.mark.spec("3 wrong state")
async def test_methods_without_a_call_warn_and_refuse(alice: Client, caplog, heard_events) -> None:
    events = heard_events(alice)
    for method, instead in (
        (alice.answer, "onIncomingCall"),
        (alice.reject, "hangup"),
        (alice.ignore, "nothing"),
        (alice.hangup, "call"),
        (lambda: alice.sendDtmf("1"), "call"),
    ):
        caplog.clear()
        with pytest.raises(InvalidState, match=instead):
            await method()
        assert len(caplog.records) == 1
    caplog.clear()
    assert alice.unmute() is False
    assert len(caplog.records) == 1
    assert events == []


@pytest.mark.spec("3 extraHeaders", "4 onIncomingCall")
async def test_headers_that_may_go_go_and_others_are_named(
    alice: Client, bob: Client, heard_events, caplog
) -> None:
    events = heard_events(bob)
    good = {"X-PH-A": "a", "x-ph-b2-C": "Z9_+()%.-", "X-Ph-" + "n" * 19: "v" * 120}
    bad = {"X-PH-": "a", "X-PH-" + "n" * 20: "a", "Y-PH-a": "a", "X-PH-sp": "a b", "X-PH-e": "", "X-PH-n": 5}
    bad["X-PH-long"] = "v" * 121
    bad["X-PH-crlf"] = "a\r\nVia: x"
    operation = alice.call("bob", extraHeaders={**good, **bad})
    assert operation.call.info.extraHeaders == good
    await until(lambda: bob.incoming_calls)
    heard = next(event for event in events if event[0] == "onIncomingCall")
    assert {name.lower(): value for name, value in heard[2].items()} == {
        name.lower(): value for name, value in good.items()
    }
    assert heard[3].extraHeaders == heard[2]
    for name in bad:
        assert sum(repr(name)[1:-1] in record.getMessage() for record in caplog.records) >= 1
    await alice.hangup()
    with pytest.raises(CallFailed):
        await operation


@pytest.mark.spec("3 answer", "3 reject", "3 hangup", "3 getCallUUID")
async def test_ringing_calls_are_chosen_by_id_else_the_most_recent(lab: Lab, clients) -> None:
    client = clients(allowMultipleIncomingCalls=True)
    await client.login("carol", lab.password("carol"))
    await lab.call("carol", 3)
    await until(lambda: len(client.incoming_calls) == 3)
    first, second, third = client.incoming_calls
    assert client.getCallUUID() is None
    assert (await client.reject(first.call_uuid)).callUUID == first.call_uuid
    assert (await client.reject("no-such-call")).callUUID == third.call_uuid
    answered = await client.answer(second.call_uuid)
    assert answered is second
    assert client.getCallUUID() == second.call_uuid
    await client.hangup()


@pytest.mark.spec("3 hangup", "4 onIncomingCallCanceled", "4 onCallFailed")
async def test_hangup_cancels_rejects_or_ends(alice: Client, bob: Client, heard_events, caplog) -> None:
    at_alice, at_bob = heard_events(alice), heard_events(bob)
    operation = await ringing(alice, bob)
    assert (await alice.hangup()).state == "canceled"
    with pytest.raises(CallFailed) as failure:
        await operation
    assert failure.value.cause == "Canceled"
    await until(lambda: "onIncomingCallCanceled" in names(at_bob))
    assert at_bob[-1][1].state == "canceled"
    assert [event[0] for event in at_alice].count("onCallFailed") == 1
    caplog.clear()
    operation = await ringing(alice, bob)
    assert (await bob.hangup()).state == "rejected"
    assert "use reject" in caplog.text
    assert at_bob[-1][:2] == ("onCallFailed", "Rejected")
    with pytest.raises(CallFailed, match="Busy"):
        await operation


@pytest.mark.spec("3 ignore", "4 onIncomingCallIgnored")
async def test_an_ignored_call_counts_no_more(
    alice: Client, bob: Client, heard_events, clients, lab: Lab
) -> None:
    events = heard_events(bob)
    operation = await ringing(alice, bob)
    info = await bob.ignore()
    assert info.state == "ignored"
    assert bob.incoming_calls == []
    assert bob.getCallUUID() is None
    with pytest.raises(InvalidState):
        await bob.answer(info.callUUID)
    assert not operation.done()
    call = await bob.call("echo")  # an ignored call does not count as ringing
    await call.hangup()
    await alice.hangup()
    with pytest.raises(CallFailed):
        await operation

    def mine() -> list[str]:
        return [event[0] for event in events if info.callUUID in str(event)]

    await stays(lambda: mine() == ["onIncomingCall", "onIncomingCallIgnored"], for_s=0.2)


# ---------------------------------------------------------------- during a call


@pytest.mark.spec("3 sendDtmf", "4 onDtmfReceived")
async def test_digits_arrive_in_order_by_info_and_wrong_ones_not_at_all(
    alice: Client, bob: Client, heard_events
) -> None:
    events = heard_events(bob)
    operation = await ringing(alice, bob)
    with pytest.raises(InvalidState):
        await alice.sendDtmf("1")  # not answered yet
    await bob.answer()
    await operation
    await alice.sendDtmf("1")
    await alice.send_dtmf("0#*")
    for wrong in ("a", "12a", "", " ", None, 5):
        with pytest.raises(InvalidState, match="nothing was sent"):
            await alice.sendDtmf(wrong)
    await until(lambda: names(events).count("onDtmfReceived") == 4)
    heard = [event[1] for event in events if event[0] == "onDtmfReceived"]
    assert heard == [{"tone": tone, "duration": 100} for tone in "10#*"]
    assert "digit received" in bob.recent_log[-2] or "onDtmfReceived" in bob.recent_log[-1]
    trace = alice.sip_trace
    infos = trace[(trace["start"] == "INFO") & (trace["direction"] == "out")]["text"]
    assert len(infos) == 4
    assert "Content-Type: application/dtmf-relay" in infos.iloc[0]
    assert re.search(r"Signal=1\r\nDuration=100", infos.iloc[0])
    await alice.hangup()


@pytest.mark.spec("3 sendDtmf")
async def test_digits_go_in_the_rtp_where_the_other_side_offered_it(alice: Client, lab: Lab) -> None:
    call = await alice.call("dtmf-rfc4733")
    heard: list[dict] = []
    alice.on("onDtmfReceived", heard.append)
    await until(lambda: "in ACK" in list(call.sip_trace["direction"].str.cat(call.sip_trace["start"], " ")))
    await alice.sendDtmf("59")  # the robot's re-INVITE has offered telephone-event
    await until(lambda: [event["tone"] for event in heard] == ["5", "9"], 10)
    trace = alice.sip_trace
    assert not ((trace["start"] == "INFO") & (trace["direction"] == "out")).any()
    await call.hangup()


@pytest.mark.spec("3 mute, unmute")
async def test_mute_holds_from_before_a_call_keeps_rtp_going_and_ends_with_the_call(alice: Client) -> None:
    assert alice.mute() is True
    call = await alice.call("echo")
    call.play(Tone(440))
    await until(lambda: len(call.samples) and call.audio().seconds > 1)
    assert np.abs(call.audio(-0.5).samples).max() < 50
    assert call.samples["packets_out"].iloc[-1] > 40
    assert alice.unmute() is True
    await until(lambda: np.abs(call.audio(-0.3).samples).max() > 500)
    alice.mute()
    await call.hangup()
    assert alice.muted is False


@pytest.mark.spec("3 setDebug")
async def test_set_debug_takes_the_documented_words(alice: Client, caplog) -> None:
    logger = logging.getLogger("plivo_nb")
    before = logger.level
    try:
        alice.setDebug("ERROR")
        assert logger.level == logging.ERROR
        alice.set_debug("ALL")
        alice.setDebug("LOUD")
        assert logger.level < logging.DEBUG
        assert "LOUD" in caplog.text
    finally:
        logger.setLevel(before)


@pytest.mark.spec("3 getPeerConnection", "3 getCallUUID", "3 getLastCallUUID", "3 webRTC", "4 callUUID")
async def test_what_can_be_asked_before_during_and_after_a_call(alice: Client) -> None:
    assert alice.webRTC() is True
    wrong = {"status": "called in wrong state", "pc": None}
    assert alice.getPeerConnection() == wrong
    assert alice.getCallUUID() is None
    assert alice.getLastCallUUID() is None
    seen: list[tuple] = []
    alice.on("onCalling", lambda: seen.append(("calling", alice.getCallUUID())))
    alice.on("onCallAnswered", lambda info: seen.append((info.callUUID, alice.getLastCallUUID())))
    call = await alice.call("echo")
    uuid = call.call_uuid
    assert seen == [("calling", None), (uuid, uuid)]
    assert uuid != call.sip_call_id  # it is the server's X-CallUUID
    found = alice.getPeerConnection()
    assert found["status"] == "success"
    assert found["pc"].signalingState == "stable"
    assert alice.getCallUUID() == uuid
    await call.hangup()
    assert alice.getPeerConnection() == wrong
    assert (alice.getCallUUID(), alice.getLastCallUUID()) == (None, uuid)


@pytest.mark.spec("3 sendQualityFeedback")
async def test_feedback_is_checked_and_taken_for_the_current_and_the_last_call(alice: Client, caplog) -> None:
    with pytest.raises(InvalidFeedback):
        await alice.sendQualityFeedback("x", 5, "no-audio")
    call = await alice.call("echo")
    uuid = alice.getCallUUID()
    wrong = [("other", 3, "no-audio"), (None, 3, "no-audio"), (uuid, 0, "no-audio"), (uuid, 6, "no-audio")]
    wrong += [(uuid, 3.0, "no-audio"), (uuid, "3", "no-audio"), (uuid, True, "no-audio"), (uuid, 3, "nice")]
    for arguments in wrong:
        caplog.clear()
        with pytest.raises(InvalidFeedback):
            await alice.sendQualityFeedback(*arguments)
        assert [record.name for record in caplog.records if record.name.startswith("plivo_nb")] == [
            "plivo_nb.client"
        ]
    await alice.sendQualityFeedback(uuid, 5, "audio-latency")
    await call.hangup()
    for comment in FEEDBACK_COMMENTS:
        await alice.sendQualityFeedback(uuid, 1, comment)
    row = alice.calls.iloc[-1]
    assert (row["feedback_score"], row["feedback_comment"]) == (1, "never-connected")
