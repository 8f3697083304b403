"""What a campaign runs on Dask's workers, and how it reaches them.

Nothing of a campaign is a Dask task: a task is run again when its worker is lost, and a phone would ring
twice. Calls are asked for by remote procedure calls to one worker; a worker that is gone answers none.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from distributed import Client as DaskClient
    from distributed import Worker

    from plivo_nb.fleet.call_host import CallHost, CallResult, HostSettings
    from plivo_nb.fleet.plan import PlannedCall

PACKAGE = "plivo-nb"
_PLUGIN = "plivo_nb campaign "
_ANSWER_S = 60.0


class WorkerGone(PlivoError):
    """A worker does not answer any more; the message says why, in a part of a sentence."""


class WorkerRefused(PlivoError):
    """A worker cannot do what it was asked for; the message says why."""


class SchedulerGone(PlivoError):
    """The scheduler does not answer any more."""


# ---------------------------------------------------------------- in the worker's process


class _HostPlugin:
    """A worker's calls; they end with the worker. It is added by `_begin`, on this worker only."""

    def __init__(self, host: CallHost) -> None:
        self.host = host

    async def teardown(self, worker: Worker) -> None:
        """The worker closes: hang up, and log out."""
        await self.host.close()


async def _begin(campaign: str, settings: HostSettings, name: str, dask_worker: Any = None) -> None:
    from plivo_nb.fleet.call_host import CallHost

    await asyncio.to_thread(importlib.import_module, "plivo_nb.client")
    if _PLUGIN + campaign not in dask_worker.plugins:
        plugin = _HostPlugin(CallHost(settings, name))
        dask_worker.plugins[_PLUGIN + campaign] = plugin


def _host(campaign: str, worker: Any) -> CallHost:
    plugin = worker.plugins.get(_PLUGIN + campaign)
    if plugin is None:
        raise WorkerRefused("The worker does not know this campaign; it was restarted.")
    host: CallHost = plugin.host
    return host


async def _start(campaign: str, call: PlannedCall, tags: dict[str, Any], dask_worker: Any = None) -> None:
    _host(campaign, dask_worker).start(call, tags)


async def _collect(campaign: str, timeout_s: float, dask_worker: Any = None) -> list[CallResult]:
    return await _host(campaign, dask_worker).collect(timeout_s)


async def _leave(campaign: str, account: str, dask_worker: Any = None) -> None:
    await _host(campaign, dask_worker).leave(account)


async def _cancel(campaign: str, dask_worker: Any = None) -> None:
    _host(campaign, dask_worker).cancel()


async def _end(campaign: str, dask_worker: Any = None) -> None:
    plugin = dask_worker.plugins.pop(_PLUGIN + campaign, None)
    if plugin is not None:
        await plugin.host.close()


# ---------------------------------------------------------------- in the campaign's process


class Workers:
    """The workers of a scheduler, as a campaign uses them.

    Args:
        client: an asynchronous client of the scheduler.
        campaign: its id, which separates it from others on the same workers.
        settings: where to call.
        version: which version of this package the workers must have.
    """

    def __init__(self, client: DaskClient, campaign: str, settings: HostSettings, version: str) -> None:
        self._client = client
        self._campaign = campaign
        self._settings = settings
        self._version = version

    async def names(self) -> list[str]:
        """The addresses of the workers that are connected now.

        Raises:
            SchedulerGone: the scheduler does not answer.
        """
        scheduler: Any = self._client.scheduler
        with _scheduler_errors():
            async with asyncio.timeout(_ANSWER_S):
                identity = await scheduler.identity(n_workers=-1)
        return list(identity["workers"])

    async def begin(self, name: str) -> None:
        """Prepare a worker for calls.

        Raises:
            WorkerRefused: it has another version of this package, or none.
            WorkerGone, SchedulerGone: it does not answer.
        """
        try:
            found = await self._run(name, importlib.metadata.version, PACKAGE)
        except WorkerRefused:
            raise WorkerRefused(f"{name} has no {PACKAGE}: install it there, with [scale].") from None
        if found != self._version:
            raise WorkerRefused(
                f"{name} has {PACKAGE} {found} and this process {self._version}: install the same version "
                "there."
            )
        await self._run(name, _begin, self._campaign, self._settings, name)

    async def start(self, name: str, call: PlannedCall, tags: dict[str, Any]) -> None:
        """Begin a call; its result follows in `collect`."""
        await self._run(name, _start, self._campaign, call, tags)

    async def collect(self, name: str, timeout_s: float) -> list[CallResult]:
        """The results of a worker since the last time; it waits for one for some seconds."""
        results: list[CallResult] = await self._run(name, _collect, self._campaign, timeout_s)
        return results

    async def leave(self, name: str, account: str) -> None:
        """Log an account out of a worker."""
        await self._run(name, _leave, self._campaign, account)

    async def cancel(self, name: str) -> None:
        """Hang up a worker's calls."""
        await self._run(name, _cancel, self._campaign)

    async def end(self, name: str) -> None:
        """End a worker's calls, and log its accounts out."""
        await self._run(name, _end, self._campaign)

    async def _run(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        with _scheduler_errors():
            try:
                async with asyncio.timeout(_ANSWER_S):
                    results = await self._client.run(function, *arguments, workers=[name], on_error="return")
            except TimeoutError:  # its process stands still; whether the scheduler answers, `names` says
                raise WorkerGone(f"it does not answer within {_ANSWER_S:g} s") from None
        if name not in results:
            raise WorkerGone("it is no longer connected")
        result = results[name]
        if isinstance(result, OSError | TimeoutError):  # what distributed raises for a closed connection, too
            raise WorkerGone("its connection was closed")
        if isinstance(result, Exception):
            raise WorkerRefused(f"{name}: {result}")
        return result


@contextlib.contextmanager
def _scheduler_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, RuntimeError) as error:
        raise SchedulerGone(f"The scheduler does not answer ({error or type(error).__name__}).") from error
