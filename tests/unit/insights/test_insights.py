"""insights: what the statistics service is told, in the recorded shapes, and the queue before it is there."""

import asyncio
import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statistics_service import Collector, problems, recorded
from waiting import until

from plivo_nb.insights import Service, Subject, is_wanted, messages
from plivo_nb.options import PLIVO_SERVERS, Options, read_options

ALICE = Subject("call-id-1", "x-call-uuid-1", "alice", "phone.plivo.com")
ABOUT = messages.About(Options())
SIGNALLING = {
    "call_initiation_time": 1_795_397_518_168,
    "ring_start_time": 1_795_397_518_226,
    "answer_time": 1_795_397_518_298,
    "call_confirmed_time": 1_795_397_518_308,
    "hangup_time": 1_795_397_540_908,
    "hangup_party": "local",
    "hangup_reason": "Terminated",
    "post_dial_delay": 58,
}
SAMPLE = {
    "codec": "OPUS",
    "rtt_ms": 41.7,
    "jitter_in_ms": 3.2,
    "jitter_out_ms": 2.8,
    "loss_in": 0.02,
    "loss_out": 0.01,
    "mos": 4.321,
    "level_in_dbfs": -20.5,
    "level_out_dbfs": -21.5,
    "playout_delay_ms": 39.6,
}
STATS = {
    "outbound-rtp": {"ssrc": 11, "packetsSent": 250, "bytesSent": 20_000},
    "inbound-rtp": {
        "ssrc": 22,
        "packetsReceived": 248,
        "bytesReceived": 19_840,
        "packetsLost": 2,
        "packetsDiscarded": 1,
    },
    "remote-inbound-rtp": {"packetsLost": 3},
}


def stats(**sample: float) -> dict:
    return messages.call_stats(ALICE, STATS, {**SAMPLE, **sample}, pdd_ms=58.0, media_setup_ms=110.4)


# ---------------------------------------------------------------- shapes


@pytest.mark.parametrize(
    "message",
    [
        ABOUT.ringing(ALICE, {"call_initiation_time": 1, "post_dial_delay": 58}),
        ABOUT.ringing(ALICE, {"call_initiation_time": 1, "invite_time": 2, "post_dial_delay": 0}),
        ABOUT.answered(ALICE, "OUTGOING"),
        stats(),
        stats(mos=math.nan),
        messages.toggle_mute(ALICE, True),
        messages.toggle_mute(ALICE, False),
        messages.feedback(ALICE, 4, "bad-audio"),
        ABOUT.summary(ALICE, SIGNALLING, {"ice_connection_state_checking": 1}),
    ],
    ids=lambda message: message["msg"],
)
def test_keys_types_and_order_are_those_of_the_recording(message: dict) -> None:
    sent = json.loads(json.dumps({**message, "callstats_key": "key"}))
    assert problems(sent) == []


def test_the_check_of_shapes_finds_what_is_wrong() -> None:
    (model,) = [message for message in recorded() if message["msg"] == "FEEDBACK"]
    assert problems(model) == []
    assert problems({**model, "info": {"overall": "3", "comment": "x"}}) == [
        "FEEDBACK.info.overall is str, recorded int"
    ]
    assert problems({key: model[key] for key in model if key != "domain"}) == ["FEEDBACK.domain is missing"]
    assert problems({**model, "more": 1}) == ["FEEDBACK.more is not in the recording"]
    assert "order" in problems(dict(reversed(list(model.items()))))[0]


def test_every_kind_of_the_recording_is_built() -> None:
    assert {message["msg"] for message in recorded()} == {
        "CALL_RINGING",
        "CALL_ANSWERED",
        "CALL_STATS",
        "TOGGLE_MUTE",
        "FEEDBACK",
        "CALL_SUMMARY",
    }


def test_call_stats_are_in_the_recorded_units() -> None:
    message = stats()
    assert message["codec"] == "opus"
    assert message["local"] == {
        "audioLevel": -21.5,
        "googEchoCancellationReturnLoss": None,
        "googEchoCancellationReturnLossEnhancement": None,
        "rtt": 42,
        "jitter": 3,
        "packetsSent": 250,
        "bytesSent": 20_000,
        "packetsLost": 3,
        "ssrc": 11,
        "fractionLoss": 0.01,
        "mos": 4.321,
    }
    assert message["remote"]["jitterBufferDelay"] == 40
    assert (message["pdd"], message["mediaSetupTime"]) == (58, 110)


@given(st.sets(st.sampled_from(sorted(set(SAMPLE) - {"codec"}))))
def test_what_is_not_known_is_null_and_never_nan(missing: set[str]) -> None:
    message = stats(**dict.fromkeys(missing, math.nan))
    json.dumps(message, allow_nan=False)
    assert ("mos" in message["local"]) == ("mos" not in missing)


@pytest.mark.parametrize("kind", ["ICE_FAILURE", "MEDIA_FAILURE", "SDP_FAILURE"])
def test_a_failure_says_what_happened_and_whose_call_it_was(kind: messages.Failure) -> None:
    message = messages.failure(ALICE, kind, "No path was found.")
    assert list(message) == [
        "msg",
        "info",
        "callstats_key",
        "callUUID",
        "corelationId",
        "xcallUUID",
        "timeStamp",
        "userName",
        "domain",
        "source",
        "version",
    ]
    assert (message["msg"], message["info"]) == (kind, "No path was found.")
    assert (message["callUUID"], message["corelationId"]) == ("call-id-1", "call-id-1")
    assert message["xcallUUID"] == "x-call-uuid-1"


