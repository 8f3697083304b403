"""Scenarios, played by a running lab."""

from __future__ import annotations

import pytest
from waiting import until

from plivo_nb import Lab
from plivo_nb.lab.network.scenarios import SCENARIOS, read_scenario


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_sets_the_network_by_itself(name: str) -> None:
    async with Lab(robots=False) as lab:
        about = await lab.network.play(name, speed=100)
        assert about["name"] == name
        assert (await lab.status())["scenario"] == name

        async def over() -> bool:
            return (await lab.status())["scenario"] is None

        await until(over)
        steps = read_scenario(name).steps
        frame = lab.network.history
        assert list(frame["what"])[::2] == ["clear", "clear"] + ["set"] * len(steps)
        expected = dict(steps[-1].knobs)
        assert {
            knob: frame[knob].iloc[-2 if steps[-1].direction == "to_callee" else -1] for knob in expected
        } == expected
        times = frame.index[4::2]
        assert about["seconds"] - 0.15 < (times[-1] - times[0]).total_seconds() < about["seconds"] + 1.5
