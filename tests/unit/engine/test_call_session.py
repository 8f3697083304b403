"""The state machine of a call: random triggers at one session, then random stories of three phones.

Clients, engine, SIP core and switch are real; wires and media are in memory (tests/simulation/call_world.py).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, get_args

import pytest
from call_world import (
    ACCOUNTS,
    SDP,
    MemoryEngine,
    SessionHarness,
    answered,
    client_of,
    dialled,
    offered,
    rings,
    turns,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from waiting import until

from plivo_nb import CallFailed
from plivo_nb.client import Client
from plivo_nb.engine.call_session import TRANSITIONS, State, Transition, Trigger
from plivo_nb.events import EVENT_NAMES, CallInfo, Direction
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.engine.call_session import CallSession

# What may follow what, for one call at one phone; "" is the beginning, and an empty set the end.
NEXT: dict[str, set[str]] = {
    "": {"onCallRemoteRinging", "onCallAnswered", "onCallFailed", "onIncomingCall"},
    "onCallRemoteRinging": {"onCallAnswered", "onCallFailed"},
    "onIncomingCall": {
        "onCallAnswered",
        "onCallFailed",
        "onIncomingCallCanceled",
        "onIncomingCallIgnored",
    },
    "onCallAnswered": {"onCallTerminated"},
    "onCallTerminated": set(),
    "onCallFailed": set(),
    "onIncomingCallCanceled": set(),
    "onIncomingCallIgnored": set(),
}
STATES = {
    "onCallRemoteRinging": {"ringing"},
    "onIncomingCall": {"ringing"},
    "onCallAnswered": {"answered"},
    "onCallTerminated": {"ended"},
    "onCallFailed": {"failed", "rejected", "canceled"},
    "onIncomingCallCanceled": {"canceled"},
    "onIncomingCallIgnored": {"ignored"},
}
FINAL = {"ended", "failed", "rejected", "canceled", "ignored"}

NOW = time.monotonic()


# ---------------------------------------------------------------- the table


def test_every_state_but_over_can_be_reached_and_left_and_over_is_the_end() -> None:
    states = set(get_args(State))
    assert {row.to for row in TRANSITIONS.values()} | {"new"} == states
    assert not [key for key in TRANSITIONS if key[0] == "over"]
    assert {state for state, trigger in TRANSITIONS if trigger == "abandoned"} == states - {"over"}
    assert {trigger for _, trigger in TRANSITIONS} == set(get_args(Trigger))


@pytest.mark.spec("4 callInfo")
def test_each_row_to_over_names_the_final_state_and_its_event() -> None:
    for key, row in TRANSITIONS.items():
        if row.to != "over":
            assert row.final is None, key
        elif row.event is None:
            assert row.final == "ignored", key
        else:
            assert row.final in STATES[row.event], key
            assert not NEXT[row.event], key


def replay(triggers: list[str]) -> list[Transition]:
    """The rows that these triggers pass, from the beginning."""
    state, rows = "new", []
    for trigger in triggers:
        rows.append(TRANSITIONS[state, trigger])
        state = rows[-1].to
    return rows


async def play(direction: Direction, actions: list[str], seed: int) -> None:
    """Do these things to one session; then compare what it fired with what the table says."""
    harness = SessionHarness(MemoryEngine(seed))
    session = harness.call(direction)
    applied: list[str] = []
    session.watchers.append(applied.append)
    session.identity.key = "call-id-1" if direction == "INCOMING" else None
    tasks = []
    for action in actions:
        if action in ("dial", "answer"):
            work = session.dial("bob", []) if action == "dial" else session.answer()
            tasks.append(asyncio.ensure_future(work))
        await turns(3)
        DO[action](session)
    session.abandon()
    before = list(harness.events)
    for action in DO:  # a call that is over stays so
        DO[action](session)
    await asyncio.gather(*tasks, return_exceptions=True)
    await session.closed
    assert harness.events == before
    rows = replay(applied)
    assert [event[0] for event in harness.events] == [row.event for row in rows if row.event]
    *earlier, last = rows
    assert last.to == "over"
    assert all(row.to != "over" for row in earlier)
    info = session.over.result()
    assert info.state == last.final
    if last.event is not None:
        assert harness.events[-1][-1] == info
        assert harness.events[-1][:-1] == (
            ("onCallFailed", session.cause)
            if session.cause and last.event == "onCallFailed"
            else (last.event,)
        )
    await harness.account.close()
    await harness.engine.close()


def failed_with(code: int) -> Callable[[CallSession], None]:
    event = sip.CallFailed("call-id-1", code, "", [], None, "remote", None)
    return lambda session: session.on_failed(event, NOW)


DO: dict[str, Callable[[CallSession], object]] = {
    "dial": lambda session: None,
    "answer": lambda session: None,
    "wait": lambda session: None,
    "offered": lambda session: offered(session) if session.direction == "INCOMING" else None,
    "ring": rings,
    "2xx": lambda session: session.on_answered(
        sip.Answered("call-id-1", SDP.encode(), [], "x-1"), time.monotonic()
    ),
    "ACK": lambda session: session.on_confirmed(sip.Confirmed("call-id-1", b""), NOW),
    "ACK with an answer": lambda session: session.on_confirmed(
        sip.Confirmed("call-id-1", SDP.encode()), time.monotonic()
    ),
    "403": failed_with(403),
    "486": failed_with(486),
    "CANCEL": lambda session: session.on_canceled(sip.Canceled("call-id-1"), NOW),
    "no answer": lambda session: session.on_no_answer(),
    "rejected": lambda session: session.on_rejected(sip.Rejected("call-id-1", 486)),
    "BYE": lambda session: session.on_ended(
        sip.Ended("call-id-1", "remote", None, "", None), time.monotonic()
    ),
    "ignore": lambda session: session.ignore(),
    "reject": lambda session: session.reject(),
    "hang up": lambda session: session.hangup(),
    "media failure": lambda session: session.fail("WebRTC Error", "No path."),
    "RTP timeout": lambda session: session.media._report(wire.SessionState(1, "rtp", "timeout", 1.0)),
    "I/O plane dead": lambda session: session.media._report(wire.PlaneDead("It ended.")),
    "abandon": lambda session: session.abandon(),
}
USUAL = {"OUTGOING": ["dial", "wait", "ring", "2xx"], "INCOMING": ["offered", "answer", "wait", "ACK"]}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["OUTGOING", "INCOMING"]),
    st.integers(0, 4),
    st.lists(st.sampled_from(list(DO)), max_size=8),
    st.integers(0, 2**32),
)
def test_a_session_fires_what_the_table_says_and_ends_once(
    direction: Direction, usual: int, actions: list[str], seed: int
) -> None:
    begin = USUAL[direction][:usual]
    asyncio.run(asyncio.wait_for(play(direction, begin + actions, seed), 20))


@pytest.mark.parametrize(("direction", "action"), [(d, a) for d in USUAL for a in DO])
@pytest.mark.parametrize("usual", range(5))
def test_each_trigger_at_each_stage_of_a_usual_call(direction: Direction, action: str, usual: int) -> None:
    actions = [*USUAL[direction][:usual], action, "wait", "wait"]
    asyncio.run(asyncio.wait_for(play(direction, actions, 7), 20))


@pytest.mark.spec("3 hangup", "4 onCallFailed")
async def test_a_hang_up_between_answer_and_200_ends_the_call() -> None:
    engine = MemoryEngine(6)
    alice, bob = await client_of(engine, "alice"), await client_of(engine, "bob")
    operation = alice.call("bob")
    await bob.wait_for("onIncomingCall", timeout=5)
    answering = bob.answer()
    session = bob._endpoint.call_manager.ringing[0]
    await until(lambda: session.state == "answering", interval_s=0)
    info = await asyncio.wait_for(bob.hangup(), 5)
    assert (info.state, info.originator) == ("canceled", "local")
    with pytest.raises(CallFailed, match="Canceled"):
        await answering
    with pytest.raises(CallFailed, match="Busy"):
        await operation
    await alice.close()
    await bob.close()


# ---------------------------------------------------------------- stories


PEOPLE = list(ACCOUNTS)
people = st.sampled_from(PEOPLE)
steps = st.one_of(
    st.tuples(st.just("call"), people, st.sampled_from([*PEOPLE, "nobody"])),
    st.tuples(st.sampled_from(["answer", "reject", "ignore", "hangup", "mute"]), people),
    st.tuples(st.just("wait"), st.integers(0, 60)),
    st.tuples(st.just("wait"), st.just(150)),
)


@pytest.fixture(autouse=True)
def quiet():
    logger = logging.getLogger("plivo_nb")
    before, disabled = logger.level, logging.root.manager.disable
    logging.disable(logging.WARNING)  # stories are full of methods in a wrong state
    yield
    logging.disable(disabled)
    logger.setLevel(before)


class Witness:
    """What one phone told, and whether it ever had two answered calls."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        for name in EVENT_NAMES:
            client.on(name, lambda *arguments, name=name: self.note(name, arguments))

    def note(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.events.append((name, arguments))
        sessions = self.client._endpoint.call_manager.sessions
        assert sum(session.phase == "answered" for session in sessions) <= 1

    def check(self) -> int:
        """Every call's events follow the table; gives how many calls there were."""
        calls: dict[object, list[CallInfo]] = defaultdict(list)
        order: dict[object, list[str]] = defaultdict(list)
        for number, (name, arguments) in enumerate(self.events):
            for info in arguments:
                if isinstance(info, CallInfo):
                    assert info.state in STATES[name], (name, info)
                    # Given up before its INVITE was out it has no id; who rings herself has two calls of one.
                    key = (info.callUUID or number, info.direction)
                    calls[key].append(info)
                    order[key].append(name)
        for uuid, names in order.items():
            for before, after in zip(["", *names], names, strict=False):
                assert after in NEXT[before], (uuid, names)
            assert not NEXT[names[-1]], (uuid, names)
        dialled = sum(name == "onCalling" for name, _ in self.events)
        outgoing = sum(infos[0].direction == "OUTGOING" for infos in calls.values())
        assert dialled == outgoing, "each call that was dialled ends in one event"
        rows = self.client.calls
        assert len(rows) == len(order)
        assert set(rows["state"]) <= FINAL
        return len(order)


async def tell(story: list[tuple[Any, ...]], seed: int, several: bool) -> int:
    engine = MemoryEngine(seed)
    clients = {name: await client_of(engine, name, allowMultipleIncomingCalls=several) for name in PEOPLE}
    witnesses = [Witness(client) for client in clients.values()]
    for what, *who in story:
        match what:
            case "call":
                clients[who[0]].call(who[1])
            case "wait":
                await turns(who[0])
            case _:
                getattr(clients[who[0]], what)()
    for client in clients.values():
        await client.close()
    await engine.close()
    return sum(witness.check() for witness in witnesses)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.lists(steps, min_size=2, max_size=16), st.integers(0, 2**32), st.booleans())
