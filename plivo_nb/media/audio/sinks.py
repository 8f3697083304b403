"""Sinks: none, several, and the recorder.

A sink is written by the I/O plane's thread each 20 ms and must not make it wait; the recorder writes its file
in its own thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.audio_types import nonblocking
from plivo_nb.media.audio.recorder import Recorder

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm, Sink

__all__ = ["Null", "Recorder", "Tee"]


@nonblocking
class Null:
    """A sink that drops all sound."""

    def open(self, rate: int) -> None:
        """Do nothing."""

    def write(self, frame: Pcm) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Tee:
    """A sink that writes to several sinks.

    It is as fast as they are: a media session that is given one is given `nonblocking` sinks.
    """

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks
        sent = [side for sink in sinks if (side := getattr(sink, "sent", None)) is not None]
        self.sent: Sink | None = Tee(*sent) if sent else None

    def open(self, rate: int) -> None:
        """Open all sinks."""
        for sink in self.sinks:
            sink.open(rate)

    def write(self, frame: Pcm) -> None:
        """Write the frame to all sinks."""
        for sink in self.sinks:
            sink.write(frame)

    def close(self) -> None:
        """Close all sinks, even if one fails; raise the first exception."""
        errors = []
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
