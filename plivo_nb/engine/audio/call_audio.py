"""Which tone or voice is played when, in the course of one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sound.microphone import Microphone
from plivo_nb.sound.speaker import Speaker

if TYPE_CHECKING:
    from plivo_nb.engine.audio.devices import AudioDevices
    from plivo_nb.engine.call_session import CallSession


class CallAudio:
    """The microphone, the speaker and the tones of one call, by the triggers of `call_session.TRANSITIONS`.

    Outgoing: dial tone to the first 18x (setConnectTone); from there on the ring-back tone, or the far end's
    early media (setRingToneBack); from the answer on the call. Incoming: the ring tone until it is answered,
    rejected, ignored or canceled.

    Args:
        audio: the client's devices and tones.
        session: the call.
    """

    def __init__(self, audio: AudioDevices, session: CallSession) -> None:
        self._audio = audio
        self._session = session
        self._microphone = Microphone(audio.input_route)
        self._speaker = Speaker(audio.speaker_route)
        self._microphone.live = self._speaker.audible = False
        self._progressed = False
        session.media.microphone = self._microphone
        if session.media.source is None:
            session.media.set_source(self._microphone)
        session.media.add_sink(self._speaker)
        session.media.page = lambda: (audio.page_rtt_ms, audio.page_underruns)
        session.watchers.append(self._watch)
        session.over.add_done_callback(lambda _: self._end())

    def join(self) -> None:
        """Begin in the middle of the call: a microphone and speaker have appeared."""
        session = self._session
        match session.phase:
            case "ringing" if session.direction == "INCOMING":
                self._audio.tones.ring(session, True)
            case "answered":
                self._open_devices()
                self._speaker.audible = self._microphone.live = True
            case "preparing" | "calling" | "ringing" | "answering":
                self._open_devices()

    def _watch(self, trigger: str) -> None:
        match trigger:
            case "dial":
                self._open_devices()
                self._audio.tones.play("connect")
            case "progress":
                self._progress()
            case "offered":
                self._audio.tones.ring(self._session, True)
            case "answer":
                self._audio.tones.ring(self._session, False)
                self._open_devices()
            case "ignore":
                self._audio.tones.ring(self._session, False)
            case "answered" | "confirmed":
                self._stop_tones()
                self._speaker.audible = self._microphone.live = True

    def _open_devices(self) -> None:
        """Open the devices while the call is set up, so that the answer does not wait for them."""
        if self._session.media.source is self._microphone:
            self._microphone.start()
        self._speaker.start()

    def _progress(self) -> None:
        self._audio.tones.pause("connect")
        if self._progressed:
            return
        self._progressed = True
        if self._audio.tones.wants("ringback"):
            self._audio.tones.play("ringback")
        else:
            self._speaker.audible = True

    def _stop_tones(self) -> None:
        if self._session.direction == "OUTGOING":
            self._audio.tones.pause("connect")
            self._audio.tones.pause("ringback")
        self._audio.tones.ring(self._session, False)

    def _end(self) -> None:
        self._stop_tones()
        self._speaker.stop()
        self._microphone.stop()
