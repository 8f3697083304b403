"""The crossing table: the only messages between the kernel's loop and the I/O plane.

Commands go down, each with an `id` of its own; the plane answers every one with `Ok` or `Failed`. Everything
else that comes up is a report. `socket` and `session` are numbers chosen by the kernel's side, unique within
a plane. All are frozen dataclasses of plain values, so that the plane can become a process one day; the two
exceptions are `SetSource` and `SetSink`, which carry a ring buffer or a generator of sound.

    down                                          up
    OpenSocket, SendText, CloseSocket             Ok | Failed for each id; SocketState, Received
    OpenSession, CloseSession                     SessionState, Fault
    CreateOffer, CreateAnswer, SetRemote          Ok(value=the SDP text) | Failed(code, sentence)
    SetMuted, SetSource, SetSink, SendDtmf        Digit, Level
    StartCapture, StopCapture
    GetStats                                      Ok(value={id: {W3C name: value}}), Sample
                                                  PlaneDead: all is over

A full queue drops `Level`s, never states. Times named `at` are `time.monotonic()` seconds of this process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.codec_table import DEFAULT_CODECS

if TYPE_CHECKING:
    from plivo_nb.audio_types import Sink, Source
    from plivo_nb.quality.sampler import SampleRow


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server, as an RTCIceServer has it. The credential is kept out of the repr."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a media session is set up; the options of spec.md section 2 that media needs."""

    codecs: tuple[str, ...] = DEFAULT_CODECS
    ice_servers: tuple[IceServer, ...] = ()
    ice_gathering_timeout_s: float = 2.0
    loopback_candidates: bool = False
    dscp: bool = True
    jitter_min_ms: float = 20.0
    jitter_max_ms: float = 200.0
    sample_interval_s: float = 1.0
    max_average_bitrate_bps: int = 48_000


# ---------------------------------------------------------------- down: commands


@dataclass(frozen=True, slots=True)
class Command:
    """Base of all commands: `id` is answered by exactly one `Ok` or `Failed`."""

    id: int


@dataclass(frozen=True, slots=True)
class OpenSocket(Command):
    """Connect a WebSocket (subprotocol ``sip``, RFC 7118). Ok once it is open."""

    socket: int
    url: str
    open_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class SendText(Command):
    """Send one SIP message as one text frame."""

    socket: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseSocket(Command):
    """Close the WebSocket with this close code."""

    socket: int
    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OpenSession(Command):
    """Make a media session: one audio stream each way over ICE and DTLS-SRTP."""

    session: int
    config: SessionConfig


@dataclass(frozen=True, slots=True)
class CreateOffer(Command):
    """Gather candidates (bounded) and give the SDP offer. `ice_restart`: with new ICE credentials."""

    session: int
    ice_restart: bool = False


@dataclass(frozen=True, slots=True)
class CreateAnswer(Command):
    """Gather candidates (bounded) and give the SDP answer to the remote offer set before."""

    session: int


@dataclass(frozen=True, slots=True)
class SetRemote(Command):
    """Apply the other side's SDP. Ok at once; connecting goes on and is told by `SessionState`.

    ``pranswer`` is an answer in a provisional response (early media); a later ``answer`` may replace it.
    """

    session: int
    type: Literal["offer", "answer", "pranswer"]
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetMuted(Command):
    """True: silence is sent instead of the source; the RTP flow goes on."""

    session: int
    muted: bool


@dataclass(frozen=True, slots=True)
class SetSource(Command):
    """What is sent from now on."""

    session: int
    source: Source


@dataclass(frozen=True, slots=True)
class SetSink(Command):
    """Where what is heard goes from now on."""

    session: int
    sink: Sink


@dataclass(frozen=True, slots=True)
class SendDtmf(Command):
    """Send digits as RFC 4733 telephone-event. Ok when the last is out; fails where it was not negotiated."""

    session: int
    digits: str
    duration_ms: int = 100
    gap_ms: int = 70


@dataclass(frozen=True, slots=True)
class GetStats(Command):
    """Ok with {stats id: {W3C webrtc-stats name: value}}."""

    session: int


@dataclass(frozen=True, slots=True)
class StartCapture(Command):
    """Write the session's RTP and RTCP, before protection, to a pcapng file from now on."""

    session: int
    path: str


@dataclass(frozen=True, slots=True)
class StopCapture(Command):
    """Finish the capture. Ok with the number of packets in it; 0 when there was none."""

    session: int


@dataclass(frozen=True, slots=True)
class CloseSession(Command):
    """End the session: RTCP BYE, DTLS close, sockets closed. Ok with the final stats, as of GetStats."""

    session: int


# ---------------------------------------------------------------- up: reports


@dataclass(frozen=True, slots=True)
class Ok:
    """The command `id` is done."""

    id: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The command `id` could not be done. `code` is a short stable name, `sentence` is for people.

    Codes: ConnectionError (socket), Timeout, IncompatibleSDP, WebRTCError, NotNegotiated, UnknownId,
    SourceError, FileError.
    """

    id: int
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class SocketState:
    """A socket that was open is ``closed``, by either side. `code`: the close code (1006: none came)."""

    socket: int
    state: Literal["closed"]
    code: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """One text frame (or a binary one, decoded as UTF-8 with replacement) of a socket."""

    socket: int
    text: str = field(repr=False)
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionState:
    """A change in a session.

    `what` and `state`: ``gathering`` complete | timeout; ``ice`` new | checking | connected | disconnected |
    failed | closed; ``dtls`` connecting | connected | failed | closed; ``rtp`` first-sent | first-received |
    timeout | resumed.
    """

    session: int
    what: Literal["gathering", "ice", "dtls", "rtp"]
    state: str
    at: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The numbers of one sample interval."""

    session: int
    row: SampleRow


@dataclass(frozen=True, slots=True)
class Level:
    """Peak levels of the last 100 ms, dBFS (-100 silence .. 0). Dropped first when the queue is full."""

    session: int
    in_dbfs: float
    out_dbfs: float


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF digit received as RFC 4733 telephone-event."""

    session: int
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Fault:
    """The session failed and is closed; other sessions go on. `code` as in `Failed`."""

    session: int
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PlaneDead:
    """The plane ended unexpectedly: every socket and session is gone."""

    sentence: str


Report = Ok | Failed | SocketState | Received | SessionState | Sample | Level | Digit | Fault | PlaneDead
