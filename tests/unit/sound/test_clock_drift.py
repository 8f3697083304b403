"""The control of a buffer between two clocks."""

import numpy as np
import pytest

from plivo_nb.sound.clock_drift import DriftControl, RateBuffer


def test_the_target_grows_when_it_ran_dry_and_shrinks_when_all_is_calm() -> None:
    drift = DriftControl(0.04)
    for _ in range(40):
        drift.ran_dry()
    assert drift.target_s == 0.160
    for _ in range(50 * 60 * 8):
        drift.observe(drift.target_s, 0.02)
    assert drift.target_s == pytest.approx(0.04)


def test_the_correction_is_never_more_than_half_a_percent() -> None:
    drift = DriftControl(0.04)
    for _ in range(2_000):
        fast = drift.observe(0.5, 0.02)
    for _ in range(2_000):
        slow = drift.observe(0.0, 0.02)
    assert fast == 1.005
    assert slow == pytest.approx(0.996, abs=0.0005)


def test_a_small_error_is_no_drift() -> None:
    drift = DriftControl(0.04)
    assert {drift.observe(0.0415, 0.02) for _ in range(500)} == {1.0}
    assert drift.observe(0.5, 0.02) > 1.0


def test_the_fill_to_keep_can_be_changed_and_what_was_learnt_stays() -> None:
    drift = DriftControl(0.06)
    drift.ran_dry()
    drift.keep(0.03)
    assert drift.target_s == pytest.approx(0.04)
    drift.keep(0.03)
    assert drift.target_s == pytest.approx(0.04)
    drift.keep(0.06)
    assert drift.target_s == pytest.approx(0.07)


def test_a_buffer_knows_its_fill_in_seconds() -> None:
    buffer = RateBuffer(8_000)
    buffer.ring.write(np.zeros(800, np.int16))
    assert buffer.fill_s == 0.1
    assert buffer.ring.free == 3_200
