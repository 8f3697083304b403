"""The lab's switch, fed with text and time: registration, routing, forking, timers, vanished sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plivo_nb.lab.sip.addressing import user_of
from plivo_nb.lab.sip.flows import CALL_GRACE_S, RINGING_GRACE_S
from plivo_nb.lab.sip.proxy import CANCEL_TIMEOUT_S, KEEP_DONE_S, RING_TIMEOUT_S
from plivo_nb.lab.sip.records import Happened, RouteWanted
from plivo_nb.lab.sip.sdp_edits import has_telephone_event, with_telephone_event
from plivo_nb.lab.sip.switch import Switch
from plivo_nb.sip.digest import Challenge, Credentials
from plivo_nb.sip.headers import Headers
from plivo_nb.sip.message import MalformedMessage, Request, Response, parse

DOMAIN = "phone.plivo.com"
ACCOUNTS = {"alice": "alice-secret", "bob": "bob-secret", "carol": "carol-secret"}
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"
    "c=IN IP4 127.0.0.1\r\na=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r\n"
)


class FakeMedia:
    """Stands where the network is: hands out addresses and remembers what it was told."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.described: list[tuple[str, tuple[str, int] | None]] = []

    def open_call(self, key: str, call_uuid: str, caller: str, callee: str) -> None:
        self.opened.append(key)

    def describe(self, key: str, side: str, candidate: tuple[str, int] | None) -> tuple[str, int]:
        self.described.append((side, candidate))
        return ("127.0.0.1", 9000 if side == "caller" else 9001)

    def close_call(self, key: str) -> None:
        self.closed.append(key)


class Bench:
    """A switch and the phones at it; time stands until it is moved."""

    def __init__(self, is_robot: Callable[[str], bool] = lambda number: False) -> None:
        self.media = FakeMedia()
        self.switch = Switch(ACCOUNTS, 5066, media=self.media, random=Random(1), is_robot=is_robot)
        self.now = 100.0
        self.sockets = itertools.count(1)
        self.inbox: dict[int, list[Request | Response]] = {}
        self.happened: list[object] = []
        self.unreadable: list[str] = []

    def phone(self, name: str, **more: str) -> Phone:
        return Phone(self, name, **more)

    def pump(self) -> None:
        for socket, text in self.switch.outgoing():
            try:
                self.inbox.setdefault(socket, []).append(parse(text))
            except MalformedMessage:  # an echo of what was malformed already
                self.unreadable.append(text)
        self.happened += self.switch.events()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.switch.advance(self.now)
        self.pump()

    def whats(self) -> list[str]:
        return [event.what for event in self.happened if isinstance(event, Happened)]


