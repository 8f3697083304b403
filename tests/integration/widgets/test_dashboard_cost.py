"""The dashboard of a long call, in a real kernel, at three times what `bench.dashboard_cost` aims at."""

from __future__ import annotations

import pytest
from bench.dashboard_cost import TARGET_CPU, TARGET_LAG_MS, measure


@pytest.mark.alone
def test_the_kernel_is_as_free_in_the_twentieth_hour_as_without_a_dashboard() -> None:
    found = measure(8.0, hours=(20,))
    assert found["20 h"][2] < 3 * TARGET_LAG_MS
    assert found["20 h"][4] - found["no dashboard"][4] < 3 * TARGET_CPU
