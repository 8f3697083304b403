"""Scenarios: shipped ones, a user's own from frames and files, and their playing."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any, get_args

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import stays, until

from plivo_nb.lab import Lab
from plivo_nb.lab.network.scenarios import SCENARIOS, Player, ScenarioName, read_scenario

SHIPPED = get_args(ScenarioName)


class Recorded:
    """A network that only notes what is done to it, and when."""

    def __init__(self) -> None:
        self.done: list[tuple[float, str, dict[str, Any]]] = []

    def clear(self) -> None:
        self.done.append((asyncio.get_running_loop().time(), "clear", {}))

    def set(self, direction: str, **knobs: Any) -> None:
        self.done.append((asyncio.get_running_loop().time(), direction, knobs))


def test_the_shipped_ones_are_there_and_end_within_a_minute() -> None:
    assert tuple(SCENARIOS) == SHIPPED
    assert all(10 < scenario.seconds <= 60 for scenario in SCENARIOS.values())
    assert all(scenario.description for scenario in SCENARIOS.values())


def test_a_shipped_one_is_a_start_for_ones_own() -> None:
    frame = Lab().network.scenarios
    assert list(frame["scenario"].unique()) == list(SHIPPED)
    mine = frame[frame.scenario == "vpn"].drop(columns="scenario")
    assert read_scenario(mine).steps == SCENARIOS["vpn"].steps


@pytest.mark.parametrize("name", SHIPPED)
def test_rows_lead_back_to_the_scenario(name: str) -> None:
    assert read_scenario(read_scenario(name).rows()).steps == SCENARIOS[name].steps


def test_a_frame_with_empty_cells() -> None:
    frame = pd.DataFrame(
        {"at_s": [5, 0], "loss": [0.1, None], "delay_ms": [None, 40], "black_hole": [None, False]}
    )
    steps = read_scenario(frame).steps
    assert [step.at_s for step in steps] == [0, 5]
    assert steps[0].knobs == {"delay_ms": 40.0, "black_hole": False}
    assert steps[1].knobs == {"loss": 0.1}
    assert steps[0].direction == "both"


def test_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("at_s,direction,loss,reorder,jitter_shape\n0,both,0.05,,normal\n2,to_caller,,no,\n")
    scenario = read_scenario(file)
    assert scenario.name == "mine.csv"
    assert scenario.steps[0].knobs == {"loss": 0.05, "jitter_shape": "normal"}
    assert (scenario.steps[1].direction, scenario.steps[1].knobs) == ("to_caller", {"reorder": False})


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("mars", "no scenario or CSV file 'mars'"),
        ([], "1 to 10000 rows"),
        ([{"loss": 0.1}], "Row 1 .* at_s"),
        ([{"at_s": 0}, {"at_s": "soon"}], "Row 2 .* at_s"),
        ([{"at_s": -1}], "Row 1: at_s"),
        ([{"at_s": 0, "speed": 1}], "Row 1: .* no knob 'speed'"),
        ([{"at_s": 0, "loss": 7}], "Row 1: loss"),
        ([{"at_s": 0, "loss": "much"}], "Row 1: loss"),
        ([{"at_s": 0, "direction": "up"}], "Row 1: direction"),
        ([{"at_s": 0, "black_hole": "perhaps"}], "Row 1: black_hole"),
        ([{"at_s": 0, "burst_loss": 0.1}, {"at_s": 1, "burst_packets": 3, "loss": 0.5}], "burst_loss"),
    ],
)
def test_what_cannot_be_is_named(rows: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read_scenario(rows)


@given(
    st.lists(st.dictionaries(st.text(max_size=8), st.none() | st.text(max_size=8) | st.floats(), max_size=4))
)
def test_any_table_is_a_scenario_or_a_sentence(rows: list[dict[str, Any]]) -> None:
    with contextlib.suppress(ValueError):  # nothing else may come
        assert read_scenario(rows).steps


async def test_it_is_played_in_time() -> None:
    network = Recorded()
    player = Player(network.clear, network.set)
    began = asyncio.get_running_loop().time()
    player.start(
        read_scenario([{"at_s": 0, "loss": 0.1}, {"at_s": 20, "direction": "to_caller", "loss": 0.2}]), 100
    )
    assert player.playing == "rows"
    await until(lambda: not player.playing)
    assert [what for _, what, _ in network.done] == ["clear", "both", "to_caller"]
    assert network.done[2][2] == {"loss": 0.2}
    assert 0.2 <= network.done[2][0] - began < 2


async def test_a_loop_goes_on_until_it_is_stopped() -> None:
    network = Recorded()
    player = Player(network.clear, network.set)
    player.start(read_scenario([{"at_s": 0, "loss": 0.1}]), speed=100, loop=True)
    await until(lambda: len(network.done) >= 6)
    player.stop()
    played = len(network.done)
    await stays(lambda: len(network.done) == played, 0.05)
    with pytest.raises(ValueError, match="speed"):
        player.start(SCENARIOS["vpn"], speed=0)


async def test_start_and_end_are_reported() -> None:
    network = Recorded()
    playing: list[str | None] = []
    player = Player(network.clear, network.set, playing.append)
    player.stop()
    player.start(read_scenario([{"at_s": 0, "loss": 0.1}]), speed=1000)
    await until(lambda: len(playing) == 2)
    player.start(SCENARIOS["vpn"])
    player.start(SCENARIOS["3g"])
    player.stop()
    player.stop()
    assert playing == ["rows", None, "vpn", None, "3g", None]
