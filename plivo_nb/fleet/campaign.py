"""A campaign: many planned calls, made by worker processes of Dask, each with one result."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plivo_nb._version import __version__
from plivo_nb.analysis.reading import read
from plivo_nb.errors import InvalidState, LabError
from plivo_nb.fleet.call_host import HostSettings, file_of_no_call
from plivo_nb.fleet.credentials import Credentials
from plivo_nb.fleet.ledger import FINAL, Ledger
from plivo_nb.fleet.plan import Plan, PlanError, read_plan
from plivo_nb.fleet.progress import Progress
from plivo_nb.fleet.run_folder import RunError, RunFolder
from plivo_nb.fleet.worker import SchedulerGone, WorkerGone, WorkerRefused, Workers
from plivo_nb.lab import Lab
from plivo_nb.lab.network.scenarios import read_scenario

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client as DaskClient

    from plivo_nb.analysis.call_set import CallSet
    from plivo_nb.fleet.call_host import CallResult
    from plivo_nb.fleet.ledger import Start, State
    from plivo_nb.fleet.plan import PlannedCall
    from plivo_nb.fleet.progress_box import ProgressBox

_logger = logging.getLogger("plivo_nb.fleet")

_COLLECT_S = 2.0
_WATCH_S = 1.0
_NO_WORKER_S = 60.0
_DISK_S = 60.0
_DISK_AGAIN_S = 2.0
_HANGUP_S = 15.0
_LAB_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a campaign, as its folder has it.

    Attributes:
        url: the path or URL of the folder.
        complete: whether each planned call has a result.
    """

    url: str
    complete: bool
    folder: RunFolder = field(repr=False)

    def read(self) -> CallSet:
        """The calls: one row for each planned call that has a result, with samples and mediaMetrics events.

        Behind the columns of `plivo_nb.schema("calls")` are row (its place in the plan), status (done, failed
        or lost), problem (why it is not done), label, account, network, planned_s, late_s, attempt, worker,
        set_loss and the like for the knobs of the lab's network, and the tags of the plan.
        """
        with self.folder.as_local() as path:
            return read(path)

    @property
    def problems(self) -> pd.DataFrame:
        """What happened to workers and files: worker and problem, a row each, indexed by UTC time."""
        return self.folder.problems()


