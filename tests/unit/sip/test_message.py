"""Messages: what is read, what is refused, what is never let through in either direction."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import MAX_HEADERS, MAX_MESSAGE_BYTES, MalformedMessage, Request, Response, parse
from plivo_nb.sip.values import (
    NameAddr,
    Reason,
    Via,
    check_uri,
    format_parameters,
    parse_cseq,
    parse_parameters,
    parse_uri,
    split_list,
)

# What Plivo's own SDK sent in a recorded call, through Kamailio (shortened).
INVITE = """INVITE sip:90lua3ga@bu9rvrp6pth8.invalid;transport=ws SIP/2.0
Record-Route: <sip:127.0.0.1:46575;transport=ws;lr=on;ftag=uqotqu637h>
Via: SIP/2.0/WS  127.0.0.1:46575;branch=z9hG4bK3d5.829de5ad76a4810ee65994b1180208b1.0
Via: SIP/2.0/WS 51okst5qurha.invalid;rport=45270;received=127.0.0.1;branch=z9hG4bK4375185
Max-Forwards: 68
To: <sip:alice@phone.plivo.com>
From: <sip:bob@phone.plivo.com>;tag=uqotqu637h
Call-ID: 8nhooh08sb3nn4pa7ft0
CSeq: 3248 INVITE
Contact: <sip:rin43r8v@51okst5qurha.invalid;alias=127.0.0.1~45270~5;transport=ws;ob>
Content-Type: application/sdp
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: ice,replaces,outbound
User-Agent: plivo-browser-sdk 2.2.21
Content-Length: 25
X-CallUUID: b6365f84-447b-49e7-9944-75ec3cc7b1d0

v=0
a=rtpmap:0 PCMU/8000
""".replace("\n", "\r\n").replace("PCMU/8000\r\n", "PCMU/8000")[: -0 or None]
REGISTERED = """SIP/2.0 200 OK
Via: SIP/2.0/WS bu9rvrp6pth8.invalid;branch=z9hG4bK9448282;rport=45262;received=::1
To: <sip:alice@phone.plivo.com>;tag=50b25ea97ec9a14ddb6a2745892b93df.a0010000
From: <sip:alice@phone.plivo.com>;tag=v7ibsuesik
Call-ID: antpuig8vtkc2ktpls571o
CSeq: 2 REGISTER
Contact: <sip:90lua3ga@bu9rvrp6pth8.invalid;transport=ws>;expires=120
 ;received="sip:127.0.0.1:45262;transport=ws"
 ;+sip.instance="<urn:uuid:40e011ff-97b1-4944-865f-670eb9eca142>";reg-id=1, "B, C" <sip:b@c.d>
Content-Length: 0

