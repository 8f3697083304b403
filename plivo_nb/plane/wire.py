"""All messages between the kernel's loop and the I/O plane.

Commands go to the plane, each with a unique `id`; the plane answers each with `Ok` or `Failed`. All other
messages from the plane are reports. `socket` and `session` are numbers chosen by the kernel's side, unique
within a plane. The messages are frozen dataclasses of plain values, so that the plane could become a process;
the exceptions are `SetSource`, `SetSink` and `SetSampleSink`, which carry objects.

    commands                                      answers, reports
    OpenSocket, SendText, CloseSocket             Ok | Failed for each id; SocketState, Received
    OpenSession, CloseSession                     SessionState, Fault
    CreateOffer, CreateAnswer, SetRemote          Ok(value=the SDP text) | Failed(code, sentence)
    SetMuted, SetSource, SetSink, SendDtmf        Digit, Level
    StartCapture, CaptureSip, StopCapture
    GetStats, SetSampleSink                       Ok(value={id: {W3C name: value}}), Sample
                                                  PlaneOverload: RTP is late, or in time again
                                                  PlaneEffort: Opus is encoded with less effort, or not
                                                  PlaneDead: all sockets and sessions are gone

When too many reports wait, `Level`s are dropped, states never. Times named `at` are `time.monotonic()`
seconds of this process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from plivo_nb.codec_table import DEFAULT_CODECS
from plivo_nb.media.codecs import DEFAULT_OPUS_COMPLEXITY

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Sink, Source
    from plivo_nb.media.playout.packet_fates import PacketFate
    from plivo_nb.media.rtp.captured_sip import SipFrame
    from plivo_nb.quality.sampler import SampleRow


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server, with the fields of W3C RTCIceServer. The credential is not in the repr."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How a media session is set up: the options of a client that concern media."""

    codecs: tuple[str, ...] = DEFAULT_CODECS
    ice_servers: tuple[IceServer, ...] = ()
    relay_only: bool = False
    ice_gathering_timeout_s: float = 2.0
    loopback_candidates: bool = False
    dscp: bool = True
    jitter_min_ms: float = 20.0
    jitter_max_ms: float = 200.0
    sample_interval_s: float = 1.0
    max_average_bitrate_bps: int = 48_000
    opus_complexity: int = DEFAULT_OPUS_COMPLEXITY


# ---------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Command:
    """Base class of all commands; exactly one `Ok` or `Failed` answers the `id`."""

    id: int


@dataclass(frozen=True, slots=True)
class SocketCommand(Command):
    """Base class of commands to one socket."""

    socket: int


@dataclass(frozen=True, slots=True)
class SessionCommand(Command):
    """Base class of commands to one media session."""

    session: int


@dataclass(frozen=True, slots=True)
class OpenSocket(SocketCommand):
    """Connect a WebSocket (subprotocol ``sip``, RFC 7118). Ok once it is open."""

    url: str
    open_timeout_s: float = 10.0
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class SendText(SocketCommand):
    """Send one SIP message as one text frame. Ok with the time at which it was handed to the system."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CloseSocket(SocketCommand):
    """Close the WebSocket with this close code."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OpenSession(SessionCommand):
    """Create a media session: one audio stream in each direction over ICE and DTLS-SRTP."""

    config: SessionConfig


@dataclass(frozen=True, slots=True)
class CreateOffer(SessionCommand):
    """Gather candidates within the configured time. Ok with the SDP offer.

    `ice_restart`: use new ICE credentials.
    """

    ice_restart: bool = False


@dataclass(frozen=True, slots=True)
class CreateAnswer(SessionCommand):
    """Gather candidates within the configured time. Ok with the SDP answer to the remote offer set before."""


@dataclass(frozen=True, slots=True)
class SetRemote(SessionCommand):
    """Apply the other side's SDP. Ok at once; `SessionState` reports how connecting proceeds.

    ``pranswer`` is an answer in a provisional response (early media); a later ``answer`` may replace it.
    """

    type: Literal["offer", "answer", "pranswer"]
    sdp: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetMuted(SessionCommand):
    """True: send silence instead of the source; the RTP flow continues."""

    muted: bool


@dataclass(frozen=True, slots=True)
class SetSource(SessionCommand):
    """Send this source from now on."""

    source: Source


@dataclass(frozen=True, slots=True)
class SetSink(SessionCommand):
    """Write the received sound to this sink from now on."""

    sink: Sink


