"""What a call's states and samples become: mediaMetrics events, messages of the statistics service.

Sessions, engine and service are the real ones; what the I/O plane and the SIP core would report is said
by the test.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import fields

import pytest
from call_world import SessionHarness, answered, dialled, rings
from waiting import until

from plivo_nb import InvalidOption, Silence
from plivo_nb.engine.call_session import CallSession
from plivo_nb.engine.media_metrics import MediaMetrics
from plivo_nb.engine.records import Records
from plivo_nb.options import read_options
from plivo_nb.plane import wire
from plivo_nb.quality.rules import V2_1, Rule
from plivo_nb.quality.sampler import SampleRow
from plivo_nb.sip import user_agent as sip

NOWHERE = {"statsUrl": "http://127.0.0.1:9/", "insightsUrl": "ws://127.0.0.1:9/"}


class MetricsHarness(SessionHarness):
    """The mediaMetrics of one client, and calls that are followed."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.records = Records(self.engine)
        self.tracking = MediaMetrics(
            self.engine, read_options(None, {**NOWHERE, **options}), self.emit, self.records
        )

    def follow(self, session: CallSession) -> None:
        self.tracking.follow(session)

    @property
    def metrics(self) -> list[dict]:
        return self.fired("mediaMetrics")

    def queued(self) -> list[dict]:
        assert self.tracking.service is not None
        return list(self.tracking.service._queue)

    async def close(self) -> None:
        await super().close()
        await self.tracking.logged_out()


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., MetricsHarness]]:
    made: list[MetricsHarness] = []

    def make(**options: object) -> MetricsHarness:
        made.append(MetricsHarness(**options))
        return made[-1]

    yield make
    for harness in made:
        await harness.close()
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")]
    assert left == []


async def answered_call(harness: MetricsHarness) -> CallSession:
    session = answered(dialled(harness.call()))
    await asyncio.sleep(0)  # the callbacks of `answered`
    return session


def row(at: float, **values: float | str | bool) -> SampleRow:
    missing = {field.name: math.nan for field in fields(SampleRow)}
    good = {"time_utc_ns": 0, "codec": "OPUS", "muted": False, "packets_out": 50.0}
    return SampleRow(**{**missing, **good, "time_monotonic_s": at, **values})


def state(session: CallSession, what: str, state: str, detail: str = "") -> None:
    session.media._report(wire.SessionState(1, what, state, session.over.get_loop().time(), detail))


# ---------------------------------------------------------------- mediaMetrics


async def test_samples_are_judged_from_the_answer_on_and_kept_as_a_frame(make) -> None:
    harness = make()
    session = harness.call()
    for _ in range(5):
        session.media._report(wire.Sample(1, row(0.0, jitter_in_ms=90.0)))
    assert harness.metrics == [], "not answered yet"
    answered(dialled(session))
    await asyncio.sleep(0)
    now = harness.engine.loop.time()
    for second in range(1, 4):
        session.media._report(wire.Sample(1, row(now + second, jitter_in_ms=90.0)))
    (event,) = harness.metrics
    assert (event["type"], event["stream"], event["value"]) == ("high_jitter", "remote", 90.0)
    frame = harness.records.media_metrics()
    assert list(frame["call_uuid"]) == ["x-1"]
    assert {name: frame[name].iloc[0] for name in event} == event


async def test_what_is_told_before_the_call_has_an_id_is_kept_under_the_id_it_gets(make) -> None:
    harness = make()
    session = harness.call()
    session._apply("dial")
    state(session, "gathering", "timeout")
    assert [event["type"] for event in harness.metrics] == ["ice_timeout"]
    assert harness.records.media_metrics().empty
    session.identity.key = "call-id-1"
    session._apply("invite sent")
    rings(session)
    session.hangup()
    session.on_failed(sip.CallFailed("call-id-1", 487, "Canceled", [], None, "local", "x-1"))
    await asyncio.sleep(0)
    assert list(harness.records.media_metrics()["call_uuid"]) == ["x-1"]


