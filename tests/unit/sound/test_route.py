"""A device route: when its device is opened, switched, lost and closed."""

from collections.abc import Iterator

import pytest

from plivo_nb.errors import MediaError
from plivo_nb.sound.devices import Device
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.testing import FakeSound


class Rig:
    """A route with one microphone attached, updated at times that the test gives."""

    def __init__(self) -> None:
        self.sound = FakeSound(running=False)
        self.states: list[str] = []
        self.route = InputRoute(lambda: None, lambda state, error: self.states.append(state))
        self.microphone = Microphone(self.route)

    def devices(self) -> list[Device]:
        return [device for device in self.sound.devices() if device.kind == "audioinput"]

    def update(self, now: float, blocks: int = 1) -> bool:
        for _ in range(blocks):
            self.sound.step()
        present = {device.deviceId for device in self.devices()}
        return self.route.update(self.sound, present, self.sound.default("audioinput"), now)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.route.close()


def test_the_device_is_open_while_in_use_and_half_a_second_longer(rig: Rig) -> None:
    rig.update(0.0)
    assert rig.route.stream is None, "nobody uses it"
    rig.microphone.start()
    rig.update(0.1)
    assert rig.route.stream is not None
    rig.microphone.stop()
    rig.update(0.5)
    assert rig.route.stream is not None
    rig.update(0.7)
    assert rig.route.stream is None
    assert rig.states == ["open", "closed"]


def test_a_device_without_callbacks_is_lost(rig: Rig) -> None:
    rig.microphone.start()
    rig.update(0.0)
    for check in range(1, 30):
        rig.update(0.1 * check)
    assert rig.states == ["open"]
    lost = [rig.update(3.0 + 0.1 * check, blocks=0) for check in range(8)]
    assert any(lost)
    assert rig.states[:2] == ["open", "lost"]


def test_a_late_check_does_not_count(rig: Rig) -> None:
    rig.microphone.start()
    rig.update(0.0)
    assert not any(rig.update(3.0 + 1.0 * check, blocks=0) for check in range(20))
    assert rig.states == ["open"]


def test_a_device_that_cannot_be_opened_is_tried_again_ever_more_rarely(rig: Rig) -> None:
    def refuse(*arguments: object) -> None:
        tried.append(now)
        raise MediaError("The microphone is in use.", "NotAllowedError")

    tried: list[float] = []
    rig.sound.open_input = refuse  # type: ignore[method-assign, assignment]
    rig.microphone.start()
    for step in range(300):
        now = 0.1 * step
        rig.update(now, blocks=0)
    assert tried == pytest.approx([0.0, 1.0, 3.0, 7.0, 15.0, 23.0], abs=0.15)
    assert rig.states == ["failed"], "reported once"
    rig.route.retry()
    rig.update(30.0, blocks=0)
    assert len(tried) == 7, "devices have changed: at once"