""".replace("\n", "\r\n")


def changed(old: str, new: str) -> str:
    assert old in INVITE
    return INVITE.replace(old, new)


def refused(text: str | bytes) -> MalformedMessage:
    with pytest.raises(MalformedMessage) as caught:
        parse(text)
    return caught.value


def test_a_recorded_invite() -> None:
    invite = parse(INVITE)
    assert isinstance(invite, Request)
    assert (invite.method, invite.uri) == ("INVITE", "sip:90lua3ga@bu9rvrp6pth8.invalid;transport=ws")
    assert invite.via == Via(
        "WS", "127.0.0.1", 46575, {"branch": "z9hG4bK3d5.829de5ad76a4810ee65994b1180208b1.0"}
    )
    assert invite.via.sent_by == "127.0.0.1:46575"
    assert (invite.from_.tag, invite.to.tag) == ("uqotqu637h", None)
    assert (invite.cseq.sequence, invite.cseq.method) == (3248, "INVITE")
    assert invite.contacts[0].uri.endswith(";ob")
    assert invite.x_call_uuid == "b6365f84-447b-49e7-9944-75ec3cc7b1d0"
    assert invite.tokens("supported") == {"ice", "replaces", "outbound"}
    assert invite.content_type == "application/sdp"
    assert len(invite.body) == 25
    assert ("X-CallUUID", "b6365f84-447b-49e7-9944-75ec3cc7b1d0") in invite.headers.items()


def test_a_recorded_registration() -> None:
    ok = parse(REGISTERED)
    assert isinstance(ok, Response)
    ours, other = ok.contacts
    assert ours.parameters["+sip.instance"] == "<urn:uuid:40e011ff-97b1-4944-865f-670eb9eca142>"
    assert ours.parameters["received"] == "sip:127.0.0.1:45262;transport=ws"
    assert ours.parameters["expires"] == "120"
    assert (other.display_name, other.uri) == ("B, C", "sip:b@c.d")
    assert ok.via.parameters["received"] == "::1"


def test_text_and_bytes_are_the_same_and_come_back_as_they_were() -> None:
    message = parse(INVITE)
    again = parse(bytes(message))
    assert str(again) == str(message)
    assert again.headers.get_all("via") == message.headers.get_all("Via")
    assert str(message).endswith("Content-Length: 25\r\n\r\n" + message.body.decode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("To: ", "t: "),
        ("From: ", "f : "),
        ("Call-ID: ", "i:"),
        ("Contact: ", "M:\t"),
        ("Max-Forwards: 68", "max-forwards:\r\n 68"),
        ("CSeq: 3248 INVITE", "CSEQ: 3248\r\n\t INVITE"),
        ("Supported: ice,replaces,outbound", "k: ice , replaces\r\nSupported: outbound"),
        ("Content-Length: 25\r\n", ""),
    ],
)
def test_other_ways_to_say_the_same(old: str, new: str) -> None:
    message, plain = parse(changed(old, new)), parse(INVITE)
    assert message.to == plain.to
    assert message.from_ == plain.from_
    assert message.cseq == plain.cseq
    assert message.contacts == plain.contacts
    assert message.tokens("Supported") == plain.tokens("Supported")
    assert message.body == plain.body
    assert message.headers.get("Max-Forwards") == "68"


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("Content-Length: 25", "Content-Length: 26", "Content-Length"),
        ("Content-Length: 25", "Content-Length: -1", "Content-Length"),
        ("Content-Length: 25", "Content-Length: 25\r\nContent-Length: 25", "more than once"),
        ("CSeq: 3248 INVITE", "CSeq: 3248 BYE", "CSeq"),
        ("CSeq: 3248 INVITE", "CSeq: 2147483648 INVITE", "CSeq"),
        ("CSeq: 3248 INVITE", "CSeq: INVITE", "CSeq"),
        ("CSeq: 3248 INVITE\r\n", "", "no cseq"),
        ("To: ", "X-To: ", "no to"),
        ("Max-Forwards: 68", "Max-Forwards: 256", "Max-Forwards"),
        ("Max-Forwards: 68", "Max-Forwards: lots", "Max-Forwards"),
        ("Max-Forwards: 68", "Max-Forwards: 68\nX-Evil: 1", "header line"),
        ("Max-Forwards: 68", "Max-Forwards: 68\rX-Evil: 1", "header line"),
        ("Max-Forwards: 68", "Max-Forwards: 6\0008", "header line"),
        ("Max-Forwards: 68", "Max-Forwards 68", "header line"),
        ("Max-Forwards: 68", "Max Forwards: 68", "header line"),
        ("Max-Forwards: 68", ": 68", "header line"),
        ("Contact: <sip:rin43r8v", "Contact: <sip:rin 43r8v", "URI"),
        ("Contact: <", 'Contact: "unclosed <', "quote"),
        ("Record-Route: <", "Record-Route: ,<", "empty element"),
        ("Call-ID: 8nhooh08sb3nn4pa7ft0", "Call-ID: ", "Call-ID"),
        ("Call-ID: 8nhooh08sb3nn4pa7ft0", "Call-ID: a b", "Call-ID"),
        ("tag=uqotqu637h\r\nCall", "tag=uqotqu637h;tag=2\r\nCall", "twice"),
        ("INVITE sip:90lua3ga", "INVITE sip:90 lua3ga", "URI"),
        ("INVITE sip:90lua3ga", "INVITE \0sip:90lua3ga", "URI"),
    ],
)
def test_what_is_refused_with_400(old: str, new: str, word: str) -> None:
    error = refused(INVITE.replace(old, new, 1))
    assert word.lower() in str(error).lower()
    reply = error.reply("t1")
    assert reply is not None
    assert reply.status == 400
    assert len(reply.headers.get_all("Via")) == 2


@pytest.mark.parametrize(
    "text", ["", "hello", "INVITE", "SIP/2.0", "SIP/2.0 99 x", "SIP/2.0 20 x", "GET / HTTP/1.1\r\n\r\n", "\0"]
)
def test_what_is_no_sip_at_all_is_dropped(text: str) -> None:
    assert refused(text).reply() is None


def test_responses_and_acks_are_never_answered() -> None:
    assert refused(REGISTERED.replace("CSeq: 2 REGISTER\r\n", "")).reply() is None
    assert (
        refused(INVITE.replace("INVITE", "ACK").replace("Content-Length: 25", "Content-Length: x")).reply()
        is None
    )


def test_limits() -> None:
    filler = "X-Filler: 1\r\n"
    parse(changed("Max-Forwards: 68\r\n", filler * (MAX_HEADERS - 15)))
    many = refused(changed("Max-Forwards: 68\r\n", filler * (MAX_HEADERS + 1)))
    assert many.status == 400
    large = refused(changed("Content-Length: 25\r\n", "") + "x" * MAX_MESSAGE_BYTES)
    assert large.status == 513
    reply = large.reply("t")
    assert reply is not None
    assert reply.reason == "Message Too Large"
    endless = refused(INVITE.partition("\r\n\r\n")[0])
    assert "never ends" in str(endless)
    assert refused(INVITE.encode().replace(b"bob@", b"\xff\xfe@")).status == 400


def test_contact_star() -> None:
    register = changed(
        "Contact: <sip:rin43r8v@51okst5qurha.invalid;alias=127.0.0.1~45270~5;transport=ws;ob>", "Contact: *"
    )
    assert parse(register).contacts == [NameAddr("*")]


def test_headers_are_a_multi_dict_without_case() -> None:
    headers = Headers([("Via", "1"), ("X-Ph-Test1", "a"), ("via", "2")])
    assert headers.get("VIA") == "1"
    assert headers.get_all("Via") == ["1", "2"]
    assert headers.items() == [("Via", "1"), ("X-Ph-Test1", "a"), ("via", "2")]
    headers.set("VIA", "3")
    assert headers.items() == [("VIA", "3"), ("X-Ph-Test1", "a")]
    headers.add_first("Via", "0")
    assert headers.remove_first("via") == "0"
    assert headers.remove_first("Nothing") is None
    headers.remove("via")
    assert list(headers) == ["X-Ph-Test1"]
    assert len(headers) == 1
    assert "x-ph-TEST1" in headers
    assert "Via" not in headers
    copy = headers.copy()
    copy.add("Via", "9")
    assert len(headers) == 1
    assert "a" not in repr(headers).replace("Headers", "")


@pytest.mark.parametrize(
    ("name", "value"), [("A\r\nB", "x"), ("A:", "x"), ("", "x"), ("A", "x\r\nB: 1"), ("A", "\n"), ("A", "\0")]
)
def test_nothing_is_injected_into_headers(name: str, value: str) -> None:
    for method in ("add", "set", "add_first"):
        with pytest.raises(ValueError):
            getattr(Headers(), method)(name, value)


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


@pytest.mark.parametrize(
    ("text", "name", "uri", "parameters"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        ("sip:a@b;tag=1", "", "sip:a@b", {"tag": "1"}),
        ('"A" <sip:a@b;x=1>;y=2', "A", "sip:a@b;x=1", {"y": "2"}),
        (
            '"A \\"x\\" <sip:evil@c>" <sip:a@b>;p="<sip:evil@d>;q"',
            'A "x" <sip:evil@c>',
            "sip:a@b",
            {"p": "<sip:evil@d>;q"},
        ),
        ("Alice Liddell <tel:+1-201-555-0123>", "Alice Liddell", "tel:+1-201-555-0123", {}),
        ("<sips:a@[2001:db8::1]:5061;transport=tcp>", "", "sips:a@[2001:db8::1]:5061;transport=tcp", {}),
    ],
)
def test_addresses(text: str, name: str, uri: str, parameters: dict[str, str | None]) -> None:
    address = NameAddr.parse(text)
    assert (address.display_name, address.uri, address.parameters) == (name, uri, parameters)
    assert NameAddr.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "<sip:a@b", "<>", '"A <sip:a@b>', '"A" sip:a@b', "sip:a@b?x=1", "a@b", "<sip:a b@c>", "<sip:a@b>x"],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError):
        NameAddr.parse(text)


@pytest.mark.parametrize(
    "uri",
    [
        "sip:a@host1",
        "sip:a@1.2.3.4:5060",
        "SIPS:a:pw@b.c",
        "tel:+14155550100;ext=1",
        "sip:[::1]",
        "urn:uuid:1",
        "mailto:a@b",
    ],
)
def test_uris(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri", ["sip:", "sip:a@", "sip:@b", "sip:a@b:99999", "sip:a@b c", "sip:a@b>", "//x", "sip", "1x:y"]
)
def test_what_is_no_uri(uri: str) -> None:
    with pytest.raises(ValueError):
        parse_uri(check_uri(uri))


def test_uri_parts() -> None:
    uri = parse_uri("SIP:al%69ce:pw@Example.com:5070;Transport=ws;lr")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sip",
        "alice",
        "pw",
        "Example.com",
        5070,
    )
    assert dict(uri.parameters) == {"transport": "ws", "lr": None}


def test_lists_parameters_reasons() -> None:
    assert split_list('"a, b" <sip:c,d@e>, <x>') == ['"a, b" <sip:c,d@e>', "<x>"]
    assert split_list("") == []
    assert parse_parameters(';a="x;\\"y";B=2 ; c') == {"a": 'x;"y', "b": "2", "c": None}
    assert format_parameters({"a": 'x;"y', "b": "2", "c": None, "d": "::1"}) == ';a="x;\\"y";b=2;c;d=::1'
    assert Reason.parse('SIP;cause=486;text="Busy, really"') == Reason("SIP", 486, "Busy, really")
    assert Reason.parse("Q.850;cause=many") == Reason("Q.850", None, None)
    assert Reason.parse(";;;") is None
    assert parse_cseq("0012  BYE").sequence == 12
    assert (
        str(Via.parse("SIP/2.0/UDP [::1]:5060;received=[::2];branch=z9hG4bKx"))
        == "SIP/2.0/UDP [::1]:5060;received=[::2];branch=z9hG4bKx"
    )


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        parse(data)


@settings(max_examples=200)
@given(
    st.sampled_from([INVITE, REGISTERED]),
    st.lists(st.tuples(st.integers(0, 800), st.integers(0, 30), st.text(max_size=12)), max_size=4),
)
def test_broken_twins_of_real_messages_are_refused_or_read(
    text: str, cuts: list[tuple[int, int, str]]
) -> None:
    for place, length, new in cuts:
        text = text[:place] + new + text[place + length :]
    try:
        message = parse(text)
    except MalformedMessage as error:
        error.reply("t")
    else:
        for reader in ("via", "from_", "to", "cseq", "call_id", "contacts", "reason_header", "content_type"):
            getattr(message, reader)
        assert bytes(parse(bytes(message))) == bytes(message)
