"""A world for the SIP core's tests: user agents, a registrar and proxy, and time, all in memory.

The proxy is stateless but for its bindings: it challenges, adds Via and Record-Route, forwards by location
or by the Request-URI, and forks to all bindings of an account. Nothing in it is shared with the code under
test but the messages' types and the server side of digest.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field

from plivo_nb.sip import digest
from plivo_nb.sip.events import InviteReceived
from plivo_nb.sip.message import Request, Response, parse
from plivo_nb.sip.trace import MessageRecord
from plivo_nb.sip.user_agent import Census, UserAgent, UserAgentConfig
from plivo_nb.sip.values import NameAddr, Via, parse_uri

DOMAIN = "phone.plivo.com"
OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=offer\r\nt=0 0\r\n"
ANSWER = b"v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=answer\r\nt=0 0\r\n"
HOLD = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=hold\r\nt=0 0\r\n"
HELD = b"v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=held\r\nt=0 0\r\n"
EMPTY = Census(0, 0, 0)
# What Plivo's own SDK sent in a recorded call, through Kamailio (shortened).
RECORDED_INVITE = """INVITE sip:90lua3ga@bu9rvrp6pth8.invalid;transport=ws SIP/2.0
Record-Route: <sip:127.0.0.1:46575;transport=ws;lr=on;ftag=uqotqu637h>
Via: SIP/2.0/WS  127.0.0.1:46575;branch=z9hG4bK3d5.829de5ad76a4810ee65994b1180208b1.0
Via: SIP/2.0/WS 51okst5qurha.invalid;rport=45270;received=127.0.0.1;branch=z9hG4bK4375185
Max-Forwards: 68
To: <sip:alice@phone.plivo.com>
From: <sip:bob@phone.plivo.com>;tag=uqotqu637h
Call-ID: 8nhooh08sb3nn4pa7ft0
CSeq: 3248 INVITE
Contact: <sip:rin43r8v@51okst5qurha.invalid;alias=127.0.0.1~45270~5;transport=ws;ob>
Content-Type: application/sdp
Allow: INVITE,ACK,CANCEL,BYE,UPDATE,MESSAGE,OPTIONS,REFER,INFO,NOTIFY
Supported: ice,replaces,outbound
User-Agent: plivo-browser-sdk 2.2.21
Content-Length: 25
X-CallUUID: b6365f84-447b-49e7-9944-75ec3cc7b1d0

