"""What the statistics service is told about a call, and when.

Sessions, engine and service are the real ones; what the I/O plane and the SIP core would report is said
by the test.
"""

import asyncio
import time

import pytest
from call_world import answered, dialled, rings
from metrics_harness import MetricsHarness, answered_call, state

from plivo_nb.plane import wire
from plivo_nb.sip import user_agent as sip


def kinds(harness: MetricsHarness) -> list[str]:
    return [message["msg"] for message in harness.queued()]


def logged_in(harness: MetricsHarness) -> MetricsHarness:
    harness.tracking.logged_in("alice", "secret", "phone.plivo.com")
    return harness


async def test_ringing_comes_once_and_before_the_answer(make) -> None:
    harness = logged_in(make())
    session = dialled(harness.call())
    rings(session)
    rings(session)
    assert kinds(harness) == ["CALL_RINGING"]
    signalling = harness.queued()[0]["signalling"]
    assert set(signalling) == {"call_initiation_time", "post_dial_delay"}
    assert harness.queued()[0]["xcallUUID"] == "x-1"


@pytest.mark.parametrize(
    ("report", "kind"),
    [
        (wire.SessionState(1, "ice", "failed", 1.0, "No path was found."), "ICE_FAILURE"),
        (wire.SessionState(1, "dtls", "failed", 1.0, "No path was found."), "MEDIA_FAILURE"),
        (wire.Fault(1, "WebRTCError", "No path was found."), "MEDIA_FAILURE"),
        (wire.Fault(1, "IncompatibleSDP", "No path was found."), "MEDIA_FAILURE"),
    ],
    ids=["ice", "dtls", "fault", "fault of another code"],
)
async def test_a_failure_of_the_media_is_told_once_with_its_sentence(
    make, report: wire.Report, kind: str
) -> None:
    harness = logged_in(make())
    session = dialled(harness.call())
    session._apply("answered")
    state(session, "ice", "checking")
    session.media._report(report)
    session.media._report(report)
    await asyncio.sleep(0)
    assert session.phase == "over"
    assert kinds(harness)[0] == kind
    assert kinds(harness).count(kind) == 1
    assert harness.queued()[0]["info"] == "No path was found."
    assert kinds(harness)[-1] == "CALL_SUMMARY"


async def test_an_sdp_that_cannot_be_used_is_told_as_one(make) -> None:
    harness = logged_in(make())
    session = dialled(harness.call())
    session.on_failed(
        sip.CallFailed("call-id-1", 488, "Not Acceptable Here", [], None, "remote", None), time.monotonic()
    )
    await asyncio.sleep(0)
    assert kinds(harness) == ["SDP_FAILURE", "CALL_SUMMARY"]
    summary = harness.queued()[1]["signalling"]
    assert summary["hangup_reason"] == "Incompatible SDP"
    assert summary["hangup_party"] == "remote"


async def test_a_mute_is_told_of_an_answered_call_only_and_only_when_it_changes(make) -> None:
    harness = logged_in(make())
    session = harness.call()
    session.set_muted(True)
    answered(dialled(session))
    await asyncio.sleep(0)
    for muted in (True, False, False, True):
        session.set_muted(muted)
    assert [message["action"] for message in harness.queued() if message["msg"] == "TOGGLE_MUTE"] == [
        "unmute",
        "mute",
    ]
    session.abandon()
    await asyncio.sleep(0)
    assert kinds(harness)[-1] == "CALL_SUMMARY"


async def test_feedback_is_queued_for_the_call_it_is_about_also_after_it(make) -> None:
    harness = logged_in(make())
    session = await answered_call(harness)
    session.abandon()
    await asyncio.sleep(0)
    harness.tracking.feedback(session, 2, "one-way-audio")
    message = harness.queued()[-1]
    assert (message["msg"], message["callUUID"], message["xcallUUID"]) == ("FEEDBACK", "call-id-1", "x-1")
