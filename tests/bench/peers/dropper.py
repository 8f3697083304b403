"""A line between two parties that loses media packets: two UDP sockets of 127.0.0.1, and a seeded draw.

A party is given the address of its own side of the line instead of the other's: `reroute` writes it into the
other's description. Loss is the same for every peer: the n-th RTP packet towards the listener is lost or not,
whoever sends it. RTCP, STUN and DTLS always pass.
"""

from __future__ import annotations

import random
import re
import select
import socket
import threading

_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*$", re.I | re.M)


def is_rtp(data: bytes) -> bool:
    """Whether a packet is RTP or SRTP, by RFC 7983 and RFC 5761."""
    return len(data) > 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


class Dropper:
    """One line. Loss applies to what reaches the listener.

    Attributes:
        loss: share of the RTP packets to the listener that is lost; may be set at any time.
        sent: RTP packets to the listener since `count_from_here`. lost: those of them that were dropped.
    """

    def __init__(self, seed: int) -> None:
        self.loss = 0.0
        self.sent = self.lost = 0
        self._random = random.Random(seed)
        self._sides = {name: self._bound() for name in ("speaker", "listener")}
        self._parties: dict[str, tuple[str, int]] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _bound() -> socket.socket:
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind(("0.0.0.0", 0))  # a party may have no address but one of the machine's own
        return one

    def address(self, party: str) -> int:
        """The port to which `party`, speaker or listener, sends."""
        return int(self._sides[party].getsockname()[1])

    def reroute(self, party: str, sdp: str) -> str:
        """The description of `party`, with its one host candidate replaced by the line's."""
        found = list(_CANDIDATE.finditer(sdp))
        host, port = found[0].groups()
        self._parties[party] = (host, int(port))
        other = "listener" if party == "speaker" else "speaker"
        line = f"a=candidate:1 1 udp 2130706431 {host} {self.address(other)} typ host"
        kept = [text for text in sdp.splitlines() if not text.startswith("a=candidate:")]
        first = next(n for n, text in enumerate(kept) if text.startswith("m=")) + 2
        return "\r\n".join([*kept[:first], line, *kept[first:], ""])

    def reroute_plain(self, party: str, sdp: str) -> str:
        """The same for a description without ICE: the port of its m= line."""
        port = int(re.search(r"^m=audio (\d+)", sdp, re.M)[1])  # type: ignore[index]
        self._parties[party] = ("127.0.0.1", port)
        other = "listener" if party == "speaker" else "speaker"
        sdp = re.sub(r"^m=audio \d+", f"m=audio {self.address(other)}", sdp, count=1, flags=re.M)
        sdp = re.sub(r"^c=IN IP4 \S+", "c=IN IP4 127.0.0.1", sdp, flags=re.M)
        return re.sub(r"^a=rtcp:.*\r?\n", "", sdp, flags=re.M)

    def count_from_here(self) -> None:
        """Begin to count anew."""
        self.sent = self.lost = 0

    def close(self) -> None:
        """End the line."""
        self._ended.set()
        self._thread.join()
        for one in self._sides.values():
            one.close()

    def _run(self) -> None:
        names = {one: name for name, one in self._sides.items()}
        while not self._ended.is_set():
            for one in select.select(list(names), [], [], 0.1)[0]:
                data = one.recv(65535)
                sender = names[one]
                receiver = "listener" if sender == "speaker" else "speaker"
                if receiver == "listener" and is_rtp(data):
                    self.sent += 1
                    if self._random.random() < self.loss:
                        self.lost += 1
                        continue
                if receiver in self._parties:
                    self._sides[receiver].sendto(data, self._parties[receiver])
