"""The fake sound card in a real call, as users' own tests have it."""

import asyncio
import time
from collections.abc import Callable

import numpy as np
import pytest

from plivo_nb import Client, Lab, Tone
from plivo_nb.testing import FakeSound

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_the_fake_microphone_says_comes_back_to_the_fake_speaker(
    lab: Lab, clients: Callable[..., Client]
) -> None:
    sound = FakeSound(skew=1.0004)
    sound.says(Tone(440, -18))
    client = clients(sound=sound)
    assert client.audio.mode == "device"
    await client.login("alice", lab.password("alice"))
    call = await client.call("echo")
    await asyncio.sleep(3.0)
    heard = sound.heard()[-48_000:]
    pitch = int(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))).argmax())
    assert pitch == pytest.approx(440, abs=3)
    assert len(sound.open_streams()) == 2
    await call.hangup()
    deadline = time.monotonic() + 5
    while sound.open_streams():
        assert time.monotonic() < deadline, "devices stay open after the call"
        await asyncio.sleep(0.02)
