"""mediaMetrics: which events a call's states and samples become.

Sessions and engine are the real ones; what the I/O plane and the SIP core would report is said by the test.
"""

import asyncio
import logging
import time

import pytest
from call_world import answered, dialled, rings
from metrics_harness import MetricsHarness, answered_call, row, state
from waiting import until

from plivo_nb import InvalidOption, Silence
from plivo_nb.plane import wire
from plivo_nb.quality.rules import V2_1, Rule
from plivo_nb.sip import user_agent as sip


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
    session.on_failed(
        sip.CallFailed("call-id-1", 487, "Canceled", [], None, "local", "x-1"), time.monotonic()
    )
    await asyncio.sleep(0)
    assert list(harness.records.media_metrics()["call_uuid"]) == ["x-1"]


async def test_a_longer_gathering_time_out_is_told_at_two_seconds_all_the_same(make) -> None:
    harness = make(iceGatheringTimeout=10)
    slow, quick = harness.call(), harness.call()
    for session in (slow, quick):
        session._apply("dial")
        state(session, "gathering", "gathering")
    state(quick, "gathering", "complete")
    await asyncio.sleep(1.2)
    assert harness.metrics == []
    await until(lambda: [event["type"] for event in harness.metrics] == ["ice_timeout"], timeout_s=2)
    state(slow, "gathering", "timeout")
    assert len(harness.metrics) == 1, "once a gathering"
    assert 2000 <= harness.metrics[0]["value"] < 2500


@pytest.mark.spec("6 ice_timeout")
async def test_a_gathering_time_out_reports_the_time_that_was_waited(make) -> None:
    harness = make(iceGatheringTimeout=0.5)
    session = harness.call()
    session._apply("dial")
    for name, at in (("gathering", 7.0), ("timeout", 7.502), ("complete", 7.502)):
        session.media._report(wire.SessionState(1, "gathering", name, at))
    session.media._report(wire.SessionState(1, "gathering", "gathering", 20.0))
    session.media._report(wire.SessionState(1, "gathering", "timeout", 20.731))
    assert [event["value"] for event in harness.metrics] == [500, 730], "each gathering by itself"


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
        session.media._report(wire.Sample(1, row(now + second, loss_in=0.1, packets_expected_in=50.0)))
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
