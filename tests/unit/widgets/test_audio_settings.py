"""Devices and volume of the phone, with a real client over simulated sound devices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from waiting import until

from plivo_nb.testing import FakeSound
from plivo_nb.widgets.audio_settings import AudioSettings
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.loop_tasks import LoopTasks


@pytest.fixture
def sound() -> FakeSound:
    return FakeSound(("Desk", "Head"), ("Box", "Bell"))


@pytest.fixture
async def settings(in_memory, sound, shown):
    alice = await in_memory("alice", sound=sound)
    tasks = LoopTasks(alice.loop, shown.append, "test")
    made = AudioSettings(alice, tasks)
    await until(lambda: len(labels(made, 0)) == 3)
    yield made
    made.close()
    tasks.close()


def labels(settings: AudioSettings, index: int) -> list[str]:
    return [label for label, _ in settings._choices[index].select.options]


def select(settings: AudioSettings, index: int) -> Any:
    return settings._choices[index].select


async def test_devices_are_listed_by_kind_and_chosen(settings, sound) -> None:
    audio = settings._client.audio
    assert labels(settings, 0) == ["System default", "Desk", "Head"]
    assert labels(settings, 1) == labels(settings, 2) == ["System default", "Box", "Bell"]
    ids = {device.label: device.deviceId for device in sound.devices()}
    select(settings, 0).value = ids["Head"]
    await until(lambda: audio.microphone_devices.get() == ids["Head"])
    select(settings, 2).value = ids["Bell"]
    await until(lambda: audio.ringtone_devices.get() == ids["Bell"])
    assert audio.speaker_devices.get() is None
    select(settings, 0).value = ""
    await until(lambda: audio.microphone_devices.get() is None)
    assert code_log_of(settings._client).lines == [
        f"await client.audio.microphone_devices.set({ids['Head']!r})",
        f"await client.audio.ringtone_devices.set({ids['Bell']!r})",
        "await client.audio.microphone_devices.reset()",
    ]


async def test_a_device_that_code_chooses_or_resets_is_shown(settings, sound) -> None:
    audio = settings._client.audio
    box = next(device for device in sound.devices() if device.label == "Box")
    await audio.speaker_devices.set(box.deviceId)
    await until(lambda: select(settings, 1).label == "Box")
    await audio.speaker_devices.reset()
    await until(lambda: select(settings, 1).label == "System default")


async def test_devices_come_and_go(settings, sound) -> None:
    audio = settings._client.audio
    added = sound.plug("audiooutput", "Headphones")
    await until(lambda: "Headphones" in labels(settings, 1))
    select(settings, 1).value = added.deviceId
    await until(lambda: audio.speaker_devices.get() == added.deviceId)
    sound.unplug(added)
    await until(lambda: select(settings, 1).label == "Headphones (unplugged)")
    assert audio.speaker_devices.get() == added.deviceId
    assert "Headphones" not in labels(settings, 2)


async def test_a_device_that_is_refused_is_said_and_not_shown_as_chosen(settings, sound, shown) -> None:
    gone = next(device for device in sound.devices() if device.label == "Bell")
    sound.unplug(gone)
    select(settings, 1).value = gone.deviceId
    await until(lambda: shown[-1:] and "no speaker" in shown[-1])
    await until(lambda: select(settings, 1).label == "System default")


async def test_the_volume_follows_the_slider_and_the_code(settings) -> None:
    audio, slider = settings._client.audio, settings._volume
    slider.value = 0.35
    assert audio.volume == 0.35
    assert code_log_of(settings._client).lines == ["client.audio.volume = 0.35"]
    audio.volume = 0.8
    await until(lambda: slider.value == 0.8)
    assert "80 %" in settings._percent.value
    audio.volume = 2.0
    await until(lambda: "200 %" in settings._percent.value)
    assert slider.value == 1.0
    assert audio.volume == 2.0
    assert "set by code" in settings._percent.value


async def test_a_test_tone_is_heard_on_the_speaker_of_its_row(settings, sound) -> None:
    bell = next(device for device in sound.devices() if device.label == "Bell")
    select(settings, 2).value = bell.deviceId
    await until(lambda: settings._client.audio.ringtone_devices.get() == bell.deviceId)
    settings._choices[2].test.click()
    await until(lambda: len(sound.heard(bell)) and np.abs(sound.heard(bell)).max() > 1000)
    box = next(device for device in sound.devices() if device.label == "Box")
    settings._choices[1].test.click()
    await until(lambda: len(sound.heard(box)) and np.abs(sound.heard(box)).max() > 1000)
    assert settings._choices[0].test is None


async def test_without_sound_all_is_disabled(in_memory, shown) -> None:
    alice = await in_memory("bob")
    tasks = LoopTasks(alice.loop, shown.append, "test")
    made = AudioSettings(alice, tasks)
    made.refresh()
    assert made._volume.disabled
    assert all(choice.select.disabled for choice in made._choices)
    assert made._choices[1].test.disabled
    made.close()
    tasks.close()
    alice.audio.volume = 0.5  # nothing listens any more
