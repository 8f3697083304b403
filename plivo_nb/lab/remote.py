"""The lab's network and faults, as objects in the notebook. Each method runs a command in the lab."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Unpack

from plivo_nb.lab.network.knobs import DIRECTIONS, default_knobs, with_knob_table
from plivo_nb.lab.network.scenarios import SCENARIOS, read_scenario
from plivo_nb.operation import Operation

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Iterable

    import pandas as pd

    from plivo_nb.lab.network.knobs import Direction, DirectionOrBoth, NetworkKnobs
    from plivo_nb.lab.network.scenarios import Scenario, ScenarioName, ScenarioRow

_logger = logging.getLogger("plivo_nb.lab.remote")
_HISTORY_ENTRIES = 10_000


class RemoteNetwork:
    """The media path between the parties of every call of the lab: `lab.network`.

    Directions are named after the receiver: ``to_callee`` is what the caller sends, ``to_caller`` is what the
    caller receives.

    Methods that change the network start at once and return an operation. Await it to wait until the change
    is in force and to get its errors.

    Args:
        do: runs a command in the lab.
    """

    def __init__(self, do: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._do = do
        self._history: deque[dict[str, Any]] = deque(maxlen=_HISTORY_ENTRIES)
        self._current: dict[Direction, dict[str, Any]] = {name: default_knobs() for name in DIRECTIONS}
        self._playing: str | None = None
        self._callbacks: list[Callable[[], object]] = []

    @property
    def current(self) -> dict[Direction, dict[str, Any]]:
        """The knobs of new calls now, by direction, as the lab published them last. A copy.

        `settings` asks the lab for the same.
        """
        return {name: dict(knobs) for name, knobs in self._current.items()}

    @property
    def playing(self) -> str | None:
        """The name of the scenario that is playing, or None."""
        return self._playing

    def on_change(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call `callback`, without arguments, after each change of `current` or `playing`.

        It does not matter what made the change: this object, a scenario, or another client of the lab.

        Returns:
            A function that removes the callback.
        """
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback) if callback in self._callbacks else None

    @with_knob_table
    def set(
        self,
        *,
        direction: DirectionOrBoth = "both",
        call_uuid: str | None = None,
        user: str | None = None,
        seed: int | None = None,
        **knobs: Unpack[NetworkKnobs],
    ) -> Operation[dict[str, Any]]:
        """Set knobs for the calls in progress and for later calls. Knobs that are not given do not change.

        Args:
            direction: ``both``, ``to_callee`` or ``to_caller``.
            call_uuid: change this call only.
            user: change the calls of this user only, now and later; such knobs win over those for all.
            seed: restart the random number streams from this seed; the same seed drops the same packets.
            knobs: the knobs to set:

                {knobs}

        Returns:
            When awaited: a dict with the time (``time_utc_ns``) and all settings now in force.

        Raises (when awaited):
            LabError: there is no such knob or call, a value is out of range, or only the teacher may do it.
                Nothing is changed.

        Example::

            await lab.network.set(loss=0.05, delay_ms=120, jitter_ms=20)
        """
        given = {"direction": direction, "call_uuid": call_uuid, "user": user, "seed": seed, **knobs}
        return Operation("set the network", self._do("network.set", **given))

    def clear(self, user: str | None = None) -> Operation[dict[str, Any]]:
        """Reset every knob to its default: a clean network.

        Args:
            user: only let the calls of this user have the knobs for all again.
        """
        return Operation("clear the network", self._do("network.clear", user=user))

    def play(
        self,
        scenario: ScenarioName | str | os.PathLike[str] | pd.DataFrame | Iterable[ScenarioRow] | Scenario,
        *,
        speed: float = 1.0,
        loop: bool = False,
    ) -> Operation[dict[str, Any]]:
        """Play a scenario: a table of times and knobs. The operation is done when playback has started.

        Args:
            scenario: the name of a shipped scenario (see `scenarios`), the path of a CSV file, a DataFrame,
                or rows as dicts. Columns: ``at_s``, optionally ``direction``, and knobs.
            speed: playback speed, 0.01 to 1000; 2 takes half the time.
            loop: start again at the end.

        Returns:
            When awaited: a dict with the ``name`` and the duration in ``seconds``.

        Raises:
            ValueError: there is no such scenario, or a row is invalid.
            LabError: the lab is not running (when awaited).

        Example::

            await lab.network.play("commute")
        """
        read = read_scenario(scenario)
        playing = self._do("network.play", rows=read.rows(), speed=speed, loop=loop, name=read.name)
        return Operation(f"play the scenario {read.name}", playing)

    def stop(self) -> Operation[None]:
        """Stop the scenario; the knobs keep their values."""
        return Operation("stop the scenario", self._do("network.stop"))

    @property
    def scenarios(self) -> pd.DataFrame:
        """The shipped scenarios, one row per step, with the knobs that the step sets."""
        import pandas as pd

        return pd.DataFrame(
            [{"scenario": name, **row} for name, scenario in SCENARIOS.items() for row in scenario.rows()]
        )

    async def settings(self) -> dict[str, Any]:
        """The knobs of new calls, by direction."""
        settings: dict[str, Any] = await self._do("network.settings")
        return settings

    async def counters(self, call_uuid: str | None = None) -> dict[str, Any]:
        """Count packets since the lab started.

        Args:
            call_uuid: count the packets of this call only; by default those of all calls.

        Returns:
            A dict: ``seen``, ``dropped``, ``forwarded`` and ``duplicated`` (RTP packets, both directions);
            ``to_callee`` and ``to_caller`` with all counters of a direction; ``calls``, a list with the
            counters of each call.

        Raises:
            LabError: there is no such call.
        """
        counters: dict[str, Any] = await self._do("network.counters", call_uuid=call_uuid)
        return counters

    @property
    def history(self) -> pd.DataFrame:
        """The changes of the network, one row per change and direction, indexed by UTC time. A copy."""
        import pandas as pd  # late: a lab starts without it

        rows = [
            {
                "time": entry["time_utc_ns"],
                "what": entry["what"],
                "call_uuid": entry["call_uuid"],
                "user": entry["user"],
                "seed": entry["seed"],
                "direction": direction,
                **entry[direction],
            }
            for entry in self._history
            for direction in DIRECTIONS
        ]
        if not rows:
            return pd.DataFrame(columns=["what", "call_uuid", "user", "seed", "direction"])
        frame = pd.DataFrame(rows)
        frame["time"] = pd.to_datetime(frame["time"], unit="ns", utc=True)
        return frame.set_index("time")

    async def log(self, last: int | None = None) -> pd.DataFrame:
        """The fate of the last packets, one row per packet, indexed by UTC time. The log is bounded.

        Args:
            last: how many packets; by default all that are kept.
        """
        import pandas as pd

        rows = await self._do("network.log", last=last)
        columns = ["time", "call_uuid", "direction", "kind", "bytes", "fate", "delay_ms"]
        frame = pd.DataFrame(rows, columns=columns)
        frame["time"] = pd.to_datetime(frame["time"], unit="ns", utc=True)
        return frame.set_index("time")

    def note(self, entry: dict[str, Any]) -> None:
        """Add an entry that the lab has published to the history."""
        self._history.append(entry)
        if entry["call_uuid"] is None and entry["user"] is None:
            self._current = {name: entry[name] for name in DIRECTIONS}
            self._changed()

    def note_scenario(self, name: str | None) -> None:
        """Keep the name of the scenario that the lab has published as playing; None = it has ended."""
        self._playing = name
        self._changed()

    def _changed(self) -> None:
        for callback in list(self._callbacks):
            try:
                callback()
            except Exception:  # the reader of the control channel goes on
                _logger.exception("A callback of the lab's network failed.")

    def __repr__(self) -> str:
        now = next(
            (entry for entry in reversed(self._history) if entry["call_uuid"] is entry["user"] is None), None
        )
        if now is None:
            return "<The lab's network: not started yet>"
        said = {way: _shown(now[way]) for way in DIRECTIONS}
        both = "; ".join(f"{way} {knobs}" for way, knobs in said.items())
        return f"<The lab's network: {said['to_callee'] if len(set(said.values())) == 1 else both}>"


