"""Messages: what is read, what is refused, what is never let through in either direction."""

from __future__ import annotations

import contextlib
import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sip_world import RECORDED_INVITE as INVITE

from plivo_nb.sip.message import MAX_HEADERS, MAX_MESSAGE_BYTES, MalformedMessage, Request, Response, parse
from plivo_nb.sip.user_agent import UserAgent
from plivo_nb.sip.values import (
    NameAddr,
    Via,
)

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


FILLINGS = {
    "blanks": " ", "tabs": "\t", "folds": " \r\n ", "folds of blanks": "        \r\n\t", "commas": ",",
    "quotes": '"', "backslashes": "\\", "escaped quotes": '\\"', "brackets": "<", "closed brackets": ">",
    "semicolons": ";", "parameters": ";a", "numbered": ";{n}=1", "blank parameters": " ; a = 1",
    "addresses": "<sip:a@b>,", "quoted": '"a" <sip:a@b>,', "colons": ":", "ats": "@", "letters": "a",
    "digits": "1", "percents": "%41", "percent signs": "%", "slashes": "/", "equals": "=", "accents": "é",
    "brackets of IPv6": "[:", "dots": "a.", "questions": "?", "nonces": "nonce ", "secrets": 'nonce="',
    "line ends": "\r\n", "returns": "\r", "names": "a: ", "vias": "SIP/2.0/WS a;branch=z9hG4bK,",
    "schemes": ": a b", "digest": "Digest a=1,", "tags": ";tag ",
}  # fmt: skip
STARTS = {
    "Via": ("", "SIP/2.0/WS ", "SIP/2.0/WS a", "SIP/2.0/WS a ;branch=", 'SIP/2.0/WS a;b="', "SIP"),
    "From": ("", "<", '"', "<sip:", "<sip:a@b>;tag=", '<sip:a@b>;x="', "sip:a", "tel:+", "tel:", "a"),
    "Contact": ("", "<", '"', "<sip:a@b>", "<sip:a@b>;expires=", "<tel:", "<a:"),
    "Route": ("", "<sip:a@b;lr>", "<sip:a@b?"),
    "CSeq": ("", "1 ", "1"),
    "Call-ID": ("",),
    "Content-Length": ("", "1"),
    "Max-Forwards": ("",),
    "Require": ("", "a,"),
    "Accept": ("",),
    "Session-Expires": ("", "90;refresher="),
    "Reason": ("", 'Q.850;text="'),
    "Content-Type": ("",),
    "WWW-Authenticate": ("", "Digest ", 'Digest nonce="', "Digest a=", "Bearer "),
    "Proxy-Authorization": ("", "Basic ", "Digest response="),
    "Authentication-Info": ("", "nextnonce="),
    "X-Any": ("",),
}


ENDINGS = (
    "",
    ' >"!\\',
)  # the second makes most expressions fail at their end, after all that they have matched


def filled(header: str, start: str, filling: str, size: int, end: str = "") -> str:
    """The recorded INVITE with this header first, filled up to `size` bytes."""
    line, _, rest = INVITE.partition("\r\n")
    others = "\r\n".join(x for x in rest.split("\r\n") if not x.lower().startswith(f"{header.lower()}:"))
    room = size - len(f"{line}\r\n{header}: {start}\r\n{others}".encode())
    unit = filling.replace("{n}", "0000")
    count = room // len(unit.encode())
    text = (
        "".join(filling.replace("{n}", f"{n:04}") for n in range(count))
        if "{n}" in filling
        else filling * count
    )
    return f"{line}\r\n{header}: {start}{text}{end}\r\n{others}"


def seconds_to_receive(text: str) -> float:
    """The shortest of three times that a user agent takes for this message, in seconds of CPU."""
    times = []
    for _ in range(3):
        agent = UserAgent(on_message=lambda record: None)
        agent.transport_up(0.0)
        agent.outgoing()
        began = time.thread_time()
        agent.receive(text, 1.0)
        agent.outgoing()
        agent.events()
        times.append(time.thread_time() - began)
        if times[-1] < 0.02:
            break
    return min(times)


