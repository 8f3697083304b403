"""Session timers (RFC 4028)."""

from __future__ import annotations

import pytest
from sip_world import (
    ANSWER,
    OFFER,
    World,
    all_ended,
    build_request,
    lose_socket,
    requests,
    session_call,
)

from plivo_nb.sip import session_timer
from plivo_nb.sip.events import (
    CallFailed,
    Ended,
    ReinviteReceived,
)
from plivo_nb.sip.message import Response
from plivo_nb.sip.session_timer import SessionTerms


def test_session_timer_of_the_caller_is_refreshed_by_it(world: World) -> None:
    key, other, ok = session_call(world, "100")
    assert ok.headers.get("Session-Expires") == "100;refresher=uac"
    assert "timer" in ok.tokens("Require")
    world.wait(49)
    assert world.take("bob") == []
    world.wait(2)
    assert world.take("bob") == [ReinviteReceived(other, OFFER)]
    world.agents["bob"].accept_reinvite(other, ANSWER, world.now)
    world.run()
    assert world.take("alice") == []  # nothing has changed
    world.agents["alice"].hangup(key, world.now)
    world.run()
    all_ended(world)


def test_a_refused_refresh_is_tried_again(world: World) -> None:
    key, other, _ = session_call(world, "100")
    world.wait(51)
    world.agents["bob"].reject_reinvite(other, 500, world.now)
    world.wait(11)
    assert world.take("bob") == [ReinviteReceived(other, OFFER), ReinviteReceived(other, OFFER)]
    world.agents["bob"].accept_reinvite(other, ANSWER, world.now)
    world.wait(20)
    assert world.take("alice") == []
    assert key in world.agents["alice"].live_calls


def test_a_refresh_waits_for_the_socket(world: World) -> None:
    _, other, _ = session_call(world, "100")
    lose_socket(world, "alice", 51)
    world.agents["alice"].transport_up(world.now)
    world.wait(3)
    assert ReinviteReceived(other, OFFER) in world.take("bob")


def test_session_timer_that_we_must_refresh_as_callee(world: World) -> None:
    key, _, ok = session_call(world, "100;refresher=uas")
    assert ok.headers.get("Session-Expires") == "100;refresher=uas"
    world.wait(51)
    assert world.take("alice") == [ReinviteReceived(key, ANSWER)]


def test_session_timer_asked_for_by_a_proxy_only(world: World) -> None:
    _, _, ok = session_call(world, "30;refresher=uac", supported=False)
    assert ok.headers.get("Session-Expires") == "90;refresher=uas"
    assert "Require" not in ok.headers


def test_a_session_that_is_not_refreshed_ends(world: World) -> None:
    key, other, _ = session_call(world, "100")
    del world.agents["alice"]
    assert key
    world.wait(69)
    (ended,) = world.take("bob")
    assert ended == Ended(other, "system", 408, "Session Timer Expired", None)


def test_session_interval_too_small(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [("Session-Expires", "30")], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert failed.code == 422
    assert ("Min-SE", "90") in failed.headers
    assert world.take("bob") == []


@pytest.mark.parametrize(
    ("value", "supported", "answer", "terms"),
    [
        ("1800", True, "1800;refresher=uac", SessionTerms(1800, False)),
        ("1800;refresher=uas", True, "1800;refresher=uas", SessionTerms(1800, True)),
        ("1800;refresher=uac", False, "1800;refresher=uas", SessionTerms(1800, True)),
        ("1800;refresher=nobody", True, "1800;refresher=uac", SessionTerms(1800, False)),
        ("soon", True, None, None),
        (None, True, None, None),
    ],
)
def test_terms_of_a_session(
    value: str | None, supported: bool, answer: str | None, terms: SessionTerms | None
) -> None:
    invite = build_request("INVITE")
    if value is not None:
        invite.headers.add("Session-Expires", value)
    if supported:
        invite.headers.add("Supported", "timer")
    ok = Response(200)
    assert session_timer.accept_terms(invite, ok) == terms
    assert ok.headers.get("Session-Expires") == answer


def test_terms_in_an_answer() -> None:
    ok = Response(200)
    assert session_timer.terms_of(ok) is None
    ok.headers.set("Session-Expires", "100;refresher=uac")
    assert session_timer.terms_of(ok) == SessionTerms(100, True)
    ok.headers.set("Session-Expires", "100;refresher=uas")
    assert session_timer.terms_of(ok) == SessionTerms(100, False)
    ok.headers.set("Session-Expires", "100")
    assert session_timer.terms_of(ok) == SessionTerms(100, True)


@pytest.mark.parametrize(("asked", "refresher"), [("90;refresher=uac", "uac"), ("90;refresher=uas", "uas")])
def test_our_reinvites_keep_the_interval_and_the_refresher(world: World, asked: str, refresher: str) -> None:
    key, _, _ = session_call(world, asked)
    if refresher == "uac":
        world.wait(46)
    else:
        world.agents["alice"].reinvite(key, OFFER, world.now)
        world.run()
    again = requests(world, "alice", "INVITE")[-1]
    assert again.to.tag is not None
    assert again.headers.get("Session-Expires") == f"90;refresher={refresher}"
    assert "timer" in again.tokens("Supported")


def test_without_a_session_timer_a_reinvite_asks_for_none(world: World) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, OFFER, world.now)
    world.run()
    assert "Session-Expires" not in requests(world, "alice", "INVITE")[-1].headers
