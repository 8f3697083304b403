"""Which sound is heard when: tones and voices over the course of one call (spec.md section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sound.microphone import Microphone
from plivo_nb.sound.speaker import Speaker

if TYPE_CHECKING:
    from plivo_nb.engine.audio.devices import AudioDevices
    from plivo_nb.engine.call_session import CallSession


class CallAudio:
    """The microphone, the speaker and the tones of one call, led by what `TRANSITIONS` does.

    Outgoing: dial tone to the first 18x (setConnectTone); from there on the ring-back tone, or the far end's
    early media (setRingToneBack); from the answer on the call. Incoming: the ring tone until it is answered,
    refused, ignored or given up.

    Args:
        audio: whose devices are used.
        session: the call.
    """

    def __init__(self, audio: AudioDevices, session: CallSession) -> None:
        self._audio = audio
        self._session = session
        self._microphone = Microphone(audio.input_line)
        self._speaker = Speaker(audio.speaker_line)
        self._microphone.live = self._speaker.audible = False
        self._rings_back = False
        session.media.microphone = session.media.source = self._microphone
        session.media.add_sink(self._speaker)
        session.watchers.append(self._watch)
        session.over.add_done_callback(lambda _: self._end())

    def _watch(self, trigger: str) -> None:
        match trigger:
            case "dial":
                self._begin()
                self._audio.tones.play("connect")
            case "progress":
                self._progress()
            case "offered":
                self._audio.tones.ring(self._session, True)
            case "answer":
                self._audio.tones.ring(self._session, False)
                self._begin()
            case "ignore":
                self._audio.tones.ring(self._session, False)
            case "answered" | "confirmed":
                self._quiet()
                self._speaker.audible = self._microphone.live = True

    def _begin(self) -> None:
        """Open the devices: while the call is being set up there is time for it."""
        if self._session.media.source is self._microphone:
            self._microphone.start()
        self._speaker.start()

    def _progress(self) -> None:
        self._audio.tones.pause("connect")
        if self._rings_back:
            return
        self._rings_back = True
        if self._audio.tones.wants("ringback"):
            self._audio.tones.play("ringback")
        else:
            self._speaker.audible = True

    def _quiet(self) -> None:
        if self._session.direction == "OUTGOING":
            self._audio.tones.pause("connect")
            self._audio.tones.pause("ringback")
        self._audio.tones.ring(self._session, False)

    def _end(self) -> None:
        self._quiet()
        self._speaker.stop()
        self._microphone.stop()
