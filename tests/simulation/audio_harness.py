"""A client's sound over the fake sound card, for sessions without a wire as in call_world."""

import numpy as np
from call_world import SessionHarness
from waiting import until

from plivo_nb.engine.audio.devices import AudioDevices
from plivo_nb.engine.call_session import CallSession
from plivo_nb.options import read_options
from plivo_nb.testing import FakeSound


class AudioHarness(SessionHarness):
    """One client's sound, and its calls."""

    def __init__(self, sound: object, **options: object) -> None:
        super().__init__()
        self.microphone: list[str] = []
        read = read_options(None, {"sound": sound, **options})
        self.audio = AudioDevices(self.engine, read, self.emit, self.microphone.append)

    def follow(self, session: CallSession) -> None:
        self.audio.follow(session)

    async def close(self) -> None:
        await super().close()
        await self.audio.close()


def opened(sound: FakeSound, kind: str) -> list[str]:
    labels = {device.deviceId: device.label for device in sound.devices()}
    return [labels.get(stream.device_id, "gone") for stream in sound.open_streams(kind)]


def peaks_hz(pcm: np.ndarray, count: int) -> list[float]:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    found = []
    for _ in range(count):
        index = int(spectrum.argmax())
        found.append(index * 48_000 / len(pcm))
        spectrum[max(0, index - 6) : index + 7] = 0
    return sorted(found)


async def heard(sound: FakeSound, seconds: float = 0.3, label: str | None = None) -> np.ndarray:
    """What the speaker plays in the next moments."""
    device = next(d for d in sound.devices() if d.kind == "audiooutput" and label in (None, d.label))
    length = len(sound.heard(device))
    await until(lambda: len(sound.heard(device)) >= length + (seconds + 0.1) * 48_000)
    return sound.heard(device)[-round(seconds * 48_000) :]