class Campaign:
    """Calls by a plan, made by several processes, on this machine or on many.

    Against a lab by default: one is started for the run, with the accounts of the plan.

    Args:
        plan: a row a call, see `plivo_nb.fleet.plan.read_plan`: a frame, or the path of a CSV file.
        lab: a running lab of yours; or the path of a class file that each worker can read (`Lab.share`).
        server: the URL of another server, or several, such as Plivo's; see `credentials`.
        options: of each `Client`, as keywords; they override those of the lab.
        credentials: for another server: the path of a JSON file of passwords by account on each worker, which
            only its owner can read; None: environment variables such as PLIVO_NB_PASSWORD_ANN. A mapping is
            passed to workers over TLS only.
        sound: record the sound of each call.
        tries: how often a call is attempted that is lost with its worker; in the lab only.

    Raises:
        PlanError: the plan is wrong; the message names row and column.
        ValueError: lab and server are both given, or the plan has network settings for another server.

    Example::

        from plivo_nb.fleet import Campaign, at_rate, grid

        networks = grid(loss=[0, 0.05], delay_ms=[0, 150])
        plan = at_rate(60, per_s=2, accounts=[f"user{n}" for n in range(10)], duration_s=5, networks=networks)
        run = await Campaign(plan).run(out="runs/networks", workers=2)
        run.read().calls.groupby("label")["mos_mean"].describe()
    """

    def __init__(
        self,
        plan: pd.DataFrame | str | os.PathLike[str] | Plan,
        *,
        lab: Lab | str | os.PathLike[str] | None = None,
        server: str | Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        credentials: str | os.PathLike[str] | Mapping[str, str] | None = None,
        sound: bool = False,
        tries: int = 3,
    ) -> None:
        self.plan = read_plan(plan)
        if lab is not None and server is not None:
            raise ValueError("A campaign calls in a lab or at a server: give lab= or server=, not both.")
        if server is not None and self.plan.needs_lab:
            raise PlanError(
                f"Row {self.plan.needs_lab[0]} has settings of the lab's network, which {server} "
                "does not have."
            )
        self._lab = lab
        self._servers = [server] if isinstance(server, str) else list(server or ())
        self._options = dict(options or {})
        given = credentials if isinstance(credentials, Mapping) else {}
        path = None if credentials is None or isinstance(credentials, Mapping) else os.fspath(credentials)
        self._credentials = Credentials(path, dict(given))
        self._sound = sound
        self._tries = 1 if self._servers else tries
        self._listeners: list[Callable[[Progress], object]] = []
        counts: dict[State, int] = {"planned": len(self.plan), "attempted": 0, **dict.fromkeys(FINAL, 0)}
        self._last = Progress(len(self.plan), counts, 0, 0.0)
        self._conductor: _Conductor | None = None
        self._running = self._canceled = False
        self._box: ProgressBox | None = None

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        if self._conductor is not None:
            return self._conductor.progress()
        return self._last

    def on_progress(self, callback: Callable[[Progress], object]) -> Callable[[], None]:
        """Call `callback` with the progress, about once a second and at the end.

        Returns:
            A function that removes the callback.
        """
        self._listeners.append(callback)
        return lambda: self._listeners.remove(callback) if callback in self._listeners else None

    async def run(
        self,
        client: DaskClient | None = None,
        out: str | os.PathLike[str] = "run",
        *,
        workers: int = 2,
        calls_per_worker: int = 8,
        confirm: bool = False,
        max_calls: int = 100,
        max_per_s: float = 1.0,
        show: bool | None = None,
    ) -> Run:
        """Make the calls. A run that was interrupted goes on where it is given the same folder again.

        Args:
            client: of a Dask scheduler; None: worker processes on this machine are started for the run. A
                script needs ``if __name__ == "__main__":`` then.
            out: the folder of the run, or a URL that fsspec knows.
            workers: how many processes are started without a client.
            calls_per_worker: how many calls a worker has at the same time.
            confirm: True allows calls at a server that is no lab; they may cost money and ring real phones.
            max_calls: of such a run, the greatest number of calls.
            max_per_s: of such a run, the greatest rate, in calls begun a second.
            show: display the progress; None: in a notebook.

        Returns:
            The run; `Run.read` gives its calls.

        Raises:
            RunError: it cannot begin, or stopped before its end: no worker, no disk, or no scheduler. What
                was done is kept.
            PlivoError: the lab cannot be started.
            InvalidState: it runs already.
        """
        if self._running:
            raise InvalidState("This campaign runs already; wait for its end, or cancel it.")
        if self._servers:
            _check_allowed(self.plan, ", ".join(self._servers), confirm, max_calls, max_per_s)
        if self._credentials.given and not _is_encrypted(client):
            raise RunError(
                "Passwords are passed to workers over TLS only: give credentials= the path of a file on each "
                "worker, or use a scheduler at tls://."
            )
        _distributed()
        folder = RunFolder(out)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._stopped)
            self._running, self._canceled = True, False
            await self._open(folder, stack)
            if len(await asyncio.to_thread(folder.finished)) == len(self.plan):
                return Run(folder.url, True, folder)
            lab, settings = await self._place(stack)
            dask = await stack.enter_async_context(_dask_client(client, workers))
            reached = Workers(dask, secrets.token_hex(8), settings, __version__)
            self._conductor = _Conductor(
                self.plan, folder, reached, lab, calls_per_worker, self._tries, self._tell
            )
            if _in_notebook() if show is None else show:
                self._display()
            try:
                if self._canceled:  # while lab and workers started
                    await self._conductor.cancel()
                await self._conductor.prepare()
                complete = await self._conductor.conduct()
            finally:
                await self._conductor.close()
                self._last, self._conductor = self._conductor.progress(), None
                self._show(self._last, running=False)
        return Run(folder.url, complete, folder)

    async def cancel(self) -> None:
        """Hang up all calls and let `run` return. Calls that did not begin are made by running it again."""
        self._canceled = self._running
        if self._conductor is not None:
            await self._conductor.cancel()

    # ------------------------------------------------------------ private

    def _stopped(self) -> None:
        self._running = False

    def _tell(self, progress: Progress) -> None:
        for listener in list(self._listeners):
            try:
                listener(progress)
            except Exception:  # the run goes on
                _logger.exception("A callback of the campaign failed.")
        self._show(progress, running=True)

    def _show(self, progress: Progress, *, running: bool) -> None:
        if self._box is not None:
            self._box.show(progress, running=running)

    def _made_box(self) -> ProgressBox:
        """The widget; it needs ipywidgets, which a script does not import."""
        if self._box is None:
            from plivo_nb.fleet.progress_box import ProgressBox

            self._box = ProgressBox(self.progress, self.cancel)
        return self._box

    def _display(self) -> None:
        display: Any = importlib.import_module("IPython.display").display
        display(self._made_box().widget)

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        bundle = self._made_box().widget._repr_mimebundle_(**arguments)
        return {**bundle, "text/plain": repr(self)}

    async def _open(self, folder: RunFolder, stack: contextlib.AsyncExitStack) -> None:
        try:
            await asyncio.to_thread(folder.open, self.plan, ", ".join(self._servers) or "lab")
        except OSError as error:
            raise RunError(
                f"{folder.url} cannot be used ({error.strerror or error}): give another folder."
            ) from None
        stack.push_async_callback(asyncio.to_thread, folder.unlock)

    async def _place(self, stack: contextlib.AsyncExitStack) -> tuple[Lab | None, HostSettings]:
        """The lab, if there is one whose network can be set, and what workers need to know."""
        if self._servers:
            options = {"registrationDomainSocket": self._servers, **self._options}
            return None, HostSettings(None, options, self._credentials, self._sound)
        if isinstance(self._lab, str | os.PathLike):
            path = _absolute(self._lab)
            joined = await stack.enter_async_context(await Lab.join(path))
            if joined.user is not None and self.plan.needs_lab:
                raise LabError(
                    f"Row {self.plan.needs_lab[0]} sets the lab's network: give the teacher's file."
                )
            return joined, HostSettings(str(path), self._options, sound=self._sound)
        lab: Lab | None = self._lab
        if lab is None:
            lab = Lab(self.plan.accounts, random_passwords=True, workers=_LAB_WORKERS)
            await stack.enter_async_context(lab)
        private = stack.enter_context(tempfile.TemporaryDirectory(prefix="plivo-nb-campaign-"))
        path = Path(private, "accounts.json")
        await asyncio.to_thread(lab.share_accounts, path, self.plan.accounts)
        return lab, HostSettings(str(path), self._options, sound=self._sound)

    def __repr__(self) -> str:
        return f"<Campaign: {self.progress}>"


