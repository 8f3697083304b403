"""What notebooks/listening.py gives the cells: a player whose voices are each in their own ear."""

from __future__ import annotations

import base64
import importlib.util
import io
import re
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from plivo_nb.audio_types import FULLBAND_RATE

RATE = 16_000
MODULE = Path(__file__).parents[3] / "notebooks" / "listening.py"


@pytest.fixture(scope="module")
def listening() -> ModuleType:
    spec = importlib.util.spec_from_file_location("listening", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def tone(hz: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(2 * RATE) / RATE)


def heard(shown: str) -> np.ndarray:
    """The channels of a player, at 48 kHz."""
    (data,) = re.findall(r"base64,([A-Za-z0-9+/=]+)", shown)
    with av.open(io.BytesIO(base64.b64decode(data))) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.concatenate(frames, axis=1)


def pitch_hz(sound: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(sound))) * FULLBAND_RATE / len(sound))


def test_two_voices_are_heard_in_one_ear_each(listening: ModuleType) -> None:
    channels = heard(listening.player("both", RATE, tone(440), tone(1000)).data)
    assert [round(pitch_hz(channel), -1) for channel in channels] == [440, 1000]
    assert channels.shape[1] / FULLBAND_RATE == pytest.approx(2.0, abs=0.05)


def test_one_voice_is_one_channel(listening: ModuleType) -> None:
    (channel,) = heard(listening.player("one", RATE, tone(440)).data)
    assert round(pitch_hz(channel), -1) == 440
    assert np.abs(channel).max() == pytest.approx(0.5, abs=0.1)


def test_what_is_too_loud_is_clipped(listening: ModuleType) -> None:
    (channel,) = heard(listening.player("loud", RATE, 4 * tone(440)).data)
    assert np.abs(channel).max() == pytest.approx(1.0, abs=0.25)


def test_the_words_are_text_and_no_markup(listening: ModuleType) -> None:
    shown = listening.player("<b>it's</b>", RATE, tone(440)).data
    assert "<b>" not in shown
    assert "aria-label='&lt;b&gt;it&#x27;s&lt;/b&gt;'" in shown
