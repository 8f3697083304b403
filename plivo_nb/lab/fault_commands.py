"""The commands of the control channel that switch faults on and off."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.lab.collector import Collector
    from plivo_nb.lab.faults import Faults
    from plivo_nb.lab.robots.robots import Robots
    from plivo_nb.lab.robots.worker_pool import WorkerPool
    from plivo_nb.lab.sip.server import SipServer


class FaultCommands:
    """The commands, by name.

    Args:
        faults: the state of the switch's faults.
        server: the switch's sockets.
        collector: the statistics service.
        robots: returns the robots, or None if the lab has none.
    """

    def __init__(
        self,
        faults: Faults,
        server: SipServer,
        collector: Collector,
        robots: Callable[[], Robots | WorkerPool | None],
    ) -> None:
        self._faults = faults
        self._server = server
        self._collector = collector
        self._robots = robots

    def table(self) -> dict[str, Callable[..., Any]]:
        """The commands: names and functions."""
        return {
            "fault.drop_socket": self._drop_socket,
            "fault.refuse_registration": self._faults.refuse_registration,
            "fault.slow": self._faults.slow,
            "fault.silent": self._silent,
            "fault.restart": self._server.restart,
            "fault.stop_server": self._server.stop_server,
            "fault.start_server": self._server.start_server,
            "fault.stale_nonce": self._stale_nonce,
            "fault.wrong_cseq": self._wrong_cseq,
            "fault.send_raw": self._send_raw,
            "fault.client_address": self._client_address,
            "fault.statistics_away": self._statistics_away,
            "fault.kill_robot": self._kill_robot,
            "fault.clear": self._clear,
        }

    def _drop_socket(self, user: str | None, code: int, reason: str) -> int:
        if code != 1006 and not (1000 <= code <= 1014 or 3000 <= code <= 4999):
            raise ValueError(f"{code} is not a WebSocket close code; use 1000-1014 or 3000-4999.")
        return self._server.disconnect(user, code, reason)

    def _silent(self, on: bool) -> None:
        self._faults.silent = on

    def _stale_nonce(self, times: int) -> None:
        self._faults.distrust = times

    def _wrong_cseq(self, times: int) -> None:
        self._faults.wrong_cseq = times

    def _send_raw(self, user: str, text: str) -> int:
        return self._server.send_raw(user, text)

    def _client_address(self, address: str | None) -> None:
        self._faults.address = address

    async def _statistics_away(self, away: bool) -> None:
        await self._collector.set_away(away)

    async def _kill_robot(self) -> str:
        robots = self._robots()
        if robots is None:
            raise LabError("This lab has no robots.")
        killed = robots.kill_one()
        return killed if isinstance(killed, str) else await killed

    async def _clear(self) -> None:
        self._faults.clear()
        await self._collector.set_away(False)
        for index in range(len(self._server.ports)):
            await self._server.start_server(index)
