"""A scheduler and workers of Dask in processes of their own, which tests kill and start again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import distributed
import psutil

_START_S = 60.0
_STOP_S = 3.0
_QUIET = {"DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}


class DaskProcesses:
    """One scheduler and its workers.

    Args:
        folder: for the scheduler's file.
        workers: how many.
        environment: more variables of the workers, a mapping for each of the first ones.
    """

    def __init__(
        self, folder: Path, workers: int, environment: list[Mapping[str, str]] | None = None
    ) -> None:
        self.file = folder / "scheduler.json"
        self._count = workers
        self._environment = environment or []
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._workers: list[subprocess.Popen[bytes]] = []

    async def start(self) -> None:
        self.file.unlink(missing_ok=True)
        self._scheduler = self._run("distributed.cli.dask_scheduler", "--port", "0", {})
        for number in range(self._count):
            more = self._environment[number] if number < len(self._environment) else {}
            self._workers.append(
                self._run("distributed.cli.dask_worker", "--nthreads", "1", more, "--memory-limit", "0")
            )
        async with asyncio.timeout(_START_S):
            while not self.file.exists():
                await asyncio.sleep(0.1)
            async with self.client() as client:
                await client.wait_for_workers(self._count)

    def _run(self, module: str, option: str, value: str, more: Mapping[str, str], *rest: str) -> Any:
        command = [
            sys.executable,
            "-m",
            module,
            "--host",
            "127.0.0.1",
            "--no-dashboard",
            option,
            value,
            *rest,
        ]
        command += ["--scheduler-file", str(self.file)]
        environment = {**os.environ, **_QUIET, **more}
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    @contextlib.asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        made: Any = distributed.Client
        async with made(scheduler_file=str(self.file), asynchronous=True) as client:
            yield client

    async def kill_worker(self) -> int:
        """Kill the process of one worker, not its nanny, which starts another one; gives its process id."""
        async with self.client() as client:
            pids = sorted((await client.run(os.getpid)).values())
        os.kill(pids[0], signal.SIGKILL)
        return int(pids[0])

    @property
    def scheduler_pid(self) -> int:
        assert self._scheduler is not None
        return self._scheduler.pid

    def kill_scheduler(self) -> None:
        """Kill the scheduler; its workers end by themselves."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait()

    async def stop(self) -> None:
        """End all of them, with what they have started."""
        found = [process for process in [self._scheduler, *self._workers] if process is not None]
        self._scheduler, self._workers = None, []
        below = []
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                below += psutil.Process(process.pid).children(recursive=True)
            process.terminate()
        for process in found:
            try:
                await asyncio.to_thread(process.wait, _STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for child in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