class _Conductor:
    """One run: what is due goes to workers, what they say into the folder and the ledger."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        workers: Workers,
        lab: Lab | None,
        per_worker: int,
        tries: int,
        tell: Callable[[Progress], object],
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._workers = workers
        self._lab = lab
        self._per_worker = per_worker
        self._tries = tries
        self._publish_to = tell
        self._ledger = Ledger([], per_worker, tries)
        self._earlier = 0  # calls with a result of an earlier run
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._collecting: set[asyncio.Task[None]] = set()
        self._closing = False
        self._networks: dict[int, asyncio.Task[None]] = {}
        self._known: set[str] = set()  # workers that are connected
        self._refused: set[str] = set()
        self._set: set[str] = set()  # accounts with a network of their own
        self._error: RunError | None = None
        self._canceled = False
        self._last_worker_s = self._loop.time()

    def progress(self) -> Progress:
        """How far the run is."""
        counts = dict(self._ledger.counts)
        seconds = self._loop.time() - self._began_s
        return Progress(len(self._plan), counts, len(self._ledger.workers), seconds, self._earlier)

    async def prepare(self) -> None:
        """See what earlier runs have done."""
        finished = await asyncio.to_thread(self._folder.finished)
        attempts = await asyncio.to_thread(self._folder.attempts)
        left = [call for call in self._plan.calls if call.number not in finished]
        again = [call for call in left if attempts.get(call.number, 0) < self._tries]
        self._earlier = len(finished)
        self._ledger = Ledger(again, self._per_worker, self._tries, attempts)
        for call in left:
            count = attempts.get(call.number, 0)
            if count >= self._tries:
                await self._write_lost(call, count)
                self._earlier += 1

    async def conduct(self) -> bool:
        """Make the calls.

        Returns:
            Whether each call has a result.

        Raises:
            RunError: the run stopped.
        """
        self._began_s = self._last_worker_s = self._loop.time()
        self._spawn(self._watch_workers(), "workers")
        self._spawn(self._tell(), "progress")
        while not self._ledger.workers and not self._ledger.finished and self._error is None:
            await self._woken(_WATCH_S)
            if self._canceled:
                return False
        self._began_s = self._loop.time()
        while not self._ledger.finished and self._error is None:
            if self._canceled and not self._ledger.counts["attempted"]:
                break
            now_s = self._loop.time() - self._began_s
            for start in [] if self._canceled else self._ledger.due(now_s):
                self._spawn(self._begin(start), f"call {start.call.number}")
            next_at = self._ledger.next_at()
            timeout_s = _WATCH_S if next_at is None else min(_WATCH_S, max(0.0, next_at - now_s))
            await self._woken(max(timeout_s, 0.005))
        if self._error is not None:
            raise self._error
        return self._ledger.finished

    async def _woken(self, timeout_s: float) -> None:
        """Wait until something has happened, or for some seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout_s)
        self._wake.clear()

    async def cancel(self) -> None:
        """Hang up all calls, and begin no more."""
        self._canceled = True
        for name in self._ledger.workers:
            with contextlib.suppress(WorkerGone, WorkerRefused, SchedulerGone):
                await self._workers.cancel(name)
        self._wake.set()

    async def close(self) -> None:
        """End what goes on, on the workers too."""
        names, self._closing = self._ledger.workers, True

        async def end(name: str) -> None:
            with contextlib.suppress(WorkerGone, WorkerRefused, SchedulerGone, TimeoutError):
                async with asyncio.timeout(_HANGUP_S):
                    await self._workers.end(name)

        await asyncio.gather(*(end(name) for name in names))
        if self._collecting:  # the end of a worker's calls lets them return
            await asyncio.wait(self._collecting, timeout=_COLLECT_S + 1)
        for task in [*self._tasks, *self._networks.values()]:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._networks.values(), return_exceptions=True)
        for account in self._set:
            with contextlib.suppress(LabError):
                await self._clear_network(account)
        self._publish()

    # ------------------------------------------------------------ workers

    async def _watch_workers(self) -> None:
        while True:
            connected = await self._workers.names()
            for name in connected:
                if name not in self._known:
                    self._known.add(name)
                    self._spawn(self._take(name), f"worker {name}")
            self._known &= set(connected)
            for name in self._ledger.workers:
                if name not in connected:
                    await self._gone(name, "it is no longer connected")
            if self._ledger.workers:
                self._last_worker_s = self._loop.time()
            elif self._loop.time() - self._last_worker_s > _NO_WORKER_S:
                why = "none has the same version" if self._refused else "none is connected"
                raise RunError(
                    f"No worker takes calls for {_NO_WORKER_S:.0f} s: {why}. Run it again with the same "
                    "folder to go on."
                )
            await asyncio.sleep(_WATCH_S)

    async def _take(self, name: str) -> None:
        try:
            await self._workers.begin(name)
        except WorkerRefused as error:
            self._refused.add(name)
            await self._problem(str(error), name)
        except WorkerGone:
            self._known.discard(name)
        else:
            self._ledger.worker_came(name)
            task = self._spawn(self._collect(name), f"results of {name}")
            self._collecting.add(task)
            task.add_done_callback(self._collecting.discard)
            self._wake.set()

    async def _gone(self, name: str, why: str) -> None:
        if name not in self._ledger.workers:
            return
        vanished = self._ledger.worker_gone(name)
        await self._problem(f"The worker {name} is gone ({why}), with {_calls(len(vanished))}.", name)
        for number in vanished:
            await self._lost(number)
        self._wake.set()

    async def _lost(self, number: int) -> None:
        self._stop_network(number)
        if self._ledger.retries(number):
            self._ledger.apply(number, "again")
        else:
            await self._write_lost(self._ledger.call(number), self._ledger.attempts(number))

    async def _collect(self, name: str) -> None:
        """Take the results of a worker until it is gone."""
        while name in self._ledger.workers and not self._closing:
            try:
                results = await self._workers.collect(name, _COLLECT_S)
            except (WorkerGone, WorkerRefused) as error:
                if not self._closing:
                    await self._gone(name, str(error))
                return
            for result in results:
                await self._take_result(result)

    # ------------------------------------------------------------ one call

    async def _begin(self, start: Start) -> None:
        call = start.call
        await self._written(self._folder.write_attempt, call.number, start.attempt, start.worker)
        try:
            if start.leave is not None:
                with contextlib.suppress(WorkerGone, WorkerRefused):
                    await self._workers.leave(start.leave, call.account)
            await self._set_network(call)
            await self._workers.start(start.worker, call, _tags(start))
        except WorkerGone as error:
            await self._gone(start.worker, str(error))
        except (WorkerRefused, LabError, ValueError) as error:
            if call.number in self._ledger.active_at(start.worker):
                tags = {**_tags(start), "status": "failed", "problem": str(error)}
                data = file_of_no_call(call, tags, time.time())
                await self._written(self._folder.write_call, call.number, data)
                self._ledger.apply(call.number, "refused")
                self._wake.set()

    async def _take_result(self, result: CallResult) -> None:
        self._stop_network(result.number)
        if result.problem is not None:
            await self._problem(result.problem, None)
        await self._written(self._folder.write_call, result.number, result.data, result.sound)
        self._ledger.apply(result.number, "ended" if result.event == "ended" else "refused")
        self._wake.set()

    async def _write_lost(self, call: PlannedCall, attempts: int) -> None:
        sentence = "The call was lost with its worker, or the run was interrupted during it."
        tags = {**_tags_of(call), "attempt": attempts, "status": "lost", "problem": sentence}
        data = file_of_no_call(call, tags, time.time())
        await self._written(self._folder.write_call, call.number, data)

    async def _written(self, write: Callable[..., None], *arguments: Any) -> None:
        """Write a file; a disk that is full or gone is tried again for a minute.

        Raises:
            RunError: it takes nothing.
        """
        deadline = self._loop.time() + _DISK_S
        told = False
        while True:
            try:
                await asyncio.to_thread(write, *arguments)
            except OSError as error:
                sentence = f"{self._folder.url} takes no file ({error.strerror or error})"
                if self._loop.time() > deadline:
                    raise RunError(
                        f"{sentence}: make room or give access, and run it again with the same folder."
                    ) from None
                if not told:
                    told = True
                    await self._problem(f"{sentence}; it is tried again.", None)
                await asyncio.sleep(_DISK_AGAIN_S)
            else:
                return

    # ------------------------------------------------------------ the lab's network

    async def _set_network(self, call: PlannedCall) -> None:
        """Let the lab's network have the settings of a call, for its account."""
        if self._lab is None:
            return
        if call.account in self._set:
            await self._clear_network(call.account)
        if not call.knobs and call.scenario is None:
            return
        self._set.add(call.account)
        if call.knobs:
            await self._lab.network.set(user=call.account, **call.knobs)
        if call.scenario is not None:
            scenario = self._loop.create_task(self._play(call), name=f"network of call {call.number}")
            self._networks[call.number] = scenario

    async def _clear_network(self, account: str) -> None:
        assert self._lab is not None
        await self._lab.network.clear(account)

    async def _play(self, call: PlannedCall) -> None:
        """Play a scenario for one account."""
        assert self._lab is not None
        began_s = self._loop.time()
        for step in read_scenario(call.scenario).steps:
            await asyncio.sleep(max(0.0, step.at_s - (self._loop.time() - began_s)))
            with contextlib.suppress(LabError):
                await self._lab.network.set(direction=step.direction, user=call.account, **step.knobs)

    def _stop_network(self, number: int) -> None:
        playing = self._networks.pop(number, None)
        if playing is not None:
            playing.cancel()

    # ------------------------------------------------------------ progress

    async def _problem(self, sentence: str, worker: str | None) -> None:
        _logger.warning("%s", sentence)
        await asyncio.to_thread(self._folder.write_problem, sentence, worker)

    async def _tell(self) -> None:
        while True:
            self._publish()
            await asyncio.sleep(_WATCH_S)

    def _publish(self) -> None:
        self._publish_to(self.progress())

    def _spawn(self, work: Any, name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=f"campaign {name}")
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)
        return task

    def _spawned_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None or self._error is not None:
            return
        error = task.exception()
        if isinstance(error, RunError):
            self._error = error
        elif isinstance(error, SchedulerGone):
            active = _calls(self._ledger.counts["attempted"])
            self._error = RunError(
                f"{error} {active} had begun. Start it again, and run the campaign again with the "
                "same folder to go on."
            )
        else:
            _logger.error("%s failed.", task.get_name(), exc_info=error)
            self._error = RunError(f"The run stopped: {type(error).__name__}: {error}")
        self._wake.set()


