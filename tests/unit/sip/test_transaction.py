"""Client and server transactions (RFC 3261 section 17): tables of states, time-outs, lost transports."""

from __future__ import annotations

import pytest
from sip_world import (
    RECORDED_INVITE,
    World,
    build_request,
)

from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.timers import Timers
from plivo_nb.sip.transaction import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    MAX_FINISHED,
    MAX_FINISHED_BYTES,
    SERVER,
    ClientTransaction,
    Input,
    State,
    Table,
    TransactionLayer,
    server_key,
)


@pytest.mark.parametrize("table", [INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER])
def test_every_state_is_reached_and_left(table: Table) -> None:
    first = next(iter(table))[0]
    reached, todo = {first}, [first]
    while todo:
        state = todo.pop()
        for (before, _), (after, _) in table.items():
            if before is state and after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == {state for state, _ in table} | {State.TERMINATED}
    leaves = {before for (before, _), (after, _) in table.items() if after is not before}
    assert leaves == {state for state, _ in table}


class User:
    def __init__(self) -> None:
        self.told: list[int | bool] = []

    def on_response(self, response: Response, now: float) -> None:
        self.told.append(response.status)

    def on_no_response(self, timed_out: bool, now: float) -> None:
        self.told.append(timed_out)


class Bench:
    """A transaction layer, and what it sent."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.sent: list[Request | Response] = []
        self.layer = TransactionLayer(self.timers, lambda message, now: self.sent.append(message))


@pytest.mark.parametrize(
    ("method", "statuses", "told", "ends_at"),
    [
        ("INVITE", [], [True], 32.0),
        ("INVITE", [100, 180, 200, 200], [100, 180, 200, 200], 32.0),
        ("INVITE", [180, 486, 486], [180, 486], 0.0),
        ("INVITE", [200, 486, 180], [200], 32.0),
        ("OPTIONS", [], [True], 32.0),
        ("OPTIONS", [100], [100, True], 32.0),
        ("OPTIONS", [200, 200], [200], 0.0),
    ],
)
def test_client_transactions(method: str, statuses: list[int], told: list[int], ends_at: float) -> None:
    bench, user = Bench(), User()
    request = build_request(method)
    transaction = bench.layer.send_request(request, user, 0.0)
    for status in statuses:
        bench.layer.receive_response(Response.to_request(request, status, to_tag="t"), 0.0)
    if ends_at:
        bench.timers.advance(ends_at - 0.1)
        assert len(bench.layer) == 1
        bench.timers.advance(ends_at)
    assert user.told == told
    assert len(bench.layer) == 0
    assert transaction.state is State.TERMINATED
    acks = [m for m in bench.sent if isinstance(m, Request) and m.method == "ACK"]
    assert len(acks) == (486 in told)


def test_an_invite_that_rings_has_no_timer_of_its_own() -> None:
    bench, user = Bench(), User()
    request = build_request("INVITE")
    bench.layer.send_request(request, user, 0.0)
    bench.layer.receive_response(Response.to_request(request, 180, to_tag="t"), 1.0)
    bench.timers.advance(1000.0)
    assert user.told == [180]
    assert len(bench.layer) == 1


def test_server_transactions() -> None:
    bench = Bench()
    invite = build_request("INVITE")
    transaction = bench.layer.receive_request(invite, 0.0)
    assert transaction is not None
    transaction.respond(Response.to_request(invite, 180, to_tag="t"), 0.0)
    assert bench.layer.receive_request(invite, 0.0) is None
    assert len(bench.sent) == 2  # the 180 again
    transaction.respond(Response.to_request(invite, 486, to_tag="t"), 0.0)
    assert not transaction.respond(Response.to_request(invite, 200, to_tag="t"), 0.0)
    ack = build_request("ACK")
    assert server_key(ack) == server_key(invite)
    assert bench.layer.receive_request(ack, 0.0) is None
    assert len(bench.layer) == 0
    again = bench.layer.receive_request(invite, 0.0)
    assert again is not None
    again.respond(Response.to_request(invite, 486, to_tag="t"), 0.0)
    bench.timers.advance(32.0)  # H: no ACK came
    assert len(bench.layer) == 0


def test_branches_without_the_cookie_and_other_senders_are_told_apart() -> None:
    old = build_request("INVITE", "1")
    other = build_request("INVITE", "1")
    other.headers.set("Call-ID", "d")
    assert server_key(old) != server_key(other)
    new = build_request("INVITE")
    elsewhere = build_request("INVITE")
    elsewhere.headers.set("Via", "SIP/2.0/WS c.invalid:5060;branch=z9hG4bK1")
    assert server_key(new) != server_key(elsewhere)


def test_a_lost_transport_ends_what_waits_but_bye_and_cancel() -> None:
    bench = Bench()
    users = {}
    for number, method in enumerate(("OPTIONS", "INVITE", "BYE", "CANCEL")):
        users[method] = User()
        bench.layer.send_request(build_request(method, f"z9hG4bK{number}x"), users[method], 0.0)
    bench.layer.transport_lost(1.0)
    assert [users[method].told for method in users] == [[False], [False], [], []]
    bench.sent.clear()
    bench.layer.transport_restored(2.0)
    assert sorted(m.method for m in bench.sent if isinstance(m, Request)) == ["BYE", "CANCEL"]
    bench.timers.advance(32.0)
    assert users["BYE"].told == [True]


def test_what_cannot_happen_changes_nothing() -> None:
    bench, user = Bench(), User()
    transaction = ClientTransaction(bench.layer, build_request("OPTIONS"), user)
    assert not transaction.process(Input.ACK, None, 0.0)
    assert transaction.state is State.TRYING


def refused(mark: str, subject: str) -> str:
    """An INVITE that is refused for its missing Contact, in a transaction of its own."""
    text = RECORDED_INVITE.replace("z9hG4bK", f"z9hG4bK{mark}").replace("Call-ID: ", f"Call-ID: {mark}")
    return text.replace("Contact:", f"Subject: {subject}\r\nSubject:")


def test_a_flood_of_refused_requests_takes_a_bounded_amount_of_memory() -> None:
    world = World("bob", register=False)
    bob = world.agents["bob"]
    for number in range(MAX_FINISHED + 100):
        bob.receive(refused(str(number), "x"), world.now)
    assert bob.calls.transactions == MAX_FINISHED
    for number in range(200):
        bob.receive(refused(f"b{number}", "x" * 50_000), world.now)
    assert bob.calls.transactions <= MAX_FINISHED_BYTES // 50_000
    bob.outgoing()
    world.wait(40)
    assert bob.calls.transactions == 0
