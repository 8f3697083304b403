"""Protocols for the sound of a browser page: the link to pages, and a transport of sound to one of them.

A page that displays a phone sends and receives messages: a dict that JSON can express, and binary buffers. A
message that is for one transport has the key ``transport`` with its name; all others are `BrowserSound`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plivo_nb.audio_types import Pcm

#: Sample rate in Hz of the sound in messages between a page and the kernel, mono int16.
PAGE_RATE = 24_000

#: ``webrtc``: RTP between page and kernel (ICE, DTLS-SRTP, Opus); ``comm``: the messages of the widget.
TransportName = Literal["webrtc", "comm"]
#: ``connecting`` from `start` on; ``open`` while sound goes both ways; ``failed`` for good; ``closed`` by
#: `stop`. A transport may return from ``connecting`` to ``open``, and the reverse.
TransportState = Literal["connecting", "open", "failed", "closed"]

Message = dict[str, Any]


class PageLink(Protocol):
    """Messages between the kernel and the pages that display one phone. Its methods run on any thread."""

    def send(self, page: str, message: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send a message to a page. Returns at once, and does nothing when the link is closed.

        Args:
            page: the id of the page; other pages ignore the message.
            message: what JSON can express, with the key ``type``.
            buffers: binary data.
        """

    def listen(self, receive: Callable[[str, Message, Sequence[memoryview]], None]) -> None:
        """Call `receive` with page id, message and buffers of each message from now on, on any thread."""


class PageTransport(Protocol):
    """Carries sound in both directions between one page and the kernel, in frames of 20 ms.

    It is made for one page with what it needs, is started once and stopped once.

    Attributes:
        name: the transport's name.
        state: see `TransportState`; `changed` is called after each change.
        rate: sample rate of its sound, Hz.
        rtt_ms: round-trip time to the page, ms; NaN while it is not known.
        pulls: whether it asks `fill` for what the page plays, and gives `take` the sound of the page, both on
            the I/O plane's thread at the pace of calls. Otherwise it sends what is given to `write`.
        underruns: how many times either end had nothing to play; it only grows.
    """

    name: TransportName
    state: TransportState
    rate: int
    rtt_ms: float
    pulls: bool

    @property
    def underruns(self) -> int:
        """As above; a transport may compute it."""

    def start(
        self, take: Callable[[Pcm], None], fill: Callable[[Pcm], None], changed: Callable[[], None]
    ) -> None:
        """Connect to the page.

        Args:
            take: called with the samples of the page's microphone, on any thread; it copies them and does
                not wait. It is called also while the transport is not the one in use.
            fill: fills an array with what the page plays; for a transport that pulls.
            changed: called on any thread after `state` has changed.
        """

    def write(self, frame: Pcm) -> None:
        """Send a frame of 20 ms to the page, which plays it. Called every 20 ms; must not wait.

        Does nothing in a transport that pulls.
        """

    def receive(self, message: Message, buffers: Sequence[memoryview]) -> None:
        """Take a message of the page that is for this transport. Called on any thread; must not wait."""

    def use(self, used: bool) -> None:
        """Begin or cease to carry sound: one transport at a time is used. The connection is kept."""

    def stop(self) -> None:
        """Close the connection. Nothing is called after that."""


def best_open(transports: Sequence[PageTransport]) -> PageTransport | None:
    """Return the first transport that is open, of some in order of preference; None where none is."""
    return next((transport for transport in transports if transport.state == "open"), None)


class MakeTransport(Protocol):
    """Makes a transport to one page; `BrowserSound` gets one of these for each transport, the best first."""

    def __call__(self, link: PageLink, page: str) -> PageTransport:
        """Return a new transport.

        Args:
            link: sends its messages.
            page: the page's id.
        """
