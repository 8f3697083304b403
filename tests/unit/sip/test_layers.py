"""The layers by themselves: tables of states, digest's published examples, dialogs, timers, what is
imported.
"""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

import plivo_nb.sip
from plivo_nb.sip import digest, session_timer
from plivo_nb.sip.dialog import Dialog
from plivo_nb.sip.digest import Challenge, Credentials
from plivo_nb.sip.message import Request, Response
from plivo_nb.sip.negotiation import Move, OfferAnswer, Turn
from plivo_nb.sip.session_timer import SessionTerms
from plivo_nb.sip.timers import Timers
from plivo_nb.sip.transaction import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    ClientTransaction,
    Input,
    State,
    Table,
)
from plivo_nb.sip.transaction_layer import TransactionLayer, server_key

ROOM = Path(plivo_nb.sip.__file__).parent


# ---- the walls


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
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


# ---- transactions


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

    def request(self, method: str, branch: str = "z9hG4bK1") -> Request:
        request = Request(method, "sip:b@b.invalid")
        for name, value in (
            ("Via", f"SIP/2.0/WS a.invalid;branch={branch}"),
            ("To", "<sip:b@b.invalid>"),
            ("From", "<sip:a@a.invalid>;tag=1"),
            ("Call-ID", "c"),
            ("CSeq", f"1 {method}"),
        ):
            request.headers.add(name, value)
        return request


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
    request = bench.request(method)
    transaction = bench.layer.request(request, user, 0.0)
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
    request = bench.request("INVITE")
    bench.layer.request(request, user, 0.0)
    bench.layer.receive_response(Response.to_request(request, 180, to_tag="t"), 1.0)
    bench.timers.advance(1000.0)
    assert user.told == [180]
    assert len(bench.layer) == 1


def test_server_transactions() -> None:
    bench = Bench()
    invite = bench.request("INVITE")
    transaction = bench.layer.receive_request(invite, 0.0)
    assert transaction is not None
    transaction.respond(Response.to_request(invite, 180, to_tag="t"), 0.0)
    assert bench.layer.receive_request(invite, 0.0) is None
    assert len(bench.sent) == 2  # the 180 again
    transaction.respond(Response.to_request(invite, 486, to_tag="t"), 0.0)
    assert not transaction.respond(Response.to_request(invite, 200, to_tag="t"), 0.0)
    ack = bench.request("ACK")
    assert server_key(ack) == server_key(invite)
    assert bench.layer.receive_request(ack, 0.0) is None
    assert len(bench.layer) == 0
    again = bench.layer.receive_request(invite, 0.0)
    assert again is not None
    again.respond(Response.to_request(invite, 486, to_tag="t"), 0.0)
    bench.timers.advance(32.0)  # H: no ACK came
    assert len(bench.layer) == 0


def test_branches_without_the_cookie_and_other_senders_are_told_apart() -> None:
    bench = Bench()
    old = bench.request("INVITE", "1")
    other = bench.request("INVITE", "1")
    other.headers.set("Call-ID", "d")
    assert server_key(old) != server_key(other)
    new = bench.request("INVITE")
    elsewhere = bench.request("INVITE")
    elsewhere.headers.set("Via", "SIP/2.0/WS c.invalid:5060;branch=z9hG4bK1")
    assert server_key(new) != server_key(elsewhere)


def test_a_lost_transport_ends_what_waits_but_bye_and_cancel() -> None:
    bench = Bench()
    users = {}
    for number, method in enumerate(("OPTIONS", "INVITE", "BYE", "CANCEL")):
        users[method] = User()
        bench.layer.request(bench.request(method, f"z9hG4bK{number}x"), users[method], 0.0)
    bench.layer.broken(1.0)
    assert [users[method].told for method in users] == [[False], [False], [], []]
    bench.sent.clear()
    bench.layer.restored(2.0)
    assert sorted(m.method for m in bench.sent if isinstance(m, Request)) == ["BYE", "CANCEL"]
    bench.timers.advance(32.0)
    assert users["BYE"].told == [True]


def test_what_cannot_happen_changes_nothing() -> None:
    bench, user = Bench(), User()
    transaction = ClientTransaction(bench.layer, bench.request("OPTIONS"), user)
    assert not transaction.feed(Input.ACK, None, 0.0)
    assert transaction.state is State.TRYING


# ---- timers


def test_timers_fire_in_order_and_forget_the_cancelled() -> None:
    timers, fired = Timers(), []
    for at in (3.0, 1.0, 2.0, 1.0):
        timers.start(at, lambda now, at=at: fired.append((at, now)))  # type: ignore[misc]
    gone = timers.start(0.5, lambda now: fired.append((0.5, now)))
    gone.cancel()
    gone.cancel()
    assert timers.next_deadline() == 1.0
    assert len(timers) == 4
    timers.advance(2.5)
    assert fired == [(1.0, 2.5), (1.0, 2.5), (2.0, 2.5)]
    assert timers.next_deadline() == 3.0
    for _ in range(5000):
        timers.start(100.0, fired.append).cancel()  # type: ignore[arg-type]
    assert len(timers._heap) < 2000
    timers.advance(3.0)
    assert timers.next_deadline() is None


# ---- digest: the examples of RFC 2617 section 3.5 and RFC 7616 section 3.9.1


