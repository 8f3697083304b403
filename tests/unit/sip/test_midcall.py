"""In the middle of things: re-INVITE, glare, session timers, forks, redirections, lost sockets."""

from __future__ import annotations

import pytest
from sip_world import ANSWER, OFFER, World, names

from plivo_nb.sip.events import (
    Answered,
    CallFailed,
    Confirmed,
    Ended,
    Reinvite,
    ReinviteAnswered,
    ReinviteFailed,
)
from plivo_nb.sip.message import Request, Response, parse
from plivo_nb.sip.user_agent import Census

HOLD = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=hold\r\nt=0 0\r\n"
HELD = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=held\r\nt=0 0\r\n"


def requests(world: World, name: str, method: str) -> list[Request]:
    return [m for m in world.sent(name) if isinstance(m, Request) and m.method == method]


def responses(world: World, name: str) -> list[Response]:
    return [m for m in world.sent(name) if isinstance(m, Response)]


def quiet(world: World) -> None:
    for agent in world.agents.values():
        agent.unregister(world.now)
    world.wait(200)
    for agent in world.agents.values():
        assert agent.calls == Census(0, 0, 0)


@pytest.fixture
def world() -> World:
    world = World("alice", "bob")
    world.take("alice")
    world.take("bob")
    return world


# ---- re-INVITE


@pytest.mark.parametrize("side", ["alice", "bob"])
def test_reinvite_from_either_side(world: World, side: str) -> None:
    keys = dict(zip(("alice", "bob"), world.call(), strict=True))
    other = "bob" if side == "alice" else "alice"
    world.agents[side].reinvite(keys[side], HOLD, world.now)
    world.run()
    assert world.take(other) == [Reinvite(keys[other], HOLD)]
    world.agents[other].accept_reinvite(keys[other], HELD, world.now)
    world.run()
    assert world.take(side) == [ReinviteAnswered(keys[side], HELD)]
    assert world.take(other) == []
    assert requests(world, side, "ACK")[-1].cseq.sequence == requests(world, side, "INVITE")[-1].cseq.sequence
    world.agents[other].hangup(keys[other], world.now)
    world.run()
    quiet(world)


def test_refused_reinvite_leaves_the_call_as_it_was(world: World) -> None:
    key, other = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].reject_reinvite(other, 488, world.now)
    world.run()
    assert world.take("alice") == [ReinviteFailed(key, 488, "Not Acceptable Here")]
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_reinvite_that_nobody_decides_is_refused(world: World) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.wait(33)
    assert world.take("alice") == [ReinviteFailed(key, 500, "Server Internal Error")]


def test_a_second_reinvite_of_ours_waits_its_turn(world: World) -> None:
    key, _ = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.agents["alice"].reinvite(key, HOLD, world.now)
    (failed,) = world.take("alice")
    assert isinstance(failed, ReinviteFailed)
    assert failed.code == 491


def test_glare_is_refused_by_both_and_tried_again(world: World) -> None:
    key, other = world.call()
    alice, bob = world.agents["alice"], world.agents["bob"]
    alice.reinvite(key, HOLD, world.now)
    bob.reinvite(other, HOLD, world.now)
    world.run()
    assert [r.status for r in responses(world, "alice")][-1] == 491
    assert [r.status for r in responses(world, "bob")][-1] == 491
    assert world.take("alice") == world.take("bob") == []
    world.wait(2.0)  # the callee's pause is the shorter one
    assert world.take("alice") == [Reinvite(key, HOLD)]
    alice.accept_reinvite(key, HELD, world.now)
    world.run()
    assert world.take("bob") == [ReinviteAnswered(other, HELD)]
    world.wait(4.0)
    assert world.take("bob") == [Reinvite(other, HOLD)]
    bob.accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_hangup_during_a_reinvite(world: World) -> None:
    key, other = world.call()
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    world.agents["bob"].hangup(other, world.now)
    world.run()
    assert names(world.take("bob")) == ["Reinvite", "Ended"]
    assert names(world.take("alice")) == ["Ended"]
    assert responses(world, "bob")[-1].status == 487
    quiet(world)