async def test_a_longer_gathering_time_out_is_told_at_two_seconds_all_the_same(make) -> None:
    harness = make(iceGatheringTimeout=10)
    slow, quick = harness.call(), harness.call()
    slow._apply("dial")
    quick._apply("dial")
    state(quick, "gathering", "complete")
    await asyncio.sleep(1.2)
    assert harness.metrics == []
    await until(lambda: [event["type"] for event in harness.metrics] == ["ice_timeout"], timeout_s=2)
    state(slow, "gathering", "timeout")
    assert len(harness.metrics) == 1, "once a gathering"


@pytest.mark.parametrize(
    ("options", "source", "raised"),
    [
        ({}, None, True),
        ({"sound": "none"}, None, False),
        ({"sound": "none"}, object(), True),
        ({}, Silence(), False),
    ],
    ids=["no device", "no sound wanted", "a source that gives nothing", "silence by choice"],
)
async def test_a_microphone_is_missed_unless_silence_was_chosen(
    options: dict, source: object, raised: bool
) -> None:
    harness = MetricsHarness(**options)
    session = await answered_call(harness)
    session.media.source = source
    now = harness.engine.loop.time()
    for second in range(1, 6):
        session.media._report(wire.Sample(1, row(now + second, source_bytes=0.0)))
    assert [event["type"] for event in harness.metrics] == ["no_microphone_access"] * raised


@pytest.mark.spec("2 preDetectOwa")
async def test_a_lost_device_is_told_with_pre_detect_owa_also_without_a_call(make) -> None:
    harness = make(preDetectOwa=True)
    harness.tracking.microphone("lost")
    harness.tracking.microphone("present")
    await answered_call(harness)
    harness.tracking.microphone("lost")
    assert [(event["desc"], event["active"]) for event in harness.metrics] == [
        ("lost access to microphone", True),
        ("lost access to microphone", False),
        ("lost access to microphone", True),
    ]
    assert list(harness.records.media_metrics()["call_uuid"].astype(object))[2] == "x-1"
    other = make()
    other.tracking.microphone("lost")
    assert other.metrics == [], "only with the option"


@pytest.mark.spec("2 rules")
async def test_own_rules_are_applied_and_wrong_ones_are_refused(
    make, caplog: pytest.LogCaptureFixture
) -> None:
    own = Rule(type="slow", group="network", desc="d", column="rtt_ms", over=">", limit=100)
    harness = make(rules=[own])
    session = await answered_call(harness)
    for second in range(3):
        session.media._report(wire.Sample(1, row(float(second), rtt_ms=500.0)))
    assert [event["type"] for event in harness.metrics] == ["slow"]
    assert make(rules=[7]).tracking._rules is V2_1
    assert "rules" in caplog.text
    with pytest.raises(InvalidOption, match="rules"):
        make(rules=[7], strict=True)


async def test_the_published_packages_rules_are_a_choice(make) -> None:
    harness = make(rules="sdk-2.2")
    session = await answered_call(harness)
    now = harness.engine.loop.time()
    for second in range(1, 11):
        session.media._report(wire.Sample(1, row(now + second, packets_in=45.0, packets_lost_in=5.0)))
    (event,) = harness.metrics
    assert (event["type"], event["desc"], event["value"]) == (
        "high_packetloss",
        "packetLossRemoteMeasures",
        0.1,
    )


async def test_without_tracking_a_call_is_not_watched(make) -> None:
    harness = make(enableTracking=False)
    session = harness.call()
    assert (session.watchers, session.media.listeners) == ([], [])
    assert harness.tracking.service is None


async def test_what_goes_wrong_in_a_watcher_is_logged_and_the_call_goes_on(
    make,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = make().call()

    def broken(what: str) -> None:
        raise RuntimeError("no")

    session.watchers.insert(0, broken)
    with caplog.at_level(logging.ERROR):
        rings(dialled(session))
    assert session.phase == "ringing"
    assert "goes on" in caplog.text


# ---------------------------------------------------------------- the statistics service


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
    session.on_failed(sip.CallFailed("call-id-1", 488, "Not Acceptable Here", [], None, "remote", None))
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
