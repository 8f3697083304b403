"""The SDK's words for SIP codes and local reasons."""

import pytest

from plivo_nb.engine import causes
from plivo_nb.sip import events as sip
from plivo_nb.sip.values import Reason


@pytest.mark.spec("4 causes")
@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (300, "Redirected"),
        (302, "Redirected"),
        (380, "Redirected"),
        (400, "SIP Failure Code"),
        (401, "Authentication Error"),
        (403, "Rejected"),
        (404, "Not Found"),
        (407, "Authentication Error"),
        (408, "Unavailable"),
        (410, "Unavailable"),
        (424, "Address Incomplete"),
        (430, "Unavailable"),
        (480, "Unavailable"),
        (484, "Address Incomplete"),
        (486, "Busy"),
        (487, "Canceled"),
        (488, "Incompatible SDP"),
        (500, "SIP Failure Code"),
        (503, "SIP Failure Code"),
        (504, "SIP Failure Code"),
        (600, "Busy"),
        (603, "Rejected"),
        (604, "Not Found"),
        (606, "Incompatible SDP"),
    ],
)
def test_a_final_response_has_the_sdks_word(code: int, cause: str) -> None:
    assert causes.of_sip(code, "remote") == cause


def test_without_a_response_it_is_the_connection_or_us() -> None:
    assert causes.of_sip(None, "system") == "Connection Error"
    assert causes.of_sip(None, "local") == "Canceled"
    assert causes.of_sip(408, "system") == "Request Timeout"
    assert causes.of_sip(503, "system") == "Connection Error"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("IncompatibleSDP", "Incompatible SDP"),
        ("ConnectionError", "Connection Error"),
        ("Timeout", "Request Timeout"),
        ("NotAllowedError", "User Denied Media Access"),
        ("WebRTCError", "WebRTC Error"),
        ("anything else", "WebRTC Error"),
    ],
)
def test_media_failures_have_words_too(code: str, cause: str) -> None:
    assert causes.of_media(code) == cause


@pytest.mark.spec("4 causes")
@pytest.mark.parametrize(
    ("status", "reason", "cause"),
    [
        (480, 'Q.850;cause=21;text="CALL_REJECTED"', "Unavailable"),
        (480, "Q.850;cause=18", "Unavailable"),
        (408, "Q.850;cause=1", "Unavailable"),
        (487, "SIP;cause=486", "Canceled"),
        (503, 'Q.850;cause=17;text="User busy"', "SIP Failure Code"),
        (486, "Q.850;cause=1", "Busy"),
        (480, "Q.850", "Unavailable"),
    ],
)
def test_the_code_decides_the_word_and_a_reason_header_goes_into_the_facts(
    status: int, reason: str, cause: str
) -> None:
    event = sip.CallFailed("call", status, "Phrase", [], Reason.parse(reason), "remote", None)
    assert causes.of_sip(event.code, event.originator) == cause
    facts = causes.facts_of(event)
    assert facts["code"] == status
    assert facts["protocol"] == reason.partition(";")[0]
    assert facts["originator"] == "remote"
    assert facts["reason"] == (reason.split('"')[1] if '"' in reason else "Phrase")


def test_a_goodbye_tells_the_cause_of_its_reason_header() -> None:
    event = sip.Ended("call", "remote", None, "", Reason.parse('Q.850;cause=16;text="Normal clearing"'))
    assert causes.facts_of(event) == {
        "originator": "remote",
        "code": 16,
        "reason": "Normal clearing",
        "protocol": "Q.850",
    }


def test_a_cancel_tells_why() -> None:
    event = sip.Canceled("call", Reason.parse('SIP;cause=200;text="Call completed elsewhere"'))
    assert causes.facts_of(event)["reason"] == "Call completed elsewhere"
    assert causes.facts_of(sip.Canceled("call")) == {
        "originator": "remote",
        "code": None,
        "reason": None,
        "protocol": None,
    }
