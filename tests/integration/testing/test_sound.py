"""The fake sound card in a real call, as users' own tests have it."""

from collections.abc import Callable

import numpy as np
import pytest
from waiting import until

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

    def pitch_hz() -> int:
        heard = sound.heard()[-48_000:]
        return (
            int(np.abs(np.fft.rfft(heard * np.hanning(len(heard)))).argmax()) if len(heard) == 48_000 else 0
        )

    await until(lambda: pitch_hz() == pytest.approx(440, abs=3), describe=pitch_hz, interval_s=0.2)
    assert len(sound.open_streams()) == 2
    await call.hangup()
    await until(lambda: not sound.open_streams(), 5)