def test_credentials_of_ice_servers_are_not_told() -> None:
    options = read_options(
        None, {"iceServers": [{"urls": "turn:turn.example", "username": "u", "credential": "hush"}]}
    )
    told = json.dumps(messages.About(options).answered(ALICE, "INCOMING"))
    assert "hush" not in told
    assert "turn.example" not in told


# ---------------------------------------------------------------- whether it is contacted


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, True),
        ({"registration_domain_socket": [PLIVO_SERVERS[1]]}, True),
        ({"enable_tracking": False}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:5066"]}, False),
        ({"registration_domain_socket": ["wss://notplivo.com/x"]}, False),
        ({"registration_domain_socket": ["wss://plivo.com.example/x"]}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:1"], "stats_url": "http://127.0.0.1:2/"}, False),
        ({"registration_domain_socket": ["ws://127.0.0.1:1"], "insights_url": "ws://127.0.0.1:2/"}, False),
        (
            {
                "registration_domain_socket": ["ws://127.0.0.1:1"],
                "stats_url": "http://127.0.0.1:2/",
                "insights_url": "ws://127.0.0.1:2/ws",
            },
            True,
        ),
    ],
)
def test_a_server_that_is_not_plivos_never_makes_plivos_service_be_told(options: dict, wanted: bool) -> None:
    assert is_wanted(read_options(None, {**options, "strict": True})) is wanted


# ---------------------------------------------------------------- the queue


async def test_the_queue_is_bounded_and_numbers_go_first() -> None:
    service = Service("http://127.0.0.1:9/", "ws://127.0.0.1:9/", queue_size=3)
    summary = ABOUT.summary(ALICE, SIGNALLING, {})
    feedback = messages.feedback(ALICE, 5, "no-audio")
    for message in (stats(), summary, stats(), feedback, messages.toggle_mute(ALICE, True)):
        service.put(message)
    assert service.waiting == 3
    assert service.dropped == 2
    service.put(messages.toggle_mute(ALICE, False))
    assert service.dropped == 3, "with no numbers left the oldest goes"


async def test_another_users_messages_are_not_sent_in_my_name(collector: Collector) -> None:
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    service.login("bob", "secret", "phone.plivo.com")
    assert service.waiting == 0
    await service.logout()


async def test_nothing_is_kept_for_an_account_without_the_service(collector: Collector) -> None:
    collector.answer = (200, "")
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: not service.waiting)
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    assert service.waiting == 0
    await service.logout()
    assert collector.connections == 0


async def test_numbers_are_not_sent_where_they_are_not_wanted(collector: Collector) -> None:
    collector.answer = (200, json.dumps({"data": "key-2", "is_rtp_enabled": False}))
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.put(stats())
    service.login("alice", "secret", "phone.plivo.com")
    await until(lambda: service.rtp_enabled is False)
    service.put(stats())
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: collector.messages)
    assert [message["msg"] for message in collector.messages] == ["FEEDBACK"]
    assert collector.messages[0]["callstats_key"] == "key-2"
    await service.logout()


@pytest.mark.parametrize(
    "answer", [(403, "no"), (200, "{"), (200, "[1]"), (200, '{"data": 7}'), (302, "")], ids=str
)
async def test_an_answer_that_is_none_switches_it_off(collector: Collector, answer: tuple) -> None:
    collector.answer = answer
    service = Service(collector.options["statsUrl"], collector.options["insightsUrl"])
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await until(lambda: not service.waiting)
    assert len(collector.logins) == 1
    await service.logout()


async def test_a_service_that_is_away_is_tried_again_and_gets_everything_in_order(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port = collector.port
    await collector.stop()
    service = Service(
        collector.options["statsUrl"], collector.options["insightsUrl"], first_retry_s=0.02, max_retry_s=0.05
    )
    service.login("alice", "hush-hush", "phone.plivo.com")
    for score in (1, 2, 3):
        service.put(messages.feedback(ALICE, score, "no-audio"))
    await asyncio.sleep(0.15)
    collector.answer = (503, "later")
    await collector.start(port)
    await until(lambda: len(collector.logins) >= 2)
    collector.answer = (200, '{"data": "key-3", "is_rtp_enabled": true}')
    await until(lambda: len(collector.messages) == 3)
    await collector.hang_up()
    await until(lambda: not collector.open)
    for score in (4, 5):
        service.put(messages.feedback(ALICE, score, "no-audio"))
    await until(lambda: len(collector.messages) == 5)
    assert [message["info"]["overall"] for message in collector.messages] == [1, 2, 3, 4, 5]
    assert collector.connections == 2
    await service.logout()
    assert collector.logins[-1] == {"username": "alice", "password": "hush-hush", "domain": "phone.plivo.com"}
    assert "hush-hush" not in caplog.text
    await until(lambda: not collector.open)


async def test_goodbye_waits_for_what_is_queued_but_not_for_a_service_that_is_away() -> None:
    loop = asyncio.get_running_loop()
    service = Service("http://127.0.0.1:9/", "ws://127.0.0.1:9/", first_retry_s=10)
    service.login("alice", "secret", "phone.plivo.com")
    service.put(messages.feedback(ALICE, 5, "no-audio"))
    await asyncio.sleep(0.3)
    began = loop.time()
    await service.logout()
    assert loop.time() - began < 3  # the next try would be after 10 s
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")] == []


@pytest.fixture
async def collector():
    running = Collector()
    await running.start()
    yield running
    await running.stop()
