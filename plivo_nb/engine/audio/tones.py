"""The tones of a client: which are wanted, and when they are heard (setRingTone and its like)."""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, Literal

from plivo_nb.engine.audio.players import Player, ToneFiles
from plivo_nb.errors import SourceError
from plivo_nb.media.audio import tones

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.sound.speaker import OutputRoute

_logger = logging.getLogger("plivo_nb.sound")

Tone = Literal["ring", "ringback", "connect"]
_URL = re.compile(r"https?://\S+")


class Tones:
    """Ring, ring-back, dial and DTMF tones.

    Args:
        engine: whose tasks are used.
        speaker: where all but the ring tone is heard.
        bell: where the ring tone is heard.
        on: False: nothing is ever heard.

    Attributes:
        players: those that users may have: dtmf and ringback.
    """

    def __init__(self, engine: Engine, speaker: OutputRoute, bell: OutputRoute, *, on: bool) -> None:
        self._engine = engine
        self._on = on
        self._ringing: list[CallSession] = []
        self._wanted: dict[Tone, bool] = {"ring": True, "ringback": True, "connect": True}
        self._files = ToneFiles()
        self._dtmf = Player("the DTMF tones", speaker, lambda: tones.DtmfTones("5"))
        self._players: dict[Tone, Player] = {
            "ring": Player("the ring tone", bell, tones.ring_tone),
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
            self._engine.spawn(self._fetch(player, value), "fetch a tone")
            return True
        if tone != "connect" and isinstance(value, (str, os.PathLike)) and os.path.isfile(value):
            self._wanted[tone], player.src = True, os.fspath(value)
            return True
        allowed = "True or False" if tone == "connect" else "True, False, a URL, or the path of a file"
        _logger.warning("%s cannot be %r; allowed: %s.", player.name.capitalize(), value, allowed)
        return False

    async def _fetch(self, player: Player, url: str) -> None:
        try:
            player.src = await self._files.fetch(url)
        except SourceError as error:
            _logger.warning("%s The built-in sound is played.", error)

    def wants(self, tone: Tone) -> bool:
        """Whether anything is to be played there."""
        return self._wanted[tone]

    def play(self, tone: Tone) -> None:
        """Begin that tone, if it is wanted."""
        if self._wanted[tone] and self._on:
            self._players[tone].play()

    def pause(self, tone: Tone) -> None:
        """End that tone."""
        self._players[tone].pause()

    def ring(self, session: CallSession, on: bool) -> None:
        """This call begins or ceases to ring; it is heard while any does."""
        if on:
            self._ringing.append(session)
            self.play("ring")
        elif session in self._ringing:
            self._ringing.remove(session)
            if not self._ringing:
                self.pause("ring")

    def digits(self, digits: str) -> None:
        """Let the user hear the digits that are sent."""
        if self._on:
            self._dtmf.pause()
            self._dtmf.play(tones.DtmfTones(digits))

    def close(self) -> None:
        """Forget what was fetched."""
        self._on = False
        self._files.close()
