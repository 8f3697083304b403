"""The open microphone and speaker of a page, as device streams."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S
from plivo_nb.sound.page_transport import PAGE_RATE
from plivo_nb.thread_priority import raise_priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Pcm
    from plivo_nb.sound.devices import Kind

_MISSING_S = 2.0  # without sound of the page for this long, its microphone counts as gone
_SAMPLES = round(FRAME_S * PAGE_RATE)
_PUNCTUAL_CHECK_S = 0.1
_LATE_S = 0.1  # after a longer delay of the thread, what is overdue is left out


class PageStream:
    """What the microphone and the speaker of a page have in common.

    Args:
        kind: ``audioinput`` or ``audiooutput``.
        device_id: the page's device.
        moved: called when another device is to be used.
        closed: called once when the stream is closed.
    """

    def __init__(
        self,
        kind: Kind,
        device_id: str | None,
        moved: Callable[[], None],
        closed: Callable[[PageStream], None],
    ) -> None:
        self.kind = kind
        self.rate = PAGE_RATE
        self.latency_s = 2 * FRAME_S
        self.device_id = device_id
        self.gone = False
        self.direct = True
        self.punctual = False  # see `DeviceStream`
        self._moved = moved
        self._closed = closed
        self._count = 0

    @property
    def callbacks(self) -> int:
        """A count that grows while the device works."""
        if self.works():
            self._count += 1
        return self._count

    def works(self) -> bool:
        """Whether the device works now."""
        return not self.gone

    def lost(self) -> bool:
        """Return whether the page or its device is gone."""
        return self.gone

    def move(self, device_id: str | None) -> bool:
        """Continue on another device of the page."""
        self.device_id = device_id
        self._moved()
        return True

    def close(self) -> None:
        """Release the device."""
        self.gone = True
        self._closed(self)


class PageInput(PageStream):
    """The microphone of a page: `take` is called with its samples.

    Attributes:
        waiting: True until the page has said whether it may use the microphone: a person may think it over.
    """

    def __init__(
        self,
        device_id: str | None,
        take: Callable[[Pcm], None],
        moved: Callable[[], None],
        closed: Callable[[PageStream], None],
    ) -> None:
        super().__init__("audioinput", device_id, moved, closed)
        self._take = take
        self.waiting = True
        self._heard_at_s = time.monotonic()

    def granted(self) -> None:
        """Note that the page may use the microphone: sound is due from now on."""
        self.waiting = False
        self._heard_at_s = time.monotonic()

    def works(self) -> bool:
        """Whether sound arrives, or the page is still asking for permission."""
        return not self.gone and (self.waiting or time.monotonic() - self._heard_at_s < _MISSING_S)

    def take(self, pcm: Pcm, rate: int) -> None:
        """Pass samples of this rate (Hz) on."""
        if not self.gone:
            self.rate = rate
            self._heard_at_s = time.monotonic()
            self._take(pcm)


class PageOutput(PageStream):
    """The speaker of a page: a thread asks `fill` for a frame each 20 ms and sends it.

    While `punctual` is True the thread rests: the transport calls `fill` when it needs a frame.
    """

    def __init__(
        self,
        device_id: str | None,
        fill: Callable[[Pcm], None],
        write: Callable[[Pcm], None],
        moved: Callable[[], None],
        closed: Callable[[PageStream], None],
    ) -> None:
        super().__init__("audiooutput", device_id, moved, closed)
        self.fill = fill
        self._write = write
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plivo_nb page speaker", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        raise_priority()
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            if self.punctual:
                due = time.monotonic() + _PUNCTUAL_CHECK_S
                continue
            frame = np.zeros(_SAMPLES, np.int16)
            self.fill(frame)
            self._write(frame)
            due = max(due + FRAME_S, time.monotonic() - _LATE_S)

    def close(self) -> None:
        """Stop the thread and release the device."""
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)
        super().close()