class Phone:
    """A softphone of few words."""

    def __init__(self, bench: Bench, name: str, *, password: str | None = None, device: str = "x") -> None:
        self.bench, self.name = bench, name
        self.credentials = Credentials(name, password or f"{name}-secret", Random(2))
        self.contact = f"sip:{name}{device}@{device}.invalid;transport=ws"
        self.ids = itertools.count(1)
        self.plug_in()

    def plug_in(self) -> None:
        self.socket = next(self.bench.sockets)
        self.bench.switch.connected(self.socket, "127.0.0.1", 40_000 + self.socket)

    def send(self, message: Request | Response | str) -> None:
        self.bench.switch.receive(self.socket, str(message), self.bench.now)
        self.bench.pump()

    def take(self) -> list[Request | Response]:
        return self.bench.inbox.pop(self.socket, [])

    def response(self, status: int | None = None) -> Response:
        got = [item for item in self.take() if isinstance(item, Response)]
        wanted = [item for item in got if status in (None, item.status)]
        assert wanted, f"{self.name} got {got}, not {status}"
        return wanted[-1]

    def request(self, method: str) -> Request:
        got = self.take()
        wanted = [item for item in got if isinstance(item, Request) and item.method == method]
        assert wanted, f"{self.name} got {got}, no {method}"
        return wanted[-1]

    def make(self, method: str, uri: str, to: str, cseq: int = 1, *, call_id: str | None = None) -> Request:
        number = next(self.ids)
        request = Request(method, uri, Headers())
        branch = f"z9hG4bK{self.name}{self.socket}-{number}"
        request.headers.add("Via", f"SIP/2.0/WS {self.name}.invalid;branch={branch}")
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", f"<sip:{self.name}@{DOMAIN}>;tag={self.name}tag")
        request.headers.add("To", to)
        request.headers.add("Call-ID", call_id or f"{self.name}-{self.socket}-{number}")
        request.headers.add("CSeq", f"{cseq} {method}")
        request.headers.add("Contact", f"<{self.contact}>")
        return request

    def authorize(self, request: Request, response: Response) -> Request:
        proxy = response.status == 407
        value = response.headers.get("Proxy-Authenticate" if proxy else "WWW-Authenticate") or ""
        challenge = Challenge.parse(value, proxy=proxy)
        again = request.copy()
        again.headers.set("CSeq", f"{request.cseq.sequence + 1} {request.method}")
        via = (again.pop_via() or "").replace("branch=", "branch=z9hG4bKagain")
        again.push_via(via)
        again.headers.set(
            challenge.header, self.credentials.authorize(challenge, request.method, request.uri)
        )
        return again

    def register(self, expires: int = 120, status: int = 200) -> Response:
        request = self.make("REGISTER", f"sip:{DOMAIN}", f"<sip:{self.name}@{DOMAIN}>")
        request.headers.add("Expires", str(expires))
        self.send(request)
        self.send(self.authorize(request, self.response(401)))
        return self.response(status)

    def invite(self, target: str, **headers: str) -> Request:
        request = self.make("INVITE", f"sip:{target}@{DOMAIN}", f"<sip:{target}@{DOMAIN}>")
        for name, value in headers.items():
            request.headers.add(name.replace("_", "-"), value)
        request.headers.add("Content-Type", "application/sdp")
        request.body = SDP.encode()
        self.send(request)
        again = self.authorize(request, self.response(407))
        self.send(again)
        return again

    def answer(self, request: Request, status: int, tag: str = "there", *, sdp: bool = False) -> Response:
        response = Response.to_request(request, status, to_tag=tag)
        response.headers.add("Contact", f"<{self.contact}>")
        if sdp:
            response.headers.add("Content-Type", "application/sdp")
            response.body = SDP.encode()
        self.send(response)
        return response

    def in_dialog(self, method: str, answered: Response, cseq: int, *, caller: bool = True) -> Request:
        """A request along the dialog that `answered` (a 2xx as this side has seen it) made."""
        request = self.make(method, answered.contacts[0].uri, answered.headers.get("To") or "", cseq)
        request.headers.set("From", answered.headers.get("From") or "")
        if not caller:
            request.headers.set("From", answered.headers.get("To") or "")
            request.headers.set("To", answered.headers.get("From") or "")
        request.headers.set("Call-ID", answered.call_id)
        for route in answered.headers.get_all("Record-Route"):
            request.headers.add("Route", route)
        return request


def established(bench: Bench) -> tuple[Phone, Phone, Response, Request]:
    """Alice has called bob, he has answered; gives both, the 200 that alice got, the INVITE that bob got."""
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob")
    invite = bob.request("INVITE")
    bob.answer(invite, 200, sdp=True)
    answered = alice.response(200)
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    bob.request("ACK")
    return alice, bob, answered, invite


# ---------------------------------------------------------------- registration


def test_register_is_challenged_then_accepted() -> None:
    bench = Bench()
    alice = bench.phone("alice")
    response = alice.register()
    assert response.contacts[0].uri == alice.contact
    assert response.contacts[0].parameters["expires"] == "120"
    assert bench.whats() == ["registered"]


