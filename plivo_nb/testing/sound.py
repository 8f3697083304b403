"""For tests of your own: a sound card made of numpy, so that microphone, speaker and plugs are yours to pull.

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

from plivo_nb.audio_types import FULLBAND_RATE, Pcm, Source
from plivo_nb.errors import MediaError
from plivo_nb.media.audio.sources import Silence
from plivo_nb.sound.devices import NOT_ALLOWED, NOT_FOUND, Device, Kind, stable_id

if TYPE_CHECKING:
    from collections.abc import Callable

_BLOCK_S = 0.02
_KEPT_S = 600


class FakeSound:
    """A sound system with devices that exist only here. Give it to a client as the option `sound`.

    It begins with one microphone and one speaker, which are the default ones. Its methods may be called from
    any thread.

    Args:
        microphones: their labels.
        speakers: their labels.
        rate: of all devices, Hz.
        skew: how fast their clock runs; 1.0003: 300 ppm fast.
        running: False: time stands still but for `step`.
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
        """Plug a device in; the first of its kind is the default one. A label has the same id each time."""
        device = Device(stable_id("fake", kind, label), kind, label, stable_id("fake", label))
        with self._lock:
            self._devices.append(device)
        self._tell()
        return device

    def unplug(self, device: Device | str) -> None:
        """Pull a device out, also in use: its streams live on, but nothing happens in them any more."""
        key = device if isinstance(device, str) else device.deviceId
        with self._lock:
            self._devices = [item for item in self._devices if item.deviceId != key]
            for stream in self._streams:
                stream.dead = stream.dead or stream.device_id == key
        self._tell()

    def occupy(self, device: Device, busy: bool = True) -> None:
        """Let another program have the device, so that it cannot be opened."""
        (self._busy.add if busy else self._busy.discard)(device.deviceId)

    def says(self, source: Source, microphone: Device | None = None) -> None:
        """What a microphone hears from now on; by default the first one."""
        device = microphone or next(d for d in self._devices if d.kind == "audioinput")
        source.open(self.rate)
        self._says[device.deviceId] = source

    def heard(self, speaker: Device | None = None) -> Pcm:
        """All that a speaker has played, at `rate`; by default the first one."""
        device = speaker or next(d for d in self._devices if d.kind == "audiooutput")
        with self._lock:
            return np.concatenate([np.zeros(0, np.int16), *self._heard.get(device.deviceId, [])])

    def open_streams(self, kind: Kind | None = None) -> list[FakeStream]:
        """The streams that are open now."""
        with self._lock:
            return [stream for stream in self._streams if kind in (None, stream.kind)]

    def step(self, samples: int = 0) -> None:
        """Let each open stream do one block of so many samples; by default 20 ms."""
        count = samples or round(_BLOCK_S * self.rate)
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
        if len(heard) > _KEPT_S / _BLOCK_S:
            del heard[0]

    def _tell(self) -> None:
        if self._changed is not None:
            self._changed()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            due = max(due + _BLOCK_S / self.skew, time.monotonic() - _BLOCK_S)
            self._stopped.wait(max(0.0, due - time.monotonic()))
            self.step()

    # ------------------------------------------------------------ for the device manager

    def start(self, changed: Callable[[], None]) -> None:
        """See `SoundSystem`."""
        if self.missing:
            raise MediaError("Sound is missing, as this test wants it.", NOT_FOUND)
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
        """The first one."""
        return next((d.deviceId for d in self.devices() if d.kind == kind), None)

    def open_input(self, device_id: str | None, rate: int, take: Callable[[Pcm], None]) -> FakeStream:
        """See `SoundSystem`."""
        return self._open("audioinput", device_id, take)

    def open_output(self, device_id: str | None, rate: int, fill: Callable[[Pcm], None]) -> FakeStream:
        """See `SoundSystem`."""
        return self._open("audiooutput", device_id, fill)

    def _open(self, kind: Kind, device_id: str | None, work: Callable[[Pcm], None]) -> FakeStream:
        key = device_id or self.default(kind)
        if key is None or not any(d.deviceId == key and d.kind == kind for d in self.devices()):
            raise MediaError(f"There is no {kind} {device_id!r}.", NOT_FOUND)
        if key in self._busy:
            raise MediaError(f"Another program has the {kind}.", NOT_ALLOWED)
        stream = FakeStream(self, kind, key, work)
        with self._lock:
            self._streams.append(stream)
        return stream

    def must_restart(self) -> bool:
        """Never: it always knows."""
        return False

    def restart(self) -> None:
        """Nothing to do."""

    def stop(self) -> None:
        """Let time stand still."""
        self._changed = None
        self._stopped.set()
        if self._clock is not None:
            self._clock.join(1.0)
            self._clock = None

    def __repr__(self) -> str:
        return f"<FakeSound of {', '.join(device.label for device in self.devices())}>"


class FakeStream:
    """An open stream of a `FakeSound`."""

    def __init__(self, system: FakeSound, kind: Kind, device_id: str, work: Callable[[Pcm], None]) -> None:
        self._system = system
        self.kind: Kind = kind
        self.work = work
        self.rate = system.rate
        self.latency_s = _BLOCK_S
        self.callbacks = 0
        self.device_id: str | None = device_id
        self.dead = False

    def lost(self) -> bool:
        """As with real devices, nobody tells."""
        return False

    def move(self, device_id: str | None) -> bool:
        """It has to be opened anew."""
        return False

    def close(self) -> None:
        """Do nothing any more."""
        with self._system._lock:
            if self in self._system._streams:
                self._system._streams.remove(self)


_SILENCE = Silence()

__all__ = ["FakeSound", "FakeStream"]
