"""client.audio: the microphone, the speaker, and the device that rings (spec.md section 3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from plivo_nb.engine.call_sound import CallSound
from plivo_nb.engine.players import Player, ToneFiles
from plivo_nb.errors import MediaError, SourceError
from plivo_nb.media import tones
from plivo_nb.media.devices import NOT_FOUND, Device, SoundSystem
from plivo_nb.media.microphone import InputLine, Microphone
from plivo_nb.media.portaudio import PortAudio
from plivo_nb.media.sound_desk import DeviceChange, SoundDesk
from plivo_nb.media.speaker import OutputLine
from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from plivo_nb.engine.engine import Engine
    from plivo_nb.engine.session import Session
    from plivo_nb.media.line import Line, LineState
    from plivo_nb.options import Options

_logger = logging.getLogger("plivo_nb.sound")
_T = TypeVar("_T")

Tone = Literal["ring", "ringback", "connect"]
_KINDS = {"input": "audioinput", "output": "audiooutput"}
_UNDONE = ("echoCancellation", "noiseSuppression", "autoGainControl")
_URL = re.compile(r"https?://\S+")


class AudioDevices:
    """The sound of one client.

    Args:
        engine: whose loop is used.
        options: sound, permOnClick and audioConstraints matter here.
        emit: hands an event to the client's listeners.
        on_microphone: told ``lost`` and ``present``.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        emit: Callable[..., None],
        on_microphone: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._options = options
        self._emit = emit
        self._on_microphone = on_microphone
        self._operations: set[Operation[Any]] = set()
        self._permission_told = False
        self._closed = False
        self._desk: SoundDesk | None = _desks.take(options.sound)
        wake = self._desk.wake if self._desk is not None else _nothing
        self.input_line = InputLine(wake, self._input_state)
        self.speaker_line = OutputLine(wake)
        self.ringtone_line = OutputLine(wake)
        self._ringing: list[Session] = []
        self._wanted: dict[Tone, bool] = {"ring": True, "ringback": True, "connect": True}
        self._files = ToneFiles()
        self._players: dict[str, Player] = {
            "ring": Player("the ring tone", self.ringtone_line, tones.ring_tone),
            "ringback": Player("the ring-back tone", self.speaker_line, tones.ringback_tone),
            "connect": Player("the dial tone", self.speaker_line, tones.dial_tone),
            "dtmf": Player("the DTMF tones", self.speaker_line, lambda: tones.DtmfTones("5")),
        }
        speaker = {"dtmf": self._players["dtmf"], "ringback": self._players["ringback"]}
        self._microphone_devices = DeviceChoice(self, self.input_line, speaker)
        self._speaker_devices = DeviceChoice(self, self.speaker_line, speaker)
        self._ringtone_devices = DeviceChoice(self, self.ringtone_line, speaker)
        self._constrain()
        if self._desk is not None:
            self._desk.add(self.input_line, self._changed)
            self._desk.add(self.speaker_line)
            self._desk.add(self.ringtone_line)
        if options.sound not in ("none", "browser"):  # who wants no microphone is not asked for it
            engine.spawn(self._prepare(), "sound")

    # ------------------------------------------------------------ what there is

    @property
    def mode(self) -> str:
        """What this client's sound is: 'device', 'browser' or 'none'; 'none' also where there is nothing."""
        if self._desk is None:
            return "browser" if self._options.sound == "browser" else "none"
        return "none" if self._desk.error is not None else "device"

    def available_devices(self, filter: Literal["input", "output"] | None = None) -> Operation[list[Device]]:
        """What microphones and speakers there are; await it for the list.

        Args:
            filter: ``"input"``, ``"output"``, or None for both.

        Returns:
            Objects with `deviceId`, `kind` (audioinput or audiooutput), `label` and `groupId`. Without any
            sound here, an empty list.

        Raises:
            ValueError: another filter.
        """
        if filter is not None and filter not in _KINDS:
            raise ValueError(f"available_devices takes 'input', 'output' or None, not {filter!r}.")
        return self._operation("list the audio devices", self._available(filter))

    availableDevices = available_devices

    async def _available(self, filter: str | None) -> list[Device]:
        if self._desk is None:
            return []
        try:
            devices = await self._ask(self._desk.devices)
        except MediaError:
            return []
        return [device for device in devices if filter is None or device.kind == _KINDS[filter]]

    def reveal_audio_devices(self, arg: str | None = None) -> Operation[str | Microphone]:
        """Open the microphone once, as a browser must before it tells labels.

        Args:
            arg: ``"returnStream"``: leave it open and give the stream.

        Returns:
            When awaited ``"success"``; with ``"returnStream"`` a source of sound, open at 48 kHz until its
            `stop` is called, which can be read or be given to `Call.play`.

        Raises (when awaited):
            MediaError: ``.code`` is NotFoundError or NotAllowedError.
        """
        return self._operation("reveal the audio devices", self._reveal(arg))

    revealAudioDevices = reveal_audio_devices

    async def _reveal(self, arg: str | None) -> str | Microphone:
        await self._try_microphone()
        if arg != "returnStream":
            return "success"
        microphone = Microphone(self.input_line)
        microphone.open(48_000)
        microphone.start()
        return microphone

    @property
    def microphone_devices(self) -> DeviceChoice:
        """Which microphone the call hears us by."""
        return self._microphone_devices

    microphoneDevices = microphone_devices

    @property
    def speaker_devices(self) -> DeviceChoice:
        """Where the call, DTMF tones and the ring-back tone are heard."""
        return self._speaker_devices

    speakerDevices = speaker_devices

    @property
    def ringtone_devices(self) -> DeviceChoice:
        """Where the ring tone of incoming calls is heard."""
        return self._ringtone_devices

    ringtoneDevices = ringtone_devices

    @property
    def volume(self) -> float:
        """What is heard is multiplied by it; 1 by default. The ring tone is not touched."""
        return self.speaker_line.volume

    @volume.setter
    def volume(self, volume: float) -> None:
        self.speaker_line.volume = _factor("volume", volume)

    @property
    def input_gain(self) -> float:
        """What the microphone hears is multiplied by it; 1 by default."""
        return self.input_line.gain

    @input_gain.setter
    def input_gain(self, gain: float) -> None:
        self.input_line.gain = _factor("input_gain", gain)

    inputGain = input_gain

    @property
    def latency_ms(self) -> dict[str, float]:
        """What devices and system add, by direction, for those that are open now."""
        lines = {"input": self.input_line.stream, "output": self.speaker_line.stream}
        return {name: 1000 * stream.latency_s for name, stream in lines.items() if stream is not None}

    # ------------------------------------------------------------ tones

    def set_tone(self, tone: Tone, value: bool | str) -> bool:
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
        if self._wanted[tone] and self._desk is not None:
            self._players[tone].play()

    def pause(self, tone: Tone) -> None:
        """End that tone."""
        self._players[tone].pause()

    def ring(self, session: Session, on: bool) -> None:
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
        if self._desk is not None:
            self._players["dtmf"].pause()
            self._players["dtmf"].play(tones.DtmfTones(digits))

    # ------------------------------------------------------------ calls

    def follow(self, session: Session) -> None:
        """Give this call a microphone, a speaker and tones."""
        if self._desk is not None and self._desk.error is None:
            CallSound(self, session)

    async def choose(self, line: Line, device_id: str | None) -> None:
        """Lead a line to a device; a call that goes on moves at once.

        Raises:
            MediaError: there is no such device.
        """
        desk = self._desk
        if desk is None:
            raise MediaError("This client has no sound: it was made with sound='none'.", NOT_FOUND)
        await self._ask(lambda: desk.choose(line, device_id))

    # ------------------------------------------------------------ permission and changes

    async def _prepare(self) -> None:
        desk = self._desk
        try:
            if desk is None:
                return
            if not await self._ask(desk.devices):
                raise MediaError("This machine has no sound device.", NOT_FOUND)
        except MediaError as error:
            if self._options.sound is None:
                _say_once(f"{error} Calls go on without microphone and speaker; sound='none' asks for that.")
            else:
                _logger.warning("%s Calls go on without microphone and speaker.", error)
            self._tell_permission(error)
            return
        wanted = self.input_line.chosen
        if wanted is not None and not desk.has("audioinput", wanted):
            _logger.warning("audioConstraints: there is no microphone %r; the default one is used.", wanted)
        if not self._options.perm_on_click:
            with contextlib.suppress(MediaError):
                await self._try_microphone()

    async def _try_microphone(self) -> None:
        desk = self._desk
        try:
            if desk is None:
                raise MediaError("This client has no sound: it was made with sound='none'.", NOT_FOUND)
            await self._ask(lambda: desk.try_device(self.input_line))
        except MediaError as error:
            self._tell_permission(error)
            raise
        self._tell_permission(None)

    def _tell_permission(self, error: MediaError | None) -> None:
        if self._permission_told or self._closed:
            return
        self._permission_told = True
        if error is None:
            self._emit("onMediaPermission", {"status": "success", "stream": True})
        else:
            self._emit("onMediaPermission", {"status": "failure", "error": error.code})

    def _input_state(self, state: LineState, error: MediaError | None) -> None:
        """The microphone's line changed; on the desk's thread."""
        self._on_loop(self._microphone_is, state, error)

    def _microphone_is(self, state: LineState, error: MediaError | None) -> None:
        match state:
            case "open":
                self._tell_permission(None)
                self._on_microphone("present")
            case "lost" | "failed":
                if error is not None:
                    self._tell_permission(error)
                self._on_microphone("lost")

    def _changed(self, change: DeviceChange) -> None:
        """A device came or went; on the desk's thread."""
        what, device = change
        self._on_loop(self._emit, "onAudioDeviceChange", {"change": what, "device": device})
        line, desk = self.input_line, self._desk
        if device.kind == "audioinput" and desk is not None and not line.wanted:
            there = desk.has(line.kind) if line.chosen is None else desk.has(line.kind, line.chosen)
            self._on_loop(self._on_microphone, "present" if there else "lost")

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens
                self._engine.loop.call_soon_threadsafe(function, *arguments)

    def _constrain(self) -> None:
        """Do what audioConstraints asks for and can be done; name the rest in one warning."""
        wanted = {name: _ideal(value) for name, value in self._options.audio_constraints.items()}
        if isinstance(wanted.get("deviceId"), str) and wanted["deviceId"] != "default":
            self.input_line.chosen = wanted["deviceId"]
        if isinstance(wanted.get("sampleRate"), int):
            self.input_line.rate = wanted["sampleRate"]
        undone = [name for name in _UNDONE if wanted.get(name)]
        if wanted.get("channelCount") not in (None, 1):
            undone.append("channelCount")
        if undone:
            _logger.warning(
                "audioConstraints: %s cannot be done here; the microphone is used as it is, in mono.",
                ", ".join(undone),
            )

    # ------------------------------------------------------------ the desk

    async def _ask(self, question: Callable[[], _T]) -> _T:
        assert self._desk is not None
        return await asyncio.wrap_future(self._desk.do(question))

    def _operation(self, name: str, work: Coroutine[Any, Any, _T]) -> Operation[_T]:
        operation = Operation.start(self._engine.loop, name, lambda: (work, None))
        self._operations.add(operation)
        operation.add_done_callback(lambda: self._operations.discard(operation))
        return operation

    async def close(self) -> None:
        """Be silent, and close the devices of this client."""
        if self._closed:
            return
        self._closed = True
        for operation in list(self._operations):
            operation.cancel()
            await operation.settled()
        self._files.close()
        desk, self._desk = self._desk, None
        if desk is None:
            return
        lines: list[Line] = [self.input_line, self.speaker_line, self.ringtone_line]
        closing = desk.remove(lines, self._changed)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(closing), 1.0)
        await asyncio.to_thread(_desks.give_back, desk)


