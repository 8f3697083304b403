"""PESQ and ViSQOL of received sound beside the whole sound that was sent."""

import sys
from pathlib import Path

import numpy as np
import pytest

from plivo_nb.analysis import listening
from plivo_nb.analysis.compare import load
from plivo_nb.data import speech_path
from plivo_nb.media.audio.encoding import wav_bytes

RATE = 16_000
SPEECH = (load(speech_path(), RATE) * 32767).astype(np.int16)
HEARD = np.roll(SPEECH, -RATE)[: 6 * RATE]  # begins in the middle of the reference


def test_the_same_sound_has_the_best_score_wherever_it_begins() -> None:
    assert listening.pesq(RATE, HEARD, speech_path()) > 4.3


def test_a_score_falls_with_what_is_missing() -> None:
    broken = HEARD.copy()
    for start in range(0, len(broken), RATE // 5):
        broken[start : start + RATE // 20] = 0
    assert listening.pesq(RATE, broken, (RATE, SPEECH)) < 3.0


def test_visqol_rates_likewise(tmp_path: Path) -> None:
    (tmp_path / "said.wav").write_bytes(wav_bytes(RATE, SPEECH))
    assert listening.visqol(RATE, HEARD[: 3 * RATE], tmp_path / "said.wav") > 4.0


def test_another_sound_is_refused() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 3 * RATE).astype(np.int16)
    with pytest.raises(ValueError, match="not that of the reference"):
        listening.pesq(RATE, noise, (RATE, SPEECH))
    with pytest.raises(ValueError, match="at least 1 s"):
        listening.pesq(RATE, noise[:100], (RATE, SPEECH))


@pytest.mark.parametrize("name", ["pesq", "visqol"])
def test_a_package_that_is_missing_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"needs the package {name}.*plivo-nb\[listen\]"):
        getattr(listening, name)(RATE, HEARD, (RATE, SPEECH))
