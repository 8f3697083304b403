"""client.audio over the fake sound card: devices, permission, and what is heard when in a call.

Sessions, engine and device manager are the real ones; what the I/O plane would report is said by the test.
"""

import asyncio
import logging
import math
import time

import numpy as np
import pytest
from audio_harness import AudioHarness, heard, opened
from call_world import answered, dialled, offered
from page_world import BOX, DESK, UNNAMED, FakeLink
from waiting import until

from plivo_nb import MediaError
from plivo_nb.engine.call_session import CallSession
from plivo_nb.sound import device_manager
from plivo_nb.testing import FakeSound

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


async def test_a_change_by_code_is_told_until_the_callback_is_removed(make) -> None:
    sound = FakeSound(("Desk", "Head"), ("Box",))
    audio = make(sound).audio
    _, head, _ = await audio.available_devices()
    volumes: list[tuple[float, str | None]] = []
    remove = audio.at_change(lambda: volumes.append((audio.volume, audio.microphone_devices.get())))
    audio.volume = 0.25
    await until(lambda: volumes == [(0.25, None)])
    audio.input_gain = 2
    await until(lambda: len(volumes) == 2)
    await audio.microphone_devices.set(head.deviceId)
    await until(lambda: volumes[2:] == [(0.25, head.deviceId)])
    remove()
    remove()
    audio.volume = 1
    await asyncio.sleep(0.02)
    assert len(volumes) == 3


async def test_a_test_tone_is_played_on_the_chosen_device(make) -> None:
    sound = FakeSound(("Desk",), ("Box", "Bell"))
    audio = make(sound).audio
    _, _, bell = await audio.available_devices()
    await audio.ringtone_devices.set(bell.deviceId)
    audio.ringtone_devices.play_test_tone()
    tone = await heard(sound, 0.1, "Bell")
    assert np.abs(tone).max() > 1000
    assert not opened(sound, "audiooutput") or opened(sound, "audiooutput") == ["Bell"]
    await until(lambda: not audio.ringtone_route.playing)
    audio.speaker_devices.play_test_tone()
    audio.speaker_devices.play_test_tone()
    assert len(audio.speaker_route.playing) == 1
    with pytest.raises(ValueError, match="microphone plays no test tone"):
        audio.microphone_devices.play_test_tone()


async def test_without_sound_there_is_no_test_tone(make) -> None:
    with pytest.raises(MediaError, match="no sound"):
        make("none").audio.speaker_devices.play_test_tone()


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
    events = [event for event in harness.events if event[0] not in ("onCalling", "onMediaPermission")]
    assert (events, session.media.source, session.media.sinks) == ([], None, [])
    assert (harness.audio.mode, await harness.audio.available_devices()) == ("none", [])
    assert harness.audio.latency_ms == {}
    with pytest.raises(MediaError, match="sound='none'"):
        await harness.audio.speaker_devices.set("x")
    assert harness.audio.ring_tone is True
    assert harness.audio.tones.choose("ring", False), "what is chosen is kept all the same"
    assert harness.audio.ring_tone is False
    assert harness.audio.tones.choose("ring", __file__)
    assert harness.audio.ring_tone == __file__
    harness.audio.tones.digits("12")


@pytest.mark.spec("2 permOnClick", "4 onMediaPermission")
async def test_silence_that_the_user_chose_is_permitted_once_at_the_time_of_perm_on_click(make) -> None:
    granted = [{"status": "success", "stream": True}]
    at_once, later = make("none"), make("none", permOnClick=True)
    assert at_once.fired("onMediaPermission") == [], "a listener of the same cell must get it"
    await until(lambda: at_once.fired("onMediaPermission") == granted)
    assert later.fired("onMediaPermission") == []
    for harness in (at_once, later):
        dialled(harness.call())
        assert harness.fired("onMediaPermission") == granted


async def test_a_missing_microphone_is_reported_at_the_time_of_perm_on_click(make) -> None:
    harness = make(FakeSound(()), permOnClick=True)
    await harness.audio.available_devices()
    await asyncio.sleep(0.05)
    assert harness.fired("onMediaPermission") == []
    dialled(harness.call())
    await until(lambda: harness.fired("onMediaPermission"))
    assert harness.fired("onMediaPermission") == [{"status": "failure", "error": "NotFoundError"}]


