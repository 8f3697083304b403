"""The core: what it imports, its limits, and calls whose transport is lost and restored."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sip_world import (
    ANSWER,
    HELD,
    HOLD,
    OFFER,
    World,
    all_ended,
    lose_socket,
    names,
    requests,
    responses,
)

import plivo_nb.sip
from plivo_nb.sip.events import (
    CallFailed,
    ReinviteAnswered,
    ReinviteFailed,
    ReinviteReceived,
)


def test_too_many_calls_are_busy() -> None:
    world = World("alice", "bob", max_calls=2)
    for _ in range(3):
        world.agents["alice"].invite("bob", OFFER, [], world.now)
        world.run()
    assert names(world.take("bob")).count("InviteReceived") == 2
    (failed,) = [event for event in world.take("alice") if isinstance(event, CallFailed)]
    assert failed.code == 486


def test_an_answered_call_outlives_the_socket(world: World) -> None:
    key, other = world.call()
    lose_socket(world, "alice")
    world.agents["alice"].transport_up(world.now)
    world.run()
    world.take("alice")
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    assert world.take("bob") == [ReinviteReceived(other, HOLD)]
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_an_unanswered_call_fails_with_the_socket_and_is_cancelled_later(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    lose_socket(world, "alice")
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.reason, failed.originator) == (
        key,
        None,
        "Connection Error",
        "system",
    )
    world.agents["alice"].transport_up(world.now)
    world.run()
    assert names(world.take("bob")) == ["InviteReceived", "Canceled"]
    all_ended(world)


def test_an_invite_without_any_response_fails_with_the_socket(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    lose_socket(world, "alice")
    assert names(world.take("alice")) == ["CallFailed"]
    world.agents["alice"].transport_up(world.now)
    world.run()
    all_ended(world)


def test_an_incoming_call_rings_on_while_the_socket_is_gone(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    lose_socket(world, "bob")
    world.agents["bob"].accept(incoming.call, ANSWER, world.now)  # type: ignore[attr-defined]
    world.wait(1)
    assert world.take("alice") == []
    world.agents["bob"].transport_up(world.now)
    world.run()
    assert names(world.take("alice")) == ["Answered"]
    assert "Confirmed" in names(world.take("bob"))


def test_a_refusal_without_a_socket_is_sent_once_there_is_one(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    lose_socket(world, "bob")
    world.agents["bob"].reject(incoming.call, world.now)  # type: ignore[attr-defined]
    world.agents["bob"].transport_up(world.now)
    world.run()
    assert [r.status for r in responses(world, "bob")].count(486) == 1
    assert names(world.take("alice")) == ["CallFailed"]
    all_ended(world)


def test_a_hangup_without_a_socket_reaches_the_other_side_later(world: World) -> None:
    key, _ = world.call()
    lose_socket(world, "alice")
    world.agents["alice"].hangup(key, world.now)
    assert names(world.take("alice")) == ["Ended"]
    world.wait(5)
    world.agents["alice"].transport_up(world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]
    assert len(requests(world, "alice", "BYE")) == 1
    all_ended(world)


def test_calls_and_requests_without_a_socket_fail_at_once(world: World) -> None:
    key, _ = world.call()
    alice = world.agents["alice"]
    lose_socket(world, "alice")
    alice.invite("bob", OFFER, [], world.now)
    alice.message("bob", "text/plain", b"hello", world.now)
    alice.options("bob", world.now)
    alice.info(key, "a/b", b"", world.now)
    alice.reinvite(key, HOLD, world.now)
    assert names(world.take("alice")) == [
        "CallFailed",
        "RequestFailed",
        "RequestFailed",
        "InfoAnswered",
        "ReinviteFailed",
    ]
    assert alice.outgoing() == []


@pytest.mark.parametrize("answered_100", [False, True])
def test_a_reinvite_under_way_fails_with_the_socket_and_the_call_goes_on(
    world: World, answered_100: bool
) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    if answered_100:
        world.run()
    world.collect()
    lose_socket(world, "alice", 0.1)
    assert world.take("alice") == [ReinviteFailed(key, None, "Connection Error")]
    assert key in world.agents["alice"].live_calls


SIP = Path(plivo_nb.sip.__file__).parent


@pytest.mark.parametrize("path", sorted(SIP.glob("*.py")), ids=lambda path: path.name)
def test_the_core_has_no_clock_no_socket_no_loop(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert not imported & {
        "asyncio",
        "time",
        "socket",
        "ssl",
        "threading",
        "datetime",
        "select",
        "websockets",
    }


@pytest.mark.parametrize(
    ("target", "user"),
    [("+1 (415) 555-0100", "+14155550100"), ("415 555", "415555"), ("\u00b2 x", "%C2%B2%20x"), ("", "")],
    ids=["a plus", "digits", "a superscript digit", "nothing"],
)
def test_only_ascii_digits_begin_a_telephone_number(target: str, user: str) -> None:
    core = World("alice").agents["alice"]._core
    if user:
        assert core.target_uri(target) == f"sip:{user}@phone.plivo.com"
    else:
        with pytest.raises(ValueError):
            core.target_uri(target)
