"""Requests that nobody expected: methods, extensions, bodies, dialogs that are not there, stray responses."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sip_world import ANSWER, OFFER, World, names

from plivo_nb.sip.events import InfoReceived, MessageReceived, RequestAnswered, RequestFailed
from plivo_nb.sip.message import Request, Response, parse


def build(method: str, **fields: str) -> Request:
    request = Request(method, "sip:bob@bob.invalid")
    plain = {
        "Via": "SIP/2.0/WS x.invalid;branch=z9hG4bK" + fields.pop("branch", method),
        "To": "<sip:bob@phone.plivo.com>",
        "From": "<sip:x@phone.plivo.com>;tag=f1",
        "Call-ID": "call-1",
        "CSeq": f"1 {method}",
        "Contact": "<sip:x@x.invalid>",
    }
    body = fields.pop("body", "")
    for name, value in (plain | {key.replace("_", "-"): value for key, value in fields.items()}).items():
        request.headers.add(name, value)
    request.body = body.encode()
    return request


@pytest.fixture
def world() -> World:
    return World("bob", register=False)


def answers(world: World, request: Request) -> list[Response]:
    world.agents["bob"].receive(str(request), world.now)
    found = [parse(text) for text in world.agents["bob"].outgoing()]
    return [message for message in found if isinstance(message, Response)]


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "REFER", "PRACK", "PUBLISH", "FOO"])
def test_other_methods(world: World, method: str) -> None:
    (answer,) = answers(world, build(method))
    assert (answer.status, answer.headers.get("Allow")) == (
        405,
        "INVITE,ACK,CANCEL,BYE,OPTIONS,INFO,MESSAGE,NOTIFY,UPDATE",
    )
    assert answer.to.tag


def test_options(world: World) -> None:
    (answer,) = answers(world, build("OPTIONS"))
    assert answer.status == 200
    assert "application/sdp" in answer.tokens("Accept")
    assert "invite" in answer.tokens("Allow")
    assert "timer" in answer.tokens("Supported")
    assert world.take("bob") == []


def test_message_and_notify(world: World) -> None:
    (answer,) = answers(world, build("MESSAGE", Content_Type="text/plain;charset=utf-8", body="hello"))
    assert answer.status == 200
    assert world.take("bob") == [MessageReceived("sip:x@phone.plivo.com", "text/plain", b"hello")]
    assert [a.status for a in answers(world, build("NOTIFY", Event="keep-alive", branch="1"))] == [200]
    (refused,) = answers(world, build("NOTIFY", Event="presence", branch="2"))
    assert (refused.status, refused.headers.get("Allow-Events")) == (489, "keep-alive, message-summary")
    assert [a.status for a in answers(world, build("NOTIFY", branch="3"))] == [489]


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "CANCEL"])
def test_no_such_call(world: World, method: str) -> None:
    assert [answer.status for answer in answers(world, build(method))] == [481]


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "MESSAGE", "NOTIFY", "OPTIONS"])
def test_no_such_dialog(world: World, method: str) -> None:
    request = build(method, To="<sip:bob@phone.plivo.com>;tag=gone")
    assert [answer.status for answer in answers(world, request)] == [481]


@pytest.mark.parametrize(
    ("fields", "status", "header"),
    [
        ({"Require": "100rel, timer"}, 420, ("Unsupported", "100rel")),
        ({"Content_Type": "text/plain", "body": "x"}, 415, ("Accept", "application/sdp")),
        ({"Content_Encoding": "gzip"}, 415, ("Accept-Encoding", "identity")),
        ({"Accept": "text/plain"}, 406, None),
        ({"Contact": "*"}, 400, None),
        ({"Session_Expires": "30", "Supported": "timer"}, 422, ("Min-SE", "90")),
    ],
)
def test_invites_that_are_refused(
    world: World, fields: dict[str, str], status: int, header: tuple[str, str] | None
) -> None:
    (answer,) = answers(world, build("INVITE", **fields))
    assert answer.status == status
    assert header is None or answer.headers.get(header[0]) == header[1]
    assert world.take("bob") == []
    assert world.agents["bob"].calls.calls == 0


def test_requests_repeated_and_out_of_order(world: World) -> None:
    bob = world.agents["bob"]
    invite = build("INVITE", CSeq="5 INVITE", body=OFFER.decode(), Content_Type="application/sdp")
    assert [answer.status for answer in answers(world, invite)] == [100]
    assert [answer.status for answer in answers(world, invite)] == [100]
    (incoming,) = world.take("bob")
    bob.accept(incoming.call, ANSWER, world.now)  # type: ignore[attr-defined]
    ok = parse(bob.outgoing()[0])
    to = ok.headers.get("To") or ""
    assert answers(world, build("ACK", CSeq="5 ACK", To=to)) == []
    assert names(world.take("bob")) == ["Confirmed"]
    assert answers(world, build("ACK", CSeq="5 ACK", To=to, branch="again")) == []
    assert world.take("bob") == []
    assert [a.status for a in answers(world, build("INFO", CSeq="7 INFO", To=to, branch="i7"))] == [200]
    assert [a.status for a in answers(world, build("INFO", CSeq="6 INFO", To=to, branch="i6"))] == [500]
    assert [a.status for a in answers(world, build("INFO", CSeq="7 INFO", To=to, branch="i77"))] == [500]
    (info,) = world.take("bob")
    assert isinstance(info, InfoReceived)
    assert [a.status for a in answers(world, build("OPTIONS", CSeq="8 OPTIONS", To=to))] == [200]
    assert [a.status for a in answers(world, build("BYE", CSeq="9 BYE", To=to))] == [200]
    assert names(world.take("bob")) == ["Ended"]
    assert [a.status for a in answers(world, build("BYE", CSeq="10 BYE", To=to, branch="b10"))] == [481]


def test_bye_in_the_early_dialog_is_a_cancel(world: World) -> None:
    answers(world, build("INVITE"))
    (incoming,) = world.take("bob")
    world.agents["bob"].ring(incoming.call, world.now)  # type: ignore[attr-defined]
    to = parse(world.agents["bob"].outgoing()[0]).headers.get("To") or ""
    bye = answers(world, build("BYE", CSeq="2 BYE", To=to))
    assert [(answer.cseq.method, answer.status) for answer in bye] == [("BYE", 200), ("INVITE", 487)]
    assert names(world.take("bob")) == ["Canceled"]


def test_cancel_after_the_answer_changes_nothing(world: World) -> None:
    answers(world, build("INVITE", branch="same"))
    (incoming,) = world.take("bob")
    world.agents["bob"].accept(incoming.call, ANSWER, world.now)  # type: ignore[attr-defined]
    world.agents["bob"].outgoing()
    assert [answer.status for answer in answers(world, build("CANCEL", branch="same"))] == [200]
    assert world.take("bob") == []
    assert world.agents["bob"].calls.calls == 1


def test_an_invite_without_an_offer_gets_ours(world: World) -> None:
    answers(world, build("INVITE"))
    (incoming,) = world.take("bob")
    assert incoming.body == b""  # type: ignore[attr-defined]
    world.agents["bob"].accept(incoming.call, OFFER, world.now)  # type: ignore[attr-defined]
    ok = parse(world.agents["bob"].outgoing()[0])
    assert ok.body == OFFER
    ack = build("ACK", To=ok.headers.get("To") or "", Content_Type="application/sdp", body=ANSWER.decode())
    world.agents["bob"].receive(str(ack), world.now)
    (confirmed,) = world.take("bob")
    assert confirmed.body == ANSWER  # type: ignore[attr-defined]


def test_strays_are_counted_and_dropped(world: World) -> None:
    bob = world.agents["bob"]
    stray = Response.to_request(build("OPTIONS"), 200)
    bob.receive(str(stray), world.now)
    bob.receive("\r\n", world.now)
    bob.receive("not sip", world.now)
    bob.receive(str(build("INVITE")).replace("CSeq: 1 INVITE", "CSeq: 1 BYE"), world.now)
    (reply,) = bob.outgoing()
    assert reply.startswith("SIP/2.0 400 Bad Request")
    counters = bob.counters
    assert (counters.received, counters.malformed, counters.malformed_answered) == (3, 2, 1)
    assert (counters.unmatched_responses, counters.sent) == (1, 1)
    assert world.take("bob") == []


def test_our_own_requests_outside_calls() -> None:
    world = World("alice", "bob")
    world.take("alice")
    alice = world.agents["alice"]
    message = alice.message("bob", "text/plain", b"hello", world.now)
    options = alice.options("bob", world.now)
    missing = alice.options("nobody", world.now)
    world.run()
    assert set(world.take("alice")) == {
        RequestAnswered(options, "OPTIONS", 200, "", b""),
        RequestFailed(missing, "OPTIONS", 404, "Not Found"),
        RequestAnswered(message, "MESSAGE", 200, "", b""),
    }
    assert MessageReceived("sip:alice@phone.plivo.com", "text/plain", b"hello") in world.take("bob")
    world.proxy.mute = True
    lost = alice.options("bob", world.now)
    world.wait(33)
    assert RequestFailed(lost, "OPTIONS", None, "Request Timeout") in world.take("alice")


def test_a_body_that_is_no_text_is_refused_before_anything_is_sent() -> None:
    world = World("alice", "bob")
    key, other = world.call()
    alice, bob = world.agents["alice"], world.agents["bob"]
    with pytest.raises(ValueError):
        alice.invite("bob", b"\xff", [], world.now)
    with pytest.raises(ValueError):
        alice.info(key, "a/b", b"\xff", world.now)
    with pytest.raises(ValueError):
        bob.reinvite(other, b"\xff", world.now)
    assert alice.outgoing() == bob.outgoing() == []


VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(
        [
            *(
                ",",
                '"',
                '"\\\0"',
                "<",
                "<>",
                "*",
                ";;",
                ";tag=",
                "sip:",
                "<mailto:a@b>",
                "<sip:x>;q=nan;expires=1e9",
            ),
            *("99999999999999999999", "-1", "timer", "90;refresher", "1;refresher=uas;refresher=uac", "\\\0"),
            *(
                'Digest realm="\\\0", nonce="n"',
                'Digest realm="r", nonce="n", algorithm=X',
                "Digest",
                "Basic x",
            ),
            *('"\\\0" <sip:a@b>;tag=1', "application/sdp;;", "SIP;cause=x;text", "0", ""),
        ]
    ),
)
NAMES = st.sampled_from(
    [
        *("Require", "Supported", "Session-Expires", "Reason", "Accept", "Record-Route", "Route", "Expires"),
        *("Retry-After", "Min-Expires", "Contact", "Service-Route", "WWW-Authenticate", "Proxy-Authenticate"),
        *(
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Content-Type",
            "Content-Encoding",
            "Event",
            "Max-Forwards",
        ),
    ]
)


def bend(text: str, changes: list[tuple[str, str, bool]]) -> str:
    """Give a message other header values, or more of them, without looking."""
    head, _, body = text.partition("\r\n\r\n")
    for name, value, instead in changes:
        lines = [line for line in head.split("\r\n") if not (instead and line.startswith(f"{name}:"))]
        head = "\r\n".join([*lines, f"{name}: {value}"])
    return f"{head}\r\n\r\n{body}"


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(NAMES, VALUES, st.booleans()), min_size=1, max_size=3))
def test_no_header_value_breaks_the_agents(turn: int, changes: list[tuple[str, str, bool]]) -> None:
    """One message of a whole call arrives bent; whatever it says, both agents come to rest."""
    world = World("alice", "bob", register=False)
    original, count = world.proxy.handle, 0

    def handle(source: str, text: str) -> list[tuple[str, str]]:
        nonlocal count
        out = []
        for agent, message in original(source, text):
            count += 1
            out.append((agent, bend(message, changes) if count == turn else message))
        return out

    world.proxy.handle = handle  # type: ignore[method-assign]
    for name, agent in world.agents.items():
        agent.register(name, world.proxy.passwords[name], world.now)
    world.run()
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    for incoming in world.agents["bob"].live_calls:
        world.agents["bob"].ring(incoming, world.now)
        world.agents["bob"].accept(incoming, ANSWER, world.now)
    world.run()
    world.agents["alice"].reinvite(key, OFFER, world.now)
    world.run()
    for incoming in world.agents["bob"].live_calls:
        world.agents["bob"].accept_reinvite(incoming, ANSWER, world.now)
    world.run()
    for agent in world.agents.values():
        for call in agent.live_calls:
            agent.hangup(call, world.now)
        agent.unregister(world.now)
    world.wait(300)
    for agent in world.agents.values():
        assert (agent.calls.calls, agent.calls.dialogs, agent.calls.transactions) == (0, 0, 0)


def test_a_call_whose_contact_has_an_unquoted_display_name_with_a_comma_rings(world: World) -> None:
    invite = build(
        "INVITE", body=OFFER.decode(), Content_Type="application/sdp", Contact="Smith, John <sip:x@x.invalid>"
    )
    assert [answer.status for answer in answers(world, invite)] == [100]
    assert names(world.take("bob")) == ["InviteReceived"]
