"""Level meters, alone and computed together."""

import math

import numpy as np
import pytest
from media_network import PCMU, stream, ticks

from plivo_nb.media.audio.sources import Tone
from plivo_nb.media.levels import LevelMeter, settle_together


def test_levels_are_peaks_since_the_last_reading() -> None:
    one = stream(PCMU)
    one.source = Tone(500, level_dbfs=-20)
    ticks(one, 10)
    assert one.take_levels()[1] == pytest.approx(-17, abs=0.2)
    one.muted = True
    ticks(one, 10)
    assert one.take_levels()[1] == -100
    assert one.counters().level_out_dbfs == pytest.approx(-17, abs=0.2)


def test_a_peak_is_missing_where_no_frame_was_measured_since_the_last_reading() -> None:
    meter = LevelMeter()
    assert math.isnan(meter.take_peak_dbfs(0))
    meter.measure(np.full(960, 16384, np.int16), 48000)
    assert meter.take_peak_dbfs(0) == pytest.approx(-6.02, abs=0.01)
    assert math.isnan(meter.take_peak_dbfs(0))
    meter.silence(0.02)
    assert meter.take_peak_dbfs(0) == -100.0
    assert meter.take_peak_dbfs(1) == pytest.approx(-6.02, abs=0.01), "each reader has its own peak"


def test_frames_measured_together_give_what_each_gives_alone() -> None:
    told: list[float] = []
    meter = LevelMeter(told.extend)
    noise = np.random.default_rng(1).integers(-20000, 20000, (13, 160)).astype(np.int16)
    frame = np.zeros(160, np.int16)
    for values in noise:
        frame[:] = values  # a source may give the same array each time
        meter.measure(frame, 8000)
    power = np.mean((noise / 32768) ** 2, axis=1)
    assert meter.energy == pytest.approx(power.sum() * 0.02, rel=1e-4)
    assert meter.duration_s == pytest.approx(0.26)
    assert meter.level == pytest.approx(math.sqrt(power[-1]), rel=1e-4)
    assert told == pytest.approx(np.sqrt(power), rel=1e-4)
    assert meter.take_peak_dbfs(0) == pytest.approx(20 * math.log10(np.abs(noise).max() / 32768), abs=1e-3)
    meter.measure(np.full(960, 8192, np.int16), 48000)
    meter.settle(tell=False)
    assert meter.level == pytest.approx(0.25)
    assert len(told) == 13, "not told"


def test_meters_settled_together_give_what_each_gives_alone() -> None:
    together: list[LevelMeter] = []
    alone: list[LevelMeter] = []
    told: list[list[float]] = [[] for _ in range(14)]
    random = np.random.default_rng(2)
    for number, (samples, frames) in enumerate(
        [(160, 5), (960, 5), (160, 3), (160, 0), (960, 8), (960, 1), (960, 2)]
    ):
        pair = LevelMeter(told[number].extend), LevelMeter(told[7 + number].extend)
        for _ in range(frames):
            noise = random.integers(-32768, 32768, samples).astype(np.int16)
            for meter in pair:
                meter.measure(noise, samples * 50)
        together.append(pair[0])
        alone.append(pair[1])
    settle_together(together)
    assert [len(levels) for levels in told[:7]] == [5, 5, 3, 0, 8, 1, 2]
    for one, other in zip(together, alone, strict=True):
        assert one.energy == pytest.approx(other.energy)
        assert one.duration_s == other.duration_s
        assert one.level == pytest.approx(other.level)
        assert one.take_peak_dbfs(1) == pytest.approx(other.take_peak_dbfs(1), nan_ok=True)
    assert told[:7] == [pytest.approx(levels) for levels in told[7:]]
