"""The tones of a client: ring, ring-back, dial and DTMF tones, built in or chosen by the user.

`Player` plays one of them, `Tones` knows which are wanted (setRingTone, setRingToneBack, setConnectTone).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import re
import tempfile
import time
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from plivo_nb.audio_types import to_int16
from plivo_nb.engine.audio.kept_audio import Clip
from plivo_nb.errors import SourceError
from plivo_nb.late_import import import_in_thread
from plivo_nb.media.audio import tones
from plivo_nb.media.audio.adapters import as_source
from plivo_nb.media.audio.sources import AudioFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Pcm, Source
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.sound.speaker import OutputRoute

_logger = logging.getLogger("plivo_nb.sound")

Tone = Literal["ring", "ringback", "connect"]
_URL = re.compile(r"https?://\S+")

_PAGE_TONE_HZ = 16_000  # sample rate of the tones that pages play
_MAX_PAGE_FILE_BYTES = 4_000_000
_MAX_FILE_BYTES = 10_000_000
_DOWNLOAD_S = 10.0


class Player:
    """Plays one sound; `client.audio.speaker_devices.media("ringback")` returns one.

    Args:
        name: for log lines.
        route: the output that it plays on.
        make: makes the built-in sound, a new one for each `play`.

    Attributes:
        volume: factor; 1 leaves the sound as it is.
    """

    def __init__(self, name: str, route: OutputRoute, make: Callable[[], Source]) -> None:
        self.name = name
        self.volume = 1.0
        self._route = route
        self._make = make
        self._file: str | None = None
        self._voice: Source | None = None
        self._in_page_until_s = 0.0

    @property
    def src(self) -> str | None:
        """The file that is played; None: the built-in sound."""
        return self._file

    @src.setter
    def src(self, path: str | None) -> None:
        self._file = path

    @property
    def playing(self) -> bool:
        """Whether it is playing now."""
        if self._in_page_until_s > time.monotonic():
            return True
        return self._voice is not None and self._voice in self._route.playing

    def play(self, voice: Any = None) -> None:
        """Play from the beginning; does nothing while it is playing.

        Args:
            voice: what to play this once, instead of the file or the built-in sound: a source, or anything
                else that `Call.play` takes.
        """
        if not self.playing and not self._play_in_page(voice):
            self._voice = _Scaled(self._sound() if voice is None else as_source(voice), self)
            self._route.start(self._voice)

    def pause(self) -> None:
        """Stop playing."""
        if self._in_page_until_s:
            self._in_page_until_s = 0.0
            if self._route.page is not None:
                self._route.page.pause(self._page_name)
        if self._voice is not None:
            self._route.stop(self._voice)
            self._voice = None

    @property
    def _page_name(self) -> str:
        """The tone's name for the page, which plays the ring tone on another device than all others."""
        return "ring" if self.name == "the ring tone" else self.name

    def _play_in_page(self, voice: Any) -> bool:
        """Have the page play it, which it does also while the kernel is busy; False where it cannot."""
        page = self._route.page
        if page is None:
            return False
        sound = _file_content(self._file) if voice is None and self._file is not None else b""
        repeats, seconds = True, math.inf
        if not sound:
            source = self._make() if voice is None else voice
            if not isinstance(source, (tones.CadenceTone, tones.DtmfTones)):
                return False
            repeats = isinstance(source, tones.CadenceTone)
            clip = Clip(_PAGE_TONE_HZ, tones.rendered(source, _PAGE_TONE_HZ))
            sound, seconds = clip.wav(), math.inf if repeats else clip.seconds
        volume = min(1.0, self.volume * self._route.volume)
        page.play(self._page_name, sound, loop=repeats, volume=volume, device_id=self._route.chosen)
        self._in_page_until_s = time.monotonic() + seconds
        return True

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
    """A voice at the current volume of its player."""

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


def _file_content(path: str) -> bytes:
    """The content of a sound file for the page; nothing if it cannot be read or is large."""
    try:
        with open(path, "rb") as file:
            content = file.read(_MAX_PAGE_FILE_BYTES + 1)
    except OSError:
        return b""
    return content if len(content) <= _MAX_PAGE_FILE_BYTES else b""