@pytest.mark.parametrize(
    ("header", "password"),
    [
        (
            'Digest username="Mufasa", realm="testrealm@host.com", '
            'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
            ' uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b",'
            ' response="6629fae49393a05397450978507c4ef1", opaque="5ccc069c403ebaf9f0171e9517f40e41"',
            "Circle Of Life",
        ),
        (
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5,'
            ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,'
            ' cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,'
            ' response="8ca523f5e9506fed4657c9700eebdbec"',
            "Circle of Life",
        ),
        (
            'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html",'
            " algorithm=SHA-256,"
            ' nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,'
            ' cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,'
            ' response="753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"',
            "Circle of Life",
        ),
    ],
)
def test_the_published_examples_of_digest(header: str, password: str) -> None:
    assert digest.verify(header, "GET", password)
    assert not digest.verify(header, "GET", password + "x")
    assert not digest.verify(header, "POST", password)
    assert not digest.verify(header, "GET", password, expected_nonce="another")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", None, "MD5-sess", "SHA-256-sess", "sha-256"])
@pytest.mark.parametrize("qop", ["auth", None, "auth,auth-int", "auth-int"])
def test_both_sides_of_digest_agree(algorithm: str | None, qop: str | None) -> None:
    made = digest.make_challenge('a, "b"', "n, 1", algorithm, qop, opaque="o", stale=True)
    challenge = Challenge.parse(made, proxy=True)
    assert challenge.usable
    assert challenge.stale
    assert challenge.header == "Proxy-Authorization"
    credentials = Credentials("al ice", "pässword", random.Random(1))
    header = credentials.authorize(challenge, "INVITE", "sip:x@y", b"body", 3)
    assert digest.parse_digest(header)["opaque"] == "o"
    assert ("nc=00000003" in header) == (qop is not None)
    assert digest.verify(header, "INVITE", "pässword", "n, 1", b"body")
    assert digest.verify(header, "INVITE", "pässword", "n, 1", b"other") == (qop != "auth-int")
    assert not digest.verify(header, "INVITE", "password", "n, 1", b"body")


@pytest.mark.parametrize(
    "header",
    ["", "Digest", "Basic abc", "Digest a", 'Digest username="a', "Digest qop=auth", "Digest algorithm=X"],
)
def test_what_proves_nothing(header: str) -> None:
    assert not digest.verify(header, "INVITE", "pw")


# ---- dialogs


def ok_with_route(*route: str) -> Dialog:
    invite = Bench().request("INVITE")
    ok = Response.to_request(invite, 200, to_tag="t")
    ok.headers.add("Contact", "<sip:target@t.invalid;transport=ws>")
    for value in route:
        ok.headers.add("Record-Route", value)
    return Dialog.of_caller(invite, ok)


def test_loose_routes_are_reversed_for_the_caller() -> None:
    request = ok_with_route("<sip:p2;lr>, <sip:p1;lr=on>").request("BYE", 2)
    assert request.uri == "sip:target@t.invalid;transport=ws"
    assert request.headers.get_all("Route") == ["<sip:p1;lr=on>", "<sip:p2;lr>"]


def test_a_strict_router_becomes_the_request_uri() -> None:
    request = ok_with_route("<sip:p2;lr>", "<sip:p1>").request("BYE", 2)
    assert request.uri == "sip:p1"
    assert request.headers.get_all("Route") == ["<sip:p2;lr>", "<sip:target@t.invalid;transport=ws>"]


# ---- offer and answer, session timers


def test_offers_take_turns() -> None:
    exchange = OfferAnswer()
    assert exchange.move(Move.SEND_OFFER, b"1")
    assert not exchange.move(Move.RECEIVE_OFFER, b"x")
    assert not exchange.move(Move.SEND_ANSWER, b"x")
    assert exchange.move(Move.RECEIVE_ANSWER, b"2")
    assert (exchange.local, exchange.remote, exchange.turn) == (b"1", b"2", Turn.STABLE)
    assert exchange.move(Move.RECEIVE_OFFER, b"3")
    assert exchange.move(Move.WITHDRAW)
    assert (exchange.local, exchange.remote) == (b"1", b"2")
    assert exchange.move(Move.RECEIVE_OFFER, b"3")
    assert exchange.move(Move.SEND_ANSWER, b"4")
    assert (exchange.local, exchange.remote) == (b"4", b"3")


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
    invite = Bench().request("INVITE")
    if value is not None:
        invite.headers.add("Session-Expires", value)
    if supported:
        invite.headers.add("Supported", "timer")
    ok = Response(200)
    assert session_timer.terms_to_answer(invite, ok) == terms
    assert ok.headers.get("Session-Expires") == answer


def test_terms_in_an_answer() -> None:
    ok = Response(200)
    assert session_timer.terms_answered(ok) is None
    ok.headers.set("Session-Expires", "100;refresher=uac")
    assert session_timer.terms_answered(ok) == SessionTerms(100, True)
    ok.headers.set("Session-Expires", "100;refresher=uas")
    assert session_timer.terms_answered(ok) == SessionTerms(100, False)
    ok.headers.set("Session-Expires", "100")
    assert session_timer.terms_answered(ok) == SessionTerms(100, True)
