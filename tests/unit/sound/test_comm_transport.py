"""Sound in messages of the notebook."""

import math

import numpy as np
import pytest
from page_world import FakeLink

from plivo_nb.sound.comm_transport import CommTransport
from plivo_nb.sound.page_transport import PAGE_RATE

FRAME = PAGE_RATE // 50


class Rig:
    """A transport to one page, at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.link = FakeLink()
        self.transport = CommTransport(self.link, "one", clock=lambda: self.now)
        self.taken: list[np.ndarray] = []
        self.changes = 0
        self.link.listen(lambda page, message, buffers: self.transport.receive(message, buffers))
        self.transport.start(self.taken.append, lambda out: None, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def sound(self, at_ms: float, data: bytes = bytes(2 * FRAME)) -> None:
        self.link.say("one", {"type": "sound", "at": at_ms}, data)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_it_is_open_at_once_and_tells_the_page_the_length_of_messages(rig: Rig) -> None:
    assert (rig.transport.state, rig.changes) == ("open", 1)
    assert rig.link.of("start") == [
        {"type": "start", "rate": PAGE_RATE, "samples": 2 * FRAME, "transport": "comm"}
    ]
    rig.transport.use(True)
    assert rig.link.of("use")[0]["on"] is True


def test_two_frames_are_one_message(rig: Rig) -> None:
    first, second = np.arange(FRAME, dtype=np.int16), np.full(FRAME, -7, np.int16)
    rig.transport.write(first)
    assert rig.link.of("sound") == []
    rig.transport.write(second)
    _, _, buffers = rig.link.sent[-1]
    assert np.array_equal(np.frombuffer(buffers[0], "<i2"), np.concatenate([first, second]))


def test_sound_of_the_page_is_taken_as_samples(rig: Rig) -> None:
    rig.sound(5.0, np.array([1, -2, 32767], "<i2").tobytes())
    assert rig.taken[0].tolist() == [1, -2, 32767]
    assert rig.taken[0].dtype == np.int16


@pytest.mark.parametrize("data", [b"odd", bytes(2 * PAGE_RATE + 2)])
def test_sound_that_is_none_is_left_out(rig: Rig, data: bytes) -> None:
    rig.sound(0.0, data)
    rig.link.say("one", {"type": "sound"}, bytes(4))
    rig.link.say("one", {"type": "sound", "at": 1})
    rig.link.say("one", {"type": "unheard of"})
    assert rig.taken == []


def test_messages_that_waited_behind_a_busy_kernel_are_dropped_so_that_the_delay_stays(rig: Rig) -> None:
    for number in range(10):
        rig.now = 100.0 + 0.04 * number
        rig.sound(40.0 * number)
    assert len(rig.taken) == 10
    rig.now += 3.0  # the kernel was busy: what was sent meanwhile comes at once
    for number in range(10, 85):
        rig.sound(40.0 * number)
    kept = len(rig.taken) - 10
    assert kept <= 11, "no more than 0.4 s"
    assert rig.transport.stale == 75 - kept
    rig.now += 0.04
    rig.sound(40.0 * 85)
    assert len(rig.taken) == 10 + kept + 1, "the present is heard again"


def test_a_page_whose_clock_is_slow_is_not_late_after_hours(rig: Rig) -> None:
    for minute in range(240):
        rig.now = 100.0 + 60 * minute
        rig.sound(60_000.0 * minute * (1 - 2e-4))
    assert rig.transport.stale == 0


def test_statistics_of_the_page_are_answered_and_kept(rig: Rig) -> None:
    assert math.isnan(rig.transport.rtt_ms)
    rig.link.say("one", {"type": "stats", "at": 7.5, "rtt_ms": 31.5, "underruns": 2})
    assert (rig.transport.rtt_ms, rig.transport.underruns) == (31.5, 2)
    assert rig.link.of("echo") == [{"type": "echo", "at": 7.5, "transport": "comm"}]
    rig.link.say("one", {"type": "stats", "rtt_ms": "x", "underruns": None})
    rig.link.say("one", {"type": "stats", "rtt_ms": math.inf, "underruns": 1})
    assert (rig.transport.rtt_ms, rig.transport.underruns) == (31.5, 2)


def test_after_the_end_nothing_is_taken(rig: Rig) -> None:
    rig.transport.stop()
    rig.transport.stop()
    rig.sound(0.0)
    assert rig.taken == []
    assert rig.transport.state == "closed"
    assert len(rig.link.of("stop")) == 1