def test_every_challenge_is_fresh_and_serves_once() -> None:
    bench = Bench()
    alice = bench.phone("alice")
    request = alice.make("REGISTER", f"sip:{DOMAIN}", f"<sip:alice@{DOMAIN}>")
    alice.send(request)
    first = alice.response(401)
    again = alice.authorize(request, first)
    alice.send(again)
    assert alice.response().status == 200
    replay = again.copy()
    replay.pop_via()
    replay.push_via("SIP/2.0/WS alice.invalid;branch=z9hG4bKreplay")
    alice.send(replay)
    second = alice.response(401)
    challenges = [Challenge.parse(r.headers.get("WWW-Authenticate") or "") for r in (first, second)]
    assert challenges[0].nonce != challenges[1].nonce
    assert [challenge.stale for challenge in challenges] == [False, True]


@pytest.mark.parametrize(("name", "password"), [("alice", "wrong"), ("mallory", "mallory-secret")])
def test_a_wrong_password_or_user_gets_401_twice(name: str, password: str) -> None:
    bench = Bench()
    assert bench.phone(name, password=password).register(status=401).status == 401
    assert bench.switch.snapshot(bench.now)["registrations"] == []


def test_somebody_elses_address_is_forbidden() -> None:
    bench = Bench()
    mallory = bench.phone("alice")
    request = mallory.make("REGISTER", f"sip:{DOMAIN}", f"<sip:bob@{DOMAIN}>")
    mallory.send(request)
    mallory.send(mallory.authorize(request, mallory.response(401)))
    assert mallory.response().status == 403


def test_sha_256_is_offered_first_when_both_are() -> None:
    bench = Bench()
    bench.switch.registrar.algorithms = ("SHA-256", "MD5")
    alice = bench.phone("alice")
    assert alice.register().status == 200


def test_expired_and_removed_registrations_are_gone() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register(expires=30)
    bob.register()
    bench.wait(31)
    assert [entry["user"] for entry in bench.switch.snapshot(bench.now)["registrations"]] == ["bob"]
    bob.register(expires=0)
    assert bench.switch.snapshot(bench.now)["registrations"] == []
    assert bench.whats().count("unregistered") == 2


def test_a_lost_socket_takes_its_registration_along() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    bench.switch.disconnected(bob.socket, bench.now)
    alice.invite("bob")
    assert alice.response().status == 480


# ---------------------------------------------------------------- calls


def test_a_call_from_dialling_to_bye() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob", X_PH_Test="1")
    assert alice.response().status == 100
    invite = bob.request("INVITE")
    assert invite.uri == bob.contact
    assert invite.headers.get("X-PH-Test") == "1"
    assert invite.headers.get("Proxy-Authorization") is None
    assert invite.headers.get("Max-Forwards") == "69"
    uuid = invite.x_call_uuid
    assert uuid is not None
    assert b"127.0.0.1 9000 typ host" in invite.body

    bob.answer(invite, 180)
    ringing = alice.response(180)
    assert ringing.x_call_uuid == uuid
    bob.answer(invite, 200, sdp=True)
    answered = alice.response(200)
    assert answered.x_call_uuid == uuid
    assert b"127.0.0.1 9001 typ host" in answered.body
    assert len(answered.headers.get_all("Via")) == 1
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    assert bob.request("ACK").uri == bob.contact

    alice.send(alice.in_dialog("INFO", answered, 3))
    bob.answer(bob.request("INFO"), 200)
    assert alice.response().status == 200
    bye = bob.in_dialog("BYE", answered, 1, caller=False)
    bye.uri = alice.contact
    bob.send(bye)
    alice.answer(alice.request("BYE"), 200)
    assert bob.response().status == 200
    assert bench.media.closed == [uuid]
    bench.wait(KEEP_DONE_S + 1)
    assert bench.switch.snapshot(bench.now)["calls"] == []
    assert bench.switch.snapshot(bench.now)["transactions"] == 0
    assert [w for w in bench.whats() if w.startswith("call")] == [
        "call-started",
        "call-ringing",
        "call-answered",
        "call-ended",
    ]


