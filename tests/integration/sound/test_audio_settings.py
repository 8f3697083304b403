"""The phone's device selectors with a PulseAudio whose devices come and go during a call."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sound_server import SoundServer, level_dbfs
from waiting import until

from plivo_nb import Client, Lab
from plivo_nb.widgets import Phone

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_headset_is_plugged_in_chosen_tested_and_unplugged(
    lab: Lab, talkers: Callable[..., Client], server: SoundServer
) -> None:
    client = talkers()
    await client.login("carol", lab.password("carol"))
    phone = Phone(client)
    settings = phone.controls.settings
    speaker, ringer = settings._choices[1], settings._choices[2]

    def labels() -> list[str]:
        return [label for label, _ in speaker.select.options]

    await until(lambda: "Loudspeaker" in labels())
    assert settings._choices[0].select.options[1][0] == "Desk-microphone"
    await phone.call("echo")
    module = server.plug_sink("plugged", "Plugged")
    await until(lambda: "Plugged" in labels())
    speaker.select.label = "Plugged"
    await until(lambda: server.streams()["out"] == {"plugged"})
    ringer.select.label = "Headset"
    with server.recording("headset") as recording:
        ringer.test.click()
        await until(lambda: level_dbfs(recording.last(0.1)) > -40, interval_s=0.05)
    settings._volume.value = 0.25
    assert client.audio.volume == 0.25
    server.unplug(module)
    await until(lambda: speaker.select.label == "Plugged (unplugged)")
    await phone.hangup()
    phone.close()
