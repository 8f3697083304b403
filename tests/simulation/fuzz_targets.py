"""The inputs that other parties control, as functions of bytes: what the fuzz tests run.

Each target takes bytes, gives them to the real code, and returns. An exception that the code does not
document is a fault; so is an input that takes longer than the target's limit. `seeds` are valid inputs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import tempfile
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web
from sip_world import ANSWER, OFFER, RECORDED_INVITE
from websockets.asyncio.client import connect

from plivo_nb.engine import validation
from plivo_nb.insights import Service
from plivo_nb.lab.config import LabConfig, accounts_of
from plivo_nb.lab.control import ControlServer
from plivo_nb.lab.network.scenarios import read_scenario
from plivo_nb.lab.service import LabService
from plivo_nb.media import sdp
from plivo_nb.media.codecs import Codec
from plivo_nb.media.rtp import rtcp
from plivo_nb.media.rtp.audio_stream import AudioStream
from plivo_nb.media.rtp.rtp import RtpPacket
from plivo_nb.options import read_options
from plivo_nb.sip.events import InviteReceived
from plivo_nb.sip.message import Request, Response, parse
from plivo_nb.sip.user_agent import UserAgent

MAX_BYTES = 65_536
#: The bound for one message; it is of CPU time, so that a busy machine does not fail the test.
LIMIT_S = 0.05


@dataclass(frozen=True)
class Target:
    """`on_cpu`: the limit is of this thread's CPU time; else of elapsed time, where other threads work."""

    name: str
    run: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    limit_s: float = LIMIT_S
    on_cpu: bool = True


# ---------------------------------------------------------------- SIP


def _sip(data: bytes) -> None:
    """One frame from the server, to a user agent that registers, is registered, or calls; then 40 s pass."""
    agent, now = UserAgent(random=Random(1)), 0.0
    agent.transport_up(now)
    agent.register("alice", "alice-pw", now)
    sent = agent.outgoing()
    state = data[0] % 3 if data else 0
    if state:
        register = parse(sent[-1])
        assert isinstance(register, Request)
        accepted = Response.to_request(register, 200, to_tag="r")
        accepted.headers.add("Contact", register.headers.get("Contact") or "")
        accepted.headers.add("Expires", "120")
        agent.receive(str(accepted), now)
        assert agent.registered
    if state == 2:
        agent.invite("bob", OFFER, [], now)
    sent += agent.outgoing()
    latest = parse(sent[-1])
    names = {b"{via}": "Via", b"{call}": "Call-ID", b"{from}": "From", b"{to}": "To", b"{cseq}": "CSeq"}
    frame = data[1:]
    for place, name in names.items():
        frame = frame.replace(place, (latest.headers.get(name) or "").encode())
    agent.receive(frame[:MAX_BYTES], now)
    for step in range(5):
        for event in agent.events():
            if isinstance(event, InviteReceived):
                agent.ring(event.call, now)
                agent.accept(event.call, ANSWER, now)
        agent.outgoing()
        now = 10.0 * (step + 1)
        agent.advance(now)


_RESPONSE = (
    "SIP/2.0 %s\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to};tag=x\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n%s"
    "Content-Length: 0\r\n\r\n"
)
_CHALLENGE = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256\r\n'
_SIP_SEEDS = tuple(
    kind + text.encode()
    for kind in (b"\0", b"\1", b"\2")
    for text in (
        RECORDED_INVITE,
        _RESPONSE % ("100 Trying", ""),
        _RESPONSE % ("180 Ringing", "X-CallUUID: 1\r\nRSeq: 1\r\n"),
        _RESPONSE % ("200 OK", 'Contact: "A, B" <sip:a@b;x=1>;expires=60, <sip:c@d>\r\nExpires: 60\r\n'),
        _RESPONSE % ("302 Moved", "Contact: <sip:c@elsewhere.invalid>;q=0.5, *\r\n"),
        _RESPONSE % ("401 Unauthorized", _CHALLENGE),
        _RESPONSE % ("407 Proxy", _CHALLENGE.replace("WWW", "Proxy").replace("Authenticate", "Authenticate")),
        _RESPONSE % ("503 Unavailable", "Retry-After: 60 (x);duration=9\r\nReason: Q.850;cause=16\r\n"),
        "OPTIONS sip:a@b SIP/2.0\r\nv: SIP/2.0/WS x;branch=z9hG4bK1\r\nf: <sip:a@b>;tag=1\r\nt: tel:+12\r\n"
        "i: 1\r\nCSeq: 1 OPTIONS\r\nl: 0\r\n\r\n",
        "\r\n\r\n",
    )
)

# ---------------------------------------------------------------- SDP