@pytest.mark.parametrize(("target", "status"), [("nobody", 404), ("carol", 480)])
def test_unknown_and_absent_callees(target: str, status: int) -> None:
    bench = Bench()
    alice = bench.phone("alice")
    alice.register()
    invite = alice.invite(target)
    response = alice.response()
    assert (response.status, response.x_call_uuid is not None) == (status, True)
    ack = invite.copy()
    ack.method = "ACK"
    ack.headers.set("CSeq", f"{invite.cseq.sequence} ACK")
    alice.send(ack)
    assert alice.take() == []


def test_busy_is_passed_back_and_acknowledged_here() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 486)
    assert bob.request("ACK").cseq.method == "ACK"
    busy = alice.response()
    assert (busy.status, busy.x_call_uuid is not None) == (486, True)


def test_cancel_goes_on_after_a_provisional_response_only() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    sent = alice.invite("bob")
    invite = bob.request("INVITE")
    cancel = sent.copy()
    cancel.method, cancel.body = "CANCEL", b""
    cancel.headers.set("CSeq", f"{sent.cseq.sequence} CANCEL")
    alice.send(cancel)
    assert alice.response(200).cseq.method == "CANCEL"
    assert bob.take() == []
    bob.answer(invite, 180)
    canceled = bob.request("CANCEL")
    assert canceled.via.branch == invite.via.branch
    bob.answer(canceled, 200)
    bob.answer(invite, 487)
    assert alice.response().status == 487


def test_a_callee_that_does_not_answer_the_cancel_is_not_waited_for() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    sent = alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    cancel = sent.copy()
    cancel.method, cancel.body = "CANCEL", b""
    cancel.headers.set("CSeq", f"{sent.cseq.sequence} CANCEL")
    alice.send(cancel)
    bench.wait(CANCEL_TIMEOUT_S)
    assert alice.response(487).status == 487


def test_nobody_answers_for_a_minute() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    bench.wait(RING_TIMEOUT_S - 1)
    assert alice.response().status == 180
    bench.wait(1)
    assert alice.response().status == 408
    assert bob.request("CANCEL")


def test_two_devices_ring_and_the_first_answer_wins() -> None:
    bench = Bench()
    alice, desk, mobile = bench.phone("alice"), bench.phone("bob"), bench.phone("bob", device="y")
    for phone in (alice, desk, mobile):
        phone.register()
    alice.invite("bob")
    at_desk, at_mobile = desk.request("INVITE"), mobile.request("INVITE")
    desk.answer(at_desk, 180, "desk")
    mobile.answer(at_mobile, 180, "mobile")
    assert len([m for m in alice.take() if isinstance(m, Response) and m.status == 180]) == 2
    mobile.answer(at_mobile, 200, "mobile", sdp=True)
    answered = alice.response(200)
    assert answered.to.tag == "mobile"
    assert desk.request("CANCEL")
    desk.answer(at_desk, 487, "desk")
    assert alice.take() == []
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    assert mobile.request("ACK")


def test_without_a_route_an_in_dialog_request_is_lost() -> None:
    bench = Bench()
    alice, bob, answered, _ = established(bench)
    info = alice.in_dialog("INFO", answered, 3)
    info.headers.remove("Route")
    alice.send(info)
    assert alice.response().status == 404
    assert bob.take() == []


def test_a_request_of_no_known_dialog_gets_481() -> None:
    bench = Bench()
    alice, _, answered, _ = established(bench)
    bye = alice.in_dialog("BYE", answered, 3)
    bye.headers.set("Call-ID", "another")
    alice.send(bye)
    assert alice.response().status == 481