def _save_sound(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
    AudioFile(path).close()  # raises SourceError if it is no sound file


class ToneFiles:
    """Sound files downloaded by URL, kept until the client is closed."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._count = 0

    async def download(self, url: str) -> str:
        """Download a sound file; returns its local path.

        Raises:
            SourceError: it is not there within 10 s, is over 10 MB, or is no sound file.
        """
        await asyncio.wrap_future(import_in_thread("aiohttp"))  # late: most clients play the built-in tones
        import aiohttp

        try:
            timeout = aiohttp.ClientTimeout(total=_DOWNLOAD_S)
            async with aiohttp.ClientSession(timeout=timeout) as http, http.get(url) as answer:
                answer.raise_for_status()
                data = await answer.content.read(_MAX_FILE_BYTES)
                while len(data) < _MAX_FILE_BYTES and not answer.content.at_eof():
                    data += await answer.content.read(_MAX_FILE_BYTES)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise SourceError(f"The sound {url} cannot be downloaded ({error}).") from error
        if len(data) >= _MAX_FILE_BYTES:
            raise SourceError(f"The sound {url} is too long: over 10 MB.")
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="plivo_nb-")
        self._count += 1
        path = os.path.join(self._folder.name, f"tone-{self._count}")
        await asyncio.to_thread(_save_sound, path, data)
        return path

    def close(self) -> None:
        """Delete the downloaded files."""
        folder, self._folder = self._folder, None
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.cleanup()


class Tones:
    """Ring, ring-back, dial and DTMF tones.

    Args:
        engine: owns the downloads.
        speaker: plays all tones but the ring tone.
        ringer: plays the ring tone.
        on: False: no tone is played.

    Attributes:
        on: as given; may be changed.
        players: the players that users can get: dtmf and ringback.
    """

    def __init__(self, engine: Engine, speaker: OutputRoute, ringer: OutputRoute, *, on: bool) -> None:
        self._engine = engine
        self.on = on
        self._ringing: list[CallSession] = []
        self._wanted: dict[Tone, bool] = {"ring": True, "ringback": True, "connect": True}
        self._files = ToneFiles()
        self._dtmf = Player("the DTMF tones", speaker, lambda: tones.DtmfTones("5"))
        self._players: dict[Tone, Player] = {
            "ring": Player("the ring tone", ringer, tones.ring_tone),
            "ringback": Player("the ring-back tone", speaker, tones.ringback_tone),
            "connect": Player("the dial tone", speaker, tones.dial_tone),
        }
        self.players = {"dtmf": self._dtmf, "ringback": self._players["ringback"]}

    def choose(self, tone: Tone, value: bool | str) -> bool:
        """Choose what is played: True: the built-in tone; False: none; str: a URL or the path of a file."""
        player = self._players[tone]
        if isinstance(value, bool):
            self._wanted[tone], player.src = value, None
            return True
        if tone != "connect" and isinstance(value, str) and _URL.fullmatch(value):
            self._wanted[tone] = True
            self._engine.spawn(self._download(player, value), "download a tone")
            return True
        if tone != "connect" and isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
            self._wanted[tone], player.src = True, os.fspath(value)
            return True
        allowed = "True or False" if tone == "connect" else "True, False, a URL, or the path of a file"
        _logger.warning("%s cannot be %r; allowed: %s.", player.name.capitalize(), value, allowed)
        return False

    async def _download(self, player: Player, url: str) -> None:
        try:
            player.src = await self._files.download(url)
        except SourceError as error:
            _logger.warning("%s The built-in sound is played.", error)

    def chosen(self, tone: Tone) -> bool | str:
        """What was chosen: True: the built-in tone; False: none; or the path of a file."""
        return self._wanted[tone] and (self._players[tone].src or True)

    def wants(self, tone: Tone) -> bool:
        """Whether that tone is to be played."""
        return self._wanted[tone]

    def play(self, tone: Tone) -> None:
        """Play that tone, if it is wanted."""
        if self._wanted[tone] and self.on:
            self._players[tone].play()

    def pause(self, tone: Tone) -> None:
        """Stop that tone."""
        self._players[tone].pause()

    def ring(self, session: CallSession, on: bool) -> None:
        """This call starts or stops ringing; the tone plays while any call rings."""
        if on:
            self._ringing.append(session)
            self.play("ring")
        elif session in self._ringing:
            self._ringing.remove(session)
            if not self._ringing:
                self.pause("ring")

    def digits(self, digits: str) -> None:
        """Play the DTMF tones of digits that are sent."""
        if self.on:
            self._dtmf.pause()
            self._dtmf.play(tones.DtmfTones(digits))

    def close(self) -> None:
        """Play no more, and delete downloaded files."""
        self.on = False
        self._files.close()
