"""A lab with workers carries many calls: those of `bench.class_capacity`, fewer of them and for less time."""

from __future__ import annotations

import pytest
from bench.class_capacity import measure

CALLS = 12


@pytest.mark.alone
async def test_calls_of_a_class_are_clean_in_a_lab_with_workers() -> None:
    found = await measure(CALLS, "OPUS", seconds=6.0, workers=2, kernels=1)
    assert (found["calls"], found["refused"], found["overloaded"]) == (CALLS, "none", False)
    assert float(str(found["mos_p5"])) > 4.2
    assert found["loss_in max, %"] == 0.0
    spent = {name: float(str(value)) for name, value in found.items() if name.endswith("CPU s/s")}
    assert len(spent) == 5, "lab, clients, two workers and others"
    assert spent["worker 1, CPU s/s"] == pytest.approx(spent["worker 2, CPU s/s"], rel=0.5), (
        "calls are spread"
    )