def test_a_reinvite_is_put_through_the_same_relay() -> None:
    bench = Bench()
    alice, bob, answered, _ = established(bench)
    again = alice.in_dialog("INVITE", answered, 5)
    again.headers.add("Content-Type", "application/sdp")
    again.body = SDP.replace("4000", "4002").encode()
    alice.send(again)
    seen = bob.request("INVITE")
    assert b"127.0.0.1 9000 typ host" in seen.body
    assert bench.media.described[-1] == ("caller", ("127.0.0.1", 4002))
    bob.answer(seen, 491)
    assert alice.response().status == 491
    assert bench.media.closed == []


# ---------------------------------------------------------------- sockets come and go


def test_a_call_goes_on_at_the_new_socket_of_who_comes_back() -> None:
    bench = Bench()
    alice, bob, answered, _ = established(bench)
    bench.switch.disconnected(bob.socket, bench.now)
    bench.wait(5)
    bob.plug_in()
    bob.register()
    alice.send(alice.in_dialog("INFO", answered, 3))
    bob.answer(bob.request("INFO"), 200)
    assert alice.response().status == 200


def test_who_stays_away_is_hung_up_for() -> None:
    bench = Bench()
    alice, bob, _, _ = established(bench)
    bench.switch.disconnected(bob.socket, bench.now)
    bench.wait(CALL_GRACE_S - 1)
    assert alice.take() == []
    bench.wait(1)
    bye = alice.request("BYE")
    assert bye.uri == alice.contact
    assert bench.switch.snapshot(bench.now)["calls"] == []


def test_a_callee_that_vanishes_while_it_rings_is_unavailable() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    bench.switch.disconnected(bob.socket, bench.now)
    bench.wait(RINGING_GRACE_S)
    assert alice.response().status == 480


def test_a_caller_that_vanishes_stops_the_ringing() -> None:
    bench = Bench()
    alice, bob = bench.phone("alice"), bench.phone("bob")
    alice.register()
    bob.register()
    alice.invite("bob")
    bob.answer(bob.request("INVITE"), 180)
    bench.switch.disconnected(alice.socket, bench.now)
    bench.wait(RINGING_GRACE_S)
    assert bob.request("CANCEL")


# ---------------------------------------------------------------- robots


def test_a_robots_number_is_routed_by_the_shell() -> None:
    bench = Bench(is_robot=lambda number: number == "echo")
    alice, robot = bench.phone("alice"), bench.phone("carol")
    alice.register()
    robot.register()
    alice.invite("echo", X_PH_A="b")
    wanted = [event for event in bench.happened if isinstance(event, RouteWanted)]
    assert [(w.number, w.caller, w.headers) for w in wanted] == [("echo", "alice", (("X-PH-A", "b"),))]
    bench.switch.route(wanted[0].key, ["carol"], bench.now, return_headers=True)
    bench.pump()
    robot.answer(robot.request("INVITE"), 200, sdp=True)
    assert alice.response(200).headers.get("X-PH-A") == "b"


def test_a_robot_can_refuse() -> None:
    bench = Bench(is_robot=lambda number: True)
    alice = bench.phone("alice")
    alice.register()
    alice.invite("reject")
    wanted = next(event for event in bench.happened if isinstance(event, RouteWanted))
    bench.switch.refuse(wanted.key, 603, bench.now)
    bench.pump()
    assert alice.response().status == 603


def early_media(bench: Bench) -> tuple[Phone, Phone, Request]:
    alice, robot = bench.phone("alice"), bench.phone("carol")
    alice.register()
    robot.register()
    sent = alice.invite("early-media")
    wanted = next(event for event in bench.happened if isinstance(event, RouteWanted))
    bench.switch.route(wanted.key, ["carol"], bench.now, early_media_s=2.0)
    bench.pump()
    robot.answer(robot.request("INVITE"), 200, sdp=True)
    early = alice.response(183)
    assert b"127.0.0.1 9001 typ host" in early.body
    return alice, robot, sent


