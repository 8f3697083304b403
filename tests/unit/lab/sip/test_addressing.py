"""The switch's own addresses."""

from __future__ import annotations

import pytest
from switch_rig import DOMAIN, SwitchRig

from plivo_nb.lab.sip.addressing import Addressing, user_of


def test_user_of_reads_what_can_be_read() -> None:
    assert user_of("sip:+14155550100@phone.plivo.com;user=phone") == "+14155550100"
    assert user_of("sip:phone.plivo.com") is None
    assert user_of("nonsense") is None


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        (f"sip:alice@{DOMAIN}", "alice"),
        ("sip:alice@127.0.0.1:5066", "alice"),
        ("sip:alice@example.com", None),
        ("nonsense", None),
    ],
)
def test_only_uris_of_the_domain_name_a_local_user(uri: str, user: str | None) -> None:
    assert Addressing(DOMAIN, 5066).local_user(uri) == user


def test_only_the_first_route_entry_is_taken_and_only_if_it_is_ours() -> None:
    addressing = Addressing(DOMAIN, 5066)
    request = SwitchRig().phone("alice").make("INFO", "sip:bob@x.invalid", "<sip:bob@x.invalid>")
    assert not addressing.take_own_route(request)
    request.headers.add("Route", "<sip:127.0.0.1:5066;transport=ws;lr>, <sip:next.invalid;lr>")
    assert addressing.take_own_route(request)
    assert [route.uri for route in request.addresses("Route")] == ["sip:next.invalid;lr"]
    assert not addressing.take_own_route(request)
    addressing.ports.add(5067)
    request.headers.set("Route", "<sip:127.0.0.1:5067;transport=ws;lr>")
    assert addressing.take_own_route(request)