def _sdp(data: bytes) -> None:
    """A description, as an offer and as an answer, and what the negotiation asks of it."""
    text = data.decode("utf-8", "replace")
    for kind in ("offer", "answer"):
        with contextlib.suppress(sdp.IncompatibleSDP):
            description = sdp.parse(text, kind, ("OPUS", "PCMU", "PCMA"))  # type: ignore[arg-type]
            description.telephone_events(description.audio(("OPUS", "PCMU")))


_SDP_SEED = """v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic: WMS x
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2122260223 192.0.2.1 54321 typ srflx raddr 10.0.0.1 rport 9 generation 0
a=candidate:2 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 %s
a=setup:actpass
a=mid:0
a=sendrecv
a=ptime:20
a=maxptime:60
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1;maxaveragebitrate=48000
a=rtpmap:0 PCMU/8000
a=rtpmap:126 telephone-event/8000
a=fmtp:126 0-16
a=end-of-candidates
a=ssrc:1 cname:x
""".replace("%s", ":".join(["AB"] * 32))

# ---------------------------------------------------------------- RTP and RTCP


def _rtp(data: bytes) -> None:
    """Datagrams, each with a byte for its length, to a stream that plays and reports."""
    stream = AudioStream(random=Random(1), utc_offset_s=0.0)
    stream.configure(Codec("PCMU", 0, 8000), [Codec("PCMU", 0, 8000)], {126: 8000})
    now = 1.0
    stream.tick(now)
    for _ in range(24):
        if not data:
            break
        length, data = data[0], data[1:]
        packet, data = data[:length], data[length:]
        is_rtcp = len(packet) > 1 and 192 <= packet[1] <= 223  # RFC 5761 section 4
        (stream.receive_rtcp if is_rtcp else stream.receive_rtp)(packet, now)
        now += 0.02
        stream.tick(now)
    stream.skip(10)
    stream.tick(now + 0.2)
    stream.counters()
    json.dumps(stream.stats(now), default=str)


def _framed(*packets: bytes) -> bytes:
    return b"".join(bytes([len(packet)]) + packet for packet in packets)


