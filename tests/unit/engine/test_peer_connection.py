"""PeerConnection: W3C's names of states, from what the I/O plane reported last."""

from collections.abc import AsyncIterator

import pytest
from call_world import SessionHarness, answered, dialled, offered

from plivo_nb.engine.peer_connection import PeerConnection
from plivo_nb.plane import wire


@pytest.fixture
async def harness() -> AsyncIterator[SessionHarness]:
    harness = SessionHarness()
    yield harness
    await harness.close()


@pytest.mark.parametrize(
    ("ice", "dtls", "state"),
    [
        ("new", "new", "new"),
        ("checking", "new", "connecting"),
        ("connected", "new", "connecting"),
        ("connected", "connecting", "connecting"),
        ("connected", "connected", "connected"),
        ("disconnected", "connected", "disconnected"),
        ("failed", "connected", "failed"),
        ("connected", "failed", "failed"),
        ("closed", "closed", "closed"),
    ],
)
async def test_the_connection_is_as_bad_as_the_worse_of_ice_and_dtls(
    harness: SessionHarness, ice: str, dtls: str, state: str
) -> None:
    session = harness.call()
    session.media.states |= {"ice": ice, "dtls": dtls}
    connection = PeerConnection(session)
    assert (connection.connectionState, connection.iceConnectionState) == (state, ice)
    assert repr(connection) == f"<PeerConnection {state}, ICE {ice}>"


async def test_signalling_is_stable_from_the_answer_to_the_end(harness: SessionHarness) -> None:
    ours, theirs = dialled(harness.call()), offered(harness.call("INCOMING"))
    assert PeerConnection(ours).signalingState == "have-local-offer"
    assert PeerConnection(theirs).signalingState == "have-remote-offer"
    answered(ours)
    assert PeerConnection(ours).signalingState == "stable"
    ours.abandon()
    assert PeerConnection(ours).signalingState == "closed"


async def test_gathering_is_complete_once_it_ended_by_itself_or_by_time(harness: SessionHarness) -> None:
    session = harness.call()
    connection = PeerConnection(session)
    assert connection.iceGatheringState == "new"
    session.media._report(wire.SessionState(1, "gathering", "gathering", 0.0, ""))
    assert connection.iceGatheringState == "gathering"
    session.media._report(wire.SessionState(1, "gathering", "timeout", 0.0, ""))
    assert connection.iceGatheringState == "complete"


async def test_a_call_without_media_has_no_statistics(harness: SessionHarness) -> None:
    assert await PeerConnection(harness.call()).getStats() == {}
