"""Robots in worker processes, as the lab's process sees them: the same methods as `Robots`.

One process of Python uses one core, and its interpreter's lock is shared by the switch, the relays and the
robots. With workers the robots' codecs and encryption run on other cores, and the lab's process has only the
switch and the relays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError
from plivo_nb.lab.robots.robots import MAX_ROBOTS, Claim, Surroundings
from plivo_nb.lab.robots.roles import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger("plivo_nb.lab.robots.worker_pool")
_ANSWER_S = 25.0  # a worker's first robot waits for imports, a robot's login for 15 s
_START_AGAIN_S = 1.0
_STOP_S = 3.5


class Worker:
    """A worker process, started again when it ends by itself.

    Args:
        hello: the first message for it.
        surroundings: take its events.

    Attributes:
        robots: their names and whether they are idle, as it said last.
        overloaded: whether it cannot keep up with its calls.
    """

    def __init__(self, hello: dict[str, Any], surroundings: Surroundings) -> None:
        self._hello = hello
        self._lab = surroundings
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._running: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._closed = False
        self._accounts: set[str] = set()
        self.robots: list[dict[str, Any]] = []
        self.overloaded = False
        self._taking = 0

    @property
    def busy(self) -> int:
        """How many robots have a call or are about to get one."""
        return self._taking + sum(not robot["idle"] for robot in self.robots)

    def start(self) -> None:
        """Start the process, without waiting for it."""
        self._running = asyncio.get_running_loop().create_task(self._run(), name="lab robots worker")

    async def do(self, name: str, robots: int = 0, **arguments: Any) -> Any:
        """Run a command.

        Args:
            name: the command.
            robots: how many robots it will keep busy.
            arguments: those of the method of `Robots`.

        Raises:
            LabError: it failed, or the worker ended.
        """
        self._taking += robots
        number = next(self._ids)
        try:
            async with asyncio.timeout(_ANSWER_S):
                await self._started.wait()
                answer = self._pending[number] = asyncio.get_running_loop().create_future()
                self._send({"id": number, "do": name, "arguments": arguments})
                return await answer
        except TimeoutError:
            raise LabError("The robots' process does not answer.") from None
        finally:
            self._taking -= robots
            self._pending.pop(number, None)

    async def close(self) -> None:
        """End the process; its robots hang up."""
        self._closed = True
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if self._running is not None:
            _, late = await asyncio.wait([self._running], timeout=_STOP_S)
            if late and process is not None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            if self._process is None:  # it waits to start again
                self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def _send(self, message: dict[str, Any]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise LabError("The robots' process has ended; it is started again.")
        process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _run(self) -> None:
        while not self._closed:
            try:
                await self._run_once()
            except OSError as error:
                _logger.error("The robots' process cannot be started: %s", error)
            if not self._closed:
                await asyncio.sleep(_START_AGAIN_S)

    async def _run_once(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "plivo_nb.lab.robots.worker",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20,
        )  # fmt: skip
        self._process = process
        assert process.stdout is not None
        assert process.stdin is not None
        if self._closed:
            process.stdin.close()
        else:
            self._send(self._hello)
            self._started.set()
        try:
            async for line in process.stdout:
                self._take(line)
            code = await process.wait()
            if not self._closed:
                _logger.error("A process of robots ended (exit code %d); it is started again.", code)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._ended()

    def _ended(self) -> None:
        """Forget what belonged to the process."""
        self._started.clear()
        self._process = None
        self.robots = []
        for name in self._accounts:
            self._lab.set_account(name, None)
        self._accounts.clear()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(LabError("The robots' process ended; call again."))
        if self.overloaded:
            self.overloaded = False
            self._lab.overload(False)

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
            if "event" in message:
                self._event(message["event"], message["arguments"])
            else:
                self._answer(message)
        except Exception:
            _logger.exception("A line of the robots' process could not be handled.")

    def _answer(self, message: dict[str, Any]) -> None:
        answer = self._pending.get(message["id"])
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(LabError(message["error"]))
        else:
            answer.set_result(message["result"])

    def _event(self, name: str, arguments: list[Any]) -> None:
        match name, arguments:
            case "robots", [robots]:
                self.robots = robots
            case "set_account", [user, password]:
                (self._accounts.discard if password is None else self._accounts.add)(user)
                self._lab.set_account(user, password)
            case "happened", [what, who, detail, call_uuid]:
                self._lab.happened(what, who, detail, call_uuid)
            case "set_network", [knobs]:
                self._lab.set_network(**knobs)
            case "cut", [user]:
                self._lab.cut(user)
            case "overload", [overloaded]:
                self.overloaded = overloaded
                self._lab.overload(overloaded)
            case _:
                _logger.error("The robots' process sent an unknown event: %r", name)


class WorkerPool:
    """Robots in several processes. A call is taken by the one with the fewest calls.

    Args:
        count: how many processes.
        urls: the URLs of the switch.
        surroundings: what they tell the lab, and ask of it; see `Surroundings`.
        ca_file: PEM file with the authority of the switch's certificate, if it has one.
    """

    def __init__(
        self, count: int, urls: list[str], surroundings: Surroundings, ca_file: str | None = None
    ) -> None:
        hellos = [
            {"urls": urls, "ca_file": ca_file, "numbers": (first, count)} for first in range(1, count + 1)
        ]
        self._overload = surroundings.overload
        self._overloaded = False
        own = Surroundings(
            surroundings.set_account,
            surroundings.happened,
            surroundings.set_network,
            surroundings.cut,
            lambda _: self._judge(),
        )
        self.workers = [Worker(hello, own) for hello in hellos]

    async def warm_up(self) -> None:
        """Start the processes; each makes its first robots."""
        for worker in self.workers:
            worker.start()

    async def claim(self, number: str, caller: str, call_uuid: str, headers: Mapping[str, str]) -> Claim:
        """Like `Robots.claim`."""
        values = await self._least_busy().do(
            "claim", 1, number=number, caller=caller, call_uuid=call_uuid, headers=dict(headers)
        )
        refusal = values.pop("refusal")
        plan = tuple((after_s, what) for after_s, what in values.pop("plan"))
        return Claim(**values, plan=plan, refusal=None if refusal is None else Refusal(**refusal))

    async def call(
        self, user: str, n: int = 1, headers: Mapping[str, str] | None = None, role: str = "echo"
    ) -> list[dict[str, Any]]:
        """Like `Robots.call`; the calls are spread over the processes.

        Raises:
            LabError: there is no such role, or there are too many calls.
        """
        if not 1 <= n <= MAX_ROBOTS:
            raise LabError(f"lab.call needs 1 to {MAX_ROBOTS} calls, not {n}.")
        by_load = sorted(self.workers, key=lambda worker: worker.busy)
        shares = [len(range(place, n, len(by_load))) for place in range(len(by_load))]
        of_header = None if headers is None else dict(headers)
        parts = await asyncio.gather(*(
            worker.do("call", share, user=user, n=share, headers=of_header, role=role)
            for worker, share in zip(by_load, shares, strict=True)
            if share
        ))  # fmt: skip
        return [described for part in parts for described in part]

    async def close(self) -> None:
        """Close all robots and end the processes."""
        await asyncio.gather(*(worker.close() for worker in self.workers))

    def snapshot(self) -> list[dict[str, Any]]:
        """The name of each robot and whether it is idle."""
        return [robot for worker in self.workers for robot in worker.robots]

    async def kill_one(self) -> str:
        """Like `Robots.kill_one`.

        Raises:
            LabError: no robot is in a call.
        """
        error = LabError("No robot is in a call; call one first, such as echo.")
        for worker in self.workers:
            try:
                return str(await worker.do("kill_one"))
            except LabError as failed:
                error = failed
        raise error

    def _least_busy(self) -> Worker:
        return min(self.workers, key=lambda worker: worker.busy)

    def _judge(self) -> None:
        """Say whether any process is overloaded, when that has changed."""
        overloaded = any(worker.overloaded for worker in self.workers)
        if overloaded != self._overloaded:
            self._overloaded = overloaded
            self._overload(overloaded)
