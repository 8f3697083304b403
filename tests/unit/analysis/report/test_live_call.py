"""The options in a report: what explains a call, without addresses, paths, devices and credentials."""

from plivo_nb.analysis.report.live_call import configuration_of
from plivo_nb.options import read_options


def test_the_configuration_has_no_address_and_no_credential() -> None:
    servers = [{"urls": "turn:turn.example:3478", "username": "ursula", "credential": "geheim"}]
    options = read_options(
        {
            "iceServers": servers,
            "audioConstraints": {"deviceId": "Ursula's headset"},
            "clientRegion": "europe",
        },
        {"codecs": ["PCMU"], "jitter_max_ms": 300},
    )
    rows = dict(configuration_of(options))
    assert rows["servers"].endswith("1 STUN or TURN")
    assert (rows["codecs"], rows["jitter_max_ms"], rows["client_region"]) == ("PCMU", "300 ms", "europe")
    assert (rows["dscp"], rows["follow_redirects"], rows["rules"]) == ("yes", "no", "v2.1")
    words = str(rows).casefold()
    for word in ("geheim", "turn.example", "ursula", "wss:"):
        assert word not in words


def test_what_is_not_set_and_own_rules_have_words() -> None:
    rows = dict(configuration_of(read_options({}, {"rules": []})))
    assert (rows["rules"], rows["client_region"]) == ("own rules", "not set")