class RemoteFaults:
    """Faults that are switched on and off: `lab.faults`.

    A fault lasts until `clear`, or for the number of times given. Every method starts at once and returns an
    operation; await it to wait until the fault is in force.

    Args:
        do: runs a command in the lab.
    """

    def __init__(self, do: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._do = do

    def drop_socket(self, user: str | None = None, code: int = 1012, reason: str = "") -> Operation[int]:
        """Close the WebSockets of a user, or all of them.

        Args:
            user: the user; None = all users, robots included.
            code: the WebSocket close code (RFC 6455 section 7.4); 1006 = cut the connection without a close
                frame.
            reason: the text that is sent with the code.

        Returns:
            The number of sockets closed.
        """
        return Operation(
            "fault: drop socket", self._do("fault.drop_socket", user=user, code=code, reason=reason)
        )

    def refuse_registration(
        self,
        status: int = 403,
        *,
        retry_after_s: int | None = None,
        user: str | None = None,
        times: int | None = None,
    ) -> Operation[None]:
        """Answer REGISTER requests with a failure, such as 403, or 503 with Retry-After.

        Args:
            status: the SIP status, 300 to 699.
            retry_after_s: the value of the Retry-After header, in seconds.
            user: refuse this user only.
            times: how many requests are refused; None = until `clear`.
        """
        given = {"status": status, "retry_after_s": retry_after_s, "user": user, "times": times}
        return Operation("fault: refuse registration", self._do("fault.refuse_registration", **given))

    def slow(self, seconds: float) -> Operation[None]:
        """Delay every message of the switch by this many seconds (0 to 120; 0 = no delay)."""
        return Operation("fault: slow", self._do("fault.slow", seconds=seconds))

    def silent(self, on: bool = True) -> Operation[None]:
        """Make the switch read messages without answering."""
        return Operation("fault: silent", self._do("fault.silent", on=on))

    def restart(self, away_s: float = 0.0) -> Operation[None]:
        """Restart the switch: close all sockets, discard registrations and dialogs.

        Args:
            away_s: how long the switch does not listen, in seconds (0 to 600).
        """
        return Operation("fault: restart", self._do("fault.restart", away_s=away_s))

    def stop_server(self, index: int = 0) -> Operation[None]:
        """Stop one of the lab's servers (``Lab(servers=2)`` has two, for failover)."""
        return Operation("fault: stop server", self._do("fault.stop_server", index=index))

    def start_server(self, index: int = 0) -> Operation[None]:
        """Start a stopped server again, at the same address."""
        return Operation("fault: start server", self._do("fault.start_server", index=index))

    def stale_nonce(self, times: int = 1) -> Operation[None]:
        """Reject valid credentials this many times, with a new challenge that has ``stale=true``."""
        return Operation("fault: stale nonce", self._do("fault.stale_nonce", times=times))

    def wrong_cseq(self, times: int = 1) -> Operation[None]:
        """Send this many responses with a CSeq that matches no request."""
        return Operation("fault: wrong cseq", self._do("fault.wrong_cseq", times=times))

    def send_raw(self, user: str, text: str) -> Operation[int]:
        """Send any text to the WebSockets of a user.

        Returns:
            The number of sockets it was sent to.
        """
        return Operation("fault: send raw", self._do("fault.send_raw", user=user, text=text))

    def client_address(self, address: str | None) -> Operation[None]:
        """Report this source address to clients, as after a network change; None = the real address."""
        return Operation("fault: client address", self._do("fault.client_address", address=address))

    def statistics_away(self, away: bool = True) -> Operation[None]:
        """Stop the statistics service, or start it again."""
        return Operation("fault: statistics away", self._do("fault.statistics_away", away=away))

    def kill_robot(self) -> Operation[str]:
        """Make a robot that is in a call disappear: no BYE, no packets, its socket cut.

        Returns:
            The name of the robot.

        Raises:
            LabError: no robot is in a call.
        """
        return Operation("fault: kill robot", self._do("fault.kill_robot"))

    def clear(self) -> Operation[None]:
        """Switch all faults off."""
        return Operation("fault: clear", self._do("fault.clear"))

    def __repr__(self) -> str:
        faults = ", ".join(name for name in vars(RemoteFaults) if not name.startswith("_"))
        return f"<The lab's faults: {faults}>"


def _shown(knobs: dict[str, Any]) -> str:
    """The most used knobs."""
    return ", ".join(f"{name}={knobs[name]:g}" for name in ("loss", "delay_ms", "jitter_ms"))


def frame_of(entries: Iterable[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Make a frame of published entries, indexed by UTC time; nested values become columns with dots.

    Args:
        entries: dicts with ``time_utc_ns``.
        columns: the columns of the frame when there is no entry.
    """
    import pandas as pd

    rows = list(entries)
    if not rows:
        return pd.DataFrame(columns=columns, index=pd.DatetimeIndex([], tz="UTC", name="time"))
    frame = pd.json_normalize(rows)
    frame.index = pd.DatetimeIndex(pd.to_datetime(frame.pop("time_utc_ns"), unit="ns", utc=True), name="time")
    return frame
