"""Options: defaults, both spellings, and what happens to wrong ones."""

import dataclasses
import logging
from typing import Any, get_args

import pytest

from plivo_nb.errors import InvalidOption
from plivo_nb.options import (
    OPTION_NAMES,
    PLIVO_SERVERS,
    OptionKeywords,
    Options,
    PlivoOptions,
    RulePreset,
    changed_options,
    plivo_key,
    read_options,
)
from plivo_nb.quality.rules import PRESETS


def test_the_defaults_are_those_of_the_documentation() -> None:
    options = read_options(None, {})
    assert options == Options()
    assert options.debug == "INFO"
    assert options.dscp is True
    assert options.registration_domain_socket == PLIVO_SERVERS
    assert options.codecs == ("OPUS", "PCMU")


def test_plivos_keys_and_pep8_keywords_mean_the_same() -> None:
    by_key = read_options({"permOnClick": True, "clientRegion": "europe"}, {})
    by_keyword = read_options(None, {"perm_on_click": True, "client_region": "europe"})
    assert by_key == by_keyword
    assert by_key.to_dict()["permOnClick"] is True


def test_keywords_win_over_the_dict() -> None:
    assert read_options({"dscp": True}, {"dscp": False}).dscp is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("debug", "LOUD"),
        ("permOnClick", "yes"),
        ("clientRegion", "mars"),
        ("realms", "one text"),
        ("realms", [""]),
        ("followRedirects", 1),
        ("caFile", "/no/such/file.pem"),
        ("caFile", __file__),
        ("allowInsecure", "yes"),
        ("codecs", ["OPUS", "G729"]),
        ("codecs", "OPUS"),
        ("iceServers", [{"urls": "ftp:x"}]),
        ("sampleInterval", 0),
        ("jitterMaxMs", True),
        ("maxAverageBitrate", 4.5),
        ("audioConstraints", {"depth": 1}),
        ("sound", "loud"),
    ],
)
def test_a_wrong_value_is_named_and_the_default_is_used(
    name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        assert read_options({name: value}, {}) == Options()
    assert len(caplog.records) == 1
    assert name in caplog.text
    assert "allowed" in caplog.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("registrationDomainSocket", "ws://127.0.0.1:1"),
        ("registrationDomainSocket", ["http://127.0.0.1:1"]),
        ("registrationDomainSocket", []),
        ("registrationDomainSocket", ["ws://sip.example.com"]),
        ("registrationDomainSocket", ["wss://sip.example.com", "ws://192.168.1.1"]),
        ("registrationDomainSocket", ["ws://localhost.example.com"]),
        ("registrationDomainSocket", ["WS://sip.example.com"]),
        ("statsUrl", "nowhere"),
        ("statsUrl", "http://sip.example.com/x"),
        ("insightsUrl", "ws://[2001:db8::1]/ws"),
        ("insightsUrl", "wss:///ws"),
    ],
)
def test_a_refused_server_address_is_told_once_and_not_replaced_by_plivos(
    name: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        options = read_options({name: value}, {})
    assert len(caplog.records) == 1
    assert name in caplog.text
    assert not options.to_dict()[name]
    (sentence,) = options.refused_addresses.values()
    assert name in sentence
    with pytest.raises(InvalidOption, match=name):
        read_options({name: value, "strict": True}, {})


@pytest.mark.parametrize(
    "host", ["127.0.0.1:1", "127.9.9.9", "[::1]:2", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST:3"]
)
def test_loopback_needs_no_encryption(host: str) -> None:
    given = {"registrationDomainSocket": [f"ws://{host}"], "statsUrl": f"http://{host}/", "strict": True}
    assert read_options(given, {}).registration_domain_socket == (f"ws://{host}",)


def test_allow_insecure_allows_ws_and_http_to_other_machines() -> None:
    given = {"registrationDomainSocket": ["ws://sip.example.com"], "statsUrl": "http://a.example/"}
    options = read_options({**given, "allowInsecure": True, "strict": True}, {})
    assert options.registration_domain_socket == ("ws://sip.example.com",)
    assert options.refused_addresses == {}


def test_a_password_in_an_address_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        options = read_options({"registrationDomainSocket": ["ws://me:secret@sip.example.com"]}, {})
    assert "secret" not in caplog.text + str(options.refused_addresses)


def test_an_unknown_option_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        assert read_options({"volume": 11}, {}) == Options()
    assert "volume" in caplog.text
    assert "permOnClick" in caplog.text  # what there is


def test_a_misspelt_option_is_named_with_the_nearest(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        read_options({"audioConstraint": {}}, {})
    assert "did you mean 'audioConstraints'?" in caplog.text


def test_strict_raises_instead() -> None:
    with pytest.raises(InvalidOption, match="debug"):
        read_options({"debug": "LOUD", "strict": True}, {})
    with pytest.raises(InvalidOption, match="volume") as raised:
        read_options(None, {"volume": 11, "strict": True})
    assert "ignored" not in str(raised.value)  # it was not: it was refused


def test_some_options_can_change_later_and_the_others_stay() -> None:
    before = read_options({"codecs": ["PCMU"], "debug": "WARN"}, {})
    after = changed_options(
        before, {"allowMultipleIncomingCalls": True, "registration_domain_socket": ["wss://x"]}
    )
    assert after.allow_multiple_incoming_calls
    assert after.registration_domain_socket == ("wss://x",)
    assert (after.codecs, after.debug) == (("PCMU",), "WARN")
    assert not before.allow_multiple_incoming_calls


@pytest.mark.parametrize(
    ("keywords", "sentence"),
    [
        ({"sound": "none"}, "Option sound cannot change; make a new Client"),
        ({"volume": 11}, "no option 'volume'"),
        ({"codecs": ["G729"]}, "codecs cannot be"),
        ({"registrationDomainSocket": ["ws://phone.example.org"]}, "without encryption"),
    ],
)
def test_a_change_that_is_not_possible_is_refused(keywords: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidOption, match=sentence):
        changed_options(Options(), keywords)


def test_a_refused_server_is_forgotten_when_another_is_given() -> None:
    before = read_options({"registrationDomainSocket": ["ws://phone.example.org"]}, {})
    assert before.refused_addresses
    after = changed_options(before, {"registrationDomainSocket": ["wss://phone.example.org"]})
    assert not after.refused_addresses


def test_a_turn_credential_shows_neither_in_a_repr_nor_in_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    good = {"urls": "turn:127.0.0.1", "username": "u", "credential": "hush-hush"}
    assert "hush-hush" not in repr(read_options({"iceServers": [good]}, {}))
    with caplog.at_level(logging.WARNING, logger="plivo_nb"):
        read_options({"iceServers": [{"urls": "x", "credential": "hush-hush"}]}, {})
    assert "hush-hush" not in caplog.text


def test_every_option_has_both_spellings() -> None:
    assert plivo_key("allow_multiple_incoming_calls") == "allowMultipleIncomingCalls"
    assert plivo_key("dscp") == "dscp"
    assert plivo_key("ice_gathering_timeout") == "iceGatheringTimeout"


def test_the_types_for_users_scripts_have_every_option_in_both_spellings_and_no_other() -> None:
    pep8 = {item.name for item in dataclasses.fields(Options)} - {"refused_addresses"}
    assert set(OPTION_NAMES.values()) == pep8
    assert set(PlivoOptions.__annotations__) == {plivo_key(name) for name in pep8}
    assert set(OptionKeywords.__annotations__) == set(OPTION_NAMES)
    assert get_args(RulePreset) == tuple(PRESETS)


def test_each_option_means_the_same_in_both_spellings() -> None:
    for name in OPTION_NAMES.values():
        value = getattr(Options(), name)
        assert read_options({plivo_key(name): value}, {}) == read_options(None, {name: value}) == Options()
