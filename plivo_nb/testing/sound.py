"""FakeSound: a sound card without hardware, for users' own tests.

sound = FakeSound()
sound.says(Tone(440))
async with Client(**lab.options(sound=sound)) as client:
    ...
    heard = sound.heard()
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb.audio_types import FRAME_S, FULLBAND_RATE, Pcm, Source
from plivo_nb.errors import MediaError
from plivo_nb.media.audio.sources import Silence
from plivo_nb.sound.devices import NOT_ALLOWED, NOT_FOUND, Device, Kind, stable_id

if TYPE_CHECKING:
    from collections.abc import Callable

_KEPT_S = 600


class FakeSound:
    """A sound system with simulated devices. Pass it to a client as the option `sound`.

    At first it has one microphone and one speaker, which are the default devices. Its methods may be called
    from any thread.

    Args:
        microphones: the labels of the microphones.
        speakers: the labels of the speakers.
        rate: the sample rate of all devices, in Hz.
        skew: the speed of the devices' clock; 1.0003 = 300 ppm fast.
        running: whether a thread drives the devices in real time; False = only `step` does.

    Example:
        >>> sound = FakeSound(running=False)
        >>> [device.label for device in sound.devices()]
        ['Fake microphone', 'Fake speaker']
    """

    def __init__(
        self,
        microphones: tuple[str, ...] = ("Fake microphone",),
        speakers: tuple[str, ...] = ("Fake speaker",),
        *,
        rate: int = FULLBAND_RATE,
        skew: float = 1.0,
        running: bool = True,
    ) -> None:
        self.rate, self.skew = rate, skew
        self.missing = False
        self._running = running
        self._lock = threading.RLock()
        self._devices: list[Device] = []
        self._busy: set[str] = set()
        self._heard: dict[str, list[Pcm]] = {}
        self._says: dict[str, Source] = {}
        self._streams: list[FakeStream] = []
        self._changed: Callable[[], None] | None = None
        self._clock: threading.Thread | None = None
        self._stopped = threading.Event()
        for label in microphones:
            self.plug("audioinput", label)
        for label in speakers:
            self.plug("audiooutput", label)

    # ------------------------------------------------------------ for tests

    def plug(self, kind: Kind, label: str) -> Device:
        """Connect a device; the first of its kind is the default. The label determines the id."""
        device = Device(stable_id("fake", kind, label), kind, label, stable_id("fake", label))
        with self._lock:
            self._devices.append(device)
        self._tell()
        return device

    def unplug(self, device: Device | str) -> None:
        """Remove a device. Streams that use it stay open but are not called any more."""
        key = device if isinstance(device, str) else device.deviceId
        with self._lock:
            self._devices = [item for item in self._devices if item.deviceId != key]
            for stream in self._streams:
                stream.dead = stream.dead or stream.device_id == key
        self._tell()

    def occupy(self, device: Device, busy: bool = True) -> None:
        """Simulate that another program uses the device, so that it cannot be opened."""
        (self._busy.add if busy else self._busy.discard)(device.deviceId)

    def says(self, source: Source, microphone: Device | None = None) -> None:
        """Set the source that a microphone records; by default the first microphone."""
        device = microphone or next(d for d in self._devices if d.kind == "audioinput")
        source.open(self.rate)
        self._says[device.deviceId] = source

    def heard(self, speaker: Device | None = None) -> Pcm:
        """Return all samples (int16) that a speaker has played; by default the first speaker."""
        device = speaker or next(d for d in self._devices if d.kind == "audiooutput")
        with self._lock:
            return np.concatenate([np.zeros(0, np.int16), *self._heard.get(device.deviceId, [])])

    def open_streams(self, kind: Kind | None = None) -> list[FakeStream]:
        """Return the open streams, optionally of one kind."""
        with self._lock:
            return [stream for stream in self._streams if kind in (None, stream.kind)]

    def step(self, samples: int = 0) -> None:
        """Call each open stream once with a block of this many samples (0 = 20 ms)."""
        count = samples or round(FRAME_S * self.rate)
        with self._lock:
            for stream in list(self._streams):
                if not stream.dead:
                    self._turn(stream, count)

    def _turn(self, stream: FakeStream, count: int) -> None:
        stream.callbacks += 1
        key = stream.device_id or ""
        if stream.kind == "audioinput":
            pcm = self._says.get(key, _SILENCE).read(count)
            stream.work(np.zeros(count, np.int16) if pcm is None else pcm)
            return
        out = np.zeros(count, np.int16)
        stream.work(out)
        heard = self._heard.setdefault(key, [])
        heard.append(out)
        if len(heard) > _KEPT_S / FRAME_S:
            del heard[0]

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            due = max(due + FRAME_S / self.skew, time.monotonic() - FRAME_S)
            self._stopped.wait(max(0.0, due - time.monotonic()))
            self.step()

    # ------------------------------------------------------------ for the device manager

    def start(self, changed: Callable[[], None]) -> None:
        """See `SoundSystem`."""
        if self.missing:
            raise MediaError("Sound is missing (`FakeSound.missing` is set).", NOT_FOUND)
        self._changed = changed
        self._stopped.clear()
        if self._running:
            self._clock = threading.Thread(target=self._run, name="plivo_nb fake sound", daemon=True)
            self._clock.start()

    def devices(self) -> list[Device]:
        """See `SoundSystem`."""
        with self._lock:
            return list(self._devices)

    def default(self, kind: Kind) -> str | None:
        """Return the id of the first device of this kind, or None."""
        return next((d.deviceId for d in self.devices() if d.kind == kind), None)

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> FakeStream:
        """See `SoundSystem`."""
        return self._open("audioinput", device_id, take)

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> FakeStream:
        """See `SoundSystem`."""
        return self._open("audiooutput", device_id, fill)

    def _open(self, kind: Kind, device_id: str | None, work: Callable[[Pcm], None]) -> FakeStream:
        key = device_id or self.default(kind)
        if key is None:
            what = "microphone" if kind == "audioinput" else "speaker"
            raise MediaError(f"This machine has no {what}.", NOT_FOUND)
        if not any(d.deviceId == key and d.kind == kind for d in self.devices()):
            raise MediaError(f"There is no {kind} {device_id!r}.", NOT_FOUND)
        if key in self._busy:
            raise MediaError(f"Another program uses the {kind}.", NOT_ALLOWED)
        stream = FakeStream(self, kind, key, work)
        with self._lock:
            self._streams.append(stream)
        return stream

    def must_restart(self) -> bool:
        """See `SoundSystem`; changes of devices are always known."""
        return False

    def restart(self) -> None:
        """See `SoundSystem`; does nothing."""

    def stop(self) -> None:
        """Stop the thread that drives the devices."""
        self._changed = None
        self._stopped.set()
        if self._clock is not None:
            self._clock.join(1.0)
            self._clock = None

    def __repr__(self) -> str:
        return f"<FakeSound with {', '.join(device.label for device in self.devices())}>"


class FakeStream:
    """An open stream of a `FakeSound`."""

    def __init__(self, system: FakeSound, kind: Kind, device_id: str, work: Callable[[Pcm], None]) -> None:
        self._system = system
        self.kind: Kind = kind
        self.work = work
        self.rate = system.rate
        self.latency_s = FRAME_S
        self.callbacks = 0
        self.device_id: str | None = device_id
        self.direct = self.punctual = False
        self.dead = False

    def lost(self) -> bool:
        """See `SoundSystem`; a lost device is not reported."""
        return False

    def move(self, device_id: str | None) -> bool:
        """See `SoundSystem`; the stream must be opened again."""
        return False

    def close(self) -> None:
        """Close the stream."""
        with self._system._lock:
            if self in self._system._streams:
                self._system._streams.remove(self)


_SILENCE = Silence()

__all__ = ["FakeSound", "FakeStream"]