def test_every_call_ends_once_in_an_order_that_the_table_allows(
    story: list[tuple[Any, ...]], seed: int, several: bool
) -> None:
    asyncio.run(asyncio.wait_for(tell(story, seed, several), 20))


def test_a_second_call_is_answered_the_first_is_hung_up() -> None:
    story = [("call", "alice", "carol"), ("wait", 150), ("call", "bob", "carol"), ("wait", 150)]
    story += [("answer", "carol"), ("wait", 150), ("hangup", "bob"), ("wait", 150)]
    assert asyncio.run(tell(story, 5, True)) == 4


@pytest.mark.spec("4 callUUID")
@pytest.mark.parametrize("told", [True, False], ids=["X-CallUUID", "no X-CallUUID"])
async def test_the_id_of_a_call_is_the_servers_else_the_call_id_and_stays(told: bool) -> None:
    engine = MemoryEngine(1)
    engine.memory_plane.unsaid = None if told else "X-CallUUID"
    alice, bob = await client_of(engine, "alice"), await client_of(engine, "bob")
    witnesses = [Witness(alice), Witness(bob)]
    operation = alice.call("bob")
    ours = operation.call
    assert ours.call_uuid is None
    await bob.wait_for("onIncomingCall", timeout=5)
    theirs = await bob.answer()
    await operation
    assert (ours.call_uuid == ours.sip_call_id) is not told
    assert (theirs.call_uuid == theirs.sip_call_id) is not told
    await alice.hangup()
    await theirs.ended
    for witness in witnesses:
        infos = [item for _, arguments in witness.events for item in arguments if isinstance(item, CallInfo)]
        assert len({info.callUUID for info in infos}) == 1
        assert len(infos) >= 3
    assert alice.getLastCallUUID() == ours.call_uuid
    await alice.close()
    await bob.close()


