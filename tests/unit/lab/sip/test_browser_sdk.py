"""The published Browser SDK at the lab's switch: what two once sent through a Kamailio is sent again here.

Where a message depends on what the server said before (nonces, Via of what is answered), that is put
in; all else is as captured.
"""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

from plivo_nb.lab.sip.switch import Switch
from plivo_nb.sip.digest import Challenge, Credentials
from plivo_nb.sip.message import Request, Response, parse

CAPTURE = Path(__file__).with_name("sdk_sent.txt")
PORT = 46575  # the Kamailio's: the captured Routes name it


class Relay:
    """Stands where the network is."""

    def open_call(self, key: str, call_uuid: str, caller: str, callee: str) -> None: ...

    def describe(self, key: str, side: str, candidate: tuple[str, int] | None) -> tuple[str, int]:
        assert candidate is not None
        return ("127.0.0.1", 9000 if side == "caller" else 9001)

    def close_call(self, key: str) -> None: ...


class Replay:
    """Sends the captured messages through a switch, and keeps what each phone gets."""

    def __init__(self) -> None:
        self.switch = Switch(
            {"alice": "alice-secret", "bob": "bob-secret"}, PORT, media=Relay(), random=Random(1)
        )
        self.sockets = {"alice": 1, "bob": 2}
        self.got: dict[str, list[Request | Response]] = {"alice": [], "bob": []}
        for socket in self.sockets.values():
            self.switch.connected(socket, "127.0.0.1", 45000 + socket)

    def run(self) -> None:
        for name, text in captured():
            message = parse(text)
            if isinstance(message, Response):
                message = self._for_the_request_here(name, message)
            else:
                self._authorize(name, message)
            self.switch.receive(self.sockets[name], str(message), 100.0)
            for socket, sent in self.switch.outgoing():
                self.got["alice" if socket == 1 else "bob"].append(parse(sent))

    def _authorize(self, name: str, request: Request) -> None:
        for field, asked, status in (
            ("Authorization", "WWW-Authenticate", 401),
            ("Proxy-Authorization", "Proxy-Authenticate", 407),
        ):
            if request.headers.get(field) is None:
                continue
            answers = [m for m in self.got[name] if isinstance(m, Response) and m.status == status]
            challenge = Challenge.parse(answers[-1].headers.get(asked) or "", proxy=status == 407)
            credentials = Credentials(name, f"{name}-secret", Random(2))
            request.headers.set(field, credentials.authorize(challenge, request.method, request.uri))

    def _for_the_request_here(self, name: str, response: Response) -> Response:
        request = next(
            m for m in reversed(self.got[name]) if isinstance(m, Request) and m.method == response.cseq.method
        )
        again = Response.to_request(request, response.status, response.reason, to_tag=response.to.tag)
        for field in ("Contact", "Content-Type", "Supported"):
            value = response.headers.get(field)
            if value is not None:
                again.headers.add(field, value)
        again.body = response.body
        return again

    def statuses(self, name: str) -> list[int]:
        return [m.status for m in self.got[name] if isinstance(m, Response)]

    def requests(self, name: str, method: str) -> list[Request]:
        return [m for m in self.got[name] if isinstance(m, Request) and m.method == method]


def captured() -> list[tuple[str, str]]:
    """(who, message) in the order of time."""
    found = []
    for block in CAPTURE.read_text(encoding="utf-8").split("===== ")[1:]:
        first, _, text = block.partition("\n")
        head, _, body = text.partition("\n\n")
        length = int(re.findall(r"^Content-Length: (\d+)", head, re.MULTILINE)[0])
        body = body.replace("\n", "\r\n").replace("<CR>", "\r").encode()[:length].decode()
        found.append((first.split()[1], head.replace("\n", "\r\n") + "\r\n\r\n" + body))
    return found


def test_everything_is_answered_as_by_the_kamailio() -> None:
    replay = Replay()
    replay.run()
    log_in, log_out, ping = [200, 401, 200], [401, 200], [404]
    outgoing_call = [407, 100, 180, 200]
    assert replay.statuses("alice") == log_in + outgoing_call + [200] + ping + [200] + [200] + [200] + log_out
    assert replay.statuses("bob") == log_in + ping + [200] * 3 + outgoing_call + log_out
    assert replay.switch.malformed == 0
    snapshot = replay.switch.snapshot(100.0)
    assert snapshot["calls"] == snapshot["registrations"] == []


def test_digits_and_headers_come_through() -> None:
    replay = Replay()
    replay.run()
    invite = replay.requests("bob", "INVITE")[0]
    assert [invite.headers.get(name) for name in ("X-PH-Test1", "X-PH-Num")] == ["hello_1", "42"]
    digits = [re.findall(rb"Signal=(.)", request.body)[0] for request in replay.requests("bob", "INFO")]
    assert digits == [b"1", b"#"]
    assert len(replay.requests("alice", "INFO")) == 3
    assert len(replay.requests("bob", "BYE")) == 2


def test_the_call_has_one_uuid_wherever_it_is_told() -> None:
    replay = Replay()
    replay.run()
    uuids = [invite.x_call_uuid for name in ("bob", "alice") for invite in replay.requests(name, "INVITE")]
    assert len(set(uuids)) == 2
    told = [
        m.x_call_uuid for m in replay.got["alice"] if isinstance(m, Response) and m.cseq.method == "INVITE"
    ]
    assert told == [None, None, uuids[0], uuids[0]]  # 407 and 100 know of no call yet


def test_session_descriptions_only_change_where_the_relay_is() -> None:
    """Also the SDK's stray carriage returns stay: its peer, the same SDK, has put up with them so far."""
    replay = Replay()
    replay.run()
    sent = next(parse(text) for who, text in captured() if "Proxy-Authorization" in text)
    seen = replay.requests("bob", "INVITE")[0]
    assert sent.body.count(b"\r\r\n") == seen.body.count(b"\r\r\n") > 0
    before = [line for line in sent.body.splitlines() if not line.startswith((b"a=candidate", b"c=", b"m="))]
    after = [line for line in seen.body.splitlines() if not line.startswith((b"a=candidate", b"c=", b"m="))]
    assert after == before
    candidates = [line for line in seen.body.splitlines() if line.startswith(b"a=candidate")]
    assert candidates == [b"a=candidate:1 1 udp 2130706431 127.0.0.1 9000 typ host"]