class DeviceChoice:
    """One of `microphone_devices`, `speaker_devices` and `ringtone_devices`."""

    def __init__(self, audio: AudioDevices, line: Line, players: dict[str, Player]) -> None:
        self._audio = audio
        self._line = line
        self._players = players

    def set(self, device_id: str) -> Operation[None]:
        """Use this device, from now on; a call that goes on moves to it.

        Args:
            device_id: a `deviceId` of `AudioDevices.available_devices`.

        Raises (when awaited):
            MediaError: ``NotFoundError``: there is no such device; nothing is changed.
        """
        return self._audio._operation("choose a device", self._audio.choose(self._line, str(device_id)))

    def get(self) -> str | None:
        """The id of the device that was chosen; None: the system's default is used."""
        return self._line.chosen

    def reset(self) -> Operation[None]:
        """Use the system's default device again."""
        return self._audio._operation("choose a device", self._audio.choose(self._line, None))

    def media(self, source: str) -> Player:
        """The player of a sound.

        Args:
            source: ``"dtmf"`` or ``"ringback"``.

        Raises:
            ValueError: another source.
        """
        if source not in self._players:
            raise ValueError(f"media takes 'dtmf' or 'ringback', not {source!r}.")
        return self._players[source]


class _Desks:
    """One sound desk for each sound system: PortAudio is one for the whole process."""

    def __init__(self) -> None:
        self._desks: dict[int, tuple[SoundDesk, int]] = {}

    def take(self, sound: Any) -> SoundDesk | None:
        """The desk of this choice of the option sound; None: no devices are wanted."""
        if sound in ("none", "browser"):
            return None
        key = 0 if sound in (None, "device") else id(sound)
        desk, users = self._desks.get(key, (None, 0))
        if desk is None:
            desk = SoundDesk(PortAudio() if key == 0 else sound)
            desk.start()
        self._desks[key] = (desk, users + 1)
        return desk

    def give_back(self, desk: SoundDesk) -> None:
        """The desk ends with its last user."""
        for key, (item, users) in list(self._desks.items()):
            if item is desk:
                if users > 1:
                    self._desks[key] = (desk, users - 1)
                else:
                    del self._desks[key]
                    desk.stop()


_desks = _Desks()
_said: set[str] = set()


def _say_once(sentence: str) -> None:
    if sentence not in _said:
        _said.add(sentence)
        _logger.info(sentence)


def _factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 16:
        raise ValueError(f"{name} is a number from 0 to 16, not {value!r}.")
    return float(value)


def _ideal(value: Any) -> Any:
    """A constraint's value: bare, or in a dict with 'exact' or 'ideal' as browsers take it."""
    if isinstance(value, dict):
        return value.get("exact", value.get("ideal"))
    return value


def _nothing() -> None:
    """There is no desk to wake."""


__all__ = ["AudioDevices", "Device", "DeviceChoice", "Player", "SoundSystem"]