@pytest.mark.spec("4 causes")
@pytest.mark.parametrize(
    ("line", "cause", "state"),
    [
        ('480 Temporarily Unavailable\r\nReason: Q.850;cause=21;text="X"', "Unavailable", "failed"),
        ("503 Service Unavailable\r\nReason: Q.850;cause=21", "SIP Failure Code", "failed"),
        ("488 Not Acceptable Here", "Incompatible SDP", "failed"),
        ("484 Address Incomplete", "Address Incomplete", "failed"),
        ("302 Moved Temporarily", "Redirected", "failed"),
        ("500 Server Internal Error", "SIP Failure Code", "failed"),
        ("403 Forbidden", "Rejected", "rejected"),
    ],
)
async def test_what_a_server_answers_becomes_the_sdks_word(line: str, cause: str, state: str) -> None:
    engine = MemoryEngine(2)
    engine.memory_plane.refusal = ("SIP/2.0 404 Not Found", f"SIP/2.0 {line}")
    alice = await client_of(engine, "alice")
    failed = alice.wait_for("onCallFailed", timeout=5)
    with pytest.raises(CallFailed) as failure:
        await alice.call("nobody")
    told, info = await failed
    assert (told, info.state, info.code) == (cause, state, int(line[:3]))
    assert failure.value.cause == cause
    assert (info.protocol == "Q.850") is ("Q.850" in line)
    assert alice.calls["cause"].iloc[-1] == cause
    await alice.close()


