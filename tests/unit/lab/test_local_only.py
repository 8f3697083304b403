"""Which requests the lab's servers take."""

import pytest

from plivo_nb.lab.local_only import is_local


@pytest.mark.parametrize("host", ["127.0.0.1:5066", "localhost", "[::1]:80", "127.3.3.3"])
@pytest.mark.parametrize("origin", [None, "http://localhost:8888", "https://127.0.0.1", "http://[::1]:3"])
def test_requests_of_this_machine_pass(host: str, origin: str | None) -> None:
    assert is_local(host, origin)


@pytest.mark.parametrize("host", [None, "", "rebound.example.com:5066", "localhost.example.com", "10.0.0.1"])
def test_a_name_that_was_made_to_lead_here_is_refused(host: str | None) -> None:
    assert not is_local(host, None)


@pytest.mark.parametrize(
    "origin", ["", "null", "https://example.com", "http://localhost.example.com", "file://", "http://[::1"]
)
def test_pages_of_other_sites_are_refused(origin: str) -> None:
    assert not is_local("127.0.0.1", origin)
