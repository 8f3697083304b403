"""preflight: each test by itself. The whole check runs in tests/integration/test_preflight.py."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time
import types

import pandas as pd
import pytest

from plivo_nb import preflight
from plivo_nb.errors import LabError
from plivo_nb.media.transport import nat
from plivo_nb.media.transport.nat import NatMapping


def test_python_is_new_enough(monkeypatch):
    assert preflight._python().result == "pass"
    monkeypatch.setattr(preflight, "OLDEST_PYTHON", (99, 0))
    finding = preflight._python()
    assert finding.result == "fail"
    assert "newer" in finding.remedy


def test_packages_load_and_are_named_with_their_version():
    finding = preflight._packages()
    assert finding.result == "pass"
    assert "aiortc 1.16" in finding.detail


def test_a_package_that_does_not_load_is_named(monkeypatch):
    monkeypatch.setattr(preflight, "_PACKAGES", (("numpy", "numpy"), ("nothing", "no_such_module")))
    finding = preflight._packages()
    assert finding.result == "fail"
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


def test_no_portaudio_is_a_warning_that_says_what_to_install(monkeypatch):
    fake_sounddevice(monkeypatch, OSError("PortAudio library not found"))
    finding = preflight._sound()
    assert finding.result == "warn"
    assert "libportaudio2" in finding.remedy


@pytest.mark.parametrize("devices", [[], RuntimeError("Error initializing PortAudio")])
def test_no_sound_card_is_a_warning(monkeypatch, devices):
    fake_sounddevice(monkeypatch, devices)
    finding = preflight._sound()
    assert finding.result == "warn"
    assert "Calls work without" in finding.remedy


def test_devices_are_counted(monkeypatch):
    headset = {"max_input_channels": 1, "max_output_channels": 2}
    speaker = {"max_input_channels": 0, "max_output_channels": 2}
    fake_sounddevice(monkeypatch, [headset, speaker])
    assert preflight._sound() == preflight.Finding(
        "Sound", "pass", "PortAudio finds 1 input and 2 output devices."
    )


def test_sound_agrees_with_what_portaudio_says_on_this_machine():
    finding = preflight._sound()
    try:
        devices = importlib.import_module("sounddevice").query_devices()
    except (ImportError, OSError):  # neither the package nor the library need be there
        devices = []
    assert finding.result == ("pass" if len(devices) else "warn"), finding.detail


async def test_a_step_that_fails_is_a_finding_not_an_exception():
    async def work():
        raise LabError("The lab did not start.")

    found = []
    assert await preflight._step(found, "Lab", work, "Do this.") is False
    assert found == [preflight.Finding("Lab", "fail", "The lab did not start.", "Do this.")]


async def test_a_step_that_hangs_is_a_finding():
    found = []
    assert await preflight._step(found, "Call", asyncio.Event().wait, "Do this.", 0.05) is False
    assert (found[0].result, found[0].remedy) == ("fail", "Do this.")
    assert "Nothing happened" in found[0].detail


URLS = ("stun:one.example.com", "stun:two.example.com")
HERE = ("192.0.2.7", 5000)


@pytest.mark.parametrize(
    ("mapped", "problems", "result", "says"),
    [
        ({}, {URLS[0]: "no answer", URLS[1]: "no name"}, "warn", "No STUN server answered"),
        ({URLS[0]: HERE, URLS[1]: HERE}, {}, "pass", "no NAT"),
        ({URLS[0]: ("198.51.100.1", 7000)}, {URLS[1]: "no answer"}, "warn", "unknown type"),
        ({URLS[0]: ("198.51.100.1", 7000), URLS[1]: ("198.51.100.1", 7000)}, {}, "pass", "lets peers"),
        ({URLS[0]: ("198.51.100.1", 7000), URLS[1]: ("198.51.100.1", 7001)}, {}, "warn", "another port"),
    ],
)
async def test_each_kind_of_nat_has_its_words(monkeypatch, mapped, problems, result, says):
    async def answer(urls, timeout_s):
        return NatMapping(mapped, dict.fromkeys(mapped, 12.0), problems, frozenset({HERE}))

    monkeypatch.setattr(nat, "nat_mapping", answer)
    finding = await preflight._udp(URLS)
    assert finding.result == result
    assert says in finding.detail
    assert bool(finding.remedy) == (result == "warn")


async def test_no_udp_socket_at_all_is_a_failure(monkeypatch):
    async def refused(urls, timeout_s):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(nat, "nat_mapping", refused)
    assert (await preflight._udp(URLS)).result == "fail"


async def test_a_busy_loop_is_told():
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, time.sleep, 0.4)
    finding = await preflight._event_loop()
    assert finding.result == "warn"
    assert "busy" in finding.remedy


@pytest.mark.parametrize("installed", [True, False])
def test_a_kernel_is_named_with_the_widgets_extension(monkeypatch, installed):
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    finding = preflight._notebook()
    assert finding.result == ("pass" if installed else "warn")
    assert "ipykernel" in finding.detail


@pytest.mark.parametrize(
    ("column", "value", "remedy"),
    [
        ("mos", 2.0, "loses packets"),
        ("loss_in", 0.3, "loses packets"),
        ("rtt_ms", 700.0, "region"),
        ("jitter_in_ms", 80.0, "unevenly"),
    ],
)
def test_a_bad_call_is_a_restriction_with_one_remedy(column, value, remedy):
    good = {"mos": [4.3] * 9, "loss_in": [0.0] * 9, "rtt_ms": [20.0] * 9, "jitter_in_ms": [2.0] * 9}
    assert "echo answered" in preflight._rated("echo", pd.DataFrame(good).assign(codec="OPUS"))
    with pytest.raises(preflight._Restricted) as raised:
        preflight._rated("echo", pd.DataFrame(good).assign(**{"codec": "OPUS", column: value}))
    assert remedy in raised.value.remedy
