"""What is heard of a call, from the dial tone to its end, over the fake sound card."""

import asyncio

import numpy as np
import pytest
from audio_harness import heard, opened, peaks_hz
from call_world import answered, dialled, offered, rings
from waiting import until

from plivo_nb import Silence, Tone
from plivo_nb.testing import FakeSound


async def test_an_outgoing_call_is_heard_from_dial_tone_to_voice(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    await harness.audio.available_devices()
    session = dialled(harness.call())
    assert peaks_hz(await heard(sound), 2) == pytest.approx([350, 440], abs=4)
    [speaker] = session.media.sinks
    speaker.open(48_000)
    far_end = Tone(1000)
    far_end.open(48_000)

    async def talk() -> None:
        while session.phase != "over":
            speaker.write(far_end.read(960))
            await asyncio.sleep(0.02)

    talking = asyncio.create_task(talk())
    rings(session)
    rings(session)
    assert peaks_hz(await heard(sound), 2) == pytest.approx([440, 480], abs=4), "and no early media"
    answered(session)
    assert peaks_hz(await heard(sound), 1) == pytest.approx([1000], abs=6)
    session.abandon()
    await until(lambda: not sound.open_streams())
    await talking


async def test_the_microphone_is_heard_once_the_call_is_answered_and_never_after(make) -> None:
    sound = FakeSound()
    sound.says(Tone(440))
    harness = make(sound)
    session = dialled(harness.call())
    microphone = session.media.source
    microphone.open(8_000)
    rings(session)
    await until(lambda: opened(sound, "audioinput"))
    await asyncio.sleep(0.2)
    assert microphone.read(160) is None, "nobody listens in before the answer"
    answered(session)
    await until(lambda: (frame := microphone.read(160)) is not None and np.abs(frame).max() > 1000)
    session.abandon()
    await until(lambda: not sound.open_streams("audioinput"))


async def test_a_call_with_a_source_of_its_own_opens_no_microphone(make) -> None:
    sound = FakeSound()
    harness = make(sound, permOnClick=True)
    session = harness.call()
    session.media.set_source(Silence())
    dialled(session)
    answered(session)
    await until(lambda: opened(sound, "audiooutput"))
    await asyncio.sleep(0.1)
    assert opened(sound, "audioinput") == []


async def test_ring_back_false_lets_early_media_through(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    assert harness.audio.tones.choose("ringback", False)
    assert harness.audio.tones.choose("connect", False)
    session = dialled(harness.call())
    [speaker] = session.media.sinks
    speaker.open(8_000)
    assert not speaker.audible
    rings(session)
    assert speaker.audible
    assert not (await heard(sound)).any()


async def test_it_rings_on_its_own_device_while_any_call_does(make) -> None:
    sound = FakeSound(speakers=("Box", "Bell"))
    harness = make(sound)
    bell = (await harness.audio.available_devices("output"))[1]
    await harness.audio.ringtone_devices.set(bell.deviceId)
    first, second = harness.call("INCOMING"), harness.call("INCOMING")
    offered(first)
    offered(second)
    assert peaks_hz(await heard(sound, label="Bell"), 2) == pytest.approx([1000, 1250], abs=4)
    first.ignore()
    assert (await heard(sound, 0.05, "Bell")).any(), "the other one rings on"
    second._apply("answer")
    await until(lambda: opened(sound, "audioinput"))
    await until(lambda: opened(sound, "audiooutput") == ["Box"])
    second._apply("confirmed")
    assert second.media.sinks[0].audible
