"""PulseAudio itself: its devices, their changes, and moving a stream."""

import threading
from collections.abc import Iterator

import pytest
from sound_server import SoundServer
from waiting import wait_until

from plivo_nb.sound.portaudio import PortAudio
from plivo_nb.sound.pulse import PulseServer


@pytest.fixture
def changed() -> threading.Event:
    return threading.Event()


@pytest.fixture
def pulse(server: SoundServer, changed: threading.Event) -> Iterator[PulseServer]:
    connected = PulseServer.connect(changed.set)
    assert connected is not None
    yield connected
    connected.close()


def test_sinks_and_sources_are_devices_and_monitors_are_not(pulse: PulseServer) -> None:
    labels = {device.label for device in pulse.devices()}
    assert {"Loudspeaker", "Headset", "Desk-microphone"} <= labels
    assert not [label for label in labels if "Monitor" in label]
    default = pulse.default("audiooutput")
    assert next(d.label for d in pulse.devices() if d.deviceId == default) == "Loudspeaker"


def test_a_device_that_comes_and_goes_is_reported(
    pulse: PulseServer, server: SoundServer, changed: threading.Event
) -> None:
    assert changed.wait(5), "once at the beginning"
    changed.clear()
    module = server.plug_sink("extra", "Extra")
    assert changed.wait(5)
    (extra,) = [device for device in pulse.devices() if device.label == "Extra"]
    assert pulse.has("audiooutput", extra.deviceId)
    changed.clear()
    server.unplug(module)
    assert changed.wait(5)
    assert not pulse.has("audiooutput", extra.deviceId)


def test_a_stream_is_moved_to_another_device(server: SoundServer) -> None:
    system = PortAudio()
    system.start(lambda: None)
    try:
        by_label = {device.label: device.deviceId for device in system.devices()}
        stream = system.open_output(by_label["Loudspeaker"], 48_000, lambda out: out.fill(0))
        try:
            wait_until(lambda: stream.callbacks > 3)
            assert server.streams()["out"] == {"speaker"}
            assert stream.move(by_label["Headset"])
            assert server.streams()["out"] == {"headset"}
            assert not stream.move("no such device")
            before = stream.callbacks
            wait_until(lambda: stream.callbacks > before + 3)
            assert not stream.lost()
        finally:
            stream.close()
    finally:
        system.stop()


def test_without_a_server_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSE_SERVER", "unix:/no/such/socket")
    assert PulseServer.connect(lambda: None) is None