@dataclass(frozen=True, slots=True)
class SetSampleSink(SessionCommand):
    """Call `sink` with each sample in the plane's thread, before it is reported. It must not wait."""

    sink: Callable[[SampleRow], object]


@dataclass(frozen=True, slots=True)
class SendDtmf(SessionCommand):
    """Send digits as RFC 4733 telephone-event. Ok when the last is sent; fails if it was not negotiated."""

    digits: str
    duration_ms: int = 100
    gap_ms: int = 70


@dataclass(frozen=True, slots=True)
class GetStats(SessionCommand):
    """Ok with {stats id: {W3C webrtc-stats name: value}}."""


@dataclass(frozen=True, slots=True)
class StartCapture(SessionCommand):
    """Write the session's unprotected RTP and RTCP packets to a pcapng file from now on.

    `sip` are the call's SIP messages so far.
    """

    path: str
    sip: tuple[SipFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class CaptureSip(SessionCommand):
    """Write a SIP message of the call to the session's capture, if there is one."""

    frame: SipFrame


@dataclass(frozen=True, slots=True)
class StopCapture(SessionCommand):
    """Finish the capture. Ok with its number of packets; 0 when there was no capture."""


@dataclass(frozen=True, slots=True)
class CloseSession(SessionCommand):
    """End the session: RTCP BYE, DTLS close, sockets closed. Ok with the final stats, as for `GetStats`."""


# ---------------------------------------------------------------- answers and reports


@dataclass(frozen=True, slots=True)
class Ok:
    """The command `id` is complete."""

    id: int
    value: Any = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The command `id` failed. `code` is a short stable name, `sentence` is a sentence for users.

    Codes: ConnectionError (socket), Timeout, IncompatibleSDP, WebRTCError, NotNegotiated, UnknownId,
    SourceError, FileError.
    """

    id: int
    code: str
    sentence: str


class CommandError(Exception):
    """Raised in the plane where a command cannot be executed, and reported as `Failed`.

    Args:
        code: as in `Failed`.
        sentence: a sentence for users.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class SocketState:
    """An open socket was closed by either side. `code`: the close code (1006: none was received)."""

    socket: int
    state: Literal["closed"]
    code: int
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class Received:
    """One frame of a socket, and when it came: the text of a text frame, the bytes of a binary one."""

    socket: int
    data: str | bytes = field(repr=False)
    at: float


@dataclass(frozen=True, slots=True)
class SessionState:
    """A state of a session changed.

    Values of `what` and `state`: ``gathering`` gathering | complete | timeout; ``ice`` new | checking |
    connected | disconnected | failed | closed; ``dtls`` connecting | connected | failed | closed; ``rtp``
    first-sent | first-received | timeout | resumed.
    """

    session: int
    what: Literal["gathering", "ice", "dtls", "rtp"]
    state: str
    at: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """The measurements of one sample interval; the last one of a session is shorter.

    `fates`: what became of packets that were not simply played, and when (`PacketFates`).
    """

    session: int
    row: SampleRow
    fates: tuple[tuple[float, PacketFate], ...] = ()


@dataclass(frozen=True, slots=True)
class Level:
    """Peak levels of the last 100 ms in dBFS, from -100 (silence) to 0."""

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
class CaptureStopped:
    """A capture cannot be written any more; its file is complete up to there, and the session continues."""

    session: int
    path: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Fault:
    """The session failed and is closed; other sessions continue. `code` as in `Failed`."""

    session: int
    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class PlaneOverload:
    """The plane cannot keep up with its sessions, or does again.

    `late_share`: share of the ticks of the last seconds that were late, 0..1. `sessions`: how many there are.
    """

    overloaded: bool
    late_share: float
    sessions: int


@dataclass(frozen=True, slots=True)
class PlaneEffort:
    """The plane's encoders take less CPU time, or again what they are set to. `sessions`: their number."""

    reduced: bool
    sessions: int


@dataclass(frozen=True, slots=True)
class PlaneDead:
    """The plane ended unexpectedly: every socket and session is gone."""

    sentence: str


Report = (
    Ok
    | Failed
    | SocketState
    | Received
    | SessionState
    | Sample
    | Level
    | Digit
    | CaptureStopped
    | Fault
    | PlaneOverload
    | PlaneEffort
    | PlaneDead
)
