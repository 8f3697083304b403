"""Dialogs: route sets, targets and sequence numbers (RFC 3261 section 12)."""

from __future__ import annotations

from sip_world import (
    HELD,
    HOLD,
    World,
    all_ended,
    build_request,
    names,
)

from plivo_nb.sip.dialog import Dialog
from plivo_nb.sip.events import (
    InfoAnswered,
    InfoReceived,
)
from plivo_nb.sip.message import Request, Response, parse


def test_record_route_becomes_the_route_and_contacts_are_the_targets(world: World) -> None:
    alice, bob = world.agents["alice"], world.agents["bob"]
    key, other = world.call()
    world.log.clear()
    alice.info(key, "application/dtmf-relay", b"Signal=1\r\nDuration=100", world.now)
    world.run()
    assert world.take("bob") == [InfoReceived(other, "application/dtmf-relay", b"Signal=1\r\nDuration=100")]
    assert world.take("alice") == [InfoAnswered(key, 200)]
    (info,) = world.sent("alice")
    assert isinstance(info, Request)
    assert info.uri == f"{bob.contact};ob"
    assert info.headers.get("Route") == "<sip:proxy.invalid;transport=ws;lr>"
    bob.info(other, "application/dtmf-relay", b"Signal=2\r\nDuration=100", world.now)
    world.run()
    (event,) = world.take("alice")
    assert isinstance(event, InfoReceived)


def test_call_without_record_route(world: World) -> None:
    world.proxy.record_route = False
    key, _ = world.call()
    world.agents["alice"].hangup(key, world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]
    all_ended(world)


def test_the_targets_follow_the_contacts(world: World) -> None:
    key, other = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    for agent, text in world.proxy.handle("alice", world.agents["alice"].outgoing()[0]):
        moved = parse(text)
        moved.headers.set("Contact", "<sip:moved@elsewhere.invalid;transport=ws>")
        world.agents[agent].receive(str(moved), world.now)
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    world.agents["bob"].hangup(other, world.now)
    texts = world.agents["bob"].outgoing()
    bye = next(m for m in map(parse, texts) if isinstance(m, Request))
    assert bye.uri == "sip:moved@elsewhere.invalid;transport=ws"


def ok_with_route(*route: str) -> Dialog:
    invite = build_request("INVITE")
    ok = Response.to_request(invite, 200, to_tag="t")
    ok.headers.add("Contact", "<sip:target@t.invalid;transport=ws>")
    for value in route:
        ok.headers.add("Record-Route", value)
    return Dialog.of_uac(invite, ok)


def test_loose_routes_are_reversed_for_the_caller() -> None:
    request = ok_with_route("<sip:p2;lr>, <sip:p1;lr=on>").request("BYE", 2)
    assert request.uri == "sip:target@t.invalid;transport=ws"
    assert request.headers.get_all("Route") == ["<sip:p1;lr=on>", "<sip:p2;lr>"]


def test_a_strict_router_becomes_the_request_uri() -> None:
    request = ok_with_route("<sip:p2;lr>", "<sip:p1>").request("BYE", 2)
    assert request.uri == "sip:p1"
    assert request.headers.get_all("Route") == ["<sip:p2;lr>", "<sip:target@t.invalid;transport=ws>"]
