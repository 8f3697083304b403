"""Negotiation: a description that comes in mid-call is answered, or refused while the call goes on."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from call_world import SDP, MemoryEngine, SessionHarness, answered, dialled, offered, rings, turns
from waiting import until

from plivo_nb.engine.call_session import CallSession
from plivo_nb.errors import CallFailed
from plivo_nb.plane import wire
from plivo_nb.sip import events as sip

NOW = time.monotonic()


class Told:
    """Keeps what the SIP core would be asked for; the rest of the account is not used here."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.asked.append((name, *arguments))


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    engine = MemoryEngine(1)
    yield engine
    await engine.close()


@pytest.fixture
async def harness(engine: MemoryEngine) -> AsyncIterator[SessionHarness]:
    harness = SessionHarness(engine)
    yield harness
    await harness.close()


async def answered_call(harness: SessionHarness) -> tuple[CallSession, Told]:
    session = harness.call()
    await session.media.open()
    answered(dialled(session))
    session.account = told = Told()  # type: ignore[assignment]
    return session, told


async def test_a_re_invite_is_answered_with_a_description(harness: SessionHarness) -> None:
    session, told = await answered_call(harness)
    await session.negotiation.on_reinvite("call-id-1", SDP.encode())
    assert told.asked == [("accept_reinvite", "call-id-1", SDP.encode())]


async def test_a_re_invite_without_an_offer_gets_ours(harness: SessionHarness) -> None:
    session, told = await answered_call(harness)
    await session.negotiation.on_reinvite("call-id-1", b"\r\n")
    assert told.asked == [("accept_reinvite", "call-id-1", SDP.encode())]


async def test_an_offer_that_cannot_be_used_gets_488_and_the_call_goes_on(
    harness: SessionHarness, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    session, told = await answered_call(harness)
    engine.memory_plane.unusable = True
    with caplog.at_level(logging.WARNING):
        await session.negotiation.on_reinvite("call-id-1", SDP.encode())
    assert told.asked == [("reject_reinvite", "call-id-1", 488)]
    assert session.phase == "answered"
    assert "Nothing in common." in caplog.text


async def test_early_media_that_cannot_be_used_is_logged_and_the_call_still_rings(
    harness: SessionHarness, engine: MemoryEngine, caplog: pytest.LogCaptureFixture
) -> None:
    session = harness.call()
    await session.media.open()
    rings(dialled(session))
    engine.memory_plane.unusable = True
    with caplog.at_level(logging.WARNING):
        await session.negotiation.early_media(SDP.encode(), "t1")
    assert session.phase == "ringing"
    assert "waiting for the answer" in caplog.text


async def test_the_first_branch_of_a_forked_call_is_heard_until_it_is_gone(
    harness: SessionHarness, engine: MemoryEngine
) -> None:
    session = harness.call()
    await session.media.open()
    dialled(session)
    applied: list[tuple[str, bytes]] = []

    async def apply(kind: str, body: bytes) -> None:
        applied.append((kind, body))

    session.media.apply = apply  # type: ignore[method-assign]

    def progress(tag: str, body: bytes) -> None:
        session.on_progress(
            sip.Progress("call-id-1", 183, "Session Progress", body, [], "x-1", tag), time.monotonic()
        )

    progress("b", b"SDP of b")
    progress("c", b"SDP of c")
    progress("d", b"SDP of d")
    await until(lambda: bool(applied))
    await turns(5)
    assert applied == [("pranswer", b"SDP of b")]
    session.media._report(wire.SessionState(1, "ice", "disconnected", 1.0))
    await until(lambda: len(applied) == 2)
    assert applied[1] == ("pranswer", b"SDP of d")
    assert session.state == "ringing"
    session.on_answered(
        sip.Answered("call-id-1", b"", [], "x-1", "c"), time.monotonic()
    )  # its SDP came with the 183
    await until(lambda: session.state == "answered")
    assert applied[2] == ("answer", b"SDP of c")


@pytest.mark.parametrize("what", ["ice", "dtls"])
async def test_early_media_that_fails_does_not_end_the_call(harness: SessionHarness, what: Any) -> None:
    session = harness.call()
    await session.media.open()
    rings(dialled(session))
    session.media._report(wire.SessionState(1, what, "failed", 1.0))
    assert session.state == "ringing"
    session.on_answered(sip.Answered("call-id-1", SDP.encode(), [], "x-1", "b"), NOW)
    await until(lambda: session.state in ("answered", "over", "canceling", "hanging up"))
    assert (session.state == "answered") is (what == "ice")


async def test_an_ack_without_the_answer_that_is_due_ends_the_call(
    harness: SessionHarness, engine: MemoryEngine
) -> None:
    session = offered(harness.call("INCOMING"))  # the INVITE has no SDP: our 200 makes the offer
    session.account = told = Told()  # type: ignore[assignment]
    engine.memory_plane.unusable = True  # as the plane refuses an empty description
    answering = asyncio.ensure_future(session.answer())
    await until(lambda: session._accepted)
    session.on_confirmed(sip.Confirmed("call-id-1", b""), NOW)
    with pytest.raises(CallFailed) as failure:
        await answering
    assert failure.value.cause == "Incompatible SDP"
    assert ("hangup", "call-id-1") in told.asked


@pytest.mark.parametrize(
    ("ice", "packets", "restart"),
    [
        ("connected", [10, 20], False),
        ("connected", [10, 10], True),
        ("disconnected", [], True),
        ("failed", [], True),
    ],
)
async def test_a_new_socket_offers_again_and_restarts_ice_where_no_packets_come(
    harness: SessionHarness, monkeypatch: pytest.MonkeyPatch, ice: str, packets: list[int], restart: bool
) -> None:
    session, told = await answered_call(harness)
    session.media.states["ice"] = ice
    restarts: list[bool] = []

    async def stats() -> dict[str, Any]:
        return {"transport": {"packetsReceived": packets.pop(0)}}

    async def create_offer(*, ice_restart: bool = False) -> bytes:
        restarts.append(ice_restart)
        return b"offer"

    monkeypatch.setattr(session.negotiation, "_media", SimpleNamespace(
        stats=stats, create_offer=create_offer, states=session.media.states
    ))  # fmt: skip
    session.negotiation.on_signalling_restored()
    await until(lambda: told.asked)
    assert (told.asked, restarts) == ([("reinvite", "call-id-1", b"offer")], [restart])


async def test_a_call_that_is_not_answered_offers_nothing(harness: SessionHarness) -> None:
    session = dialled(harness.call())
    session.negotiation.on_signalling_restored()
    assert not [name for name in map(str, harness.engine._tasks) if "re-INVITE" in name]


async def test_an_answer_that_cannot_be_used_ends_the_call(
    harness: SessionHarness, engine: MemoryEngine
) -> None:
    session, told = await answered_call(harness)
    engine.memory_plane.unusable = True
    await session.negotiation.on_reinvite_answered(SDP.encode())
    assert [name for name, *_ in told.asked] == ["hangup"]