def test_early_media_come_before_the_answer() -> None:
    bench = Bench(is_robot=lambda number: True)
    alice, _, _ = early_media(bench)
    bench.wait(1.9)
    assert alice.take() == []
    bench.wait(0.1)
    assert alice.response().status == 200


def test_giving_up_during_early_media_ends_the_robots_call() -> None:
    bench = Bench(is_robot=lambda number: True)
    alice, robot, sent = early_media(bench)
    cancel = sent.copy()
    cancel.method, cancel.body = "CANCEL", b""
    cancel.headers.set("CSeq", f"{sent.cseq.sequence} CANCEL")
    alice.send(cancel)
    assert alice.response(487).status == 487
    assert [m.method for m in robot.take() if isinstance(m, Request)] == ["ACK", "BYE"]


def answered_robot(
    bench: Bench, sdp: str, plan: tuple[tuple[float, str], ...], *, telephone_event: bool = False
) -> tuple[Phone, Phone, Response, Request]:
    """Alice has called a robot whose plan the switch carries out."""
    alice, robot = bench.phone("alice"), bench.phone("carol")
    alice.register()
    robot.register()
    alice.invite("holds")
    wanted = next(event for event in bench.happened if isinstance(event, RouteWanted))
    bench.switch.route(wanted.key, ["carol"], bench.now, plan=plan, telephone_event=telephone_event)
    bench.pump()
    invite = robot.request("INVITE")
    response = Response.to_request(invite, 200, to_tag="robot")
    response.headers.add("Contact", f"<{robot.contact}>")
    response.headers.add("Content-Type", "application/sdp")
    response.body = sdp.encode()
    robot.send(response)
    answered = alice.response(200)
    alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
    robot.request("ACK")
    return alice, robot, answered, invite


def test_hold_and_resume_are_offered_in_the_robots_name() -> None:
    bench = Bench(is_robot=lambda number: True)
    plan = ((1.0, "hold"), (3.0, "resume"))
    alice, robot, answered, _ = answered_robot(bench, SDP + "a=sendrecv\r\n", plan)
    bench.wait(1.0)
    hold = alice.request("INVITE")
    assert b"a=sendonly" in hold.body
    assert b"o=- 1 2 " in hold.body
    assert (hold.from_.tag, hold.to.tag) == ("robot", "alicetag")
    alice.answer(hold, 200, sdp=True)
    assert alice.request("ACK").cseq.sequence == hold.cseq.sequence
    bench.wait(2.0)
    resume = alice.request("INVITE")
    assert b"a=sendrecv" in resume.body
    assert b"o=- 1 3 " in resume.body
    assert resume.cseq.sequence > hold.cseq.sequence
    alice.answer(resume, 200, sdp=True)
    assert robot.take() == []
    assert [what for what in bench.whats() if what in ("hold", "resume")] == ["hold", "resume"]
    bye = robot.in_dialog("BYE", answered, 1, caller=False)
    bye.uri = alice.contact
    robot.send(bye)
    seen = alice.request("BYE")
    assert seen.cseq.sequence > resume.cseq.sequence  # else alice would have to refuse it
    alice.answer(seen, 200)
    assert robot.response().cseq.sequence == 1


def test_an_offer_that_crosses_another_is_tried_again() -> None:
    bench = Bench(is_robot=lambda number: True)
    alice, _, _, _ = answered_robot(bench, SDP, ((1.0, "hold"),))
    bench.wait(1.0)
    alice.answer(alice.request("INVITE"), 491)
    assert alice.request("ACK")
    bench.wait(0.5)
    alice.answer(alice.request("INVITE"), 488)
    assert alice.request("ACK")
    bench.wait(0.5)
    assert alice.take() == []


