"""A server for tests of your own: the lab's switch and robots on this loop, with no process to start."""

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


class FakeServer:
    """Accounts, a switch on 127.0.0.1, and numbers to call; real signalling and media, in this process.

    It starts in milliseconds and stands still while your code blocks the loop; what is learnt, taught and
    measured belongs in the `plivo_nb.Lab`, a process of its own. The numbers are the lab's: ``echo``,
    ``busy``, ``reject``, ``no-answer``, ``ring-2``, ``hangs-up-after-1``, ``tone-1000``, …

    Args:
        accounts: how many accounts, or their names, or names with passwords; by default alice, bob and carol.
        robots: whether there are numbers to call.
        seed: everything random in its network is drawn from it.

    Example:
        >>> async with FakeServer() as server, server.client() as client:
        ...     await client.login("alice", server.password("alice"))
        ...     with pytest.raises(CallFailed, match="Busy"):
        ...         await client.call("busy")
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
        """Serve, on a free port."""
        if self._service is None:
            service = LabService(self._config)
            await service.start()
            self._service = service
        return self

    async def close(self) -> None:
        """Close every socket; safe to call again."""
        service, self._service = self._service, None
        if service is not None:
            await service.close()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """Where it listens: ``ws://127.0.0.1:PORT``."""
        return self._running.url

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened, oldest first: time_utc_ns, what, who, detail, call_uuid."""
        return list(self._running.events)

    @property
    def status(self) -> dict[str, Any]:
        """Who is registered, which calls there are, how the network is set."""
        return self._running.status()

    def password(self, user: str) -> str:
        """That account's password.

        Raises:
            LabError: there is no such account.
        """
        if user not in self.accounts:
            raise LabError(f"There is no account {user!r}; there are {', '.join(self.accounts)}.")
        return self.accounts[user]

    def options(self, **more: Unpack[OptionKeywords]) -> OptionKeywords:
        """The options of a client of this server; `more` are added or take precedence."""
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
        """A client of this server, to log in with; `more` are options as of `Client`."""
        from plivo_nb.client import Client

        return Client(**self.options(**more))

    async def call(self, user: str, *, headers: Mapping[str, str] | None = None, role: str = "echo") -> None:
        """Let a robot call this user. Returns once it rings there, or has failed."""
        await self._running.handle("call", {"user": user, "n": 1, "headers": headers, "role": role})

    async def set_network(self, **knobs: Any) -> None:
        """Make its network worse, such as ``loss=0.05, delay_ms=100``; the knobs of `Lab.network.set`."""
        await self._running.handle("network.set", knobs)

    def drop(self, user: str | None = None, code: int = 1012) -> int:
        """Close the sockets of a user, or all; 1006 cuts them without a word. Gives how many."""
        return self._running.server.disconnect(user, code)

    @property
    def _running(self) -> LabService:
        if self._service is None:
            raise LabError("The server is not running; use `async with FakeServer() as server:`.")
        return self._service
