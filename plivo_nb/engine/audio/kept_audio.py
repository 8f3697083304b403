"""The last seconds of a call's audio (option keepAudio), and clips of it."""

from __future__ import annotations

import base64
import io
import os
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plivo_nb.atomic_file import replaced
from plivo_nb.audio_types import nonblocking
from plivo_nb.media.audio.rolling_buffer import RollingBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plivo_nb.audio_types import Pcm


@nonblocking
class KeptAudio(RollingBuffer):
    """A sink that keeps the last seconds of both directions.

    Args:
        seconds: how much of each.

    Attributes:
        sent: the buffer of the sent direction; this object itself is that of the received one.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.sent = RollingBuffer(seconds)


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
        target = io.BytesIO()
        with wave.open(target, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate or 48_000)
            file.writeframes(self.samples.astype("<i2").tobytes())
        return target.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a WAV file; an existing one is replaced when the new one is complete."""
        with replaced(os.fspath(path)) as new:
            new.write_bytes(self.wav())

    def __repr__(self) -> str:
        return f"<Clip of {self.seconds:.2f} s at {self.rate} Hz>"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.wav()).decode()
        return f"<audio controls src='data:audio/wav;base64,{data}'></audio> {self.seconds:.2f} s"