def test_an_offer_asked_for_in_mid_call(world: World) -> None:
    """A re-INVITE without a body: we offer in the 200, the answer comes in the ACK."""
    key, other = world.call()
    world.agents["alice"].reinvite(key, b"", world.now)
    world.run()
    assert world.take("bob") == [Reinvite(other, b"")]
    world.agents["bob"].accept_reinvite(other, HOLD, world.now)
    world.collect()
    source, ok = world.wire.popleft()
    assert source == "bob"
    request = parse(ok)
    ack = Request("ACK", world.agents["bob"].contact)
    for name in ("From", "To", "Call-ID"):
        ack.headers.add(name, request.headers.get(name) or "")
    ack.headers.add("Via", "SIP/2.0/WS a.invalid;branch=z9hG4bKacknow")
    ack.headers.add("CSeq", f"{request.cseq.sequence} ACK")
    ack.body = HELD
    world.agents["bob"].receive(str(ack), world.now)
    assert world.take("bob") == [ReinviteAnswered(other, HELD)]


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


# ---- UPDATE


def update(world: World, sequence: int, **fields: str) -> list[Response]:
    """An UPDATE of alice's phone, as another make of it might send one."""
    invite = requests(world, "alice", "INVITE")[-1]
    ok = [r for r in responses(world, "bob") if r.status == 200 and r.cseq.method == "INVITE"][-1]
    request = Request("UPDATE", world.agents["bob"].contact)
    request.headers.add("Via", f"SIP/2.0/WS a.invalid;branch=z9hG4bKupdate{sequence}")
    request.headers.add("From", invite.headers.get("From") or "")
    request.headers.add("To", ok.headers.get("To") or "")
    request.headers.add("Call-ID", invite.call_id)
    request.headers.add("CSeq", f"{invite.cseq.sequence + sequence} UPDATE")
    request.headers.add("Contact", "<sip:new@place.invalid;transport=ws>")
    request.body = fields.pop("body", "").encode()
    for name, value in fields.items():
        request.headers.add(name.replace("_", "-"), value)
    world.agents["bob"].receive(str(request), world.now)
    return [m for m in map(parse, world.agents["bob"].outgoing()) if isinstance(m, Response)]


def test_update_refreshes_the_session(world: World) -> None:
    session_call(world, "100")
    del world.agents["alice"]
    for turn in range(1, 4):
        world.wait(50)
        (ok,) = update(world, turn, Session_Expires="100;refresher=uac", Supported="timer")
        assert (ok.status, ok.headers.get("Session-Expires")) == (200, "100;refresher=uac")
    (small,) = update(world, 9, Session_Expires="20", Supported="timer")
    assert (small.status, small.headers.get("Min-SE")) == (422, "90")
    assert "Ended" not in names(world.take("bob"))
    world.wait(69)
    assert names(world.take("bob"))[-1] == "Ended"
    assert requests(world, "bob", "BYE")[-1].uri == "sip:new@place.invalid;transport=ws"


def test_update_with_an_offer_is_answered_or_refused(world: World) -> None:
    _, other = world.call()
    assert update(world, 1, body="v=0 hold", Content_Type="application/sdp") == []
    assert world.take("bob") == [Reinvite(other, b"v=0 hold")]
    busy = update(world, 2, body="v=0 more", Content_Type="application/sdp")
    assert [answer.status for answer in busy] == [500]
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    (ok,) = map(parse, world.agents["bob"].outgoing())
    assert (ok.cseq.method, ok.body) == ("UPDATE", HELD)
    assert update(world, 3, body="v=0 again", Content_Type="application/sdp") == []
    world.wait(21)
    assert responses(world, "bob")[-1].status == 500
    assert len(world.agents["bob"].live_calls) == 1


# ---- session timers


def session_call(world: World, value: str, *, supported: bool = True) -> tuple[str, str, Response]:
    """A call whose INVITE a proxy gave a Session-Expires."""
    original = world.proxy._request

    def with_timer(source: str, request: Request) -> list[tuple[str, str]]:
        if request.method == "INVITE" and request.to.tag is None:
            request.headers.set("Session-Expires", value)
            if not supported:
                request.headers.set("Supported", "outbound")
        return original(source, request)

    world.proxy._request = with_timer  # type: ignore[method-assign]
    key, other = world.call()
    world.proxy._request = original  # type: ignore[method-assign]
    ok = [r for r in responses(world, "bob") if r.status == 200 and r.cseq.method == "INVITE"][-1]
    return key, other, ok


def test_session_timer_of_the_caller_is_refreshed_by_it(world: World) -> None:
    key, other, ok = session_call(world, "100")
    assert ok.headers.get("Session-Expires") == "100;refresher=uac"
    assert "timer" in ok.tokens("Require")
    world.wait(49)
    assert world.take("bob") == []
    world.wait(2)
    assert world.take("bob") == [Reinvite(other, OFFER)]
    world.agents["bob"].accept_reinvite(other, ANSWER, world.now)
    world.run()
    assert world.take("alice") == []  # nothing has changed
    world.agents["alice"].hangup(key, world.now)
    world.run()
    quiet(world)