# ---------------------------------------------------------------- before the run


def _check_allowed(plan: Plan, server: str, confirm: bool, max_calls: int, max_per_s: float) -> None:
    if not confirm:
        raise RunError(
            f"This campaign makes {_calls(len(plan))} at {server}, which may cost money and ring real "
            "phones: say confirm=True if you want that."
        )
    if len(plan) > max_calls:
        raise RunError(f"The plan has {len(plan)} calls, and max_calls is {max_calls}.")
    begins = sorted(call.at_s for call in plan.calls)
    window = max(1, int(max_per_s))
    for first, last in zip(begins, begins[window:], strict=False):
        if last - first < window / max_per_s - 1e-9:
            raise RunError(
                f"The plan begins more than {max_per_s:g} calls a second, {window + 1} of them from "
                f"{first:g} s on; max_per_s allows more."
            )


def _in_notebook() -> bool:
    """Whether this is a kernel that displays widgets."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).absolute()


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count} calls"


def _is_encrypted(client: DaskClient | None) -> bool:
    return client is not None and _address_of(client).startswith("tls://")


def _address_of(client: Any) -> str:
    return str(client.scheduler.address)


def _distributed() -> Any:
    """The module `distributed`.

    Raises:
        RunError: it is not installed.
    """
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise RunError(
            f"Campaigns need Dask ({error.name} is missing): pip install 'plivo-nb[scale]'."
        ) from None


@contextlib.asynccontextmanager
async def _dask_client(client: DaskClient | None, workers: int) -> AsyncIterator[DaskClient]:
    """A client on the running loop: of the scheduler that is given, or of processes on this machine.

    Raises:
        RunError: no scheduler answers.
    """
    distributed = _distributed()
    if client is not None:
        address = _address_of(client)
        try:
            with _without_reconnection_log():
                async with distributed.Client(address, asynchronous=True, security=client.security) as own:
                    yield own
        except OSError as error:
            raise RunError(f"The scheduler at {address} does not answer ({error}).") from None
        return
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        asynchronous=True,
        silence_logs=logging.CRITICAL,
    )
    async with cluster, distributed.Client(cluster, asynchronous=True) as own:
        yield own


@contextlib.contextmanager
def _without_reconnection_log() -> Iterator[None]:
    """A scheduler that is gone is said in a `RunError`; Dask's client logs a traceback as well."""
    logger = logging.getLogger("distributed.client")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


# ---------------------------------------------------------------- tags


def _tags_of(call: PlannedCall) -> dict[str, Any]:
    """What the plan says of a call, as tags."""
    return {
        "row": call.number,
        "label": call.label,
        "account": call.account,
        "network": call.network,
        "planned_s": call.at_s,
        **{f"set_{name}": value for name, value in call.knobs.items()},
        **call.tags,
    }


def _tags(start: Start) -> dict[str, Any]:
    more = {"late_s": round(start.late_s, 3), "attempt": start.attempt, "worker": start.worker}
    return {**_tags_of(start.call), **more}