@pytest.mark.spec("4 causes")
@pytest.mark.parametrize(
    ("what", "state", "cause"), [("rtp", "timeout", "RTP Timeout"), ("dtls", "failed", "WebRTC Error")]
)
async def test_an_answered_call_ends_when_its_media_fails(what: Any, state: str, cause: str) -> None:
    engine = MemoryEngine(3)
    harness = SessionHarness(engine)
    session = harness.call()
    await session.media.open()
    answered(dialled(session))
    session.media._report(wire.SessionState(1, what, state, 1.0))
    assert (session.state, session.cause) == ("hanging up", cause)
    await harness.close()
    await engine.close()


@pytest.mark.spec("4 causes")
@pytest.mark.parametrize(
    ("report", "cause"),
    [
        (lambda number: wire.Fault(number, "WebRTCError", "The tick failed."), "WebRTC Error"),
        (lambda number: wire.Fault(number, "IncompatibleSDP", "Nothing in common."), "Incompatible SDP"),
        (lambda number: wire.Fault(number, "ConnectionError", "Gone."), "Connection Error"),
        (lambda number: wire.Fault(number, "Timeout", "Late."), "Request Timeout"),
        (lambda number: wire.PlaneDead("The plane ended."), "WebRTC Error"),
    ],
)
@pytest.mark.parametrize("answered", [True, False], ids=["answered", "ringing"])
async def test_reasons_of_our_own_have_words_too(report, cause: str, answered: bool) -> None:
    engine = MemoryEngine(3)
    alice, bob = await client_of(engine, "alice"), await client_of(engine, "bob")
    witness = Witness(alice)
    ringing = alice.wait_for("onCallRemoteRinging", timeout=5)
    operation = alice.call("bob")
    await ringing
    if answered:
        while not bob.incoming_calls:
            await asyncio.sleep(0)
        await bob.answer()
        call = await operation
    else:
        call = operation.call
    engine._reports([report(call._session.media._id)])
    info = await call.ended
    assert call.cause == cause
    if answered:
        assert ("onCallTerminated", (info,)) in witness.events
        assert (info.state, info.reason) == ("ended", cause)
    else:
        told = [event for event in witness.events if event[0] == "onCallFailed"]
        assert told == [("onCallFailed", (cause, info))]
        assert info.state == "failed"
        with pytest.raises(CallFailed, match=cause):
            await operation
    await alice.close()
    await bob.close()


