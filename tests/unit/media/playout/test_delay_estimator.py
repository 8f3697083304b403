"""The delay that a network's jitter needs."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.media.playout.delay_estimator import DelayEstimator


def test_the_target_stays_between_its_limits() -> None:
    estimator = DelayEstimator(0.04, 0.12)
    assert estimator.target_s == 0.04
    generator = random.Random(2)
    for _ in range(300):
        estimator.add(generator.uniform(0, 1.0))
    assert estimator.target_s == pytest.approx(0.12)


def test_one_stray_packet_does_not_move_the_target() -> None:
    estimator = DelayEstimator(0.02, 0.2)
    for n in range(500):
        estimator.add(0.15 if n == 250 else 0.0)
        assert n < 200 or estimator.target_s == pytest.approx(0.02)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=600))
def test_the_target_is_always_within_its_limits(transits: list[float]) -> None:
    estimator = DelayEstimator(0.02, 0.2)
    for transit in transits:
        estimator.add(transit)
        assert 0.02 <= estimator.target_s <= 0.2
    assert estimator.base_s >= min(transits)
    estimator.reset()
    assert not estimator.measured
    assert estimator.target_s == 0.02


def covering(transits: list[float]) -> float:
    """The target for these packets, by definition: whole frames over the percentiles and 10 ms."""
    five_seconds, second = sorted(transits[-256:]), sorted(transits[-50:])
    long = five_seconds[math.ceil(0.97 * len(five_seconds)) - 1]
    short = second[math.ceil(0.95 * len(second)) - 1]
    need = max(long, short) - five_seconds[0] + 0.010
    return min(0.2, max(0.02, math.ceil(need / 0.02 - 1e-6) * 0.02))


@given(st.lists(st.sampled_from([n / 100 for n in range(20)]), min_size=1, max_size=40), st.integers(1, 700))
def test_the_target_covers_the_last_second_and_the_last_five_seconds(some: list[float], count: int) -> None:
    transits = [some[n * n % len(some)] for n in range(count)]
    estimator = DelayEstimator(0.02, 0.2)
    for transit in transits:
        estimator.add(transit)
    # It is estimated at least every ten packets.
    assert estimator.target_s in {covering(transits[:end]) for end in range(max(1, count - 9), count + 1)}
