"""Requests that are sent again with credentials (RFC 3261 section 22)."""

from __future__ import annotations

import pytest
from sip_world import ANSWER, HOLD, OFFER, World, names

from plivo_nb.sip import digest
from plivo_nb.sip.events import ChallengeIgnored
from plivo_nb.sip.message import Request, Response, parse


def test_invite_is_sent_again_with_credentials_and_ack_carries_them(world: World) -> None:
    world.call()
    invites = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "INVITE"]
    first, second = invites
    assert "Proxy-Authorization" not in first.headers
    assert second.cseq.sequence == first.cseq.sequence + 1
    assert second.call_id == first.call_id
    assert second.via.branch != first.via.branch
    acks = [m for m in world.sent("alice") if isinstance(m, Request) and m.method == "ACK"]
    assert acks[0].via.branch == first.via.branch  # to the 407: the same transaction
    assert acks[1].via.branch not in (first.via.branch, second.via.branch)  # to the 200: one of its own
    assert acks[1].cseq.sequence == second.cseq.sequence
    assert acks[1].headers.get("Proxy-Authorization") == second.headers.get("Proxy-Authorization")


def challenge(
    world: World, request: Request, status: int, realm: str, *, stale: bool = False
) -> Request | None:
    """Challenge a request of alice's; what she sends then, but ACK."""
    response = Response.to_request(request, status, to_tag="t")
    value = digest.make_challenge(realm, f"nonce-{realm}", stale=stale)
    response.headers.add("WWW-Authenticate" if status == 401 else "Proxy-Authenticate", value)
    return give(world, response)


def give(world: World, response: Response) -> Request | None:
    alice = world.agents["alice"]
    alice.receive(str(response), world.now)
    messages = [parse(text) for text in alice.outgoing()]
    requests = [m for m in messages if isinstance(m, Request) and m.method != "ACK"]
    return requests[0] if requests else None


def lone(**config: object) -> World:
    """A world whose alice is alone with a server that the test plays."""
    return World("alice", register=False, **config)


def register(world: World, *realms: str) -> None:
    alice = world.agents["alice"]
    alice.register("alice", "alice-pw", world.now)
    request: Request | None = parse(alice.outgoing()[0])  # type: ignore[assignment]
    for realm in realms:
        assert request is not None
        request = challenge(world, request, 401, realm)
    assert request is not None
    give(world, Response.to_request(request, 200, to_tag="t"))
    assert alice.registered


def invite(world: World) -> Request:
    alice = world.agents["alice"]
    alice.invite("bob", OFFER, [], world.now)
    request = parse(alice.outgoing()[0])
    assert isinstance(request, Request)
    return request


def answered_call(world: World) -> tuple[str, Request]:
    request = invite(world)
    response = Response.to_request(request, 200, to_tag="b")
    response.headers.add("Contact", "<sip:bob@b.invalid>")
    response.body = ANSWER
    give(world, response)
    world.take("alice")
    return request.call_id, request


def ignored(world: World) -> list[ChallengeIgnored]:
    return [event for event in world.take("alice") if isinstance(event, ChallengeIgnored)]


@pytest.mark.parametrize("realms", [(), ("A",), ("A", "other")])
@pytest.mark.parametrize("status", [401, 407])
@pytest.mark.parametrize("trying", [True, False])
def test_an_invite_is_answered_once_in_whatever_realm(
    realms: tuple[str, ...], status: int, trying: bool
) -> None:
    world = lone()
    register(world, *realms)
    request = invite(world)
    if trying:
        give(world, Response.to_request(request, 100))
    second = challenge(world, request, status, "B")
    assert second is not None
    (value,) = second.headers.get_all("Authorization" if status == 401 else "Proxy-Authorization")
    assert digest.parse_digest(value)["realm"] == "B"
    assert digest.verify(value, "INVITE", "alice-pw", body=OFFER)
    assert challenge(world, second, status, "C") is None
    assert ignored(world) == [ChallengeIgnored("INVITE", status, "C")]


def test_the_realm_of_an_invite_is_known_in_its_call() -> None:
    world = lone()
    register(world)
    alice = world.agents["alice"]
    request = challenge(world, invite(world), 407, "B")
    assert request is not None
    response = Response.to_request(request, 200, to_tag="b")
    response.headers.add("Contact", "<sip:bob@b.invalid>")
    response.body = ANSWER
    give(world, response)
    alice.hangup(request.call_id, world.now)
    bye = parse(alice.outgoing()[-1])
    assert isinstance(bye, Request)
    assert challenge(world, bye, 407, "B") is not None


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE"])
@pytest.mark.parametrize(
    ("status", "realm", "is_answered"),
    [(407, "A", True), (407, "phone.plivo.com", True), (407, "option", True), (407, "evil", False)]
    + [(401, realm, False) for realm in ("A", "phone.plivo.com", "option", "evil")],
)
def test_in_a_dialog_only_a_407_in_a_known_realm_is_answered(
    method: str, status: int, realm: str, is_answered: bool
) -> None:
    world = lone(realms=("option",))
    register(world, "A")
    alice = world.agents["alice"]
    key, _ = answered_call(world)
    if method == "BYE":
        alice.hangup(key, world.now)
    elif method == "INFO":
        alice.info(key, "text/plain", b"x", world.now)
    else:
        alice.reinvite(key, HOLD, world.now)
    request = parse(alice.outgoing()[-1])
    assert isinstance(request, Request)
    assert request.method == method
    again = challenge(world, request, status, realm)
    assert (again is not None) is is_answered
    assert ignored(world) == ([] if is_answered else [ChallengeIgnored(method, status, realm)])


@pytest.mark.parametrize(("status", "realm"), [(401, "A"), (401, "evil"), (407, "evil")])
def test_after_ringing_nobody_learns_an_answer_by_a_401_or_a_foreign_realm(status: int, realm: str) -> None:
    world = lone()
    register(world, "A")
    request = invite(world)
    give(world, Response.to_request(request, 180, to_tag="b"))
    assert challenge(world, request, status, realm) is None
    events = world.take("alice")
    assert names(events)[-2:] == ["ChallengeIgnored", "CallFailed"]


def test_a_callee_that_copies_the_servers_realm_gets_no_second_answer() -> None:
    world = lone()
    register(world, "A")
    request = challenge(world, invite(world), 407, "A")
    assert request is not None
    assert challenge(world, request, 407, "A") is None
    request = challenge(world, invite(world), 407, "A")
    assert request is not None
    assert challenge(world, request, 401, "A", stale=True) is None


def test_requests_outside_calls_are_answered_in_known_realms_only() -> None:
    world = lone()
    register(world, "A")
    alice = world.agents["alice"]
    for realm, is_answered in (("A", True), ("B", False)):
        alice.message("bob", "text/plain", b"x", world.now)
        request = parse(alice.outgoing()[0])
        assert isinstance(request, Request)
        assert (challenge(world, request, 407, realm) is not None) is is_answered


@pytest.mark.parametrize("status", [401, 407])
def test_a_redirected_invite_is_answered_in_known_realms_only(status: int) -> None:
    world = lone(follow_redirects=True)
    register(world, "A")
    response = Response.to_request(invite(world), 302, to_tag="t")
    response.headers.add("Contact", "<sip:bob@elsewhere.invalid>")
    request = give(world, response)
    assert request is not None
    assert challenge(world, request, status, "B") is None