async def test_get_gives_what_was_set_at_once_and_the_former_one_after_a_refusal(make) -> None:
    audio = make(FakeSound(("Desk", "Head"), ("Box",))).audio
    desk, head, _ = await audio.available_devices()
    choice = audio.microphone_devices
    first, second = choice.set(desk.deviceId), choice.set(head.deviceId)
    assert choice.get() == head.deviceId
    await first
    assert choice.get() == head.deviceId
    await second
    assert choice.get() == head.deviceId
    wrong = choice.set("nothing")
    assert choice.get() == head.deviceId, "it is known already that there is no such device"
    with pytest.raises(MediaError):
        await wrong
    reset = choice.reset()
    assert choice.get() is None
    await reset
    assert choice.get() is None


async def test_the_reprs_name_the_devices_by_their_labels(make) -> None:
    audio = make(FakeSound(("Desk", "Head"), ("Box",))).audio
    _, head, _ = await audio.available_devices()
    await audio.microphone_devices.set(head.deviceId)
    assert repr(audio.microphone_devices) == "<DeviceChoice of the microphone: 'Head'>"
    assert repr(audio.speaker_devices) == "<DeviceChoice of the speaker: the system's default>"
    assert repr(audio).startswith("<AudioDevices: microphone 'Head', speaker the system's default")
    silent = make("none").audio
    assert repr(silent) == "<AudioDevices: sound 'none'>"
    assert repr(silent.speaker_devices) == "<DeviceChoice of the speaker: none>"


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


# ---------------------------------------------------------------- the sound of a page


async def test_the_devices_of_a_page_are_those_of_the_client(make) -> None:
    harness, link = make("browser", audioConstraints={"echoCancellation": True}), FakeLink()
    audio = harness.audio
    assert (audio.mode, await audio.available_devices()) == ("browser", [])
    audio.connect_page(link)
    link.hello()
    await until(lambda: harness.fired("onMediaPermission") == [{"status": "success", "stream": True}])
    assert [dict(device) for device in await audio.available_devices()] == [DESK, BOX]
    link.say(
        "one", {"type": "devices", "devices": [DESK, {**DESK, "deviceId": "head", "label": "Head"}, BOX]}
    )
    await until(lambda: len(harness.fired("onAudioDeviceChange")) == 3)
    assert harness.fired("onAudioDeviceChange")[-1]["device"].label == "Head"
    dialled(harness.call())
    await until(lambda: link.of("microphone"))
    assert link.of("microphone")[-1]["constraints"] == {"echoCancellation": True}
    await audio.microphone_devices.set("head")
    await until(lambda: link.of("microphone")[-1]["device"] == "head")
    assert "in the page by comm" in repr(audio)
    assert (audio.transport, math.isnan(audio.page_rtt_ms), audio.page_underruns) == ("comm", True, 0.0)


async def test_permission_is_told_when_the_user_of_the_page_has_decided(make) -> None:
    harness, link = make("browser"), FakeLink()
    harness.audio.connect_page(link)
    link.hello(permission="prompt", devices=UNNAMED)
    revealing = harness.audio.reveal_audio_devices()
    await until(lambda: link.of("reveal"))
    await asyncio.sleep(0.05)
    assert harness.fired("onMediaPermission") == [], "the browser still asks"
    link.say("one", {"type": "microphone", "error": "NotAllowedError"})
    with pytest.raises(MediaError, match="may not use the microphone"):
        await revealing
    assert harness.fired("onMediaPermission") == [{"status": "failure", "error": "NotAllowedError"}]


async def test_without_a_page_there_is_no_microphone_to_reveal(make) -> None:
    with pytest.raises(MediaError, match="No page displays the phone"):
        await make("browser").audio.reveal_audio_devices()


async def test_a_call_goes_on_in_silence_without_its_page_and_has_sound_again_with_it(make) -> None:
    harness, link = make("browser"), FakeLink()
    harness.audio.connect_page(link)
    link.hello()
    session = dialled(harness.call())
    session.media.source.open(48_000)
    answered(session)
    await until(lambda: link.of("microphone") and link.of("speaker"))
    link.say("one", {"type": "microphone", "error": ""})
    await until(lambda: harness.microphone[-1:] == ["present"])
    link.say("one", {"type": "bye"})
    await until(lambda: harness.microphone[-1] == "lost")
    assert session.phase == "answered"
    link.hello("two")
    await until(lambda: link.of("microphone", "two") and link.of("speaker", "two"))
    link.say("two", {"type": "microphone", "error": ""})
    await until(lambda: harness.microphone[-1] == "present")


