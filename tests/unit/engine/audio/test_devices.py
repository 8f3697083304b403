"""client.audio over the fake sound card: devices, permission, and what is heard when in a call.

Sessions, engine and device manager are the real ones; what the I/O plane would report is said by the test.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
from call_world import SessionHarness, answered, dialled, offered, rings
from waiting import until

from plivo_nb import MediaError, Silence, Tone
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


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., AudioHarness]]:
    made: list[AudioHarness] = []

    def make(sound: object, **options: object) -> AudioHarness:
        made.append(AudioHarness(sound, **options))
        return made[-1]

    yield make
    for harness in made:
        await harness.close()
    await asyncio.sleep(0)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plivo_nb")] == []
    names = ("desk", "devices", "fake", "microphone", "speaker")
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name.endswith(names)])


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


# ---------------------------------------------------------------- devices


async def test_devices_are_listed_by_kind_with_ids_that_stay(make) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    audio = make(sound).audio
    devices = await audio.available_devices()
    assert [d.label for d in devices] == ["Desk", "Head", "Box"]
    assert [dict(d)["kind"] for d in devices] == ["audioinput", "audioinput", "audiooutput"]
    assert len({d.deviceId for d in devices}) == 3
    assert await audio.availableDevices("output") == devices[2:]
    with pytest.raises(ValueError, match="not 'video'"):
        audio.available_devices("video")
    again = await make(FakeSound(("Desk", "Head"), ("Box",))).audio.available_devices()
    assert again == devices
    with pytest.raises(KeyError):
        devices[0]["index"]


async def test_a_device_is_chosen_forgotten_and_refused(make) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    audio = make(sound).audio
    desk, head, box = await audio.available_devices()
    choice = audio.microphoneDevices
    assert choice.get() is None
    await choice.set(head.deviceId)
    assert choice.get() == head.deviceId
    for wrong in (box.deviceId, "nothing"):
        with pytest.raises(MediaError, match="no microphone") as refused:
            await choice.set(wrong)
        assert refused.value.code == "NotFoundError"
        assert choice.get() == head.deviceId
    await choice.reset()
    assert choice.get() is None
    assert desk.kind == "audioinput"


async def test_what_comes_and_goes_is_told(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    await harness.audio.available_devices()
    added = sound.plug("audiooutput", "Headphones")
    await until(lambda: harness.fired("onAudioDeviceChange"))
    sound.unplug(added)
    await until(lambda: len(harness.fired("onAudioDeviceChange")) == 2)
    assert harness.fired("onAudioDeviceChange") == [
        {"change": "added", "device": added},
        {"change": "removed", "device": added},
    ]


async def test_clients_of_one_sound_system_share_its_desk(make) -> None:
    sound = FakeSound()
    first, second = make(sound), make(sound)
    await asyncio.gather(first.audio.available_devices(), second.audio.available_devices())
    await first.audio.close()
    sound.plug("audioinput", "Late")
    await until(lambda: second.fired("onAudioDeviceChange"))
    assert first.fired("onAudioDeviceChange") == []
    with pytest.raises(MediaError):
        await first.audio.microphone_devices.reset()


# ---------------------------------------------------------------- permission


async def test_the_microphone_is_asked_for_once_at_the_beginning(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    assert harness.fired("onMediaPermission") == [], "a listener of the same cell must get it"
    await until(lambda: harness.fired("onMediaPermission"))
    assert await harness.audio.reveal_audio_devices() == "success"
    session = dialled(harness.call())
    await until(lambda: opened(sound, "audioinput"))
    session.abandon()
    assert harness.fired("onMediaPermission") == [{"status": "success", "stream": True}]


@pytest.mark.parametrize("why", ["none", "busy", "missing"])
async def test_a_microphone_that_cannot_be_had_is_told_of_by_the_browsers_names(make, why: str) -> None:
    sound = FakeSound(() if why == "none" else ("Desk",))
    if why == "busy":
        sound.occupy(sound.devices()[0])
    sound.missing = why == "missing"
    harness = make(sound)
    await until(lambda: harness.fired("onMediaPermission"))
    name = "NotAllowedError" if why == "busy" else "NotFoundError"
    assert harness.fired("onMediaPermission") == [{"status": "failure", "error": name}]
    with pytest.raises(MediaError) as refused:
        await harness.audio.revealAudioDevices()
    assert refused.value.code == name
    assert (await harness.audio.available_devices() == []) is (why == "missing")
    assert len(harness.fired("onMediaPermission")) == 1


async def test_perm_on_click_asks_when_a_call_begins(make) -> None:
    sound = FakeSound()
    harness = make(sound, permOnClick=True)
    await harness.audio.available_devices()
    await asyncio.sleep(0.1)
    assert harness.events == []
    dialled(harness.call())
    await until(lambda: harness.fired("onMediaPermission") == [{"status": "success", "stream": True}])


async def test_without_sound_nobody_is_asked_and_nothing_is_opened(make) -> None:
    harness = make("none")
    session = dialled(harness.call())
    await asyncio.sleep(0.1)
    assert (harness.events[1:], session.media.source, session.media.sinks) == ([], None, [])
    assert (harness.audio.mode, await harness.audio.available_devices()) == ("none", [])
    assert harness.audio.latency_ms == {}
    with pytest.raises(MediaError, match="sound='none'"):
        await harness.audio.speaker_devices.set("x")
    assert harness.audio.tones.choose("ring", False), "what is chosen is kept all the same"
    harness.audio.tones.digits("12")


# ---------------------------------------------------------------- audioConstraints


@pytest.mark.spec("2 audioConstraints")
async def test_constraints_are_done_or_named_in_one_warning(make, caplog) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    head = sound.devices()[1]
    wanted = {
        "deviceId": {"exact": head.deviceId},
        "sampleRate": 16_000,
        "channelCount": 2,
        "echoCancellation": True,
        "noiseSuppression": {"ideal": True},
        "autoGainControl": False,
    }
    with caplog.at_level(logging.WARNING, "plivo_nb"):
        harness = make(sound, audioConstraints=wanted)
    [said] = [record.getMessage() for record in caplog.records]
    assert "echoCancellation, noiseSuppression, channelCount" in said
    assert "autoGainControl" not in said
    assert harness.audio.microphone_devices.get() == head.deviceId
    assert harness.audio.input_route.rate == 16_000
    dialled(harness.call())
    await until(lambda: opened(sound, "audioinput") == ["Head"])


# ---------------------------------------------------------------- calls


async def test_a_sample_rate_that_no_card_has_is_named(make, caplog) -> None:
    harness = make(FakeSound(), audioConstraints={"sampleRate": 1})
    assert "audioConstraints: sampleRate cannot be done" in caplog.text
    assert harness.audio.input_route.rate == 48_000


async def test_a_microphone_that_is_not_there_cannot_be_a_constraint(make, caplog) -> None:
    harness = make(FakeSound(), audioConstraints={"deviceId": "nobody's"})
    await until(lambda: harness.fired("onMediaPermission"))
    assert harness.fired("onMediaPermission") == [{"status": "success", "stream": True}]
    assert 'there is no microphone "nobody\'s"' in caplog.text


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


# ---------------------------------------------------------------- devices that go


async def in_a_call(harness: AudioHarness, sound: FakeSound) -> CallSession:
    session = dialled(harness.call())
    session.media.source.open(48_000)
    answered(session)
    await until(lambda: opened(sound, "audioinput") and opened(sound, "audiooutput"))
    return session


async def frames(session: CallSession, seconds: float = 0.3) -> list[bool]:
    """Whether each 20 ms brought a frame of the microphone."""
    came = []
    for _ in range(round(seconds * 50)):
        came.append(session.media.source.read(960) is not None)
        await asyncio.sleep(0.02)
    return came


async def test_a_call_moves_to_the_device_that_is_chosen(make) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    harness = make(sound)
    head = (await harness.audio.available_devices())[1]
    session = await in_a_call(harness, sound)
    await frames(session)
    await harness.audio.microphone_devices.set(head.deviceId)
    missing = (await frames(session, 1.0)).count(False)
    assert opened(sound, "audioinput") == ["Head"]
    assert missing <= 20, "less than 0.4 s"


async def test_an_unplugged_device_is_replaced_by_the_default_until_it_is_back(make, caplog) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    harness = make(sound)
    head = (await harness.audio.available_devices())[1]
    await harness.audio.microphone_devices.set(head.deviceId)
    await in_a_call(harness, sound)
    assert opened(sound, "audioinput") == ["Head"]
    sound.unplug(head)
    await until(lambda: opened(sound, "audioinput") == ["Desk"])
    assert harness.audio.microphone_devices.get() == head.deviceId
    sound.plug("audioinput", "Head")
    await until(lambda: opened(sound, "audioinput") == ["Head"])


async def test_a_device_that_falls_silent_without_a_word_is_opened_again(make) -> None:
    sound = FakeSound()
    harness = make(sound)
    await in_a_call(harness, sound)
    [dead] = sound.open_streams("audioinput")
    await until(lambda: dead.callbacks > 5)
    dead.dead = True
    began = time.monotonic()
    await until(lambda: sound.open_streams("audioinput") not in ([dead], []))
    assert time.monotonic() - began < 5.0
    await until(lambda: harness.microphone[-2:] == ["lost", "present"])


async def test_a_microphone_that_goes_before_a_call_is_missed(make) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    harness = make(sound)
    desk, head, _ = await harness.audio.available_devices()
    await until(lambda: harness.fired("onMediaPermission"))
    sound.unplug(desk)
    await until(lambda: len(harness.fired("onAudioDeviceChange")) == 1)
    assert harness.microphone == ["present"], "there is another one"
    await harness.audio.microphone_devices.set(head.deviceId)
    sound.plug("audioinput", "Desk")
    sound.unplug(head)
    await until(lambda: len(harness.fired("onAudioDeviceChange")) == 3)
    assert harness.microphone[-1] == "lost", "the chosen one is gone"
    sound.plug("audioinput", "Head")
    await until(lambda: harness.microphone[-1] == "present")


async def test_the_last_microphone_is_missed_and_welcomed_back(make, caplog) -> None:
    sound = FakeSound()
    harness = make(sound)
    session = await in_a_call(harness, sound)
    sound.unplug(sound.devices()[0])
    await until(lambda: "lost" in harness.microphone)
    await asyncio.sleep(1.2)
    assert session.phase == "answered"
    assert harness.microphone.count("lost") <= 2, "it is not told of each try"
    sound.plug("audioinput", "Another")
    await until(lambda: opened(sound, "audioinput") == ["Another"])
    await until(lambda: harness.microphone[-1] == "present")


class Stiff(FakeSound):
    """A system as PortAudio without PulseAudio is: blind for plugs until it is started anew."""

    def __init__(self, *labels: tuple[str, ...]) -> None:
        self.restarts = 0
        super().__init__(*labels)
        self.seen = super().devices()

    def devices(self) -> list:
        return self.seen if hasattr(self, "seen") else super().devices()

    def must_restart(self) -> bool:
        return True

    def restart(self) -> None:
        assert not self.open_streams(), "it would have killed them"
        self.restarts += 1
        self.seen = super().devices()

    def _tell(self) -> None:
        """It tells nothing."""


async def test_where_only_a_restart_shows_what_is_left_all_devices_come_back(make) -> None:
    sound = Stiff(("Desk", "Head"), ("Box",))
    harness = make(sound)
    head = (await harness.audio.available_devices())[1]
    await harness.audio.microphone_devices.set(head.deviceId)
    session = await in_a_call(harness, sound)
    before = sound.restarts
    await harness.audio.available_devices()
    assert sound.restarts == before, "not in a call that needs no help"
    sound.unplug(head)
    await until(lambda: opened(sound, "audioinput") == ["Desk"])
    await until(lambda: opened(sound, "audiooutput") == ["Box"])
    assert sound.restarts == before + 1
    assert harness.fired("onAudioDeviceChange") == [{"change": "removed", "device": head}]
    await until(lambda: harness.microphone[-1] == "present")
    assert any(await frames(session, 0.5))
