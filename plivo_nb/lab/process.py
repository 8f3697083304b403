"""Lab: starts the embedded Plivo as a subprocess and talks with it.

async with Lab() as lab:
    client = lab.client()
    await client.login("alice", lab.password("alice"))
    await lab.network.set(loss=0.05, delay_ms=120)
"""

from __future__ import annotations

import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Unpack

from plivo_nb.errors import LabError
from plivo_nb.lab.child import Child
from plivo_nb.lab.config import LabConfig, accounts_of
from plivo_nb.lab.control import ControlClient
from plivo_nb.lab.fault_commands import RemoteFaults
from plivo_nb.lab.network.remote_network import RemoteNetwork, frame_of
from plivo_nb.lab.network.scenarios import read_scenario
from plivo_nb.operation import Operation
from plivo_nb.options import OptionKeywords, shows_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from plivo_nb.client import Client

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_KEPT = 20_000
_NOT_RUNNING = "The lab is not running; use `async with Lab() as lab:` or `await lab.start()`."


class Lab:
    """An embedded Plivo in a subprocess of its own: accounts, a switch, robots to call, a network with knobs.

    It serves 127.0.0.1 only and ends when this process ends, however that comes about. Use it with
    ``async with``, or `start` and `close`, on a running loop such as a notebook's.

    Args:
        accounts: how many accounts, or their names, or names with passwords; by default alice, bob and carol.
        port: of the switch's WebSocket; 0: a free one.
        seed: everything random in the network is drawn from it; the same seed drops the same packets.
        robots: whether there are robots to call (``echo`` and others).
        servers: how many addresses the switch has; with two, a client can fail over between them.
        scenario: the name of a network scenario, or a CSV file, to begin with; it is played over and over.

    Attributes:
        network: the knobs, counters and log of the media path.
        faults: faults on demand, such as ``await lab.faults.drop_socket("alice")``.
        accounts: user names and their passwords. They open nothing but this lab.

    Raises:
        ValueError: wrong accounts, or no such scenario.
    """

    def __init__(
        self,
        accounts: int | Sequence[str] | Mapping[str, str] | None = None,
        *,
        port: int = 0,
        seed: int = 1,
        robots: bool = True,
        servers: int = 1,
        scenario: str | None = None,
    ) -> None:
        self.accounts = accounts_of(accounts)
        if scenario is not None:
            read_scenario(scenario)
        # Weakly: the control channel's reader holds the view, and must not keep a forgotten lab alive.
        me = weakref.ref(self)

        async def do(command: str, /, **arguments: Any) -> Any:
            lab = me()
            if lab is None:
                raise LabError("The lab is gone: its Lab object is no more. Start a new Lab.")
            return await lab._do(command, **arguments)

        self.network = RemoteNetwork(do)
        self.faults = RemoteFaults(do)
        self._collected: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._events: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._config = LabConfig(
            port=port, accounts=self.accounts, seed=seed, robots=robots, servers=servers, scenario=scenario
        )
        self._child: Child | None = None
        self._control: ControlClient | None = None
        self._forget: Callable[[], object] | None = None
        self._about: dict[str, Any] = {}
        self.start_seconds: float | None = None

    async def start(self) -> Self:
        """Start the subprocess and connect to it. Does nothing when it runs already.

        Raises:
            LabError: it did not come up; the sentence says what it said last.
        """
        if self._child is not None:
            return self
        began = time.monotonic()
        child = Child(self._config)
        self._child = child
        # A lab that was forgotten (a cell run twice) ends when its object goes, at the latest at exit.
        self._forget = weakref.finalize(self, child.hang_up).detach
        take: dict[str, Callable[[dict[str, Any]], None]] = {
            "collected": self._collected.append,
            "event": self._events.append,
            "network": self.network.note,
        }
        control = ControlClient(lambda name, data: take[name](data) if name in take else None)
        try:
            self._about = await child.ready(START_TIMEOUT_S)
            await control.open(self._about["control"], child.token)
        except BaseException:
            await self.close()
            raise
        self._control = control
        for entry in await self._do("network.history"):
            self.network.note(entry)
        self.start_seconds = time.monotonic() - began
        return self

    async def close(self) -> None:
        """Stop the lab: its sockets are closed, its process is gone. Safe to call again."""
        control, self._control = self._control, None
        child, self._child = self._child, None
        if control is not None:
            await control.close()
        if child is not None:
            await child.stop(STOP_TIMEOUT_S)
        if self._forget is not None:
            self._forget()
            self._forget = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The switch's address for ``registrationDomainSocket``, such as ``ws://127.0.0.1:34567``.

        Raises:
            LabError: the lab does not run.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        return str(self._about["url"])

    @property
    def pid(self) -> int | None:
        """The subprocess's process id while it runs."""
        return self._child.process.pid if self._child is not None else None

    @property
    def running(self) -> bool:
        """True from `start` until `close`, or until the process has ended by itself."""
        return self._control is not None and self._child is not None and not self._child.exited.is_set()

    def password(self, username: str) -> str:
        """The password of an account.

        Raises:
            LabError: there is no such account; the sentence lists them.
        """
        if username not in self.accounts:
            raise LabError(
                f"The lab has no account {username!r}; it has {', '.join(list(self.accounts)[:10])}."
            )
        return self.accounts[username]

    @shows_options
    def options(self, **more: Unpack[OptionKeywords]) -> OptionKeywords:
        """The options of a client of this lab, for ``Client(**lab.options())``.

        Args:
            more: options that are added or take precedence. A lab's client opens no microphone by itself:
                speak with ``sound="device"``.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        own: OptionKeywords = {
            "registrationDomainSocket": list(self._about["urls"]),
            "loopbackCandidates": True,
            "iceServers": [],
            "statsUrl": self._about["stats"],
            "insightsUrl": self._about["insights"],
            "sound": "none",
        }
        return {**own, **more}

    @shows_options
    def client(self, **more: Unpack[OptionKeywords]) -> Client:
        """A client of this lab.

        Args:
            more: options as of `Client`, over those of `options`.
        """
        from plivo_nb.client import Client  # late: starting a lab needs no media stack in this process

        return Client(**self.options(**more))

    def call(
        self, user: str, n: int = 1, headers: Mapping[str, str] | None = None, role: str = "echo"
    ) -> Operation[list[dict[str, Any]]]:
        """Have robots ring a user, with `n` calls at once.

        Args:
            user: an account, such as ``"alice"``; she must be logged in somewhere.
            n: how many calls.
            headers: X-PH headers to send along.
            role: what the robot does once it is answered; the number of a robot that talks, such as ``echo``.

        Returns:
            An operation; awaiting it gives, once each call rings or has failed, a dict for each: ``robot``,
            ``call_uuid``, ``state`` (``ringing`` or ``failed``) and ``cause``.

        Raises (when awaited):
            LabError: no such role, or no robots.
        """
        calling = self._do("call", user=user, n=n, headers=dict(headers) if headers else None, role=role)
        return Operation(f"have robots call {user}", calling)

    async def status(self) -> dict[str, Any]:
        """Who is registered, which calls there are, what the network is set to."""
        status: dict[str, Any] = await self._do("status")
        return status

    @property
    def robots(self) -> pd.DataFrame:
        """The numbers that can be called, and what happens there."""
        import pandas as pd

        from plivo_nb.lab.robots.roles import DESCRIPTIONS

        return pd.DataFrame(DESCRIPTIONS.items(), columns=["number", "what it does"])

    @property
    def events(self) -> pd.DataFrame:
        """What has happened: registrations, calls, digits a robot heard; a row each, by UTC time. A copy."""
        return frame_of(self._events, ["what", "who", "detail", "call_uuid"])

    @property
    def collected(self) -> pd.DataFrame:
        """What the statistics service was sent: a row a message, indexed by UTC time. A copy.

        Nested values are columns with dots, such as ``local.jitter``.
        """
        return frame_of(self._collected, ["user", "msg", "callUUID"])

    async def _do(self, command: str, /, **arguments: Any) -> Any:
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        return await self._control.do(command, **arguments)

    def __repr__(self) -> str:
        where = f"at {self.url}" if self.running else "not running"
        return f"<Lab {where}, {len(self.accounts)} accounts>"
