"""The device manager: its thread, the list of devices and its changes."""

import threading
from collections.abc import Iterator

import pytest
from waiting import wait_until

from plivo_nb.errors import MediaError
from plivo_nb.sound.device_manager import DeviceChange, DeviceManager
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.testing import FakeSound


@pytest.fixture
def sound() -> FakeSound:
    return FakeSound(("First", "Second"), ("Speaker",))


@pytest.fixture
def manager(sound: FakeSound) -> Iterator[DeviceManager]:
    made = DeviceManager(sound)
    made.start()
    yield made
    made.stop().result(5)


def running() -> bool:
    return any(thread.name == "plivo_nb device manager" for thread in threading.enumerate())


def test_one_thread_runs_from_start_to_stop(sound: FakeSound) -> None:
    manager = DeviceManager(sound)
    manager.start()
    manager.start()
    assert sum(thread.name == "plivo_nb device manager" for thread in threading.enumerate()) == 1
    manager.stop().result(5)
    manager.stop().result(5)
    wait_until(lambda: not running())


def test_a_manager_that_never_started_stops_at_once(sound: FakeSound) -> None:
    assert DeviceManager(sound).stop().done()


def test_work_runs_on_the_managers_thread_and_its_exceptions_come_back(manager: DeviceManager) -> None:
    assert manager.do(lambda: threading.current_thread().name).result(5) == "plivo_nb device manager"
    with pytest.raises(ZeroDivisionError):
        manager.do(lambda: 1 // 0).result(5)


def test_devices_are_listed_and_their_changes_reported(manager: DeviceManager, sound: FakeSound) -> None:
    changes: list[DeviceChange] = []
    manager.add(InputRoute(manager.wake), changes.append)
    assert [d.label for d in manager.do(manager.devices).result(5)] == ["First", "Second", "Speaker"]
    third = sound.plug("audioinput", "Third")
    wait_until(lambda: changes == [("added", third)])
    assert manager.has("audioinput", third.deviceId)
    assert not manager.has("audiooutput", third.deviceId)
    sound.unplug(third)
    wait_until(lambda: changes[1:] == [("removed", third)])
    assert not manager.has("audioinput", third.deviceId)
    assert manager.has("audioinput")


def test_a_route_is_switched_to_a_device_that_exists_only(manager: DeviceManager, sound: FakeSound) -> None:
    route = InputRoute(manager.wake)
    manager.add(route)
    first, second, speaker = sound.devices()
    microphone = Microphone(route)
    microphone.start()
    wait_until(lambda: route.stream is not None and route.stream.device_id == first.deviceId)
    manager.do(lambda: manager.choose(route, second.deviceId)).result(5)
    wait_until(lambda: route.stream is not None and route.stream.device_id == second.deviceId)
    for wrong in ("unknown", speaker.deviceId):
        with pytest.raises(MediaError, match="There is no microphone"):
            manager.do(lambda wrong=wrong: manager.choose(route, wrong)).result(5)
    assert route.chosen == second.deviceId
    manager.remove([route], lambda change: None).result(5)
    assert route.stream is None
    assert not sound.open_streams()


def test_trying_a_device_leaves_it_closed_or_raises(manager: DeviceManager, sound: FakeSound) -> None:
    route = InputRoute(manager.wake)
    manager.add(route)
    manager.do(lambda: manager.try_device(route)).result(5)
    assert not sound.open_streams()
    sound.occupy(sound.devices()[0])
    with pytest.raises(MediaError):
        manager.do(lambda: manager.try_device(route)).result(5)


def test_without_a_sound_system_the_reason_is_kept_and_raised(sound: FakeSound) -> None:
    sound.missing = True
    manager = DeviceManager(sound)
    manager.start()
    with pytest.raises(MediaError) as caught:
        manager.do(manager.devices).result(5)
    assert manager.error is caught.value
    manager.stop().result(5)


def test_a_listener_that_raises_is_logged_once_and_the_manager_continues(
    manager: DeviceManager, sound: FakeSound, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(change: DeviceChange) -> None:
        raise RuntimeError("mine")

    manager.add(InputRoute(manager.wake), fail)
    assert len(manager.do(manager.devices).result(5)) == 3
    sound.plug("audioinput", "Third")
    wait_until(lambda: "it continues" in caplog.text)
    assert len(manager.do(manager.devices).result(5)) == 4
