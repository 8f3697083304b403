"""Scenarios: tables of times and knobs that change the network while it runs.

    at_s | direction  | any knobs of `KNOBS`; an empty cell does not change the knob
    0    | both       | delay_ms=25, jitter_ms=5
    12   | to_callee  | loss=0.03

A scenario starts from a clean network. The settings of its last row stay in force after it ends.
"""

from __future__ import annotations

import asyncio
import csv
import math
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Required, cast, get_args

from plivo_nb.lab.network.impairment import Impairment
from plivo_nb.lab.network.knobs import DIRECTIONS, KNOBS, DirectionOrBoth, NetworkKnobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ScenarioName = Literal["commute", "coffee-shop-wifi", "vpn", "satellite", "3g", "failing-router"]
_CHOICES: tuple[DirectionOrBoth, ...] = get_args(DirectionOrBoth)
_SWITCHES = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
MAX_STEPS = 10_000


class ScenarioRow(NetworkKnobs, total=False):
    """A row of a scenario: the time in seconds from its start, the direction (default both), and knobs."""

    at_s: Required[float]
    direction: DirectionOrBoth


@dataclass(frozen=True, slots=True)
class Step:
    """Knobs to set at a time, in seconds from the start of the scenario."""

    at_s: float
    direction: DirectionOrBoth
    knobs: NetworkKnobs


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named sequence of steps, in the order of time; shipped scenarios have a description."""

    name: str
    steps: tuple[Step, ...]
    description: str = ""

    @property
    def seconds(self) -> float:
        """The time of the last step."""
        return self.steps[-1].at_s

    def rows(self) -> list[dict[str, Any]]:
        """The steps as dicts with ``at_s``, ``direction`` and knobs."""
        return [{"at_s": step.at_s, "direction": step.direction, **step.knobs} for step in self.steps]


def read_scenario(source: Any) -> Scenario:
    """Read a scenario.

    Args:
        source: the name of a shipped scenario, the path of a CSV file, a DataFrame, or rows as dicts.
            Columns: ``at_s``, optionally ``direction``, and knobs.

    Raises:
        ValueError: there is no such scenario, or a row is invalid; the message names the row and the reason.

    Example:
        >>> read_scenario([{"at_s": 0, "loss": 0.02}, {"at_s": 5, "loss": 0}]).seconds
        5.0
    """
    if isinstance(source, Scenario):
        return source
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        if name in SCENARIOS:
            return SCENARIOS[name]
        if not os.path.isfile(name):
            raise ValueError(
                f"There is no scenario or CSV file {name!r}; use a CSV file or one of {', '.join(SCENARIOS)}."
            )
        with open(name, newline="", encoding="utf-8") as file:
            return _scenario(os.path.basename(name), csv.DictReader(file))
    if hasattr(source, "to_dict"):
        return _scenario("frame", source.to_dict("records"))
    return _scenario("rows", source)


def _scenario(name: str, rows: Iterable[Mapping[Any, Any]]) -> Scenario:
    steps = sorted((_step(number, row) for number, row in enumerate(rows, 1)), key=lambda step: step.at_s)
    if not 1 <= len(steps) <= MAX_STEPS:
        raise ValueError(f"A scenario has 1 to {MAX_STEPS} rows, not {len(steps)}.")
    now = {direction: Impairment() for direction in DIRECTIONS}
    for step in steps:  # a row that is invalid after the rows before it fails now, not during playback
        for direction in now:
            if step.direction in ("both", direction):
                now[direction] = replace(now[direction], **step.knobs)
    return Scenario(name, tuple(steps))


def _step(number: int, row: Mapping[Any, Any]) -> Step:
    cells = {str(key): value for key, value in row.items() if not _is_empty(value)}
    try:
        at_s = float(cells.pop("at_s"))
    except (KeyError, ValueError, TypeError):
        raise ValueError(f"Row {number} of the scenario needs a number of seconds in at_s.") from None
    direction = str(cells.pop("direction", "both"))
    if direction not in _CHOICES:
        raise ValueError(f"Row {number}: direction must be one of {', '.join(_CHOICES)}, not {direction!r}.")
    if not 0 <= at_s <= 1e6:
        raise ValueError(f"Row {number}: at_s must be 0 or more, not {at_s}.")
    unknown = sorted(set(cells) - set(KNOBS))
    if unknown:
        raise ValueError(f"Row {number}: the network has no knob {unknown[0]!r}; it has {', '.join(KNOBS)}.")
    try:
        knobs = {name: _value(name, cell) for name, cell in cells.items()}
        Impairment(**{**knobs, "burst_loss": 1.0})
    except ValueError as error:
        raise ValueError(f"Row {number}: {error}") from None
    return Step(at_s, direction, cast("NetworkKnobs", knobs))


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or str(cell).strip() == ""


def _value(name: str, cell: Any) -> Any:
    if KNOBS[name].kind == "text":
        return str(cell).strip()
    if KNOBS[name].kind == "switch":
        text = str(cell).strip().lower().removesuffix(".0")
        if text not in _SWITCHES:
            raise ValueError(f"{name} must be true or false, not {cell!r}.")
        return _SWITCHES[text]
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number, not {cell!r}.") from None


class Player:
    """Plays one scenario at a time.

    Args:
        clear: resets the network, as `Network.clear` does.
        set_knobs: sets knobs, as `Network.set` does.
        changed: called with the name of the scenario that has started, and with None when it has ended.

    Attributes:
        playing: the name of the scenario that is playing, or None.
    """

    def __init__(
        self,
        clear: Callable[[], Any],
        set_knobs: Callable[..., Any],
        changed: Callable[[str | None], Any] = lambda name: None,
    ) -> None:
        self._clear = clear
        self._set = set_knobs
        self._changed = changed
        self._task: asyncio.Task[None] | None = None
        self.playing: str | None = None

    def start(self, scenario: Scenario, speed: float = 1.0, loop: bool = False) -> None:
        """Start a scenario now; the one that is playing is stopped.

        Args:
            scenario: the scenario to play.
            speed: playback speed; 2 takes half the time.
            loop: start again one second after the last step.

        Raises:
            ValueError: the speed is not from 0.01 to 1000.
        """
        if not 0.01 <= speed <= 1000:
            raise ValueError(f"speed must be from 0.01 to 1000, not {speed!r}.")
        self.stop()
        self._set_playing(scenario.name)
        self._task = asyncio.get_running_loop().create_task(
            self._play(scenario, speed, loop), name=f"lab scenario {scenario.name}"
        )

    def stop(self) -> None:
        """Stop the scenario; the knobs keep their values."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if self.playing is not None:
            self._set_playing(None)

    async def _play(self, scenario: Scenario, speed: float, loop: bool) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            self._clear()
            for step in scenario.steps:
                await asyncio.sleep(max(0.0, began + step.at_s / speed - clock()))
                self._set(direction=step.direction, **step.knobs)
            if not loop:
                break
            await asyncio.sleep(1.0 / speed)
        self._set_playing(None)

    def _set_playing(self, name: str | None) -> None:
        self.playing = name
        self._changed(name)


