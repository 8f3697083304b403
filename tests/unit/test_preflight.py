"""preflight: each test by itself. The whole check runs in tests/integration/test_preflight.py."""

from __future__ import annotations

import asyncio
import importlib
import sys
import types

import pytest

from plivo_nb import preflight
from plivo_nb.errors import LabError


def test_python_is_new_enough(monkeypatch):
    assert preflight._python().result == "ok"
    monkeypatch.setattr(preflight, "OLDEST_PYTHON", (99, 0))
    finding = preflight._python()
    assert finding.result == "failed"
    assert "is needed" in finding.detail


def test_packages_load_and_are_named_with_their_version():
    finding = preflight._packages()
    assert finding.result == "ok"
    assert "aiortc 1.16" in finding.detail


def test_a_package_that_does_not_load_is_named(monkeypatch):
    monkeypatch.setattr(preflight, "_PACKAGES", (("numpy", "numpy"), ("nothing", "no_such_module")))
    finding = preflight._packages()
    assert finding.result == "failed"
    assert "nothing (No module named 'no_such_module')" in finding.detail
    assert "numpy" not in finding.detail


def fake_sounddevice(monkeypatch, devices):
    module = types.ModuleType("sounddevice")

    def query_devices():
        if isinstance(devices, Exception):
            raise devices
        return devices

    module.query_devices = query_devices
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_no_portaudio_is_a_note_that_says_what_to_install(monkeypatch):
    fake_sounddevice(monkeypatch, OSError("PortAudio library not found"))
    finding = preflight._sound()
    assert finding.result == "note"
    assert "libportaudio2" in finding.detail


@pytest.mark.parametrize("devices", [[], RuntimeError("Error initializing PortAudio")])
def test_no_sound_card_is_a_note(monkeypatch, devices):
    fake_sounddevice(monkeypatch, devices)
    finding = preflight._sound()
    assert finding.result == "note"
    assert "calls work without" in finding.detail


def test_devices_are_counted(monkeypatch):
    headset = {"max_input_channels": 1, "max_output_channels": 2}
    speaker = {"max_input_channels": 0, "max_output_channels": 2}
    fake_sounddevice(monkeypatch, [headset, speaker])
    assert preflight._sound() == preflight.Finding(
        "Sound", "ok", "PortAudio finds 1 input and 2 output devices."
    )


def test_sound_agrees_with_what_portaudio_says_on_this_machine():
    finding = preflight._sound()
    try:
        devices = importlib.import_module("sounddevice").query_devices()
    except (ImportError, OSError):  # neither the package nor the library need be there
        devices = []
    assert finding.result == ("ok" if len(devices) else "note"), finding.detail


async def test_a_step_that_fails_is_a_finding_not_an_exception():
    async def work():
        raise LabError("The lab did not start.")

    found = []
    assert await preflight._step(found, "Lab", work) is False
    assert found == [preflight.Finding("Lab", "failed", "The lab did not start.")]


async def test_a_step_that_hangs_is_a_finding(monkeypatch):
    monkeypatch.setattr(preflight, "_STEP_TIMEOUT_S", 0.05)
    found = []
    assert await preflight._step(found, "Call", asyncio.Event().wait) is False
    assert found[0].result == "failed"
    assert "Nothing happened" in found[0].detail
