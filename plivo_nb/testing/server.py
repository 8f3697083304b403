"""FakeServer: the lab's switch and robots on the running loop, for users' own tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from plivo_nb.errors import LabError
from plivo_nb.lab.config import LabConfig, accounts_of
from plivo_nb.lab.service import LabService
from plivo_nb.options import OptionKeywords, shows_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Self

    from plivo_nb.client import Client
    from plivo_nb.lab.network.knobs import NetworkKnobs
    from plivo_nb.lab.robots.roles import RobotNumber


class FakeServer:
    """A SIP switch with accounts and robots on 127.0.0.1, in this process, with real signalling and media.

    It starts in milliseconds. It does not run while other code blocks the loop; for measurements use
    `plivo_nb.Lab`, which has a process of its own. The robots are those of the lab: ``echo``, ``busy``,
    ``ring-2``, ``hangs-up-after-1`` and others (see `Lab.robots`).

    Args:
        accounts: the number of accounts, or their names, or names with passwords; by default alice, bob and
            carol.
        robots: whether there are robots to call.
        seed: the seed of everything random in the network.

    Example:
        >>> import asyncio
        >>> async def register_and_count():
        ...     async with FakeServer(["ann"], robots=False) as server, server.client() as client:
        ...         await client.login("ann", server.password("ann"))
        ...         return len(server.status["registrations"])
        >>> asyncio.run(register_and_count())
        1
    """

    def __init__(
        self,
        accounts: int | Sequence[str] | Mapping[str, str] | None = None,
        *,
        robots: bool = True,
        seed: int = 1,
    ) -> None:
        self.accounts = accounts_of(accounts)
        self._config = LabConfig(accounts=self.accounts, seed=seed, robots=robots)
        self._service: LabService | None = None

    async def start(self) -> Self:
        """Start on a free port. Does nothing if it is running."""
        if self._service is None:
            service = LabService(self._config)
            await service.start()
            self._service = service
        return self

    async def close(self) -> None:
        """Stop and close all sockets. It is safe to call this more than once."""
        service, self._service = self._service, None
        if service is not None:
            await service.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The WebSocket URL, ``ws://127.0.0.1:PORT``."""
        return self._running.url

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, oldest first: dicts with time_utc_ns, what, who, detail and call_uuid."""
        return list(self._running.events)

    @property
    def status(self) -> dict[str, Any]:
        """The registrations, calls, robots and network settings."""
        return self._running.status()

    def password(self, user: str) -> str:
        """Return the password of an account.

        Raises:
            LabError: there is no such account.
        """
        if user not in self.accounts:
            raise LabError(f"There is no account {user!r}; use one of {', '.join(self.accounts)}.")
        return self.accounts[user]

    def options(self, **more: Unpack[OptionKeywords]) -> OptionKeywords:
        """Return the options of a client of this server; `more` are added and override them."""
        own: OptionKeywords = {
            "registrationDomainSocket": [self.url],
            "loopbackCandidates": True,
            "iceServers": [],
            "enableTracking": True,
            "statsUrl": self._running.collector.stats_url,
            "insightsUrl": self._running.collector.insights_url,
            "sound": "none",
        }
        return {**own, **more}

    @shows_options
    def client(self, **more: Unpack[OptionKeywords]) -> Client:
        """Make a client of this server; `more` are options of `Client`."""
        from plivo_nb.client import Client

        return Client(**self.options(**more))

    async def call(
        self, user: str, *, headers: Mapping[str, str] | None = None, role: RobotNumber | str = "echo"
    ) -> None:
        """Make a robot call a user. Returns when the call rings or has failed."""
        await self._running.handle("call", {"user": user, "n": 1, "headers": headers, "role": role})

    async def set_network(self, **knobs: Unpack[NetworkKnobs]) -> None:
        """Set knobs of the network, such as ``loss=0.05, delay_ms=100``, as `Lab.network.set` does."""
        await self._running.handle("network.set", dict(knobs))

    def drop(self, user: str | None = None, code: int = 1012) -> int:
        """Close the WebSockets of a user, or all; 1006 sends no close frame. Returns the number closed."""
        return self._running.server.disconnect(user, code)

    @property
    def _running(self) -> LabService:
        if self._service is None:
            raise LabError("The server is not running; use `async with FakeServer() as server:`.")
        return self._service