v=0
a=rtpmap:0 PCMU/8000
""".replace("\n", "\r\n").replace("PCMU/8000\r\n", "PCMU/8000")[: -0 or None]


@dataclass
class Binding:
    contact: str
    agent: str
    expires: int = 120


@dataclass
class Proxy:
    """The server. Its attributes are what a test turns."""

    passwords: dict[str, str] = field(
        default_factory=lambda: {"alice": "alice-pw", "bob": "bob-pw", "carol": "c"}
    )
    algorithm: str | None = "MD5"
    qop: str | None = "auth"
    auth: bool = True
    record_route: bool = True
    expires: int | None = None
    min_expires: int = 0
    stale_once: bool = False
    x_call_uuid: str | None = None
    fixed: dict[str, int] = field(default_factory=dict)
    redirects: dict[str, list[str]] = field(default_factory=dict)
    mute: bool = False

    def __post_init__(self) -> None:
        self.bindings: dict[str, list[Binding]] = {}
        self.nonces: set[str] = set()
        self.count = 0
        self.seen: list[Request] = []

    def handle(self, source: str, text: str) -> list[tuple[str, str]]:
        """Take a message of one agent, give what goes to which agent; what it cannot read it drops."""
        try:
            return [] if self.mute else self._handle(source, parse(text))
        except ValueError:
            return []

    def _handle(self, source: str, message: Request | Response) -> list[tuple[str, str]]:
        if isinstance(message, Response):
            return self._response(message)
        self.seen.append(message)
        return self._request(source, message)

    def _response(self, response: Response) -> list[tuple[str, str]]:
        via = response.pop_via()
        if via is None or "proxy.invalid" not in via or "Via" not in response.headers:
            return []
        if self.x_call_uuid and response.cseq.method == "INVITE" and response.status != 100:
            response.headers.set("X-CallUUID", self.x_call_uuid)
        return [(Via.parse(via).parameters["back"] or "", str(response))]

    def _reply(
        self, source: str, request: Request, status: int, *headers: tuple[str, str]
    ) -> list[tuple[str, str]]:
        if request.method == "ACK":
            return []
        response = Response.to_request(request, status, to_tag=f"proxy{self.count}")
        for name, value in headers:
            response.headers.add(name, value)
        return [(source, str(response))]

    def _challenge(self, source: str, request: Request, status: int) -> list[tuple[str, str]] | None:
        name = "Authorization" if status == 401 else "Proxy-Authorization"
        user = parse_uri(request.from_.uri).user or ""
        nonce, stale = "", False
        for value in request.headers.get_all(name):
            nonce = digest.parse_digest(value).get("nonce", "")
            right = digest.verify(value, request.method, self.passwords.get(user, "?"), nonce, request.body)
            if right and nonce in self.nonces:
                self.nonces.discard(nonce)
                if not self.stale_once:
                    return None
                self.stale_once, stale = False, True
        self.count += 1
        fresh = f"nonce-{self.count}"
        self.nonces.add(fresh)
        challenge = digest.make_challenge(DOMAIN, fresh, self.algorithm, self.qop, stale=stale)
        asked = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
        return self._reply(source, request, status, (asked, challenge))

    def _request(self, source: str, request: Request) -> list[tuple[str, str]]:
        self.count += 1
        user = parse_uri(request.uri).user or ""
        if request.method == "REGISTER":
            return self._register(source, request)
        if self.auth and request.method in ("INVITE", "MESSAGE") and request.to.tag is None:
            challenged = self._challenge(source, request, 407)
            if challenged is not None:
                return challenged
        if user in self.fixed and request.method != "CANCEL":
            return self._reply(source, request, self.fixed[user])
        if user in self.redirects:
            return self._reply(source, request, 302, *(("Contact", value) for value in self.redirects[user]))
        if request.method == "OPTIONS" and not user:
            return self._reply(source, request, 200)
        targets = self._targets(request, user)
        if not targets:
            return self._reply(source, request, 404)
        out = []
        for index, (agent, uri) in enumerate(targets):
            copy = request.copy()
            copy.uri = uri
            branch = (request.via.branch or "") + f"-{index}"
            copy.push_via(f"SIP/2.0/WS proxy.invalid;branch={branch};back={source}")
            if "proxy.invalid" in (copy.headers.get("Route") or ""):
                copy.headers.remove_first("Route")
            if self.record_route and request.method == "INVITE":
                copy.headers.add_first("Record-Route", "<sip:proxy.invalid;transport=ws;lr>")
            if self.x_call_uuid and request.method == "INVITE":
                copy.headers.set("X-CallUUID", self.x_call_uuid)
            out.append((agent, str(copy)))
        return out

    def _targets(self, request: Request, user: str) -> list[tuple[str, str]]:
        everybody = [binding for bindings in self.bindings.values() for binding in bindings]
        for binding in everybody:
            if parse_uri(binding.contact).user == user:
                return [(binding.agent, request.uri)]
        return [(binding.agent, binding.contact) for binding in self.bindings.get(user, [])]

    def _register(self, source: str, request: Request) -> list[tuple[str, str]]:
        challenged = self._challenge(source, request, 401) if self.auth else None
        if challenged is not None:
            return challenged
        user = parse_uri(request.to.uri).user or ""
        contact = request.contacts[0]
        expires = int(contact.parameters.get("expires") or 120)
        if 0 < expires < self.min_expires:
            return self._reply(source, request, 423, ("Min-Expires", str(self.min_expires)))
        kept = [b for b in self.bindings.get(user, []) if b.contact != contact.uri]
        if expires:
            kept.append(Binding(contact.uri, source, self.expires or expires))
        self.bindings[user] = kept
        contacts = [("Contact", f"<{b.contact}>;expires={b.expires}") for b in kept]
        return self._reply(source, request, 200, ("Contact", "<sip:other@host.invalid>;expires=7"), *contacts)


class World:
    """Agents on one proxy. `run` moves messages until all is quiet; `wait` lets time pass."""

    def __init__(self, *names: str, seed: int = 1, register: bool = True, **config: object) -> None:
        self.now = 1000.0
        self.proxy = Proxy()
        self.agents: dict[str, UserAgent] = {}
        self.events: dict[str, list[object]] = {}
        self.records: dict[str, list[MessageRecord]] = {}
        self.wire: deque[tuple[str, str]] = deque()
        self.log: list[tuple[str, str]] = []
        self.delivered: list[tuple[str, str]] = []
        for name in names:
            self.add(name, seed=seed + len(self.agents), register=register, **config)

    def add(
        self, name: str, *, seed: int = 99, register: bool = True, user: str | None = None, **config: object
    ) -> UserAgent:
        self.records[name] = []
        agent = UserAgent(
            UserAgentConfig(**config),  # type: ignore[arg-type]
            random=random.Random(seed),
            on_message=self.records[name].append,
        )
        self.agents[name] = agent
        self.events[name] = []
        agent.transport_up(self.now)
        if register:
            user = user or name
            agent.register(user, self.proxy.passwords[user], self.now)
            self.run()
        return agent

    def collect(self) -> None:
        for name, agent in self.agents.items():
            for text in agent.outgoing():
                self.log.append((name, text))
                self.wire.append((name, text))
            self.events[name] += agent.events()

    def step(self) -> bool:
        """Deliver one message to the proxy and what comes of it to the agents."""
        self.collect()
        if not self.wire:
            return False
        source, text = self.wire.popleft()
        for agent, out in self.proxy.handle(source, text):
            if agent in self.agents:
                self.delivered.append((agent, out))
                self.agents[agent].receive(out, self.now)
        self.collect()
        return True

    def run(self) -> None:
        for _ in range(2000):
            if not self.step():
                return
        raise AssertionError("the messages never end")

    def wait(self, seconds: float) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + seconds
        while True:
            self.run()
            deadlines = [d for agent in self.agents.values() if (d := agent.next_deadline()) is not None]
            due = min(deadlines, default=float("inf"))
            if due > end:
                break
            self.now = max(self.now, due)
            for agent in self.agents.values():
                agent.advance(self.now)
        self.now = end
        self.run()

    def take(self, name: str) -> list[object]:
        """The events of an agent since the last time."""
        self.collect()
        events, self.events[name] = self.events[name], []
        return events

    def call(self, caller: str = "alice", callee: str = "bob", body: bytes = OFFER) -> tuple[str, str]:
        """An answered call; the keys of both sides. Their events so far are dropped."""
        key = self.agents[caller].invite(callee, body, [], self.now)
        self.run()
        other = next(event.call for event in self.take(callee) if type(event).__name__ == "InviteReceived")  # type: ignore[attr-defined]
        self.agents[callee].accept(other, ANSWER, self.now)
        self.run()
        self.take(caller)
        self.take(callee)
        return key, other

    def sent(self, name: str) -> list[Request | Response]:
        """Everything an agent has sent, parsed."""
        return [parse(text) for source, text in self.log if source == name]

    def received(self, name: str) -> list[Request | Response]:
        """Everything an agent has received, parsed."""
        return [parse(text) for target, text in self.delivered if target == name]


def names(events: list[object]) -> list[str]:
    return [type(event).__name__ for event in events]


def address(text: str) -> NameAddr:
    return NameAddr.parse(text)


def build_request(method: str, branch: str = "z9hG4bK1") -> Request:
    """A request outside any dialog, from a@a.invalid to b@b.invalid."""
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


def ringing(world: World, callee: str = "bob") -> str:
    """The key of the call that rings at the callee."""
    return next(event.call for event in world.take(callee) if isinstance(event, InviteReceived))


def all_ended(world: World) -> None:
    """Check that no call, dialog or transaction is left once every timer has run out."""
    for agent in world.agents.values():
        agent.unregister(world.now)
    world.wait(200)
    assert {name: agent.calls for name, agent in world.agents.items()} == dict.fromkeys(world.agents, EMPTY)


def methods(world: World, name: str) -> list[str]:
    """The methods of the requests that an agent has sent."""
    return [message.method for message in world.sent(name) if isinstance(message, Request)]


def statuses(world: World, name: str) -> list[int]:
    """The status codes of the responses that an agent has sent."""
    return [response.status for response in responses(world, name)]


def requests(world: World, name: str, method: str) -> list[Request]:
    """The requests of a method that an agent has sent."""
    return [m for m in world.sent(name) if isinstance(m, Request) and m.method == method]


def responses(world: World, name: str) -> list[Response]:
    """The responses that an agent has sent."""
    return [message for message in world.sent(name) if isinstance(message, Response)]


def lose_socket(world: World, name: str, seconds: float = 1.0) -> None:
    """Take an agent's socket away for a while; what it had on its way is lost."""
    world.collect()
    world.agents[name].transport_down(world.now)
    world.wait(seconds)


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
