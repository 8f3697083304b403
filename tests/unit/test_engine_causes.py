"""The SDK's words for SIP codes and local reasons."""

import pytest

from plivo_nb.engine import causes


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (302, "Redirected"),
        (401, "Authentication Error"),
        (403, "Rejected"),
        (404, "Not Found"),
        (407, "Authentication Error"),
        (408, "Unavailable"),
        (410, "Unavailable"),
        (480, "Unavailable"),
        (484, "Address Incomplete"),
        (486, "Busy"),
        (487, "Canceled"),
        (488, "Incompatible SDP"),
        (500, "SIP Failure Code"),
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


def test_media_failures_have_words_too() -> None:
    assert causes.of_media("IncompatibleSDP") == "Incompatible SDP"
    assert causes.of_media("anything else") == "WebRTC Error"
