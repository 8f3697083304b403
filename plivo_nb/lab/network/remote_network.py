"""What the notebook sees of the lab's network: knobs to set, counters, history and log as frames."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from plivo_nb.lab.network.scenarios import SCENARIOS, read_scenario
from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    import pandas as pd

_HISTORY_ENTRIES = 10_000
_DIRECTIONS = ("to_callee", "to_caller")


class RemoteNetwork:
    """The media path between the parties of every call of the lab.

    Directions are named by where packets go: ``to_callee`` is what the caller sends, ``to_caller`` what it
    hears.

    What changes something starts at once and gives an operation: await it to know that it holds, or don't.

    Args:
        do: runs a command in the lab.
    """

    def __init__(self, do: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._do = do
        self._history: deque[dict[str, Any]] = deque(maxlen=_HISTORY_ENTRIES)

    def set(
        self, *, direction: str = "both", call_uuid: str | None = None, seed: int | None = None, **knobs: Any
    ) -> Operation[dict[str, Any]]:
        """Change the knobs that are named, now, in calls under way and in those to come; the others stay.

        Args:
            direction: ``both``, ``to_callee`` or ``to_caller``.
            call_uuid: only this call.
            seed: begin the random streams anew from it: the same seed drops the same packets.
            knobs: ``loss`` (fraction; RTP and RTCP only), ``burst_packets`` and ``burst_loss`` (loss in
                bursts), ``delay_ms`` (one way, each direction), ``jitter_ms`` and ``jitter_shape``
                (``uniform``: the half width; ``normal``: the deviation), ``reorder``, ``duplicate``
                (fraction), ``rate_kbps`` and ``queue_ms``, ``black_hole``.

        Returns:
            When awaited: the time in UTC nanoseconds and everything that holds now.

        Raises (when awaited):
            LabError: an unknown knob or a value out of range; nothing is changed then.

        Example:
            >>> await lab.network.set(loss=0.05, delay_ms=120, jitter_ms=20)
        """
        given = {"direction": direction, "call_uuid": call_uuid, "seed": seed, **knobs}
        return Operation("set the network", self._do("network.set", **given))

    def clear(self) -> Operation[dict[str, Any]]:
        """Put every knob back: a clean network."""
        return Operation("clear the network", self._do("network.clear"))

    def play(self, scenario: Any, *, speed: float = 1.0, loop: bool = False) -> Operation[dict[str, Any]]:
        """Let the network go through a scenario by itself; done when it has begun.

        Args:
            scenario: ``commute``, ``coffee-shop-wifi``, ``vpn``, ``satellite``, ``3g``, ``failing-router``;
                or the path of a CSV file, a DataFrame, or rows as dicts: ``at_s``, perhaps ``direction``, and
                knobs.
            speed: 2 runs through it in half the time.
            loop: begin again at its end.

        Returns:
            When awaited: its ``name`` and how many ``seconds`` it takes.

        Raises:
            ValueError: no such scenario, or a row that cannot be.
            LabError: the lab is gone (when awaited).

        Example:
            >>> await lab.network.play("commute")
        """
        read = read_scenario(scenario)
        playing = self._do("network.play", rows=read.rows(), speed=speed, loop=loop, name=read.name)
        return Operation(f"play the scenario {read.name}", playing)

    def stop(self) -> Operation[None]:
        """Play no scenario any more; what is set stays."""
        return Operation("stop the scenario", self._do("network.stop"))

    @property
    def scenarios(self) -> pd.DataFrame:
        """The shipped scenarios: a row a step, with what it sets. A start for one of your own."""
        import pandas as pd

        return pd.DataFrame(
            [{"scenario": name, **row} for name, scenario in SCENARIOS.items() for row in scenario.rows()]
        )

    async def settings(self) -> dict[str, Any]:
        """What a new call gets, by direction."""
        settings: dict[str, Any] = await self._do("network.settings")
        return settings

    async def counters(self) -> dict[str, Any]:
        """What was done to packets since the lab began.

        Returns:
            ``seen``, ``dropped``, ``forwarded``, ``duplicated`` (RTP, both directions); ``to_callee`` and
            ``to_caller`` with all counters of a direction; ``calls``, a list with the same for each call.
        """
        counters: dict[str, Any] = await self._do("network.counters")
        return counters

    @property
    def history(self) -> pd.DataFrame:
        """What was set and when: a row for each change and direction, indexed by UTC time. A copy."""
        import pandas as pd  # late: a lab starts without it

        rows = [
            {
                "time": entry["time_utc_ns"],
                "what": entry["what"],
                "call_uuid": entry["call_uuid"],
                "seed": entry["seed"],
                "direction": direction,
                **entry[direction],
            }
            for entry in self._history
            for direction in _DIRECTIONS
        ]
        if not rows:
            return pd.DataFrame(columns=["what", "call_uuid", "seed", "direction"])
        frame = pd.DataFrame(rows)
        frame["time"] = pd.to_datetime(frame["time"], unit="ns", utc=True)
        return frame.set_index("time")

    async def log(self, last: int | None = None) -> pd.DataFrame:
        """What was done to each of the last packets (bounded): a row a packet, indexed by UTC time.

        Args:
            last: only so many; by default all that are kept.
        """
        import pandas as pd

        rows = await self._do("network.log", last=last)
        columns = ["time", "call_uuid", "direction", "kind", "bytes", "fate", "delay_ms"]
        frame = pd.DataFrame(rows, columns=columns)
        frame["time"] = pd.to_datetime(frame["time"], unit="ns", utc=True)
        return frame.set_index("time")

    def note(self, entry: dict[str, Any]) -> None:
        """Take an entry of the history that the lab has published."""
        self._history.append(entry)

    def __repr__(self) -> str:
        now = next((entry for entry in reversed(self._history) if entry["call_uuid"] is None), None)
        if now is None:
            return "<The lab's network: not started yet>"
        said = {way: _shown(now[way]) for way in _DIRECTIONS}
        both = "; ".join(f"{way} {knobs}" for way, knobs in said.items())
        return f"<The lab's network: {said['to_callee'] if len(set(said.values())) == 1 else both}>"


def _shown(knobs: dict[str, Any]) -> str:
    """The knobs that matter to most people."""
    return ", ".join(f"{name}={knobs[name]:g}" for name in ("loss", "delay_ms", "jitter_ms"))


def frame_of(entries: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Make a frame of what the lab has published: indexed by UTC time, nested values as columns with dots.

    Args:
        entries: each with ``time_utc_ns``.
        columns: those that there are even when there is no entry.
    """
    import pandas as pd

    rows = list(entries)
    if not rows:
        return pd.DataFrame(columns=columns, index=pd.DatetimeIndex([], tz="UTC", name="time"))
    frame = pd.json_normalize(rows)
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.pop("time_utc_ns"), unit="ns", utc=True), name="time")
    return frame
