"""FakeSound: simulated devices, driven by `step`."""

from __future__ import annotations

import numpy as np
import pytest

from plivo_nb import Tone
from plivo_nb.errors import MediaError
from plivo_nb.testing import FakeSound


@pytest.fixture
def sound() -> FakeSound:
    sound = FakeSound(running=False)
    sound.start(lambda: None)
    return sound


def test_the_first_device_of_a_kind_is_the_default_and_a_label_keeps_its_id(sound: FakeSound) -> None:
    microphone = next(device for device in sound.devices() if device.kind == "audioinput")
    headset = sound.plug("audioinput", "Headset")
    assert sound.default("audioinput") == microphone.deviceId
    sound.unplug(microphone)
    assert sound.default("audioinput") == headset.deviceId
    assert sound.plug("audioinput", microphone.label).deviceId == microphone.deviceId


def test_a_step_records_the_source_and_keeps_what_is_played(sound: FakeSound) -> None:
    sound.says(Tone(440))
    taken: list[np.ndarray] = []
    sound.open_input(None, sound.rate, lambda pcm: taken.append(pcm.copy()))
    sound.open_output(None, sound.rate, lambda pcm: pcm.fill(7))
    for _ in range(3):
        sound.step(480)
    assert [len(pcm) for pcm in taken] == [480] * 3
    assert np.abs(np.concatenate(taken)).max() > 1000
    assert list(sound.heard()) == [7] * 3 * 480


def test_a_removed_device_calls_its_streams_no_more(sound: FakeSound) -> None:
    stream = sound.open_output(None, sound.rate, lambda pcm: None)
    sound.step()
    sound.unplug(str(stream.device_id))
    sound.step()
    assert stream.callbacks == 1
    assert sound.open_streams("audiooutput") == [stream]
    stream.close()
    assert sound.open_streams() == []


def test_a_busy_or_missing_device_cannot_be_opened(sound: FakeSound) -> None:
    microphone = next(device for device in sound.devices() if device.kind == "audioinput")
    sound.occupy(microphone)
    with pytest.raises(MediaError, match="Another program uses"):
        sound.open_input(None, sound.rate, lambda pcm: None)
    sound.occupy(microphone, busy=False)
    sound.open_input(None, sound.rate, lambda pcm: None).close()
    with pytest.raises(MediaError, match="There is no audioinput 'x'"):
        sound.open_input("x", sound.rate, lambda pcm: None)
    bare = FakeSound(microphones=(), speakers=(), running=False)
    with pytest.raises(MediaError, match=r"^This machine has no microphone\.$"):
        bare.open_input(None, bare.rate, lambda pcm: None)
    with pytest.raises(MediaError, match=r"^This machine has no speaker\.$"):
        bare.open_output(None, bare.rate, lambda pcm: None)
    absent = FakeSound(running=False)
    absent.missing = True
    with pytest.raises(MediaError, match="Sound is missing"):
        absent.start(lambda: None)
