"""Calls by microphone and speaker, through a real PulseAudio."""

import asyncio
import sys
import time

import numpy as np
import pytest
from sound_server import RATE, SoundServer, level_dbfs, peaks_hz, sine
from waiting import until

from plivo_nb import Client, Lab, MediaError, Tone
from plivo_nb.sound.devices import Device

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def device(client: Client, label: str) -> Device:
    return next(d for d in await client.audio.available_devices() if d.label == label)


@pytest.mark.spec("2 sound")
async def test_a_tone_goes_from_the_microphone_over_the_call_to_the_far_speaker(
    server: SoundServer, talker: Client
) -> None:
    with server.recording() as speaker, server.playing(sine(440, -18)):
        call = await talker.call("echo")
        await until(lambda: level_dbfs(speaker.last(2.0)) == pytest.approx(-18, abs=1.5))
        heard = speaker.last(2.0)
        await call.hangup()
    [pitch] = peaks_hz(heard)
    assert pitch == pytest.approx(440, abs=3)
    assert level_dbfs(heard) == pytest.approx(-18, abs=1.5)
    levels = call.samples.level_out_dbfs.to_numpy()[1:]
    assert np.all(np.abs(levels + 15) < 2), "a sine of -18 dBFS RMS has its peaks at -15"
    await until(lambda: server.streams() == {"in": set(), "out": set()}, 5.0)


async def test_pcmu_calls_sound_too(lab: Lab, server: SoundServer, talkers) -> None:
    client = talkers(codecs=["PCMU"])
    await client.login("bob", lab.password("bob"))
    with server.recording() as speaker, server.playing(sine(1000, -20)):
        call = await client.call("echo")
        await until(lambda: level_dbfs(speaker.last(1.5)) == pytest.approx(-20, abs=1.5))
        heard = speaker.last(1.5)
        await call.hangup()
    assert peaks_hz(heard) == pytest.approx([1000], abs=5)
    assert level_dbfs(heard) == pytest.approx(-20, abs=1.5)


async def test_the_delay_that_devices_add_is_small(server: SoundServer, talker: Client, capsys) -> None:
    click = np.zeros(2 * RATE, np.int16)
    click[:480] = sine(1000, -12, 0.01)
    with server.recording("cable") as mouth, server.recording("speaker") as ear:
        call = await talker.call("echo")
        await asyncio.sleep(1.0)
        with server.playing(click):
            await asyncio.sleep(6.5)
        spoken, heard = mouth.pcm, ear.pcm
        devices_ms = talker.audio.latency_ms
        apart_s = ear.began_s - mouth.began_s
        await call.hangup()
    # each click's own way, by the strongest correlation; the two recordings begin at different times
    delays = []
    for at in np.flatnonzero((np.abs(spoken[480:]) > 2000) & (np.abs(spoken[:-480]).astype(int) < 50)):
        if delays and at < delays[-1][0] + RATE:
            continue
        begin = round(at - apart_s * RATE)
        window = heard[max(0, begin) : begin + RATE]
        loud = np.flatnonzero(np.abs(window.astype(int)) > 1000)
        if len(loud) and begin > 0:
            delays.append((at, 1000 * loud[0] / RATE))
    delays_ms = [delay for _, delay in delays]
    mos_delay = call.samples.playout_delay_ms.median()
    with capsys.disabled():
        sys.stdout.write(f"\nmouth, network, echo robot, ear: {np.round(delays_ms)} ms; ")
        sys.stdout.write(f"of it devices {devices_ms} ms, play-out {mos_delay:.0f} ms at each end\n")
    assert delays_ms, "no click came back"
    assert np.median(delays_ms) < 600


@pytest.mark.spec("3 audio.availableDevices", "3 audio.microphoneDevices", "3 audio.speakerDevices")
async def test_devices_have_ids_that_stay_and_a_call_moves_between_them(
    server: SoundServer, talker: Client
) -> None:
    first = await talker.audio.available_devices()
    assert [d for d in await talker.audio.availableDevices("input") if d.kind != "audioinput"] == []
    assert {d.label for d in await talker.audio.availableDevices("output")} >= {"Loudspeaker", "Headset"}
    assert await talker.audio.available_devices() == first
    with pytest.raises(ValueError, match="'input', 'output' or None"):
        talker.audio.available_devices("both")
    headset = await device(talker, "Headset")
    with pytest.raises(MediaError, match="no speaker 'nonsense'") as refused:
        await talker.audio.speaker_devices.set("nonsense")
    assert refused.value.code == "NotFoundError"
    assert talker.audio.speaker_devices.get() is None

    with server.playing(sine(440, -18)), server.recording("headset") as recording:
        call = await talker.call("echo")
        await until(lambda: server.streams() == {"in": {"mic"}, "out": {"speaker"}})
        await asyncio.sleep(1.0)  # so long the call is on the other speaker
        before = await call.stats()
        quiet = level_dbfs(recording.last(0.5))
        await talker.audio.speakerDevices.set(headset.deviceId)
        began = time.monotonic()
        while level_dbfs(recording.last(0.05)) < -30:
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.005)
        gap_s = time.monotonic() - began
        assert server.streams()["out"] == {"headset"}
        assert talker.audio.speaker_devices.get() == headset.deviceId
        await asyncio.sleep(1.0)
        after = await call.stats()
        await talker.audio.speaker_devices.reset()
        await until(lambda: server.streams()["out"] == {"speaker"})
        assert talker.audio.speaker_devices.get() is None
        await call.hangup()
    assert quiet < -60, "nothing was heard there before"
    assert gap_s < 0.5
    sent = after["outbound-rtp"]["packetsSent"] - before["outbound-rtp"]["packetsSent"]
    passed_s = (after["outbound-rtp"]["timestamp"] - before["outbound-rtp"]["timestamp"]) / 1000
    assert sent == pytest.approx(50 * passed_s, abs=6), "RTP goes on"


