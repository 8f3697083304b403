"""client.audio: the microphone, the speaker, and the device that rings (spec.md section 3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from plivo_nb.engine.audio.call_audio import CallAudio
from plivo_nb.engine.audio.device_choice import DeviceChoice
from plivo_nb.engine.audio.tones import Tones
from plivo_nb.engine.desks import desks
from plivo_nb.errors import MediaError
from plivo_nb.operation import Operation
from plivo_nb.sound.devices import NOT_FOUND, Device
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.sound.speaker import OutputRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.options import Options
    from plivo_nb.sound.device_manager import DeviceChange, DeviceManager
    from plivo_nb.sound.route import DeviceRoute, RouteState

_logger = logging.getLogger("plivo_nb.sound")
_T = TypeVar("_T")

_KINDS = {"input": "audioinput", "output": "audiooutput"}
_UNDONE = ("echoCancellation", "noiseSuppression", "autoGainControl")
_GOODBYE_S = 1.0
_LEAST_HZ, _MOST_HZ = 8_000, 192_000
_SILENT = "This client has no sound: it was made with sound='none', or is closed."


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
        self._desk: DeviceManager | None = desks.take(options.sound)
        wake = self._desk.wake if self._desk is not None else _nothing
        self.input_line = InputRoute(wake, self._input_state)
        self.speaker_line = OutputRoute(wake)
        self.ringtone_line = OutputRoute(wake)
        self.tones = Tones(engine, self.speaker_line, self.ringtone_line, on=self._desk is not None)
        players = self.tones.players
        self._microphone_devices = DeviceChoice(
            partial(self._choose, self.input_line), self.input_line, players
        )
        self._speaker_devices = DeviceChoice(
            partial(self._choose, self.speaker_line), self.speaker_line, players
        )
        self._ringtone_devices = DeviceChoice(
            partial(self._choose, self.ringtone_line), self.ringtone_line, players
        )
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

    # ------------------------------------------------------------ calls

    def follow(self, session: CallSession) -> None:
        """Give this call a microphone, a speaker and tones."""
        if self._desk is not None and self._desk.error is None:
            CallAudio(self, session)

    def _choose(self, line: DeviceRoute, device_id: str | None) -> Operation[None]:
        """Lead a line to a device; a call that goes on moves at once."""

        async def choose() -> None:
            desk = self._desk
            if desk is None:
                raise MediaError(_SILENT, NOT_FOUND)
            await self._ask(lambda: desk.choose(line, device_id))

        return self._operation("choose a device", choose())

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
                raise MediaError(_SILENT, NOT_FOUND)
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

    def _input_state(self, state: RouteState, error: MediaError | None) -> None:
        """The microphone's line changed; on the desk's thread."""
        self._on_loop(self._microphone_is, state, error)

    def _microphone_is(self, state: RouteState, error: MediaError | None) -> None:
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
        undone = [name for name in _UNDONE if wanted.get(name)]
        rate = wanted.get("sampleRate")
        if isinstance(rate, int) and _LEAST_HZ <= rate <= _MOST_HZ:
            self.input_line.rate = rate
        elif rate is not None:
            undone.append("sampleRate")
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
        self.tones.close()
        desk, self._desk = self._desk, None
        if desk is None:
            return
        lines: list[DeviceRoute] = [self.input_line, self.speaker_line, self.ringtone_line]
        closing = desk.remove(lines, self._changed)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(closing), _GOODBYE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(desks.give_back(desk)), _GOODBYE_S)


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