@pytest.mark.spec("4 causes", "4 onCallFailed", "3 ignore")
@pytest.mark.parametrize("ignored", [True, False])
async def test_nobody_answers_within_the_time(ignored: bool) -> None:
    engine = MemoryEngine(4)
    alice, bob = await client_of(engine, "alice"), await client_of(engine, "bob")
    witness = Witness(bob)
    alice.call("bob")
    await bob.wait_for("onIncomingCall", timeout=5)
    session = bob._endpoint.call_manager.ringing[0]
    if ignored:
        await bob.ignore()
    bob._endpoint.call_manager.on_sip_event(sip.NoAnswer(session.key), NOW)
    names = [name for name, _ in witness.events]
    if ignored:
        assert names == ["onIncomingCall", "onIncomingCallIgnored"]
        assert session.over.result().code == 408
    else:
        assert names == ["onIncomingCall", "onCallFailed"]
        assert witness.events[-1][1][0] == "No Answer"
        assert witness.events[-1][1][1].state == "failed"
    await alice.close()
    await bob.close()


@pytest.mark.spec("4 causes", "3 answer")
async def test_an_offer_that_cannot_be_used_is_refused_as_such_when_it_is_answered() -> None:
    engine = MemoryEngine(5)
    alice, bob = await client_of(engine, "alice"), await client_of(engine, "bob")
    operation = alice.call("bob")
    await bob.wait_for("onIncomingCall", timeout=5)
    engine.memory_plane.unusable = True
    with pytest.raises(CallFailed, match="Incompatible SDP"):
        await bob.answer()
    with pytest.raises(CallFailed) as failure:
        await operation
    assert (failure.value.cause, failure.value.call_info.code) == ("Incompatible SDP", 488)
    await alice.close()
    await bob.close()


@pytest.mark.parametrize("direction", ["OUTGOING", "INCOMING"])
async def test_a_call_in_which_the_package_fails_ends_and_says_so(
    direction: Direction, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object, **_more: object) -> None:
        raise TypeError("unexpected keyword argument 'self'")

    harness = SessionHarness(MemoryEngine(1))
    session = harness.call(direction)
    monkeypatch.setattr(harness.account, "invite", broken)
    monkeypatch.setattr(harness.account, "accept", broken)
    if direction == "INCOMING":
        session.identity.key = "call-id-1"
        offered(session)
        work = session.answer()
    else:
        work = session.dial("bob", [])
    with pytest.raises(CallFailed, match="WebRTC Error"):
        await work
    assert "A fault of plivo_nb: TypeError" in (await session.over).reason
    assert "Traceback" in caplog.text
    await session.closed
    await harness.account.close()
    await harness.engine.close()
