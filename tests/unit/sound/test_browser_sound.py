"""The sound system of pages: which page is used, its devices, permission, and the ways of its sound."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from page_world import BOX, DESK, UNNAMED, FakeLink

from plivo_nb.errors import MediaError
from plivo_nb.sound.browser_sound import BrowserSound
from plivo_nb.sound.comm_transport import CommTransport
from plivo_nb.sound.page_stream import PageOutput
from plivo_nb.sound.page_transport import TransportState


class Rig:
    """A sound system whose pages and time the test moves."""

    def __init__(self, transports: Any = (CommTransport,)) -> None:
        self.now = 100.0
        self.outcomes: list[str] = []
        self.changes = 0
        self.link = FakeLink()
        self.sound = BrowserSound(
            {"echoCancellation": True}, transports, self.outcome, clock=lambda: self.now
        )
        self.sound.start(self.changed)
        self.sound.attach(self.link)
        self.outputs: list[PageOutput] = []

    def outcome(self, error: MediaError | None) -> None:
        self.outcomes.append("success" if error is None else str(error.code))

    def changed(self) -> None:
        self.changes += 1

    def speaker(self, fill: Callable[[np.ndarray], None] = lambda frame: None) -> PageOutput:
        self.outputs.append(self.sound.open_output(None, 48_000, fill))
        return self.outputs[-1]

    def close(self) -> None:
        for output in self.outputs:
            output.close()
        self.sound.stop()


@pytest.fixture
def rig():
    rig = Rig()
    yield rig
    rig.close()


def labels(sound: BrowserSound) -> list[str]:
    return [device.label for device in sound.devices()]


# ---------------------------------------------------------------- pages and devices


def test_pages_that_are_open_already_are_asked_who_they_are(rig: Rig) -> None:
    assert rig.link.of("who", "") == [{"type": "who"}]
    assert rig.sound.devices() == []
    assert not rig.sound.has_page
    rig.link.say("one", {"type": "click"})
    assert rig.link.of("who"), "a page that the kernel has forgotten is asked too"
    assert not rig.sound.has_page


def test_a_page_that_appears_is_as_a_device_that_is_plugged_in(rig: Rig) -> None:
    rig.link.hello()
    assert rig.changes >= 1
    assert labels(rig.sound) == ["Desk", "Box"]
    assert rig.sound.default("audioinput") == "desk"
    assert rig.link.of("use")[-1]["on"] is True


def test_before_permission_devices_have_no_names_and_yet_ids(rig: Rig) -> None:
    rig.link.hello(permission="prompt", devices=UNNAMED)
    assert labels(rig.sound) == ["Microphone of the page", "Speaker of the page"]
    assert (rig.sound.default("audioinput"), rig.sound.default("audiooutput")) == (
        "default",
        "default-output",
    )
    assert rig.outcomes == []
    rig.link.say("one", {"type": "devices", "permission": "granted", "devices": [DESK, BOX]})
    assert labels(rig.sound) == ["Desk", "Box"]
    assert rig.outcomes == ["success"]


def test_what_is_no_device_is_left_out_and_a_speaker_is_always_there(rig: Rig) -> None:
    camera = {"deviceId": "c", "kind": "videoinput", "label": "Camera", "groupId": ""}
    again = {"deviceId": "communications", "kind": "audioinput", "label": "Desk again", "groupId": ""}
    rig.link.hello(devices=[camera, again, "nonsense", None, DESK])
    assert labels(rig.sound) == ["Desk", "Speaker of the page"]


def test_the_page_that_was_clicked_in_last_is_used_and_the_other_is_told(rig: Rig) -> None:
    rig.link.hello("one")
    rig.now += 1
    rig.link.hello("two", clicked=False, devices=[BOX])
    assert labels(rig.sound) == ["Desk", "Box"], "a new page takes nothing before a click"
    rig.now += 1
    rig.link.say("two", {"type": "click"})
    assert labels(rig.sound) == ["Box"]
    assert rig.link.of("use", "one")[-1]["on"] is False
    assert rig.link.of("use", "two")[-1]["on"] is True
    rig.link.say("two", {"type": "bye"})
    assert labels(rig.sound) == ["Desk", "Box"]


def test_a_page_keeps_the_sound_that_it_got_without_a_click(rig: Rig) -> None:
    rig.link.hello("one", clicked=False)
    rig.now += 1
    rig.link.hello("two", clicked=False, devices=[BOX])
    assert labels(rig.sound) == ["Desk", "Box"]
    rig.link.say("two", {"type": "click"})
    assert labels(rig.sound) == ["Box"]


def test_a_page_that_crashed_or_sleeps_is_forgotten(rig: Rig) -> None:
    rig.link.hello("one")
    rig.link.hello("two", clicked=False, devices=[BOX])
    for _ in range(5):
        rig.now += 1
        rig.link.say("two", {"type": "beat"})
    assert labels(rig.sound) == ["Box"], "the other has not reported for 5 s"
    rig.now += 60
    assert rig.sound.devices() == []
    rig.link.say("two", {"type": "beat"})
    assert rig.link.of("who", "two"), "it says again what it is when it wakes up"


def test_a_busy_kernel_takes_the_sound_from_no_page(rig: Rig) -> None:
    rig.link.hello("one")
    rig.link.hello("two", clicked=False, devices=[BOX])
    rig.now += 10  # both reported, and nothing was read
    rig.link.say("two", {"type": "beat"})
    assert labels(rig.sound) == ["Desk", "Box"]
    assert rig.link.of("use", "two") == [], "it was not used for a moment"
    rig.now += 10
    rig.link.say("two", {"type": "beat"})
    assert labels(rig.sound) == ["Box"], "the other has been silent twice"


def test_a_page_that_says_hello_again_was_not_clicked_in_again(rig: Rig) -> None:
    rig.link.hello("one")
    rig.now += 1
    rig.link.hello("two", clicked=False, devices=[BOX])
    rig.link.say("two", {"type": "click"})
    rig.now += 1
    rig.link.hello("one")
    assert labels(rig.sound) == ["Box"]


def test_a_link_that_is_closed_leaves_no_page(rig: Rig) -> None:
    rig.link.hello()
    rig.sound.detach()
    assert rig.sound.devices() == []
    assert "0 pages" in repr(rig.sound)


# ---------------------------------------------------------------- permission


@pytest.mark.parametrize(
    ("about", "code", "words"),
    [
        ({"secure": False}, "NotAllowedError", "https"),
        ({"permission": "denied"}, "NotAllowedError", "may not use the microphone"),
        ({"devices": [BOX]}, "NotFoundError", "no microphone"),
    ],
)
def test_why_there_is_no_microphone_is_told(rig: Rig, about: dict[str, Any], code: str, words: str) -> None:
    rig.link.hello(**about)
    with pytest.raises(MediaError, match=words) as refused:
        rig.sound.open_input(None, 48_000, lambda pcm: None)
    assert refused.value.code == code
    assert rig.link.of("microphone") == []


def test_a_page_without_https_gives_no_sound_at_all(rig: Rig) -> None:
    rig.link.hello(secure=False)
    assert rig.sound.devices() == []
    with pytest.raises(MediaError, match="https"):
        rig.sound.open_output(None, 48_000, lambda pcm: None)


def test_without_a_page_nothing_can_be_opened(rig: Rig) -> None:
    for opening in (rig.sound.open_input, rig.sound.open_output):
        with pytest.raises(MediaError, match="No page"):
            opening(None, 48_000, lambda pcm: None)
    assert isinstance(rig.sound.ask().exception(0), MediaError)
    assert rig.sound.permission() is None


def test_the_user_is_asked_once_and_may_take_time(rig: Rig) -> None:
    rig.link.hello(permission="prompt", devices=UNNAMED)
    first, second = rig.sound.ask(), rig.sound.ask()
    assert rig.link.of("reveal")[0]["constraints"] == {"echoCancellation": True}
    assert not first.done()
    assert rig.sound.permission() is None
    rig.link.say("one", {"type": "microphone", "error": ""})
    assert first.result(0) is second.result(0) is None
    assert rig.sound.permission() is True
    assert rig.outcomes == ["success"]


def test_a_refusal_is_told_and_holds_until_the_user_changes_it(rig: Rig) -> None:
    rig.link.hello(permission="prompt", devices=UNNAMED)
    asked = rig.sound.ask()
    rig.link.say("one", {"type": "microphone", "error": "NotAllowedError"})
    assert isinstance(asked.exception(0), MediaError)
    assert isinstance(rig.sound.permission(), MediaError)
    with pytest.raises(MediaError, match="may not"):
        rig.sound.open_input(None, 48_000, lambda pcm: None)
    rig.link.say("one", {"type": "devices", "permission": "granted", "devices": [DESK]})
    rig.sound.open_input(None, 48_000, lambda pcm: None)
    assert rig.outcomes == ["NotAllowedError", "success"]


def test_a_question_ends_with_its_page(rig: Rig) -> None:
    rig.link.hello(permission="prompt")
    asked = rig.sound.ask()
    rig.link.say("one", {"type": "bye"})
    assert isinstance(asked.exception(0), MediaError)


def test_a_microphone_that_is_open_needs_no_question(rig: Rig) -> None:
    rig.link.hello()
    stream = rig.sound.open_input(None, 48_000, lambda pcm: None)
    rig.link.say("one", {"type": "microphone", "error": ""})
    assert not stream.waiting
    assert rig.sound.ask().done()


# ---------------------------------------------------------------- sound


def test_sound_goes_both_ways(rig: Rig) -> None:
    rig.link.hello()
    taken: list[np.ndarray] = []
    stream = rig.sound.open_input("desk", 48_000, taken.append)
    assert rig.link.of("microphone")[-1] == {
        "type": "microphone",
        "on": True,
        "device": "desk",
        "constraints": {"echoCancellation": True},
    }
    assert rig.sound.transport == "comm"
    rig.link.say("one", {"type": "microphone", "error": ""})
    rig.link.say("one", {"type": "sound", "transport": "comm", "at": 1.0}, bytes(4))
    rig.link.say("two", {"type": "sound", "transport": "comm", "at": 1.0}, bytes(4))
    rig.link.say("one", {"type": "sound", "transport": "unknown", "at": 1.0}, bytes(4))
    assert len(taken) == 1
    rig.link.say("one", {"type": "stats", "transport": "comm", "rtt_ms": 30.0, "underruns": 3})
    assert (rig.sound.rtt_ms, rig.sound.underruns) == (30.0, 3)
    stream.close()
    assert rig.link.of("microphone")[-1]["on"] is False
    assert rig.sound.transport is None
    assert math.isnan(rig.sound.rtt_ms)
    assert rig.sound.underruns == 3, "the count only grows"


def test_a_speaker_gets_what_is_filled_in(rig: Rig) -> None:
    rig.link.hello()
    output = rig.speaker(lambda frame: frame.fill(5))
    assert rig.link.of("speaker")[-1]["on"] is True
    rig.sound._write(np.full(480, 5, np.int16))
    rig.sound._write(np.full(480, 5, np.int16))
    played = [buffers for _, message, buffers in rig.link.sent if message["type"] == "sound"]
    assert set(np.frombuffer(played[-1][0], "<i2")) == {5}
    output.move("other")
    assert rig.link.of("speaker")[-1]["device"] == "other"
    output.close()
    assert rig.link.of("speaker")[-1]["on"] is False


def test_what_is_open_goes_on_in_the_page_that_takes_over(rig: Rig) -> None:
    rig.link.hello("one")
    stream = rig.sound.open_input(None, 48_000, lambda pcm: None)
    rig.speaker()
    rig.sound.play("ringback", b"wav", loop=True, volume=1.0, device_id="default-output")
    rig.now += 1
    rig.link.hello("two")
    for type_ in ("microphone", "speaker", "start", "tone"):
        assert rig.link.of(type_, "two"), type_
    assert rig.link.of("tone", "two")[0]["device"] is None
    assert not stream.gone
    rig.sound.pause("ringback")
    assert rig.link.of("tone", "two")[-1]["on"] is False


def test_an_unplugged_microphone_is_lost_and_another_can_be_opened(rig: Rig) -> None:
    rig.link.hello()
    stream = rig.sound.open_input(None, 48_000, lambda pcm: None)
    rig.link.say("one", {"type": "microphone", "error": "NotFoundError"})
    assert stream.lost()
    with pytest.raises(MediaError):
        rig.sound.open_input(None, 48_000, lambda pcm: None)
    rig.link.say(
        "one", {"type": "devices", "permission": "granted", "devices": [{**DESK, "deviceId": "new"}]}
    )
    assert not rig.sound.open_input(None, 48_000, lambda pcm: None).gone


_made: list["OtherWay"] = []


class OtherWay(CommTransport):
    """A better way, which opens and fails when the test says so."""

    name = "webrtc"
    pulls = True
    rate = 48_000

    def start(
        self,
        take: Callable[[np.ndarray], None],
        fill: Callable[[np.ndarray], None],
        changed: Callable[[], None],
    ) -> None:
        self.take, self.fill, self.changed = take, fill, changed
        _made.append(self)

    def become(self, state: TransportState) -> None:
        self.state = state
        self.changed()


def test_the_best_way_that_is_open_is_used_also_in_the_middle_of_a_call() -> None:
    rig = Rig((OtherWay, CommTransport))
    rig.link.hello()
    taken: list[np.ndarray] = []
    rig.sound.open_input(None, 48_000, taken.append)
    assert rig.sound.transport == "comm"
    better = _made[-1]
    better.take(np.zeros(1, np.int16))
    assert taken == [], "only one way is heard at a time"
    better.become("open")
    assert rig.sound.transport == "webrtc"
    assert [message["on"] for message in rig.link.of("use") if message.get("transport") == "comm"] == [
        True,
        False,
    ]
    assert rig.link.of("way")[-1]["name"] == "webrtc"
    better.take(np.zeros(1, np.int16))
    assert len(taken) == 1
    assert rig.sound._input is not None
    assert rig.sound._input.rate == 48_000
    better.become("failed")
    assert rig.sound.transport == "comm"
    rig.close()


def test_a_page_whose_sound_passes_a_busy_kernel_is_not_forgotten() -> None:
    rig = Rig((OtherWay, CommTransport))
    rig.link.hello()
    rig.sound.open_input(None, 48_000, lambda pcm: None)
    better = _made[-1]
    better.become("open")
    rig.now += 120  # no message is read meanwhile
    assert rig.sound.devices()
    assert rig.sound.transport == "webrtc"
    better.become("failed")
    rig.now += 120
    assert not rig.sound.devices()
    rig.close()


def test_a_way_that_pulls_gets_the_sum_of_the_open_speakers() -> None:
    rig = Rig((OtherWay, CommTransport))
    rig.link.hello()
    speaker = rig.speaker(lambda frame: frame.fill(20_000))
    assert not speaker.punctual
    pulling, frame = _made[-1], np.zeros(480, np.int16)
    pulling.fill(frame)
    assert not frame.any(), "only one way is heard at a time"
    pulling.become("open")
    assert speaker.punctual
    pulling.fill(frame)
    assert set(frame.tolist()) == {20_000}
    other = rig.speaker(lambda frame: frame.fill(15_000))
    assert other.punctual
    pulling.fill(frame)
    assert set(frame.tolist()) == {32_767}
    pulling.become("failed")
    assert not speaker.punctual
    rig.close()