@pytest.mark.spec("4 onAudioDeviceChange")
async def test_devices_that_are_pulled_out_and_come_back_in_a_call(server: SoundServer, talkers, lab) -> None:
    client = talkers(preDetectOwa=True)
    await client.login("alice", lab.password("alice"))
    changes: list[tuple[str, str]] = []
    metrics: list[dict] = []
    client.on("onAudioDeviceChange", lambda c: changes.append((c["change"], c["device"]["label"])))
    client.on("mediaMetrics", metrics.append)

    def lost() -> list[bool]:
        return [m["active"] for m in metrics if m["type"] == "no_microphone_access"]

    usb = server.plug_source("usb", "USB-microphone")
    await until(lambda: changes == [("added", "USB-microphone")])
    chosen = await device(client, "USB-microphone")
    await client.audio.microphone_devices.set(chosen.deviceId)
    with server.playing(sine(440, -18)), server.recording() as speaker:
        call = await client.call("echo")
        await until(lambda: server.streams()["in"] == {"usb"})
        await asyncio.sleep(1.0)
        server.unplug(usb)
        began = time.monotonic()
        await until(lambda: server.streams()["in"] == {"mic"})
        gone_s = time.monotonic() - began
        await until(lambda: ("removed", "USB-microphone") in changes)
        await until(lambda: level_dbfs(speaker.last(0.5)) > -25)  # by the default microphone
        usb = server.plug_source("usb", "USB-microphone")
        await until(lambda: server.streams()["in"] == {"usb"})
        assert (await device(client, "USB-microphone")).deviceId == chosen.deviceId
        assert client.audio.microphone_devices.get() == chosen.deviceId
        await asyncio.sleep(0.5)
        await until(lambda: lost() in ([], [True, False]))
        assert call.phase == "answered"
        await call.hangup()
    assert gone_s < 2.0
    assert lost() in ([], [True, False]), "what was lost was found again"
    metrics.clear()
    server.unplug(usb)
    await until(lambda: len(changes) == 4 and metrics)
    assert [what for what, _ in changes] == ["added", "removed", "added", "removed"]
    assert [(m["desc"], m["active"]) for m in metrics] == [("lost access to microphone", True)]


async def test_a_file_takes_the_microphones_place_and_gives_it_back(
    server: SoundServer, talker: Client
) -> None:
    with server.playing(sine(440, -18)), server.recording() as speaker:
        call = await talker.call("echo")
        await asyncio.sleep(1.0)
        call.play(Tone(1000.0))
        await until(lambda: server.streams()["in"] == set())
        await until(lambda: peaks_hz(speaker.last(0.4)) == pytest.approx([1000], abs=8))
        call.stop_playing()
        await until(lambda: server.streams()["in"] == {"mic"})
        await until(lambda: peaks_hz(speaker.last(0.4)) == pytest.approx([440], abs=8))
        talker.mute()
        await until(lambda: level_dbfs(speaker.last(0.3)) < -60)
        talker.unmute()
        await call.hangup()


async def test_volume_and_gain(server: SoundServer, talker: Client) -> None:
    talker.audio.volume = 0.5
    talker.audio.inputGain = 0.25
    with pytest.raises(ValueError, match="volume"):
        talker.audio.volume = -1
    with server.playing(sine(440, -12)), server.recording() as speaker:
        call = await talker.call("echo")
        await until(lambda: level_dbfs(speaker.last(1.0)) == pytest.approx(-12 - 6 - 12, abs=1.5))
        await until(lambda: len(call.samples) >= 3)
        await call.hangup()
    assert call.samples.level_out_dbfs.dropna().to_numpy()[-1] == pytest.approx(-12 + 3 - 12, abs=1.5)


@pytest.mark.spec("3 audio.revealAudioDevices", "4 onMediaPermission")
async def test_the_microphone_is_asked_for_once_and_given_as_a_stream(server: SoundServer, talkers) -> None:
    client = talkers()
    told: list[dict] = []
    client.on("onMediaPermission", told.append)
    await until(lambda: told == [{"status": "success", "stream": True}])
    assert await client.audio.reveal_audio_devices() == "success"
    with server.playing(sine(440, -18)):
        stream = await client.audio.revealAudioDevices("returnStream")
        await until(lambda: server.streams()["in"] == {"mic"})
        frames: list[np.ndarray] = []

        def read() -> bool:
            frame = stream.read(960)
            if frame is not None:
                frames.append(frame)
            return len(frames) >= 50

        await until(read)
        stream.stop()
    assert peaks_hz(np.concatenate(frames[10:])) == pytest.approx([440], abs=5)
    await until(lambda: server.streams()["in"] == set())
    assert told == [{"status": "success", "stream": True}]


@pytest.mark.spec("2 permOnClick", "4 onMediaPermission")
async def test_perm_on_click_asks_when_a_call_begins(lab: Lab, server: SoundServer, talkers) -> None:
    client = talkers(permOnClick=True)
    told: list[dict] = []
    client.on("onMediaPermission", told.append)
    await client.login("alice", lab.password("alice"))
    await client.audio.available_devices()
    await asyncio.sleep(0.2)
    assert told == []
    call = await client.call("echo")
    await until(lambda: told == [{"status": "success", "stream": True}])
    await call.hangup()
