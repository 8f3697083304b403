"""Messages about real calls over the lab, to a real statistics service and without one."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from statistics_service import Collector, problems
from waiting import until

from plivo_nb import CallFailed, Client, InvalidFeedback, Lab, Tone
from plivo_nb.options import INSIGHTS_URL, STATS_URL

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def collector() -> AsyncIterator[Collector]:
    running = Collector()
    await running.start()
    yield running
    await running.stop()


def kinds(collector: Collector) -> list[str]:
    return [message["msg"] for message in collector.messages]


@pytest.mark.spec("2 statsUrl, insightsUrl", "3 sendQualityFeedback")
async def test_a_call_is_told_in_the_recorded_shapes_and_order_and_feedback_also_after_it(
    lab: Lab, clients: Callable[..., Client], collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = clients(**collector.options)
    await client.login("alice", lab.password("alice"))
    await until(lambda: collector.logins)
    assert collector.logins == [
        {"username": "alice", "password": lab.password("alice"), "domain": "phone.plivo.com"}
    ]
    assert collector.connections == 0, "the socket is opened for the first call"

    call = await client.call("echo")
    call.play(Tone(440.0))
    await asyncio.sleep(1.0)
    client.mute()
    client.unmute()
    await client.send_quality_feedback(call.call_uuid, 4, "audio-latency")
    await until(lambda: collector.of("CALL_STATS"))
    info = await call.hangup()
    await client.send_quality_feedback(info.callUUID, 2, "bad-audio")
    await until(lambda: len(collector.of("FEEDBACK")) == 2)

    assert kinds(collector) == [
        "CALL_RINGING",
        "CALL_ANSWERED",
        "TOGGLE_MUTE",
        "TOGGLE_MUTE",
        "FEEDBACK",
        "CALL_STATS",
        "CALL_SUMMARY",
        "FEEDBACK",
    ]
    for message in collector.messages:
        assert problems(message) == [], json.dumps(message)
        assert message["callstats_key"] == "key-1"
        assert (message["userName"], message["domain"]) == ("alice", "phone.plivo.com")
        assert (message["source"], message["version"]) == ("BrowserSDK", "v1")
        assert message["xcallUUID"] == info.callUUID
        assert message["callUUID"] == message["corelationId"] != info.callUUID, "the SIP Call-ID"
        assert abs(message["timeStamp"] / 1000 - time.time()) < 60
    assert len({message["callUUID"] for message in collector.messages}) == 1
    assert [message["action"] for message in collector.of("TOGGLE_MUTE")] == ["mute", "unmute"]
    assert [message["info"] for message in collector.of("FEEDBACK")] == [
        {"overall": 4, "comment": "audio-latency"},
        {"overall": 2, "comment": "bad-audio"},
    ]
    (stats,) = collector.of("CALL_STATS")
    assert stats["codec"] == "opus"
    assert 150 <= stats["local"]["packetsSent"] <= 275, "five seconds, 50 a second"
    assert 150 <= stats["remote"]["packetsReceived"] <= 275
    assert -30 < stats["remote"]["audioLevel"] < -10
    assert stats["local"]["mos"] > 4
    assert stats["local"]["ssrc"] != stats["remote"]["ssrc"]
    assert 0 <= stats["mediaSetupTime"] < 3000
    (summary,) = collector.of("CALL_SUMMARY")
    times = [value for name, value in summary["signalling"].items() if name.endswith("_time")]
    assert times == sorted(times)
    assert summary["signalling"]["hangup_party"] == "local"
    assert summary["signalling"]["hangup_reason"] == "Terminated"
    checking, connected = (
        summary["mediaConnection"][f"ice_connection_state_{state}"] for state in ("checking", "connected")
    )
    assert checking <= connected
    assert lab.password("alice") not in caplog.text
    assert lab.password("alice") not in json.dumps(collector.messages)
    await client.logout()
    await until(lambda: not collector.open)


async def test_an_incoming_call_is_told_as_one(
    lab: Lab, clients: Callable[..., Client], collector: Collector
) -> None:
    caller, callee = clients(), clients(**collector.options)
    await caller.login("alice", lab.password("alice"))
    await callee.login("bob", lab.password("bob"))
    operation = caller.call("bob")
    await until(lambda: callee.incoming_calls)
    await callee.answer()
    await operation
    await caller.hangup()
    await until(lambda: collector.of("CALL_SUMMARY"))
    assert kinds(collector) == ["CALL_RINGING", "CALL_ANSWERED", "CALL_SUMMARY"]
    assert [problems(message) for message in collector.messages] == [[], [], []]
    assert collector.of("CALL_ANSWERED")[0]["info"] == "Incoming call answered", "in the recorded words"
    assert "invite_time" in collector.of("CALL_RINGING")[0]["signalling"]
    assert collector.of("CALL_SUMMARY")[0]["signalling"]["hangup_party"] == "remote"


async def test_a_call_that_fails_is_told_by_its_summary(
    lab: Lab, clients: Callable[..., Client], collector: Collector
) -> None:
    client = clients(**collector.options)
    await client.login("alice", lab.password("alice"))
    with pytest.raises(CallFailed):
        await client.call("nobody-here")
    await until(lambda: collector.messages)
    (summary,) = collector.messages
    assert (summary["msg"], summary["signalling"]["hangup_reason"]) == ("CALL_SUMMARY", "Not Found")
    assert problems(summary) == [
        "CALL_SUMMARY.signalling.answer_time is missing",
        "CALL_SUMMARY.signalling.call_confirmed_time is missing",
    ], "the recording has answered calls only"


async def test_its_absence_and_its_return_never_touch_a_call(
    lab: Lab, clients: Callable[..., Client], collector: Collector
) -> None:
    await collector.stop()
    client = clients(**collector.options)
    began = time.monotonic()
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    call.play(Tone(440.0))
    assert time.monotonic() - began < 15
    await asyncio.sleep(0.5)
    assert call.phase == "answered"
    await collector.start()
    await until(lambda: "CALL_ANSWERED" in kinds(collector))
    await collector.hang_up()
    await call.hangup()
    await until(lambda: "CALL_SUMMARY" in kinds(collector))
    assert kinds(collector) == ["CALL_RINGING", "CALL_ANSWERED", "CALL_SUMMARY"]
    assert collector.connections == 2


async def test_closing_leaves_no_task_and_sends_the_summary_first(
    lab: Lab, clients: Callable[..., Client], collector: Collector
) -> None:
    client = clients(**collector.options)
    await client.login("alice", lab.password("alice"))
    await client.call("echo")
    await client.close()
    assert kinds(collector)[-1] == "CALL_SUMMARY"
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert [name for name in names if name.startswith("plivo_nb")] == []


async def test_the_labs_own_service_is_told_by_a_client_with_the_labs_options(
    lab: Lab, clients: Callable[..., Client]
) -> None:
    client = clients()
    await client.login("carol", lab.password("carol"))
    info = await (await client.call("echo")).hangup()

    def told() -> list[str]:
        frame = lab.collected
        return list(frame["msg"][(frame["user"] == "carol") & (frame["xcallUUID"] == info.callUUID)])

    await until(lambda: len(lab.collected) and told()[-1:] == ["CALL_SUMMARY"])
    assert told() == ["CALL_RINGING", "CALL_ANSWERED", "CALL_SUMMARY"]


async def test_plivos_service_is_not_told_of_a_private_servers_calls_nor_any_without_tracking(
    lab: Lab, clients: Callable[..., Client], collector: Collector
) -> None:
    untracked = clients(**collector.options, enableTracking=False)
    await untracked.login("alice", lab.password("alice"))
    call = await untracked.call("echo")
    with pytest.raises(InvalidFeedback, match="enableTracking"):
        await untracked.send_quality_feedback(call.call_uuid, 3, "bad-audio")
    await call.hangup()
    private = clients(statsUrl=STATS_URL, insightsUrl=INSIGHTS_URL)
    await private.login("bob", lab.password("bob"))
    tasks = [task.get_name() for task in asyncio.all_tasks()]
    assert "plivo_nb insights" not in tasks
    assert (collector.logins, collector.connections) == ([], 0)
