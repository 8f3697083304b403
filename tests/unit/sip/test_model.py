"""Requests and responses built in memory."""

from __future__ import annotations

import pytest
from sip_world import RECORDED_INVITE as INVITE

from plivo_nb.sip.message import Request, Response, parse


def test_nothing_is_injected_into_start_lines() -> None:
    for method, uri in (("IN VITE", "sip:a@b"), ("INVITE", "sip:a@b\r\nX: 1"), ("INVITE", "sip:a@b SIP/2.0")):
        with pytest.raises(ValueError):
            Request(method, uri)
    for status, reason in ((99, "x"), (700, "x"), (200, "OK\r\nX: 1")):
        with pytest.raises(ValueError):
            Response(status, reason)


def test_responses_are_built_as_the_rfc_says() -> None:
    invite = parse(INVITE)
    assert isinstance(invite, Request)
    ringing = Response.to_request(invite, 180, to_tag="t1")
    assert ringing.headers.get_all("Via") == invite.headers.get_all("Via")
    assert ringing.headers.get("To") == "<sip:alice@phone.plivo.com>;tag=t1"
    assert ringing.headers.get("Record-Route") == invite.headers.get("Record-Route")
    assert Response.to_request(invite, 100).to.tag is None
    assert "Record-Route" not in Response.to_request(invite, 486, to_tag="t1").headers
    assert str(Response.to_request(invite, 486, to_tag="t1")).startswith("SIP/2.0 486 Busy Here\r\n")
    assert repr(ringing) == "<SIP/2.0 180 Ringing>"


def test_a_proxy_pushes_and_pops_via() -> None:
    invite = parse(INVITE)
    invite.push_via("SIP/2.0/WS proxy;branch=z9hG4bK1")
    assert invite.via.host == "proxy"
    assert invite.pop_via() == "SIP/2.0/WS proxy;branch=z9hG4bK1"
    joined = parse(INVITE.replace("Via: SIP/2.0/WS  127", "Via: SIP/2.0/WS first, SIP/2.0/WS  127", 1))
    assert joined.pop_via() == "SIP/2.0/WS first"
    assert len(joined.values("Via")) == 2
    assert Request("OPTIONS", "sip:a@b").pop_via() is None
