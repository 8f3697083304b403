"""Tones and their players, over the fake sound card."""

import time

import numpy as np
import pytest
from audio_harness import heard, peaks_hz
from waiting import until

from plivo_nb.testing import FakeSound


async def test_digits_are_heard_once(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    await harness.audio.available_devices()
    harness.audio.tones.digits("5")
    player = harness.audio.speaker_devices.media("dtmf")
    assert player.playing
    await until(lambda: not player.playing)
    await until(lambda: not sound.open_streams())
    pcm = sound.heard()
    loud = np.flatnonzero(np.abs(pcm) > 300)
    assert (loud[-1] - loud[0]) / 48_000 == pytest.approx(0.1, abs=0.03)
    assert peaks_hz(pcm[loud[0] : loud[-1]], 2) == pytest.approx([770, 1336], abs=12)


async def test_a_player_has_a_volume_and_may_be_played_by_hand(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    player = harness.audio.speaker_devices.media("ringback")
    assert player is harness.audio.ringtoneDevices.media("ringback")
    player.volume = 0.5
    player.play()
    full = 32767 * 10 ** (-20 / 20)
    assert np.sqrt(np.mean((await heard(sound)).astype(float) ** 2)) == pytest.approx(full / 2, rel=0.1)
    assert repr(player) == "<Player of the ring-back tone: built-in, playing>"
    player.pause()
    player.pause()
    await until(lambda: not sound.open_streams())


async def test_a_sound_of_the_user_that_waits_does_not_stop_the_device(make) -> None:
    class Slow:
        def open(self, rate: int) -> None: ...

        def read(self, samples: int) -> None:
            time.sleep(0.5)

        def close(self) -> None: ...

    sound = FakeSound()
    player = make(sound).audio.speaker_devices.media("ringback")
    player.play(Slow())
    await until(sound.open_streams)
    (stream,) = sound.open_streams()
    begun, before = time.monotonic(), stream.callbacks
    await until(lambda: stream.callbacks >= before + 10)
    assert time.monotonic() - begun < 1.0, "10 blocks of 20 ms"
    player.pause()
    await until(lambda: not sound.open_streams())
