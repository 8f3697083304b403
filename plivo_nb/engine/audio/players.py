"""Players: the sounds that a client makes itself, and what the user chose instead of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import to_int16
from plivo_nb.errors import SourceError
from plivo_nb.media.audio.sources import AudioFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Pcm, Source
    from plivo_nb.sound.speaker import OutputRoute

_logger = logging.getLogger("plivo_nb.sound")

_MOST_BYTES = 10_000_000
_FETCH_S = 10.0


class Player:
    """Plays one sound on one line: what `client.audio.speaker_devices.media("ringback")` gives.

    Args:
        name: for people.
        line: where it is heard.
        make: gives the built-in sound, anew each time.

    Attributes:
        volume: 1 is as it is.
    """

    def __init__(self, name: str, line: OutputRoute, make: Callable[[], Source]) -> None:
        self.name = name
        self.volume = 1.0
        self._line = line
        self._make = make
        self._file: str | None = None
        self._voice: Source | None = None

    @property
    def src(self) -> str | None:
        """The file that is played; None: the built-in sound."""
        return self._file

    @src.setter
    def src(self, path: str | None) -> None:
        self._file = path

    @property
    def playing(self) -> bool:
        """Whether it is heard now."""
        return self._voice is not None and self._voice in self._line.playing

    def play(self, voice: Source | None = None) -> None:
        """Begin from the beginning; does nothing while it plays.

        Args:
            voice: what to play this once, instead of the file or the built-in sound.
        """
        if not self.playing:
            self._voice = _Scaled(voice or self._sound(), self)
            self._line.start(self._voice)

    def pause(self) -> None:
        """Be silent."""
        if self._voice is not None:
            self._line.stop(self._voice)
            self._voice = None

    def _sound(self) -> Source:
        if self._file is not None:
            try:
                return AudioFile(self._file, loop=True)
            except SourceError as error:
                _logger.warning("%s The built-in sound is played.", error)
        return self._make()

    def __repr__(self) -> str:
        return f"<Player of {self.name}: {self._file or 'built-in'}{', playing' if self.playing else ''}>"


class _Scaled:
    """A voice at the volume that its player has at the moment."""

    def __init__(self, voice: Source, player: Player) -> None:
        self._voice, self._player = voice, player

    @property
    def ended(self) -> bool:
        return bool(getattr(self._voice, "ended", False))

    def open(self, rate: int) -> None:
        self._voice.open(rate)

    def read(self, samples: int) -> Pcm | None:
        pcm = self._voice.read(samples)
        volume = self._player.volume
        return pcm if pcm is None or volume == 1.0 else to_int16(pcm * np.float32(volume))

    def close(self) -> None:
        self._voice.close()


def _write_sound(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
    AudioFile(path).close()  # it raises SourceError if it is no sound


class ToneFiles:
    """Sound files from the network, kept while the client lives."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    async def fetch(self, url: str) -> str:
        """Download a sound; gives the path of the file.

        Raises:
            SourceError: it does not come within 10 s, is over 10 MB, or is no sound.
        """
        import aiohttp  # late: most clients play their own tones

        try:
            timeout = aiohttp.ClientTimeout(total=_FETCH_S)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                answer.raise_for_status()
                data = await answer.content.read(_MOST_BYTES)
                while len(data) < _MOST_BYTES and not answer.content.at_eof():
                    data += await answer.content.read(_MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise SourceError(f"The sound {url} cannot be fetched ({error}).") from error
        if len(data) >= _MOST_BYTES:
            raise SourceError(f"The sound {url} is too long: over 10 MB.")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="plivo_nb-")
        self._count += 1
        path = os.path.join(self._folder.name, f"tone-{self._count}")
        await asyncio.to_thread(_write_sound, path, data)
        return path

    def close(self) -> None:
        """Remove what was fetched."""
        folder, self._folder = self._folder, None
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.cleanup()
