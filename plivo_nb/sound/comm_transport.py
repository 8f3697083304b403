"""CommTransport: the sound of a page in the messages of its widget, which pass wherever the notebook does."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S
from plivo_nb.sound.page_transport import PAGE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plivo_nb.audio_types import Pcm
    from plivo_nb.sound.page_transport import Message, PageLink, TransportName, TransportState

_MESSAGE_FRAMES = 2  # 40 ms in a message: half the messages of 20 ms, 15 ms more delay
_LONGEST_S = 1.0
_STALE_S = 0.4  # later than the fastest message by this much: behind a kernel or connection that was busy
_OFFSET_DRIFT = 1e-3  # how fast the clocks of page and kernel may drift apart, s/s


class CommTransport:
    """Sound in binary messages of 40 ms, PCM in 16 bits, over the connection of the notebook.

    It works wherever the notebook works, but what the page records waits while the kernel is busy. Messages
    that waited over 0.4 s are dropped, so that the delay does not grow.

    Args:
        link: sends its messages.
        page: the page's id.
        clock: returns monotonic seconds.

    Attributes:
        stale: number of messages dropped because they came late.
        name, state, rtt_ms, underruns: see `PageTransport`.
    """

    name: TransportName = "comm"
    rate = PAGE_RATE
    pulls = False

    def __init__(self, link: PageLink, page: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._link = link
        self._page = page
        self._clock = clock
        self._take: Callable[[Pcm], None] | None = None
        self._frames: list[Pcm] = []
        self._fastest_s = math.inf  # smallest difference between the kernel's and the page's clock
        self._fastest_at_s = 0.0
        self.state: TransportState = "connecting"
        self.rtt_ms = math.nan
        self.underruns = 0
        self.stale = 0

    def start(
        self, take: Callable[[Pcm], None], fill: Callable[[Pcm], None], changed: Callable[[], None]
    ) -> None:
        """Begin: the page is there, so that this transport is open at once."""
        self._take = take
        self.state = "open"
        samples = round(_MESSAGE_FRAMES * FRAME_S * PAGE_RATE)
        self._send({"type": "start", "rate": PAGE_RATE, "samples": samples})
        changed()

    def use(self, used: bool) -> None:
        """Begin or cease to carry sound."""
        self._frames.clear()
        self._send({"type": "use", "on": used})

    def write(self, frame: Pcm) -> None:
        """Send a frame, together with the one before it."""
        self._frames.append(frame)
        if len(self._frames) >= _MESSAGE_FRAMES:
            pcm = np.concatenate(self._frames)
            self._frames.clear()
            self._send({"type": "sound"}, [pcm.astype("<i2", copy=False).tobytes()])

    def receive(self, message: Message, buffers: Sequence[memoryview]) -> None:
        """Take sound or statistics of the page; anything else is ignored."""
        match message:
            case {"type": "sound", "at": int() | float() as at} if buffers:
                self._sound(at / 1000, buffers[0])
            case {"type": "stats"}:
                self._send({"type": "echo", "at": message.get("at")})
                self.rtt_ms = _number(message.get("rtt_ms"), self.rtt_ms)
                self.underruns = max(self.underruns, int(_number(message.get("underruns"), 0)))

    def stop(self) -> None:
        """Send and take nothing more."""
        self._take = None
        if self.state != "closed":
            self.state = "closed"
            self._send({"type": "stop"})

    def _sound(self, sent_s: float, data: memoryview) -> None:
        take = self._take
        if take is None or len(data) % 2 or len(data) > 2 * _LONGEST_S * PAGE_RATE:
            return
        now = self._clock()
        offset_s = now - sent_s
        self._fastest_s += _OFFSET_DRIFT * (now - self._fastest_at_s) if self._fastest_at_s else 0.0
        self._fastest_s, self._fastest_at_s = min(self._fastest_s, offset_s), now
        if offset_s - self._fastest_s > _STALE_S:
            self.stale += 1
        else:
            take(np.frombuffer(data, "<i2").astype(np.int16, copy=False))

    def _send(self, message: Message, buffers: Sequence[bytes] = ()) -> None:
        self._link.send(self._page, {**message, "transport": self.name}, buffers)


def _number(value: object, otherwise: float) -> float:
    """A number that a page reported; `otherwise` where it is none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return otherwise
