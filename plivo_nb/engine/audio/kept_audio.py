"""The last seconds of a call's audio (option keepAudio), and clips of it."""

from __future__ import annotations

import base64
import logging
import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.atomic_file import replaced
from plivo_nb.audio_types import FRAMES_PER_S, FULLBAND_RATE, nonblocking
from plivo_nb.media.audio.encoding import wav_bytes
from plivo_nb.media.audio.rolling_buffer import RollingBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.audio_types import Pcm


_logger = logging.getLogger("plivo_nb.audio")

#: How many bytes of kept audio all calls of this process take together.
MAX_BYTES = 64_000_000


class KeptAudioLimit:
    """Drops the audio of the oldest calls when all calls together keep too much.

    Args:
        max_bytes: the limit. It is checked for each second of audio that is written.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._calls: list[weakref.ref[KeptAudio]] = []  # the oldest first
        self._lock = threading.Lock()
        self._is_logged = False

    def add(self, kept: KeptAudio) -> None:
        """Count the audio of one more call, until it is deleted."""
        with self._lock:
            self._calls.append(weakref.ref(kept))

    def apply(self) -> None:
        """Drop what is too much."""
        with self._lock:
            calls = [(reference, kept) for reference in self._calls if (kept := reference()) is not None]
            self._calls = [reference for reference, _ in calls]
            excess = sum(kept.total_bytes for _, kept in calls) - self._max_bytes
            if excess <= 0:
                return
            for _, kept in calls:
                excess -= kept.drop(excess)
                if excess <= 0:
                    break
        if not self._is_logged:
            self._is_logged = True
            _logger.info(
                "All calls together keep %d MB of audio for Call.audio; from now on that of the oldest calls "
                "is dropped. The option keepAudio says how many seconds a call keeps.",
                self._max_bytes // 1_000_000,
            )


_LIMIT = KeptAudioLimit()


@nonblocking
class _LimitedBuffer(RollingBuffer):
    """A buffer that checks the limit after each second of audio."""

    def __init__(self, seconds: float, limit: KeptAudioLimit) -> None:
        super().__init__(seconds)
        self._limit = limit

    def write(self, frame: Pcm) -> None:
        super().write(frame)
        if self._written % FRAMES_PER_S == 0:
            self._limit.apply()


@nonblocking
class KeptAudio(_LimitedBuffer):
    """A sink that keeps the last seconds of both directions.

    Args:
        seconds: how much of each.
        limit: what all calls may keep together; by default one limit for the process.

    Attributes:
        sent: the buffer of the sent direction; this object itself is that of the received one.
    """

    def __init__(self, seconds: float, limit: KeptAudioLimit = _LIMIT) -> None:
        super().__init__(seconds, limit)
        self.sent = _LimitedBuffer(seconds, limit)
        limit.add(self)

    @property
    def total_bytes(self) -> int:
        """How much memory both directions take."""
        return self.stored_bytes + self.sent.stored_bytes

    def drop(self, excess: int) -> int:
        """Drop the oldest audio of both directions.

        Args:
            excess: how many bytes to drop at least, if there are as many.

        Returns:
            How many bytes were dropped.
        """
        before = self.total_bytes
        while self.total_bytes > max(0, before - excess):
            larger = self if self.stored_bytes >= self.sent.stored_bytes else self.sent
            larger.drop_oldest()
        return before - self.total_bytes


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Clip:
    """A piece of audio: ``rate, samples = clip``. A notebook shows it as a player.

    `rate` is in Hz; `samples` are mono int16.
    """

    rate: int
    samples: Pcm

    def __iter__(self) -> Iterator[Any]:
        return iter((self.rate, self.samples))

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate if self.rate else 0.0

    def wav(self) -> bytes:
        """The bytes of a WAV file."""
        return wav_bytes(self.rate or FULLBAND_RATE, self.samples)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a WAV file; an existing one is replaced when the new one is complete."""
        with replaced(os.fspath(path)) as new:
            new.write_bytes(self.wav())

    def __repr__(self) -> str:
        return f"<Clip of {self.seconds:.2f} s at {self.rate} Hz>"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.wav()).decode()
        return f"<audio controls src='data:audio/wav;base64,{data}'></audio> {self.seconds:.2f} s"
