"""Loopback addresses, judged without resolving a name."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.addresses import is_loopback, is_loopback_url


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "::FFFF:7f00:1",
        "localhost",
        "LocalHost",
        "localhost.",
    ],
)
def test_loopback_hosts(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "128.0.0.1", "127.1", "127.0.0.1.example.com", "127.evil.example", "::", "::ffff:10.0.0.1",
     "localhost.example.com", "my-localhost", "0.0.0.0", "10.0.0.1", "example.com"],
)  # fmt: skip
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)


def test_no_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a name is resolved")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "gethostbyname", refuse)
    assert not is_loopback("loopback.example.com")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("ws://127.0.0.1:5066", True),
        ("wss://[::1]:5066/path", True),
        ("ws://user@localhost:5066", True),
        ("wss://phone.plivo.com:5063", False),
        ("wss://127.0.0.1@example.com", False),
        ("ws://[::1", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_urls(url: str, loopback: bool) -> None:
    assert is_loopback_url(url) is loopback


@given(st.integers(0, 2**24 - 1))
def test_the_whole_block_127_is_loopback(rest: int) -> None:
    address = ".".join(str(part) for part in (127, rest >> 16, rest >> 8 & 255, rest & 255))
    assert is_loopback(address)
    assert is_loopback(f"::ffff:{address}")


@given(st.text())
def test_any_text_is_a_host_or_a_url_without_an_error(text: str) -> None:
    assert is_loopback(text) in (True, False)
    assert is_loopback_url(text) in (True, False)
