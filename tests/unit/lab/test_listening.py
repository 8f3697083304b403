"""lab.listening: nobody else reaches a lab unless it has a certificate; what then is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from certificates import server_context

from plivo_nb.errors import LabError
from plivo_nb.lab.config import LabConfig
from plivo_nb.lab.listening import LOOPBACK, Listening, listening_of, resolved
from plivo_nb.lab.process import Lab


@pytest.mark.parametrize("host", ["192.0.2.7", "lab.example.com", "128.0.0.1"])
def test_an_address_that_others_reach_needs_a_certificate(host: str) -> None:
    with pytest.raises(ValueError, match=f"reach at {host} needs a TLS certificate"):
        Lab(host=host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "[::1]", "wss://lab.example.com"])
def test_an_address_that_nobody_can_call_is_refused(host: str, tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    with pytest.raises(ValueError, match="host is an IPv4 address of this computer"):
        Lab(host=host, certificate=authority, key=tmp_path / "key.pem")


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    key, nothing = tmp_path / "key.pem", tmp_path / "nothing.pem"
    nothing.write_text("nothing")
    for certificate, private in ((tmp_path / "away.pem", key), (authority, None), (authority, nothing)):
        with pytest.raises(ValueError, match=f"The certificate {certificate} and its key cannot be used"):
            Lab(certificate=certificate, key=private)
    with pytest.raises(ValueError, match=f"The authority {nothing} cannot be used"):
        Lab(certificate=authority, key=key, ca=nothing)
    with pytest.raises(ValueError, match="belong to a certificate"):
        Lab(key=key)


def test_with_a_certificate_all_urls_are_of_encrypted_connections(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    config = LabConfig(host="192.0.2.7", certificate=str(authority), key=str(tmp_path / "key.pem"))
    listening = listening_of(config)
    assert listening.websocket_url(5) == "wss://192.0.2.7:5"
    assert listening.http_url(5) == "https://192.0.2.7:5"
    assert LOOPBACK.websocket_url(5) == "ws://127.0.0.1:5"


def test_passwords_of_a_lab_that_others_reach_cannot_be_guessed(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    lab = Lab(["ann"], host="192.0.2.7", certificate=authority, key=tmp_path / "key.pem")
    assert lab.password("ann") != "ann-secret"
    assert Lab(["ann"]).password("ann") == "ann-secret"


def test_requests_to_the_own_host_pass_and_those_to_other_names_do_not(tmp_path: Path) -> None:
    _, authority = server_context(tmp_path)
    config = LabConfig(host="Lab.example.com", certificate=str(authority), key=str(tmp_path / "key.pem"))
    listening = listening_of(config)
    assert listening.takes("lab.example.com:5066", None)
    assert listening.takes("lab.example.com:5066", "https://lab.example.com")
    assert not listening.takes("rebound.example.com:5066", None)
    assert not listening.takes("lab.example.com:5066", "https://example.com")
    assert not LOOPBACK.takes("lab.example.com:5066", None)


def test_a_name_is_looked_up_once_and_stays_in_the_urls() -> None:
    listening = resolved(listening_of(LabConfig(host="localhost")))
    assert listening.address == "127.0.0.1"
    assert listening.websocket_url(5) == "ws://localhost:5"
    with pytest.raises(LabError, match=r"The name lab\.invalid has no IPv4 address"):
        resolved(Listening("lab.invalid", "lab.invalid"))
