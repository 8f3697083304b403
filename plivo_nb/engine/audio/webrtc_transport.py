"""The sound of a page by WebRTC between page and kernel: one media session of the I/O plane.

The page offers and the kernel answers, by messages of the page link. The sound itself passes neither the
kernel's loop nor the Jupyter server, so a busy cell does not interrupt it. Where UDP does not reach the
kernel the path never becomes ``open``, and `BrowserSound` uses the messages of the widget instead.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import FULLBAND_RATE, Pcm, nonblocking, to_int16
from plivo_nb.engine.media_link import MediaLink, session_config
from plivo_nb.errors import MediaError, PlaneDied
from plivo_nb.plane import wire
from plivo_nb.sound.path_quality import PathQuality
from plivo_nb.sound.resampler import Resampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.engine.engine import Engine
    from plivo_nb.options import Options
    from plivo_nb.sound.page_transport import Message, PageLink, TransportName, TransportState

_logger = logging.getLogger("plivo_nb.sound")

_SAMPLE_S = 0.5
_CHECK_S = 1.0
_BITRATE_BPS = 32_000  # fullband mono speech (RFC 7587 section 3.1.1)
_COMPLEXITY = 1  # a third of the CPU time of 5
_LONGEST_SDP = 100_000


class WebRtcTransport:
    """Carries sound between a page and the kernel by RTP (ICE, DTLS-SRTP, Opus): a `PageTransport`.

    Its methods are called on any thread, its own work is done on the engine's loop.

    Args:
        engine: its I/O plane runs the media session.
        options: `iceServers`, the time to gather candidates and DSCP are read.
        link: sends messages to the page.
        page: the page's id.

    Attributes:
        name, state, rtt_ms, underruns: as in `PageTransport`. `rtt_ms` is RTCP's (RFC 3550 section 6.4.1),
            before the first report that of an ICE check.
    """

    def __init__(self, engine: Engine, options: Options, link: PageLink, page: str) -> None:
        self.name: TransportName = "webrtc"
        self.rate = FULLBAND_RATE
        self.pulls = True
        self.state: TransportState = "connecting"
        self.rtt_ms = math.nan
        self._engine = engine
        self._config = _session_config(options)
        self._link, self._page = link, page
        self._path = PathQuality(time.monotonic())
        self._attempt = 0
        self._media: MediaLink | None = None
        self._watching: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._changed: Callable[[], None] = _nothing
        self._source = PageSource()
        self._sink = PageSink()
        self._underruns_before = self._underruns_here = self._underruns_of_page = 0
        self._page_has_microphone = False
        self._page_receives = True
        self._page_packets = 0

    @property
    def underruns(self) -> int:
        """How many times either end had nothing to play, since `start`."""
        return self._underruns_before + self._underruns_here + self._underruns_of_page

    # ------------------------------------------------------------ from any thread

    def start(
        self, take: Callable[[Pcm], None], fill: Callable[[Pcm], None], changed: Callable[[], None]
    ) -> None:
        """Ask the page for an offer, and connect; the arguments are those of `PageTransport.start`."""
        self._changed = changed
        self._source.fill = fill
        self._sink.take = take
        self._on_loop(self._begin)

    def write(self, frame: Pcm) -> None:
        """Do nothing: the frames are pulled."""

    def receive(self, message: Message, buffers: Sequence[memoryview]) -> None:
        """Take a message of the page: an offer, statistics, or the end of its connection."""
        self._on_loop(self._received, message)

    def use(self, used: bool) -> None:
        """Begin or cease to carry sound. Silence is sent while it is not used, which keeps the path open."""
        if used != self._source.used:
            self._source.used = self._sink.used = used
            self._tell_page({"type": "use", "on": used})

    def stop(self) -> None:
        """Close the connection."""
        if self.state == "closed":
            return
        self._changed = _nothing
        self._source.used = self._sink.used = False
        self._sink.take = self._source.fill = _drop
        self.state = "closed"
        self._tell_page({"type": "stop"})
        self._on_loop(self._end)

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            self._engine.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            _logger.debug("The loop of the client is closed; the page's connection ends with the I/O plane.")

    # ------------------------------------------------------------ on the engine's loop

    def _begin(self) -> None:
        if self.state == "closed" or self._watching is not None:
            return
        self._path = PathQuality(time.monotonic())
        self._watching = self._engine.spawn(self._watch(), "watching the connection to a page")
        self._ask_for_offer()

    def _end(self) -> None:
        for task in (self._watching, self._answering):
            if task is not None:
                task.cancel()
        self._drop_media()

    def _drop_media(self) -> None:
        media, self._media = self._media, None
        self._underruns_before += self._underruns_here + self._underruns_of_page
        self._underruns_here = self._underruns_of_page = 0
        if media is not None and self._engine.plane_runs:
            self._engine.spawn(media.close(), "closing the connection to a page")

    def _ask_for_offer(self) -> None:
        self._attempt += 1
        servers = [
            {"urls": list(urls)} for server in self._config.ice_servers if (urls := _stun_only(server))
        ]
        self._tell_page({"type": "start", "ice_servers": servers})

    def _tell_page(self, message: Message) -> None:
        """Send a message, on any thread."""
        self._link.send(self._page, {**message, "transport": self.name, "attempt": self._attempt})

    def _received(self, message: Message) -> None:
        if self.state in ("closed", "failed") or message.get("attempt") != self._attempt:
            return
        match message:
            case {"type": "offer"} if self._path.state != "connecting":
                _logger.debug("An offer of the page came too late; another one is asked for later.")
            case {"type": "offer", "sdp": str(sdp)} if len(sdp) <= _LONGEST_SDP:
                if self._answering is not None:
                    self._answering.cancel()
                self._answering = self._engine.spawn(self._answer(sdp), "answering a page")
            case {"type": "stats"}:
                self._take_page_stats(message)
            case {"type": "failed"}:
                self._lost(f"the page reports: {str(message.get('reason', 'it failed'))[:200]}")
            case _:
                _logger.debug("A message of the page about its connection is not understood; it is ignored.")

    async def _answer(self, offer: str) -> None:
        """Connect to the page that made this offer."""
        self._drop_media()
        self._page_packets, self._page_receives, self._page_has_microphone = 0, True, False
        media = self._media = MediaLink(
            self._engine, self._config, lambda report: self._report(report) if media is self._media else None
        )
        media.set_source(self._source)
        media.add_sink(self._sink)
        try:
            await media.open()
            await media.apply("offer", offer.encode())
            answer = (await media.create_answer()).decode()
        except PlaneDied as error:
            _logger.warning("The page's sound cannot use WebRTC: %s", error)
            self._set_state("failed")
            return
        except MediaError as error:
            if media is self._media:
                self._lost(str(error))
            return
        if media is self._media:
            self._tell_page({"type": "answer", "sdp": answer})

    def _report(self, report: wire.Report) -> None:
        """Follow the connection that is in use."""
        match report:
            case wire.SessionState(what="dtls", state="connected"):
                self._path.connected(report.at)
            case wire.SessionState(what="ice" | "dtls", state="failed" | "closed", detail=detail):
                self._lost(detail)
            case wire.Fault(sentence=sentence) | wire.PlaneDead(sentence=sentence):
                self._lost(sentence)
            case wire.Sample(row=row):
                self._path.measure(
                    row.time_monotonic_s,
                    received=self._page_receives and (row.packets_in > 0 or not self._page_has_microphone),
                    loss=max(
                        (row.loss_in, row.loss_out), key=lambda loss: -1.0 if math.isnan(loss) else loss
                    ),
                )
                if not math.isnan(row.rtt_ms):
                    self.rtt_ms = row.rtt_ms
        self._follow_path()

    def _lost(self, reason: str) -> None:
        _logger.info(
            "There is no WebRTC connection to the page (%s); the widget's messages carry sound.", reason
        )
        self._path.lost(time.monotonic())
        self._drop_media()
        self._follow_path()

    def _follow_path(self) -> None:
        self._set_state("open" if self._path.state == "open" else "connecting")

    def _set_state(self, state: TransportState) -> None:
        if self.state not in (state, "closed", "failed"):
            self.state = state
            if state != "open":
                self.rtt_ms = math.nan
            self._changed()

    # ------------------------------------------------------------ measurements

    def _take_page_stats(self, message: Message) -> None:
        packets, concealed = _count(message, "packets_received"), _count(message, "concealment_events")
        rtt_ms = message.get("rtt_ms")
        if packets is not None:
            self._page_receives = packets > self._page_packets or self._path.state == "connecting"
            self._page_packets = packets
        if concealed is not None:
            self._underruns_of_page = max(self._underruns_of_page, concealed)
        if isinstance(rtt_ms, int | float) and math.isnan(self.rtt_ms) and 0 <= rtt_ms < 60_000:
            self.rtt_ms = float(rtt_ms)
        self._page_has_microphone = message.get("microphone") is True

    async def _watch(self) -> None:
        """Count underruns, and try a lost path again."""
        while True:
            await asyncio.sleep(_CHECK_S)
            media = self._media
            if media is not None and media.is_open:
                try:
                    stats = await media.stats()
                except (MediaError, PlaneDied):
                    stats = {}
                if media is self._media:
                    events = stats.get("inbound-rtp", {}).get("concealmentEvents", 0)
                    self._underruns_here = max(self._underruns_here, events)
            if self.state != "failed":
                before = self._path.state
                if self._path.check(time.monotonic()):
                    self._ask_for_offer()
                elif self._path.state == "waiting" != before:
                    self._lost(f"it was {before} for too long")
                self._follow_path()


@nonblocking
class PageSource:
    """What the page plays: pulled at 48 kHz and returned at the plane's rate, on the plane's thread.

    Attributes:
        used: while False, nothing is pulled and `read` returns None.
        fill: fills an array with samples.
    """

    def __init__(self) -> None:
        self.used = False
        self.fill: Callable[[Pcm], None] = _drop
        self._resampler: Resampler | None = None

    def open(self, rate: int) -> None:
        """Return samples of this rate in Hz from now on."""
        self._resampler = None if rate == FULLBAND_RATE else _primed(rate)

    def read(self, samples: int) -> Pcm | None:
        """Return the next frame; None while the transport is not used."""
        if not self.used:
            return None
        resampler = self._resampler
        frame = np.zeros(samples if resampler is None else resampler.needed(samples), np.int16)
        self.fill(frame)
        if resampler is None:
            return frame
        resampler.feed(frame)
        return to_int16(resampler.take(samples))

    def close(self) -> None:
        """Keep everything: the next connection to the page reads on."""


@nonblocking
class PageSink:
    """What the page's microphone records: written by the plane's thread, given to `take` at 48 kHz.

    Attributes:
        used: while False, frames are dropped.
        take: called with the samples.
    """

    def __init__(self) -> None:
        self.used = False
        self.take: Callable[[Pcm], None] = _drop
        self._resampler: Resampler | None = None

    def open(self, rate: int) -> None:
        """Take frames of this rate in Hz from now on."""
        self._resampler = None if rate == FULLBAND_RATE else Resampler(rate, FULLBAND_RATE)

    def write(self, frame: Pcm) -> None:
        """Take a frame."""
        if self.used:
            resampler = self._resampler
            self.take(frame if resampler is None else to_int16(resampler.convert(frame)))

    def close(self) -> None:
        """Keep everything: the next connection to the page writes on."""


def _primed(rate: int) -> Resampler:
    """A resampler to this rate (Hz) that needs exactly one frame for one frame, also for the first."""
    resampler = Resampler(FULLBAND_RATE, rate)
    resampler.feed(np.zeros(resampler.needed(1), np.int16))
    return resampler


def _session_config(options: Options) -> wire.SessionConfig:
    """The media session with a page: Opus, and 127.0.0.1 too, for a page on this machine."""
    defaults = wire.SessionConfig()
    return replace(
        session_config(options),
        codecs=("OPUS",),
        relay_only=False,
        loopback_candidates=True,
        jitter_min_ms=defaults.jitter_min_ms,
        jitter_max_ms=defaults.jitter_max_ms,
        sample_interval_s=_SAMPLE_S,
        max_average_bitrate_bps=_BITRATE_BPS,
        opus_complexity=_COMPLEXITY,
    )


def _stun_only(server: wire.IceServer) -> tuple[str, ...]:
    """The URLs that the page is given: those of TURN need a credential, which stays in the kernel."""
    return tuple(url for url in server.urls if url.startswith("stun:"))


def _count(message: Message, key: str) -> int | None:
    """A number of packets or events that a page reported; None where it is none."""
    value = message.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _nothing() -> None:
    """Do nothing: the transport has not been started, or is stopped."""


def _drop(_pcm: Pcm) -> None:
    """Leave samples alone: nobody listens to the page, or plays anything there."""
