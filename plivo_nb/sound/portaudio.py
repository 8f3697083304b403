"""PortAudio: microphones and speakers of this machine, through the package sounddevice.

Input and output are separate streams: a duplex stream through PulseAudio uses a whole core. sounddevice is
imported late, because the import fails where the PortAudio library is missing, as usual on servers.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.audio_types import FRAME_S
from plivo_nb.errors import MediaError
from plivo_nb.sound.devices import NOT_ALLOWED, NOT_FOUND, Device, Kind, stable_id
from plivo_nb.sound.pulse import PulseServer
from plivo_nb.thread_priority import raise_priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.audio_types import Pcm

_logger = logging.getLogger("plivo_nb.sound")

_LATENCY_S = 0.06  # 'low' costs 8-17 % of a core through PulseAudio, this 2 %
_INVALID_DEVICE = -9996
#: PortAudio's errors about channels, rate and sample format; another format may work.
_OTHER_FORMAT = (-9998, -9997, -9994)
#: ALSA's names of the device that leads to PulseAudio or PipeWire.
_PULSE_NAMES = ("pulse", "pipewire", "default")
_CARDS = "/proc/asound/cards"


class PortAudio:
    """The sound system of this machine.

    With PulseAudio or PipeWire, devices are its sinks and sources: it reports when one is added or removed,
    and moves a stream without a gap. Otherwise devices are PortAudio's.
    """

    def __init__(self) -> None:
        self._sd: Any = None
        self._pulse: PulseServer | None = None
        self._pulse_index: int | None = None  # PortAudio's index of the device that leads to PulseAudio
        self._cards = ""

    def start(self, changed: Callable[[], None]) -> None:
        """Load PortAudio, and connect to PulseAudio or PipeWire if there is one."""
        self._sd = load()
        _silence_alsa()
        self._cards = _cards()
        server = PulseServer.connect(changed)
        if server is None:
            return
        self._pulse_index = self._find_pulse_index()
        if self._pulse_index is None:  # PortAudio was loaded before the sound server came up
            self.restart()
            self._pulse_index = self._find_pulse_index()
        if self._pulse_index is None:
            _logger.info(
                "PulseAudio runs, but ALSA has no plugin for it; on Debian: apt install libasound2-plugins."
            )
            server.close()
            return
        self._pulse = server

    def _find_pulse_index(self) -> int | None:
        names = {str(device["name"]): index for index, device in enumerate(self._sd.query_devices())}
        return next((names[name] for name in _PULSE_NAMES if name in names), None)

    # ------------------------------------------------------------ devices

    def devices(self) -> list[Device]:
        """Return PulseAudio's sinks and sources, or PortAudio's devices of the default host API."""
        if self._pulse is not None:
            return self._pulse.devices()
        return [device for device, _ in self._listed()]

    def _listed(self) -> list[tuple[Device, int]]:
        """Return the devices, each with its present index in PortAudio."""
        found: list[tuple[Device, int]] = []
        seen: dict[tuple[str, str, str], int] = {}
        host_apis = self._sd.query_hostapis()
        main = self._sd.default.hostapi
        kinds: tuple[tuple[Kind, str], ...] = (
            ("audioinput", "max_input_channels"),
            ("audiooutput", "max_output_channels"),
        )
        for index, raw in enumerate(self._sd.query_devices()):
            if raw["hostapi"] != main and main >= 0:
                continue  # Windows lists each device once per host API
            host, name = str(host_apis[raw["hostapi"]]["name"]), str(raw["name"])
            for kind, channels in kinds:
                if raw[channels] <= 0:
                    continue
                number = seen[host, name, kind] = seen.get((host, name, kind), -1) + 1
                device = Device(
                    stable_id(host, name, kind, number), kind, name, stable_id(host, name, number)
                )
                found.append((device, index))
        return found

    def default(self, kind: Kind) -> str | None:
        """Return the id of the default device."""
        if self._pulse is not None:
            return self._pulse.default(kind)
        index = self._default_index(kind)
        return next((d.deviceId for d, i in self._listed() if i == index and d.kind == kind), None)

    def _default_index(self, kind: Kind) -> int:
        return int(self._sd.default.device[0 if kind == "audioinput" else 1])

    # ------------------------------------------------------------ streams

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> PortAudioStream:
        """Open a microphone."""
        return self._open("audioinput", device_id, rate, take)

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> PortAudioStream:
        """Open a speaker."""
        return self._open("audiooutput", device_id, rate, fill)

    def _open(
        self, kind: Kind, device_id: str | None, rate: int, work: Callable[[Pcm], None]
    ) -> PortAudioStream:
        if self._pulse is not None:
            return self._open_pulse(self._pulse, kind, device_id, rate, work)
        if device_id is None:
            index = self._default_index(kind)
        else:
            index = next((i for d, i in self._listed() if d.deviceId == device_id and d.kind == kind), -1)
        if index < 0:
            raise not_found(kind, device_id)
        opened = self._first_that_opens(kind, index, rate, work)
        opened.device_id = device_id or self.default(kind)
        opened.placed = True
        return opened

    def _open_pulse(
        self, server: PulseServer, kind: Kind, device_id: str | None, rate: int, work: Callable[[Pcm], None]
    ) -> PortAudioStream:
        where = device_id or server.default(kind)
        if where is None or not server.has(kind, where):
            raise not_found(kind, device_id)
        assert self._pulse_index is not None
        before = server.own_streams(kind)
        opened = self._first_that_opens(kind, self._pulse_index, rate, work)
        opened.server = server
        opened.number = server.new_stream(kind, before)
        if not opened.move(where):  # then it stays where PulseAudio put it
            _logger.debug("PulseAudio refused to move the new stream.")
        opened.placed = True
        return opened

    def _first_that_opens(
        self, kind: Kind, index: int, rate: int, work: Callable[[Pcm], None]
    ) -> PortAudioStream:
        """Open the device in mono at the wanted rate, else in stereo, else at its own rate."""
        own = int(self._sd.query_devices(index)["default_samplerate"])
        problem: Exception | None = None
        for hz, channels in ((rate, 1), (rate, 2), (own, 1), (own, 2)):
            try:
                return PortAudioStream(self._sd, kind, index, hz, channels, work)
            except self._sd.PortAudioError as error:
                problem = problem or error
                if _code(error) not in _OTHER_FORMAT:
                    break
        code = _code(problem)
        if code == _INVALID_DEVICE:
            raise not_found(kind, None) from problem
        what = "microphone" if kind == "audioinput" else "speaker"
        raise MediaError(
            f"The {what} cannot be opened ({problem}): another program uses it, or access is not allowed.",
            NOT_ALLOWED,
        ) from problem

    # ------------------------------------------------------------ changes

    def must_restart(self) -> bool:
        """Return whether the hardware may have changed: PortAudio lists it only when it starts."""
        if self._pulse is not None:
            return False
        return sys.platform != "linux" or _cards() != self._cards

    def restart(self) -> None:
        """Restart PortAudio, which closes every stream of this process."""
        self._sd._terminate()
        self._sd._initialize()
        self._cards = _cards()

    def stop(self) -> None:
        """Disconnect from PulseAudio. PortAudio stays loaded: other code in this process may use it."""
        if self._pulse is not None:
            self._pulse.close()
            self._pulse = None


class PortAudioStream:
    """One open and running stream of PortAudio, through PulseAudio or not.

    Raises:
        sounddevice.PortAudioError: the device does not open with these parameters.
    """

    def __init__(
        self, sd: Any, kind: Kind, index: int, rate: int, channels: int, work: Callable[[Pcm], None]
    ) -> None:
        self.rate = rate
        self.callbacks = 0
        self.device_id: str | None = None
        self.direct = self.punctual = False
        self.placed = False  # until it is on the right device, it carries no sound
        self.server: PulseServer | None = None
        self.number: int | None = None  # PulseAudio's
        self._kind: Kind = kind
        self._finished = False
        self._work = work
        self._channels = channels
        stream = sd.RawInputStream if kind == "audioinput" else sd.RawOutputStream
        self._stream = stream(
            samplerate=rate,
            blocksize=round(FRAME_S * rate),
            device=index,
            channels=channels,
            dtype="int16",
            latency=_LATENCY_S,
            callback=self._take if kind == "audioinput" else self._fill,
            finished_callback=self._finish,
        )
        try:
            self._stream.start()
        except BaseException:
            self._stream.close()
            raise
        self.latency_s = float(self._stream.latency)

    def _take(self, data: Any, frames: int, _time: Any, _status: Any) -> None:
        if not self.callbacks:
            raise_priority()
        self.callbacks += 1
        if self.placed:
            pcm = np.frombuffer(data, np.int16)
            self._work(pcm if self._channels == 1 else pcm[:: self._channels])

    def _fill(self, data: Any, frames: int, _time: Any, _status: Any) -> None:
        if not self.callbacks:
            raise_priority()
        self.callbacks += 1
        out = np.frombuffer(data, np.int16)
        if not self.placed:
            out[:] = 0
        elif self._channels == 1:
            self._work(out)
        else:
            self._work(out[:: self._channels])
            out.reshape(frames, self._channels)[:, 1:] = out[:: self._channels, None]

    def _finish(self) -> None:
        self._finished = True

    def lost(self) -> bool:
        """Return whether the stream has finished, or PulseAudio does not list it any more."""
        if self._finished:
            return True
        if self.server is None or self.number is None:
            return False
        return self.number not in self.server.own_streams(self._kind)

    def move(self, device_id: str | None) -> bool:
        """Move the stream through PulseAudio; PortAudio itself cannot."""
        if self.server is None or self.number is None:
            return False
        where = device_id or self.server.default(self._kind)
        if where is None or not self.server.move(self._kind, self.number, where):
            return False
        self.device_id = where
        return True

    def close(self) -> None:
        """Stop at once, also when the device is gone."""
        with contextlib.suppress(Exception):  # a removed device raises various errors
            self._stream.close(ignore_errors=True)


def load() -> Any:
    """Import sounddevice, with PortAudio.

    Raises:
        MediaError: ``NotFoundError``, with what to install.
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MediaError(
            "Sound needs the package sounddevice: pip install sounddevice.", NOT_FOUND
        ) from error
    except OSError as error:
        hint = "on Debian or Ubuntu: apt install libportaudio2"
        raise MediaError(f"Sound needs the PortAudio library ({hint}).", NOT_FOUND) from error
    return sounddevice


def not_found(kind: Kind, device_id: str | None) -> MediaError:
    """Return the error for a device that does not exist."""
    what = "microphone" if kind == "audioinput" else "speaker"
    if device_id is None:
        return MediaError(f"This machine has no {what}.", NOT_FOUND)
    return MediaError(f"There is no {what} {device_id!r}; see client.audio.available_devices().", NOT_FOUND)


def _code(error: Exception | None) -> int | None:
    """Return the number of a PortAudio error."""
    return int(error.args[1]) if error is not None and len(error.args) > 1 else None


def _cards() -> str:
    """Return the kernel's list of sound cards; '' where there is none."""
    try:
        with open(_CARDS, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _silence_alsa() -> None:
    """Keep ALSA from writing to standard error, which Jupyter shows in the cell that runs.

    Its error handler is replaced by a function of the C library that ignores what it is given: one in Python
    would need the interpreter in ALSA's threads, even while the interpreter shuts down.
    """
    if sys.platform != "linux" or "PLIVO_NB_ALSA_ERRORS" in os.environ:
        return
    name = ctypes.util.find_library("asound")
    if name is None:
        return
    with contextlib.suppress(OSError, AttributeError):
        handler = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        ctypes.CDLL(name).snd_lib_error_set_handler(handler)