def test_no_offer_follows_a_call_that_is_over() -> None:
    bench = Bench(is_robot=lambda number: True)
    alice, robot, answered, _ = answered_robot(bench, SDP, ((1.0, "hold"),))
    alice.send(alice.in_dialog("BYE", answered, 5))
    robot.answer(robot.request("BYE"), 200)
    alice.take()
    bench.wait(1.0)
    assert alice.take() == []


def test_telephone_event_is_arranged_between_two_who_do_not_offer_it() -> None:
    bench = Bench(is_robot=lambda number: True)
    robots = with_telephone_event(SDP)
    alice, _, answered, invite = answered_robot(
        bench, robots, ((1.0, "telephone-event"),), telephone_event=True
    )
    assert has_telephone_event(invite.body.decode())
    assert not has_telephone_event(answered.body.decode())
    bench.wait(1.0)
    assert has_telephone_event(alice.request("INVITE").body.decode())


# ---------------------------------------------------------------- the SDK's pings, and nonsense


def test_the_pings_of_the_published_sdk() -> None:
    bench = Bench()
    alice = bench.phone("alice")
    alice.send(alice.make("OPTIONS", f"sip:admin@{DOMAIN}", f"<sip:admin@{DOMAIN}>"))
    assert alice.response().status == 404
    message = alice.make("MESSAGE", f"sip:admin@{DOMAIN}", f"<sip:admin@{DOMAIN}>")
    message.headers.add("Content-Type", "text/plain")
    message.body = b"ipAddress"
    alice.send(message)
    response = alice.response()
    assert (response.status, response.body) == (200, b"127.0.0.1")
    assert response.via.parameters["received"] == "127.0.0.1"
    alice.send("\r\n\r\n")
    assert bench.unreadable == ["\r\n"]


def test_requests_that_have_travelled_too_far_stop_here() -> None:
    bench = Bench()
    alice = bench.phone("alice")
    request = alice.make("OPTIONS", f"sip:{DOMAIN}", f"<sip:{DOMAIN}>")
    request.headers.set("Max-Forwards", "0")
    alice.send(request)
    assert alice.response().status == 483


def test_malformed_requests_get_400_and_are_counted() -> None:
    bench = Bench()
    alice = bench.phone("alice")
    request = alice.make("OPTIONS", f"sip:{DOMAIN}", f"<sip:{DOMAIN}>")
    alice.send(str(request).replace("CSeq: 1 OPTIONS", "CSeq: 1 BYE"))
    assert alice.response().status == 400
    assert bench.switch.malformed == 1


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_no_input_breaks_the_switch(data: st.DataObject) -> None:
    """Real messages with pieces cut out, doubled or replaced, and plain noise: it goes on serving."""
    bench = Bench(is_robot=lambda number: number == "echo")
    alice, bob, answered, invite = established(bench)
    texts = [str(answered), str(invite), str(alice.in_dialog("BYE", answered, 9))]
    texts += [str(alice.make("REGISTER", f"sip:{DOMAIN}", f"<sip:alice@{DOMAIN}>"))]
    for _ in range(data.draw(st.integers(1, 4))):
        text = data.draw(st.sampled_from(texts))
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 60)))
        noise = data.draw(st.text(max_size=20) | st.sampled_from(["\r\n", "<", '"', ";", "\r\n\r\n", "tag="]))
        bench.switch.receive(
            data.draw(st.sampled_from([alice.socket, bob.socket])),
            text[:start] + noise + text[end:],
            bench.now,
        )
        bench.pump()
    bench.switch.receive(alice.socket, data.draw(st.binary(max_size=80)), bench.now)
    bench.wait(1000)
    bench.wait(1000)
    assert bench.switch.snapshot(bench.now)["transactions"] == 0
    newcomer = bench.phone("carol")
    assert newcomer.register().status == 200


def test_user_of_reads_what_can_be_read() -> None:
    assert user_of("sip:+14155550100@phone.plivo.com;user=phone") == "+14155550100"
    assert user_of("sip:phone.plivo.com") is None
    assert user_of("nonsense") is None
