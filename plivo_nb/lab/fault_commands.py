"""The faults' commands of the control channel, and what a notebook sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError
from plivo_nb.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from plivo_nb.lab.collector import Collector
    from plivo_nb.lab.faults import Faults
    from plivo_nb.lab.robots.robots import Robots
    from plivo_nb.lab.sip.server import SipServer


class FaultCommands:
    """The lab's side.

    Args:
        faults: the switch's.
        server: its sockets.
        collector: the statistics service.
        robots: gives the robots, None where there are none.
    """

    def __init__(
        self,
        faults: Faults,
        server: SipServer,
        collector: Collector,
        robots: Callable[[], Robots | None],
    ) -> None:
        self._faults = faults
        self._server = server
        self._collector = collector
        self._robots = robots

    def table(self) -> dict[str, Callable[..., Any]]:
        """The commands by name."""
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
            raise ValueError(f"{code} is no WebSocket close code; use 1000-1014 or 3000-4999.")
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

    def _kill_robot(self) -> str:
        robots = self._robots()
        if robots is None:
            raise LabError("This lab has no robots.")
        return robots.kill_one()

    async def _clear(self) -> None:
        self._faults.clear()
        await self._collector.set_away(False)
        for index in range(len(self._server.ports)):
            await self._server.start_server(index)


class RemoteFaults:
    """Faults on demand: `lab.faults`. Each holds until `clear`, or as often as it says.

    Every method starts at once and gives an operation: await it to know that it is done, or ignore it.

    Args:
        do: runs a command in the lab.
    """

    def __init__(self, do: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._do = do

    def drop_socket(self, user: str | None = None, code: int = 1012, reason: str = "") -> Operation[int]:
        """Close the WebSocket of a user, or of everybody.

        Args:
            user: whose; None: all, robots too.
            code: the close code; 1006 cuts the connection without a word.
            reason: goes with the code.

        Returns:
            How many sockets were closed.
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
        """Answer REGISTER with a failure, such as 403, or 503 with Retry-After.

        Args:
            status: 300 to 699.
            retry_after_s: for the Retry-After header.
            user: only this user's.
            times: so often; None: until `clear`.
        """
        given = {"status": status, "retry_after_s": retry_after_s, "user": user, "times": times}
        return Operation("fault: refuse registration", self._do("fault.refuse_registration", **given))

    def slow(self, seconds: float) -> Operation[None]:
        """Have everything that the switch sends be late by so much; 0 puts it right."""
        return Operation("fault: slow", self._do("fault.slow", seconds=seconds))

    def silent(self, on: bool = True) -> Operation[None]:
        """Have the switch read, and say nothing."""
        return Operation("fault: silent", self._do("fault.silent", on=on))

    def restart(self, away_s: float = 0.0) -> Operation[None]:
        """Restart the switch: sockets are cut, registrations and dialogs forgotten.

        Args:
            away_s: how long nobody listens meanwhile.
        """
        return Operation("fault: restart", self._do("fault.restart", away_s=away_s))

    def stop_server(self, index: int = 0) -> Operation[None]:
        """Stop one of the lab's servers (``Lab(servers=2)`` has two to fail over between)."""
        return Operation("fault: stop server", self._do("fault.stop_server", index=index))

    def start_server(self, index: int = 0) -> Operation[None]:
        """Start it again, at its old address."""
        return Operation("fault: start server", self._do("fault.start_server", index=index))

    def stale_nonce(self, times: int = 1) -> Operation[None]:
        """Call so many right credentials stale: they are challenged with a new nonce once more."""
        return Operation("fault: stale nonce", self._do("fault.stale_nonce", times=times))

    def wrong_cseq(self, times: int = 1) -> Operation[None]:
        """Give so many responses a CSeq that belongs to no request."""
        return Operation("fault: wrong cseq", self._do("fault.wrong_cseq", times=times))

    def send_raw(self, user: str, text: str) -> Operation[int]:
        """Send a user any text in the place of SIP.

        Returns:
            To how many sockets.
        """
        return Operation("fault: send raw", self._do("fault.send_raw", user=user, text=text))

    def client_address(self, address: str | None) -> Operation[None]:
        """Tell clients that they come from this address, as after a change of network; None: the truth."""
        return Operation("fault: client address", self._do("fault.client_address", address=address))

    def statistics_away(self, away: bool = True) -> Operation[None]:
        """Take the statistics service away, or bring it back."""
        return Operation("fault: statistics away", self._do("fault.statistics_away", away=away))

    def kill_robot(self) -> Operation[str]:
        """Have a robot that is in a call vanish: no BYE, no packets, its socket cut.

        Returns:
            Its name.

        Raises:
            LabError: no robot is in a call.
        """
        return Operation("fault: kill robot", self._do("fault.kill_robot"))

    def clear(self) -> Operation[None]:
        """Put everything right."""
        return Operation("fault: clear", self._do("fault.clear"))

    def __repr__(self) -> str:
        faults = ", ".join(name for name in vars(RemoteFaults) if not name.startswith("_"))
        return f"<The lab's faults on demand: {faults}>"
