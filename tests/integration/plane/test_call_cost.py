"""CPU time of calls compared with stock aiortc, measured as the bench does, in one run."""

from __future__ import annotations

import pytest
from bench.call_cost import apart

pytestmark = pytest.mark.alone  # two processes are compared: a third one beside would blur them

CALLS, SECONDS = 10, 6.0
#: What the bench shows on a calm machine at 10 calls is less than these; doubled for a busy one.
LIMITS = {"OPUS": 2 * 0.40, "PCMU": 2 * 0.15}


@pytest.mark.parametrize("codec", LIMITS)
def test_a_call_costs_a_fraction_of_stock_aiortc(codec: str) -> None:
    ours, stock = (apart(engine, codec, CALLS, SECONDS)["cpu"] for engine in ("plane", "aiortc"))
    assert ours < LIMITS[codec] * stock, f"{ours:.2f} against {stock:.2f} CPU seconds an endpoint-minute"