def test_a_refused_refresh_is_tried_again(world: World) -> None:
    key, other, _ = session_call(world, "100")
    world.wait(51)
    world.agents["bob"].reject_reinvite(other, 500, world.now)
    world.wait(11)
    assert world.take("bob") == [Reinvite(other, OFFER), Reinvite(other, OFFER)]
    world.agents["bob"].accept_reinvite(other, ANSWER, world.now)
    world.wait(20)
    assert world.take("alice") == []
    assert key in world.agents["alice"].live_calls


def test_a_refresh_waits_for_the_socket(world: World) -> None:
    _, other, _ = session_call(world, "100")
    lose(world, "alice", 51)
    world.agents["alice"].transport_up(world.now)
    world.wait(3)
    assert Reinvite(other, OFFER) in world.take("bob")


def test_a_bye_that_overtakes_the_answer_ends_the_call(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    bob, call = world.agents["bob"], incoming.call  # type: ignore[attr-defined]
    bob.ring(call, world.now)
    world.run()
    bob.accept(call, ANSWER, world.now)
    (answer,) = bob.outgoing()
    late = world.proxy.handle("bob", answer)
    bye = Request("BYE", world.agents["alice"].contact)
    ok = parse(answer)
    for name, source in (("From", "To"), ("To", "From"), ("Call-ID", "Call-ID")):
        bye.headers.add(name, ok.headers.get(source) or "")
    bye.headers.add("Via", "SIP/2.0/WS b.invalid;branch=z9hG4bKearly")
    bye.headers.add("CSeq", "1 BYE")
    world.agents["alice"].receive(str(bye), world.now)
    (progress, failed) = world.take("alice")
    assert names([progress]) == ["Progress"]
    assert isinstance(failed, CallFailed)
    assert (failed.call, failed.code, failed.originator) == (key, 487, "remote")
    world.agents["alice"].receive(late[0][1], world.now)
    world.run()
    assert [m.method for m in world.sent("alice") if isinstance(m, Request)][-2:] == ["ACK", "BYE"]
    quiet(world)


def test_session_timer_that_we_must_refresh_as_callee(world: World) -> None:
    key, _, ok = session_call(world, "100;refresher=uas")
    assert ok.headers.get("Session-Expires") == "100;refresher=uas"
    world.wait(51)
    assert world.take("alice") == [Reinvite(key, ANSWER)]


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


# ---- forks


def forked() -> World:
    world = World("alice", "bob")
    world.add("bob2", user="bob", seed=77)
    for name in world.agents:
        world.take(name)
    return world


def test_forked_call_the_first_answer_wins_and_the_other_is_hung_up() -> None:
    world = forked()
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    calls = {}
    for name in ("bob", "bob2"):
        calls[name] = world.take(name)[0].call  # type: ignore[attr-defined]
        world.agents[name].ring(calls[name], world.now)
    world.run()
    assert names(world.take("alice")) == ["Progress", "Progress"]
    assert world.agents["alice"].calls.dialogs == 2
    world.agents["bob2"].accept(calls["bob2"], ANSWER, world.now)
    world.agents["bob"].accept(calls["bob"], HELD, world.now)
    world.run()
    (answered,) = world.take("alice")
    assert isinstance(answered, Answered)
    assert answered.body in (ANSWER, HELD)
    winner, loser = ("bob2", "bob") if answered.body == ANSWER else ("bob", "bob2")
    assert world.take(winner) == [Confirmed(calls[winner], b"")]
    assert names(world.take(loser)) == ["Confirmed", "Ended"]
    assert world.agents["alice"].calls.dialogs == 1
    world.agents["alice"].hangup(key, world.now)
    world.run()
    assert names(world.take(winner)) == ["Ended"]
    quiet(world)


def test_two_copies_of_one_invite_at_one_phone_are_a_loop() -> None:
    world = World("alice", "bob")
    world.take("bob")
    bindings = world.proxy.bindings["bob"]
    bindings.append(bindings[0])
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    assert names(world.take("bob")) == ["IncomingCall"]
    assert 482 in [r.status for r in responses(world, "bob")]


# ---- redirections


def test_a_redirection_is_followed_the_best_first(world: World) -> None:
    world.proxy.redirects["old"] = ["<sip:nobody@phone.plivo.com>;q=0.5", "<sip:bob@phone.plivo.com>;q=0.9"]
    key = world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    world.agents["bob"].accept(incoming.call, ANSWER, world.now)  # type: ignore[attr-defined]
    world.run()
    assert names(world.take("alice")) == ["Answered"]
    invites = requests(world, "alice", "INVITE")
    assert len({invite.call_id for invite in invites}) == 1
    assert [invite.cseq.sequence for invite in invites] == sorted({i.cseq.sequence for i in invites})
    world.agents["alice"].hangup(key, world.now)
    world.run()
    quiet(world)


def test_the_next_target_is_tried_and_the_last_failure_told(world: World) -> None:
    world.proxy.redirects["old"] = ["<sip:nobody@phone.plivo.com>;q=0.9", "<sip:busy@phone.plivo.com>"]
    world.proxy.redirects["old"][1] += ";q=0.1"
    world.proxy.fixed["busy"] = 486
    world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert failed.code == 486
    quiet(world)


@pytest.mark.parametrize(
    "contacts",
    [[], ["<sip:old@phone.plivo.com>"], ["<mailto:a@b.c>"], ["<sip:bob@phone.plivo.com?Replaces=x>"]],
)
def test_a_redirection_to_nowhere(world: World, contacts: list[str]) -> None:
    world.proxy.redirects["old"] = contacts
    world.agents["alice"].invite("old", OFFER, [], world.now)
    world.run()
    (failed,) = world.take("alice")
    assert isinstance(failed, CallFailed)
    assert failed.code == 302


def test_redirections_in_a_circle_end(world: World) -> None:
    for number in range(20):
        world.proxy.redirects[f"r{number}"] = [f"<sip:r{number + 1}@phone.plivo.com>"]
    world.agents["alice"].invite("r0", OFFER, [], world.now)
    world.run()
    assert names(world.take("alice")) == ["CallFailed"]
    quiet(world)


# ---- lost sockets


def lose(world: World, name: str, seconds: float = 1.0) -> None:
    world.collect()
    world.agents[name].transport_down(world.now)
    world.wait(seconds)


def test_an_answered_call_outlives_the_socket(world: World) -> None:
    key, other = world.call()
    lose(world, "alice")
    world.agents["alice"].transport_up(world.now)
    world.run()
    world.take("alice")
    world.agents["alice"].reinvite(key, HOLD, world.now)
    world.run()
    assert world.take("bob") == [Reinvite(other, HOLD)]
    world.agents["bob"].accept_reinvite(other, HELD, world.now)
    world.run()
    assert world.take("alice") == [ReinviteAnswered(key, HELD)]


def test_an_unanswered_call_fails_with_the_socket_and_is_cancelled_later(world: World) -> None:
    key = world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    lose(world, "alice")
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
    assert names(world.take("bob")) == ["IncomingCall", "Canceled"]
    quiet(world)


def test_an_invite_without_any_response_fails_with_the_socket(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    lose(world, "alice")
    assert names(world.take("alice")) == ["CallFailed"]
    world.agents["alice"].transport_up(world.now)
    world.run()
    quiet(world)


def test_an_incoming_call_rings_on_while_the_socket_is_gone(world: World) -> None:
    world.agents["alice"].invite("bob", OFFER, [], world.now)
    world.run()
    (incoming,) = world.take("bob")
    lose(world, "bob")
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
    lose(world, "bob")
    world.agents["bob"].reject(incoming.call, world.now)  # type: ignore[attr-defined]
    world.agents["bob"].transport_up(world.now)
    world.run()
    assert [r.status for r in responses(world, "bob")].count(486) == 1
    assert names(world.take("alice")) == ["CallFailed"]
    quiet(world)


def test_a_hangup_without_a_socket_reaches_the_other_side_later(world: World) -> None:
    key, _ = world.call()
    lose(world, "alice")
    world.agents["alice"].hangup(key, world.now)
    assert names(world.take("alice")) == ["Ended"]
    world.wait(5)
    world.agents["alice"].transport_up(world.now)
    world.run()
    assert names(world.take("bob")) == ["Ended"]
    assert len(requests(world, "alice", "BYE")) == 1
    quiet(world)


def test_calls_and_requests_without_a_socket_fail_at_once(world: World) -> None:
    key, _ = world.call()
    alice = world.agents["alice"]
    lose(world, "alice")
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
    lose(world, "alice", 0.1)
    assert world.take("alice") == [ReinviteFailed(key, None, "Connection Error")]
    assert key in world.agents["alice"].live_calls
