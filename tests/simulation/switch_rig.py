"""The lab's switch with phones, for tests of its modules; text and time are arguments."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from random import Random

from plivo_nb.lab.sip.records import Happened, RouteWanted
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
    """A network that returns fixed relay addresses and records its calls."""

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


class SwitchRig:
    """A switch and phones that are connected to it. The time changes only by `wait`."""

    def __init__(
        self,
        is_robot: Callable[[str], bool] = lambda number: False,
        is_overloaded: Callable[[], bool] = lambda: False,
    ) -> None:
        self.media = FakeMedia()
        self.switch = Switch(
            ACCOUNTS,
            5066,
            media=self.media,
            random=Random(1),
            is_robot=is_robot,
            is_overloaded=is_overloaded,
        )
        self.now = 100.0
        self.sockets = itertools.count(1)
        self.inbox: dict[int, list[Request | Response]] = {}
        self.happened: list[object] = []
        self.unreadable: list[str] = []

    def phone(self, name: str, **more: str) -> Phone:
        return Phone(self, name, **more)

    def registered(self, *names: str) -> list[Phone]:
        """Phones of these users, registered."""
        phones = [self.phone(name) for name in names]
        for phone in phones:
            phone.register()
        return phones

    def established(self) -> tuple[Phone, Phone, Response, Request]:
        """A call of alice to bob: both phones, the 200 that alice received, the INVITE of bob."""
        alice, bob = self.registered("alice", "bob")
        alice.invite("bob")
        invite = bob.request("INVITE")
        bob.answer(invite, 200, sdp=True)
        answered = alice.response(200)
        alice.send(alice.in_dialog("ACK", answered, answered.cseq.sequence))
        bob.request("ACK")
        return alice, bob, answered, invite

    def route_wanted(self) -> RouteWanted:
        """The switch's question for the robot of a number."""
        return next(event for event in self.happened if isinstance(event, RouteWanted))

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
    """A minimal softphone."""

    def __init__(self, rig: SwitchRig, name: str, *, password: str | None = None, device: str = "x") -> None:
        self.rig, self.name = rig, name
        self.credentials = Credentials(name, password or f"{name}-secret", Random(2))
        self.contact = f"sip:{name}{device}@{device}.invalid;transport=ws"
        self.ids = itertools.count(1)
        self.plug_in()

    def plug_in(self) -> None:
        self.socket = next(self.rig.sockets)
        self.rig.switch.connected(self.socket, "127.0.0.1", 40_000 + self.socket)

    def send(self, message: Request | Response | str) -> None:
        self.rig.switch.receive(self.socket, str(message), self.rig.now)
        self.rig.pump()

    def take(self) -> list[Request | Response]:
        return self.rig.inbox.pop(self.socket, [])

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

    def invite(self, target: str, call_id: str | None = None, **headers: str) -> Request:
        request = self.make("INVITE", f"sip:{target}@{DOMAIN}", f"<sip:{target}@{DOMAIN}>")
        if call_id is not None:
            request.headers.set("Call-ID", call_id)
        for name, value in headers.items():
            request.headers.add(name.replace("_", "-"), value)
        request.headers.add("Content-Type", "application/sdp")
        request.body = SDP.encode()
        self.send(request)
        again = self.authorize(request, self.response(407))
        self.send(again)
        return again

    def cancel(self, invite: Request) -> None:
        cancel = invite.copy()
        cancel.method, cancel.body = "CANCEL", b""
        cancel.headers.set("CSeq", f"{invite.cseq.sequence} CANCEL")
        self.send(cancel)

    def answer(self, request: Request, status: int, tag: str = "there", *, sdp: bool = False) -> Response:
        response = Response.to_request(request, status, to_tag=tag)
        response.headers.add("Contact", f"<{self.contact}>")
        if sdp:
            response.headers.add("Content-Type", "application/sdp")
            response.body = SDP.encode()
        self.send(response)
        return response

    def in_dialog(self, method: str, answered: Response, cseq: int, *, caller: bool = True) -> Request:
        """Make a request in the dialog of `answered`, a 2xx as the caller received it."""
        request = self.make(method, answered.contacts[0].uri, answered.headers.get("To") or "", cseq)
        request.headers.set("From", answered.headers.get("From") or "")
        if not caller:
            request.headers.set("From", answered.headers.get("To") or "")
            request.headers.set("To", answered.headers.get("From") or "")
        request.headers.set("Call-ID", answered.call_id)
        for route in answered.headers.get_all("Record-Route"):
            request.headers.add("Route", route)
        return request