@pytest.mark.parametrize("header", STARTS)
def test_no_header_of_any_content_costs_more_than_50_ms_up_to_the_limit(header: str) -> None:
    for start, end, name in itertools.product(STARTS[header], ENDINGS, FILLINGS):
        took = seconds_to_receive(filled(header, start, FILLINGS[name], 60_000, end))
        # Three times the aim of 50 ms: other work on the machine counts as well.
        assert took < 0.15, f"{header}: {start!r}, {name} and {end!r} took {took:.3f} s"


@pytest.mark.parametrize(
    "kind", ["responses", "bodies", "header lines", "status lines", "request lines", "long"]
)
def test_no_other_part_of_a_message_costs_more_than_50_ms(kind: str) -> None:
    for name, filling in FILLINGS.items():
        text = filling * (60_000 // len(filling))
        message = {
            "responses": REGISTERED.replace(
                "Content-Length", f"WWW-Authenticate: Digest {text}\r\nContent-Length"
            ),
            "bodies": f"{INVITE}{text}",
            "header lines": INVITE.replace("\r\n", f"\r\n{text}", 1),
            "status lines": f"SIP/2.0 200 {text}",
            "request lines": f"INVITE sip:{text} SIP/2.0\r\n{INVITE}",
            "long": INVITE + text * 20,
        }[kind]
        took = seconds_to_receive(message)
        assert took < 0.15, f"{name} took {took:.3f} s"


def test_a_fold_after_a_run_of_blanks_costs_twice_as_much_at_twice_the_size() -> None:
    times = [
        seconds_to_receive(filled("Subject", "a" + " " * size, "\r\n x", 62_000)) for size in (15_000, 30_000)
    ]
    assert times[1] < 3 * times[0] + 0.005
    message = parse(
        changed("\r\nContact:", "\r\nSubject: one" + " " * 40 + "\r\n \t two\r\n\tthree\r\nContact:")
    )
    assert message.headers.get("Subject") == "one two three"


def test_more_values_or_parameters_than_a_field_may_have_are_refused() -> None:
    many = ",".join(["<sip:a@b>"] * 201)
    assert "more than 200" in str(refused(changed("\r\nContact:", f"\r\nRoute: {many}\r\nContact:")))
    parameters = "".join(f";p{n}" for n in range(201))
    assert "more than 200" in str(
        refused(changed("\r\nContact:", f"\r\nRoute: <sip:a@b>{parameters}\r\nContact:"))
    )


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("José García (x) <sip:jo@x>;tag=1", "José García (x)"),
        ("Smith, John <sip:jo@x>;tag=1", "Smith, John"),
        ("a@b; c: d <sip:jo@x>;tag=1", "a@b; c: d"),
        ('"José" García <sip:jo@x>;tag=1', "José García"),
        ("O'Neil & \\ Söhne [1] <sip:jo@x>;tag=1", "O'Neil & \\ Söhne [1]"),
        ("日本 <sip:jo@x>;tag=1", "日本"),
        ('"" <sip:jo@x>;tag=1', ""),
    ],
)
def test_a_display_name_that_had_to_be_quoted_is_kept_as_text(value: str, name: str) -> None:
    lines = [f"From: {value}" if x.startswith("From:") else x for x in INVITE.split("\r\n")]
    message = parse("\r\n".join(lines))
    assert (message.from_.display_name, message.from_.uri, message.from_.tag) == (name, "sip:jo@x", "1")
    assert NameAddr.parse(str(message.from_)) == message.from_


def test_content_length_counts_octets_of_a_binary_frame() -> None:
    head, _, _ = changed("Content-Type: application/sdp", "Content-Type: text/plain").partition("\r\n\r\n")
    lines = [x for x in head.split("\r\n") if not x.startswith("Content-Length")]
    data = "\r\n".join([*lines, "Content-Length: 7"]).encode() + b"\r\n\r\ncaf\xe9 ol"
    assert parse(data).body == b"caf\xe9 ol"