_VOICE = [RtpPacket(0, number, 160 * number, 7, b"\x80" * 160).serialize() for number in range(4)]
_EVENTS = [RtpPacket(126, 4 + n, 640, 7, bytes([1, 10 | n // 2 << 7, 3, 32])).serialize() for n in range(4)]
_BLOCK = rtcp.ReportBlock(1, 0.1, 3, 70_000, 9, 5, 6)
_REPORTS = [
    rtcp.build([rtcp.SenderReport(7, 1 << 60, 1, 2, 3, (_BLOCK,)), rtcp.SourceDescription(((7, "c"),))]),
    rtcp.build([rtcp.ReceiverReport(7, (_BLOCK, _BLOCK)), rtcp.Goodbye((7,))]),
]


def _rtcp(data: bytes) -> None:
    """A compound packet: each part is read or named as a fault."""
    packets, faults = rtcp.parse(data)
    assert packets or faults or not data
    rtcp.blocks_about(packets, 1)


# ---------------------------------------------------------------- statistics, files, options


class _Background:
    """An event loop in a thread, for targets behind sockets."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="fuzz servers", daemon=True).start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)


@cache
def _background() -> _Background:
    return _Background()


class _Statistics:
    """A service that answers the login with the bytes to test."""

    def __init__(self) -> None:
        self.answer = b""
        self.port = _background().do(self._start())
        self.service: Service = _background().do(self._client())

    async def _start(self) -> int:
        app = web.Application()
        app.router.add_post("/", self._post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return int(runner.addresses[0][1])

    async def _post(self, request: web.Request) -> web.Response:
        return web.Response(body=self.answer)

    async def _client(self) -> Service:
        return Service(f"http://127.0.0.1:{self.port}/", "ws://127.0.0.1:9/")


@cache
def _statistics_service() -> _Statistics:
    return _Statistics()


def _statistics(data: bytes) -> None:
    """The answer to the login at the statistics service, over HTTP."""
    there = _statistics_service()
    there.answer = data
    answer = _background().do(there.service._post({"username": "a", "password": "b", "domain": "c"}))
    assert answer is None or isinstance(answer["data"], str)


def _scenario(data: bytes) -> None:
    """A scenario's file: read, or refused with a sentence."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        Path(file.name).write_bytes(data)
        with contextlib.suppress(ValueError):
            read_scenario(file.name)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode("utf-8", "replace")


def _options(data: bytes) -> None:
    """Options, and the arguments of login, call and digits: taken, or refused with a sentence."""
    given = _json(data)
    if isinstance(given, dict):
        given.pop("strict", None)
        read_options(given, {})
        validation.valid_headers(given)
    text = str(given)[:10_000]
    assert validation.credentials_problem(text, text) != ""
    validation.are_digits(text)
    validation.feedback_problem(text, (text,), given, given)
    with contextlib.suppress(ValueError):
        UserAgent(random=Random(1)).invite(validation.split_uri_headers(text)[0], OFFER, [], 0.0)


_OPTIONS_SEEDS = tuple(
    json.dumps(value).encode()
    for value in (
        {
            "debug": "ALL",
            "permOnClick": True,
            "registrationDomainSocket": ["wss://phone.plivo.com:5063"],
            "iceServers": [{"urls": ["stun:a:1"], "username": "u", "credential": "p"}],
            "codecs": ["OPUS"],
            "jitterMinMs": 20,
            "sound": "none",
            "caFile": "x.pem",
        },
        {
            "statsUrl": "http://127.0.0.1:1/",
            "insightsUrl": "ws://u:p@h/",
            "allowInsecure": True,
            "realms": ["a"],
        },
        {"audioConstraints": {"deviceId": "x"}, "keepAudio": 1, "rules": "v2.1", "X-PH-Test1": "abc"},
        "sip:bob@phone.plivo.com:5060;transport=ws?X-PH-A=1",
        "+15551234567",
    )
)

# ---------------------------------------------------------------- the control channel


class _Control:
    """A lab's control channel and a client of it."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: self.failures.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("plivo_nb.lab").addHandler(handler)
        _background().do(self._start())

    async def _start(self) -> None:
        self.lab = LabService(LabConfig(accounts=accounts_of(None), robots=False))
        await self.lab.start()
        self.server = ControlServer("token", self.lab.handle)
        self.socket = await connect(await self.server.start(), proxy=None, compression=None)
        await self.socket.send('{"token": "token"}')
        await self.socket.recv()

    async def ask(self, data: bytes) -> Any:
        await self.socket.send(data.decode("utf-8", "replace"))
        while True:
            answer = json.loads(await self.socket.recv())
            if "event" not in answer:
                return answer


@cache
def _control_channel() -> _Control:
    return _Control()


def _control(data: bytes) -> None:
    """A command: it is answered, with a value or a sentence, and no traceback."""
    if b"restart" in data or b"slow" in data:
        return  # they take the time that they are asked to take
    channel = _control_channel()
    channel.failures.clear()
    answer = _background().do(channel.ask(data))
    assert ("ok" in answer) != ("error" in answer)
    assert not channel.failures, channel.failures


_CONTROL_SEEDS = tuple(
    json.dumps({"id": 1, "do": name, "with": arguments}).encode()
    for name, arguments in (
        ("status", {}),
        ("network.set", {"direction": "both", "call_uuid": None, "seed": 1, "loss": 0.1, "delay_ms": 5}),
        ("network.play", {"rows": [{"at_s": 0, "loss": 0.1}], "speed": 1, "loop": False, "name": "x"}),
        ("network.log", {"last": 5}),
        ("network.counters", {}),
        ("fault.drop_socket", {"user": "alice", "code": 1006, "reason": "x"}),
        ("fault.refuse_registration", {"status": 503, "retry_after_s": 1, "user": "alice", "times": 1}),
        ("fault.stale_nonce", {"times": 1}),
        ("fault.send_raw", {"user": "alice", "text": "x"}),
        ("fault.client_address", {"address": "192.0.2.1"}),
        ("fault.clear", {}),
        ("call", {"user": "alice", "n": 1, "headers": {"X-PH-A": "1"}, "role": "echo"}),
    )
)

TARGETS = {
    target.name: target
    for target in (
        Target("sip", _sip, _SIP_SEEDS),
        Target("sdp", _sdp, (_SDP_SEED.encode(), _SDP_SEED.replace("\n", "\r\n").encode())),
        Target("rtp", _rtp, (_framed(*_VOICE), _framed(*_VOICE, *_EVENTS), _framed(*_VOICE, *_REPORTS))),
        Target("rtcp", _rtcp, tuple(_REPORTS)),
        Target(
            "statistics",
            _statistics,
            (b'{"data": "key", "is_rtp_enabled": true}', b'{"data": "key"}', b'[{"data": {"a": 1e9}}]'),
            limit_s=0.5,
            on_cpu=False,
        ),
        Target("scenario", _scenario, (b"at_s,direction,loss,delay_ms\n0,both,0.1,20\n5,to_callee,0,\n",)),
        Target("options", _options, _OPTIONS_SEEDS, limit_s=0.25),  # a sentence of 60 kB is made for some
        Target("control", _control, _CONTROL_SEEDS, limit_s=0.5, on_cpu=False),
    )
}
