"""Where the sound that is heard goes.

A sink is written by the plane's thread each 20 ms and must never make it wait; the recorder writes its file
in a thread of its own. A sink that has an attribute `sent`, a sink itself, hears what is sent there too: in
each tick after what is heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.media.audio.recorder import Recorder

if TYPE_CHECKING:
    from plivo_nb.audio_types import Pcm, Sink

__all__ = ["Null", "Recorder", "Tee"]


class Null:
    """Hears nothing."""

    def open(self, rate: int) -> None:
        """Nothing to prepare."""

    def write(self, frame: Pcm) -> None:
        """Drop it."""

    def close(self) -> None:
        """Nothing to release."""


class Tee:
    """Passes what is heard on to several sinks."""

    def __init__(self, *sinks: Sink) -> None:
        self.sinks = sinks
        sent = [side for sink in sinks if (side := getattr(sink, "sent", None)) is not None]
        self.sent: Sink | None = Tee(*sent) if sent else None

    def open(self, rate: int) -> None:
        """Open all."""
        for sink in self.sinks:
            sink.open(rate)

    def write(self, frame: Pcm) -> None:
        """Give all of them the frame."""
        for sink in self.sinks:
            sink.write(frame)

    def close(self) -> None:
        """Close all, also where one of them fails."""
        errors = []
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
