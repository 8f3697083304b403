"""Messages of the statistics service have the recorded shapes."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statistics_messages import ABOUT, ALICE, SAMPLE, SIGNALLING, stats
from statistics_service import problems, recorded

from plivo_nb.insights import messages
from plivo_nb.options import read_options

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