async def test_tones_are_played_by_the_page_by_itself(make, tmp_path) -> None:
    harness, link = make("browser"), FakeLink()
    audio = harness.audio
    audio.connect_page(link)
    link.hello()
    await audio.ringtone_devices.set("box")
    audio.tones.play("ring")
    audio.tones.play("ring")
    audio.tones.digits("5")
    ring, digits = link.of("tone")[0], link.of("tone")[-1]
    assert (ring["name"], ring["loop"], ring["device"]) == ("ring", True, "box")
    assert (digits["loop"], digits["device"]) == (False, None)
    assert len([message for message in link.of("tone") if message["name"] == "ring"]) == 1, "it is playing"
    sounds = [buffers[0] for _, message, buffers in link.sent if message["type"] == "tone" and buffers]
    assert all(sound.startswith(b"RIFF") for sound in sounds)
    audio.tones.pause("ring")
    assert link.of("tone")[-1] == {"type": "tone", "name": "ring", "on": False}
    assert not audio.speaker_route.playing
    own = tmp_path / "own.ogg"
    own.write_bytes(b"OggS")
    audio.tones.choose("ring", str(own))
    audio.tones.play("ring")
    assert link.sent[-1][2] == [b"OggS"]


def _without_devices() -> FakeSound:
    nothing = FakeSound()
    nothing.missing = True
    return nothing


async def test_a_page_is_used_where_this_machine_has_no_device_also_in_a_call(make, monkeypatch) -> None:
    monkeypatch.setattr(device_manager, "PortAudio", _without_devices)
    harness, link = make(None), FakeLink()
    audio = harness.audio
    await until(
        lambda: harness.fired("onMediaPermission") == [{"status": "failure", "error": "NotFoundError"}]
    )
    assert audio.mode == "none"
    session = dialled(harness.call())
    answered(session)
    assert session.media.source is None
    audio.connect_page(link)
    await until(lambda: link.of("who", ""))
    assert audio.mode == "browser"
    link.hello()
    await until(lambda: link.of("microphone") and link.of("speaker"))
    assert session.media.source is not None
    await until(lambda: harness.fired("onMediaPermission")[1:] == [{"status": "success", "stream": True}])


@pytest.mark.parametrize("state", ["calling", "offered", "answered", "over"])
async def test_a_call_joins_the_sound_of_a_page_in_each_of_its_states(make, monkeypatch, state: str) -> None:
    monkeypatch.setattr(device_manager, "PortAudio", _without_devices)
    harness, link = make(None), FakeLink()
    await until(lambda: harness.fired("onMediaPermission"))
    session = harness.call("INCOMING" if state == "offered" else "OUTGOING")
    (offered if state == "offered" else dialled)(session)
    if state == "answered":
        answered(session)
    if state == "over":
        session.abandon()
        await until(lambda: session.phase == "over")
    harness.audio.connect_page(link)
    await until(lambda: link.of("who", ""))
    link.hello()
    await harness.audio.available_devices()
    match state:
        case "calling" | "answered":
            await until(lambda: link.of("microphone") and link.of("speaker"))
        case "offered":
            await until(lambda: link.of("tone"))
            assert link.of("tone")[0]["name"] == "ring"
        case "over":
            assert (link.of("microphone"), link.of("tone")) == ([], [])


async def test_a_page_is_left_alone_where_this_machine_has_a_device(make, monkeypatch) -> None:
    monkeypatch.setattr(device_manager, "PortAudio", FakeSound)
    harness, link = make(None), FakeLink()
    await harness.audio.available_devices()
    harness.audio.connect_page(link)
    link.hello()
    await until(lambda: harness.fired("onMediaPermission"))
    assert harness.audio.mode == "device"
    assert link.sent == []
    harness.audio.disconnect_page(link)


async def test_a_phone_that_is_closed_takes_its_pages_with_it(make) -> None:
    harness, link = make("browser"), FakeLink()
    harness.audio.connect_page(link)
    link.hello()
    await until(lambda: harness.fired("onMediaPermission"))
    assert len(await harness.audio.available_devices()) == 2
    harness.audio.disconnect_page(FakeLink())
    assert len(await harness.audio.available_devices()) == 2
    harness.audio.disconnect_page(link)
    assert await harness.audio.available_devices() == []
