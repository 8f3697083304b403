"""engine.tracking and engine.statistics: what a call's states and samples make of mediaMetrics and messages.

The session, the engine and the service are the real ones; only the wire is missing: what the I/O plane and
the SIP core would report is said here.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import fields

import pytest

from plivo_nb import InvalidOption, Silence
from plivo_nb.engine.call_session import CallSession
from plivo_nb.engine.engine import Engine
from plivo_nb.engine.identity import Identity
from plivo_nb.engine.media_metrics import MediaMetrics
from plivo_nb.engine.records import Records
from plivo_nb.options import read_options
from plivo_nb.plane import wire
from plivo_nb.quality.rules import V2_1, Rule
from plivo_nb.quality.sampler import SampleRow
from plivo_nb.sip import user_agent as sip

NOWHERE = {"statsUrl": "http://127.0.0.1:9/", "insightsUrl": "ws://127.0.0.1:9/"}


class House:
    """One engine, one tracking, and calls that are followed."""

    def __init__(self, **options: object) -> None:
        self.engine = Engine()
        self.events: list[tuple] = []
        self.calls: list[CallSession] = []
        self.records = Records(self.engine)
        self.tracking = MediaMetrics(
            self.engine, read_options(None, {**NOWHERE, **options}), self.emit, self.records
        )

    def emit(self, *event: object) -> None:
        self.events.append(event)

    @property
    def told(self) -> list[dict]:
        return [arguments[0] for name, *arguments in self.events if name == "mediaMetrics"]

    def queued(self) -> list[dict]:
        assert self.tracking.service is not None
        return list(self.tracking.service._queue)

    def call(self) -> CallSession:
        session = CallSession(
            self.engine,
            wire.SessionConfig(),
            lambda action: None,
            self.emit,
            identity=Identity("OUTGOING", "sip:alice@phone.plivo.com", "bob", {}),
            on_sample=lambda session, row: None,
            on_over=lambda session: None,
        )
        self.tracking.follow(session)
        self.calls.append(session)
        return session

    async def close(self) -> None:
        for session in self.calls:
            session.abandon()
        await asyncio.sleep(0)
        await self.tracking.logged_out()


@pytest.fixture
async def houses() -> AsyncIterator[Callable[..., House]]:
    made: list[House] = []

    def make(**options: object) -> House:
        made.append(House(**options))
        return made[-1]

    yield make
    for house in made:
        await house.close()
    await asyncio.sleep(0)
    left = [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")]
    assert left == []


def dialled(session: CallSession) -> CallSession:
    """As `CallSession.dial` leaves it once the INVITE is out, without media."""
    session._advance("dial")
    session.identity.key = "call-id-1"
    session._advance("invite sent")
    return session


def rings(session: CallSession) -> None:
    session.on_progress(sip.Progress("call-id-1", 180, "Ringing", b"", [], "x-1"))


async def answered(session: CallSession) -> CallSession:
    rings(dialled(session))
    session._advance("answered")
    session.answered.set_result(None)
    await asyncio.sleep(0)
    return session


def row(at: float, **values: float | str | bool) -> SampleRow:
    missing = {field.name: math.nan for field in fields(SampleRow)}
    good = {"time_utc_ns": 0, "codec": "OPUS", "muted": False, "packets_out": 50.0}
    return SampleRow(**{**missing, **good, "time_monotonic_s": at, **values})


def state(session: CallSession, what: str, state: str, detail: str = "") -> None:
    session.media._report(wire.SessionState(1, what, state, session.over.get_loop().time(), detail))


# ---------------------------------------------------------------- mediaMetrics


async def test_samples_are_judged_from_the_answer_on_and_kept_as_a_frame(houses) -> None:
    house = houses()
    session = house.call()
    for _ in range(5):
        session.media._report(wire.Sample(1, row(0.0, jitter_in_ms=90.0)))
    assert house.told == [], "not answered yet"
    await answered(session)
    now = house.engine.loop.time()
    for second in range(1, 4):
        session.media._report(wire.Sample(1, row(now + second, jitter_in_ms=90.0)))
    (event,) = house.told
    assert (event["type"], event["stream"], event["value"]) == ("high_jitter", "remote", 90.0)
    frame = house.records.media_metrics()
    assert list(frame["call_uuid"]) == ["x-1"]
    assert {name: frame[name].iloc[0] for name in event} == event


async def test_what_is_told_before_the_call_has_an_id_is_kept_under_the_id_it_gets(houses) -> None:
    house = houses()
    session = house.call()
    session._advance("dial")
    state(session, "gathering", "timeout")
    assert [event["type"] for event in house.told] == ["ice_timeout"]
    assert house.records.media_metrics().empty
    session.identity.key = "call-id-1"
    session._advance("invite sent")
    rings(session)
    session.hangup()
    session.on_failed(sip.CallFailed("call-id-1", 487, "Canceled", [], None, "local", "x-1"))
    await asyncio.sleep(0)
    assert list(house.records.media_metrics()["call_uuid"]) == ["x-1"]


async def test_a_longer_gathering_time_out_is_told_at_two_seconds_all_the_same(houses) -> None:
    house = houses(iceGatheringTimeout=10)
    slow, quick = house.call(), house.call()
    slow._advance("dial")
    quick._advance("dial")
    state(quick, "gathering", "complete")
    await asyncio.sleep(1.2)
    assert house.told == []
    await asyncio.sleep(1.0)
    assert [event["type"] for event in house.told] == ["ice_timeout"]
    state(slow, "gathering", "timeout")
    assert len(house.told) == 1, "once a gathering"


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
    house = House(**options)
    session = await answered(house.call())
    session.media.source = source
    now = house.engine.loop.time()
    for second in range(1, 6):
        session.media._report(wire.Sample(1, row(now + second, source_bytes=0.0)))
    assert [event["type"] for event in house.told] == ["no_microphone_access"] * raised


@pytest.mark.spec("2 preDetectOwa")
async def test_a_lost_device_is_told_with_pre_detect_owa_also_without_a_call(houses) -> None:
    house = houses(preDetectOwa=True)
    house.tracking.microphone("lost")
    house.tracking.microphone("present")
    await answered(house.call())
    house.tracking.microphone("lost")
    assert [(event["desc"], event["active"]) for event in house.told] == [
        ("lost access to microphone", True),
        ("lost access to microphone", False),
        ("lost access to microphone", True),
    ]
    assert list(house.records.media_metrics()["call_uuid"].astype(object))[2] == "x-1"
    other = houses()
    other.tracking.microphone("lost")
    assert other.told == [], "only with the option"


@pytest.mark.spec("2 rules")
async def test_own_rules_are_applied_and_wrong_ones_are_refused(
    houses, caplog: pytest.LogCaptureFixture
) -> None:
    own = Rule(type="slow", group="network", desc="d", column="rtt_ms", over=">", limit=100)
    house = houses(rules=[own])
    session = await answered(house.call())
    for second in range(3):
        session.media._report(wire.Sample(1, row(float(second), rtt_ms=500.0)))
    assert [event["type"] for event in house.told] == ["slow"]
    assert houses(rules=[7]).tracking._rules is V2_1
    assert "rules" in caplog.text
    with pytest.raises(InvalidOption, match="rules"):
        houses(rules=[7], strict=True)


async def test_the_published_packages_rules_are_a_choice(houses) -> None:
    house = houses(rules="sdk-2.2")
    session = await answered(house.call())
    now = house.engine.loop.time()
    for second in range(1, 11):
        session.media._report(wire.Sample(1, row(now + second, packets_in=45.0, packets_lost_in=5.0)))
    (event,) = house.told
    assert (event["type"], event["desc"], event["value"]) == (
        "high_packetloss",
        "packetLossRemoteMeasures",
        0.1,
    )


async def test_without_tracking_a_call_is_not_watched(houses) -> None:
    house = houses(enableTracking=False)
    session = house.call()
    assert (session.watchers, session.media.listeners) == ([], [])
    assert house.tracking.service is None


async def test_what_goes_wrong_in_a_watcher_is_logged_and_the_call_goes_on(
    houses,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = houses().call()

    def broken(what: str) -> None:
        raise RuntimeError("no")

    session.watchers.insert(0, broken)
    with caplog.at_level(logging.ERROR):
        rings(dialled(session))
    assert session.phase == "ringing"
    assert "goes on" in caplog.text


# ---------------------------------------------------------------- the statistics service


def kinds(house: House) -> list[str]:
    return [message["msg"] for message in house.queued()]


def logged_in(house: House) -> House:
    house.tracking.logged_in("alice", "secret", "phone.plivo.com")
    return house


async def test_ringing_comes_once_and_before_the_answer(houses) -> None:
    house = logged_in(houses())
    session = dialled(house.call())
    rings(session)
    rings(session)
    assert kinds(house) == ["CALL_RINGING"]
    signalling = house.queued()[0]["signalling"]
    assert set(signalling) == {"call_initiation_time", "post_dial_delay"}
    assert house.queued()[0]["xcallUUID"] == "x-1"


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
    houses, report: wire.Report, kind: str
) -> None:
    house = logged_in(houses())
    session = dialled(house.call())
    state(session, "ice", "checking")
    session.media._report(report)
    session.media._report(report)
    await asyncio.sleep(0)
    assert session.phase == "over"
    assert kinds(house)[0] == kind
    assert kinds(house).count(kind) == 1
    assert house.queued()[0]["info"] == "No path was found."
    assert kinds(house)[-1] == "CALL_SUMMARY"


async def test_an_sdp_that_cannot_be_used_is_told_as_one(houses) -> None:
    house = logged_in(houses())
    session = dialled(house.call())
    session.on_failed(sip.CallFailed("call-id-1", 488, "Not Acceptable Here", [], None, "remote", None))
    await asyncio.sleep(0)
    assert kinds(house) == ["SDP_FAILURE", "CALL_SUMMARY"]
    summary = house.queued()[1]["signalling"]
    assert summary["hangup_reason"] == "Incompatible SDP"
    assert summary["hangup_party"] == "remote"


async def test_a_mute_is_told_of_an_answered_call_only_and_only_when_it_changes(houses) -> None:
    house = logged_in(houses())
    session = house.call()
    session.set_muted(True)
    await answered(session)
    for muted in (True, False, False, True):
        session.set_muted(muted)
    assert [message["action"] for message in house.queued() if message["msg"] == "TOGGLE_MUTE"] == [
        "unmute",
        "mute",
    ]
    session.abandon()
    await asyncio.sleep(0)
    assert kinds(house)[-1] == "CALL_SUMMARY"


async def test_feedback_is_queued_for_the_call_it_is_about_also_after_it(houses) -> None:
    house = logged_in(houses())
    session = await answered(house.call())
    session.abandon()
    await asyncio.sleep(0)
    house.tracking.feedback(session, 2, "one-way-audio")
    message = house.queued()[-1]
    assert (message["msg"], message["callUUID"], message["xcallUUID"]) == ("FEEDBACK", "call-id-1", "x-1")