def _shipped(name: str, description: str, *rows: Any) -> Scenario:
    """Make a scenario from rows of (at_s, knobs) or (at_s, direction, knobs)."""
    both = [(row[0], "both" if len(row) == 2 else row[1], row[-1]) for row in rows]
    scenario = _scenario(name, [{"at_s": at_s, "direction": way, **knobs} for at_s, way, knobs in both])
    return replace(scenario, description=description)


# Typical values of handovers, a congested cell, competing downloads and a failing router.
SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        _shipped(
            "commute",
            "a train ride: handovers, a tunnel without any packets, loss in bursts up to 12\u00a0%",
            (0, {"delay_ms": 30, "jitter_ms": 8}),
            (10, {"delay_ms": 45, "jitter_ms": 20, "loss": 0.01, "burst_packets": 3}),
            (18, {"delay_ms": 90, "jitter_ms": 40, "loss": 0.06, "burst_packets": 6}),
            (24, {"black_hole": True}),
            (25.5, {"black_hole": False, "delay_ms": 60, "jitter_ms": 25, "loss": 0.02}),
            (32, {"delay_ms": 35, "jitter_ms": 10, "loss": 0.0}),
            (42, {"delay_ms": 180, "jitter_ms": 60, "loss": 0.12, "burst_packets": 10}),
            (47, {"delay_ms": 40, "jitter_ms": 12, "loss": 0.005, "burst_packets": 2}),
            (55, {"delay_ms": 30, "jitter_ms": 8, "loss": 0.0}),
        ),
        _shipped(
            "coffee-shop-wifi",
            "a shared Wi-Fi: jitter, and a narrow downlink while others download",
            (0, {"delay_ms": 15, "jitter_ms": 10, "jitter_shape": "normal"}),
            (8, {"jitter_ms": 25, "loss": 0.015, "burst_packets": 3}),
            (16, "to_caller", {"rate_kbps": 60, "queue_ms": 300}),
            (24, "to_caller", {"rate_kbps": 34, "queue_ms": 300}),
            (30, "to_caller", {"rate_kbps": 1000, "queue_ms": 300}),
            (36, {"jitter_ms": 45, "loss": 0.04, "burst_packets": 5}),
            (46, {"jitter_ms": 10, "loss": 0.0}),
        ),
        _shipped(
            "vpn",
            "a detour over a VPN: 70 to 240 ms of delay, little jitter and loss",
            (0, {"delay_ms": 70, "jitter_ms": 6, "reorder": False}),
            (12, {"delay_ms": 110, "jitter_ms": 15}),
            (20, {"delay_ms": 75, "jitter_ms": 6, "loss": 0.005}),
            (30, {"delay_ms": 240, "jitter_ms": 10}),
            (36, {"delay_ms": 70, "jitter_ms": 6, "loss": 0.0}),
        ),
        _shipped(
            "satellite",
            "a geostationary satellite: 270 ms each way, at times loss in bursts",
            (0, {"delay_ms": 270, "jitter_ms": 10, "reorder": False}),
            (20, {"loss": 0.02, "burst_packets": 8}),
            (30, {"loss": 0.0, "jitter_ms": 25}),
            (40, {"jitter_ms": 10}),
        ),
        _shipped(
            "3g",
            "a mobile cell: 90 ms of delay, and a rate that falls to 40 kbit/s",
            (0, {"delay_ms": 90, "jitter_ms": 30, "jitter_shape": "normal", "rate_kbps": 200}),
            (0, {"reorder": False}),
            (12, {"rate_kbps": 64, "queue_ms": 800}),
            (20, {"rate_kbps": 40}),
            (26, {"rate_kbps": 128, "loss": 0.02, "burst_packets": 4}),
            (38, {"rate_kbps": 200, "loss": 0.0}),
        ),
        _shipped(
            "failing-router",
            "a router that fails: growing loss, 4 s without any packets, recovery",
            (0, {"delay_ms": 10, "jitter_ms": 2}),
            (8, {"loss": 0.02}),
            (14, {"loss": 0.08, "burst_packets": 4, "duplicate": 0.02}),
            (20, {"loss": 0.25, "burst_packets": 12, "jitter_ms": 30}),
            (26, {"black_hole": True}),
            (30, {"black_hole": False, "loss": 0.15}),
            (36, {"loss": 0.0, "duplicate": 0.0, "jitter_ms": 2}),
        ),
    )
}
