"""``python -m plivo_nb.lab.robots.worker``: robots in a process of their own, for labs with many calls.

The lab's process starts it (worker_pool.py). Both send lines of JSON, through stdin and stdout:

    to the worker: first ``{"urls", "ca_file", "numbers"}``; then ``{"id", "do", "arguments"}``
    to the lab: ``{"id", "result"}`` or ``{"id", "error"}``; ``{"event", "arguments"}`` at any time

The events are the calls of `Surroundings`, by name, and ``robots``: their names and whether they are idle.
The worker ends when stdin is closed; the operating system closes it when the lab's process ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError
from plivo_nb.lab.robots.robots import Robots, Surroundings

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger("plivo_nb.lab.robots.worker")
_SNAPSHOT_S = 1.0
_STOP_WITHIN_S = 3.0


class Worker:
    """Robots that are controlled by messages.

    Args:
        hello: the first message.
        send: sends a message.
    """

    def __init__(self, hello: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._changed = asyncio.Event()
        self._told: list[dict[str, Any]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        first, step = hello["numbers"]
        self.robots = Robots(
            hello["urls"],
            Surroundings(
                set_account=lambda *arguments: self._event("set_account", *arguments),
                happened=lambda *arguments: self._event("happened", *arguments),
                set_network=lambda **knobs: self._event("set_network", knobs),
                cut=lambda user: self._event("cut", user),
                overload=lambda overloaded: self._event("overload", overloaded),
                changed=self._changed.set,
            ),
            hello["ca_file"],
            itertools.count(first, step),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Make the first robots, and tell of all robots whenever they have changed, until `stop` is set."""
        await self.robots.warm_up()
        while not stop.is_set():
            self._tell_of_robots()
            with contextlib.suppress(TimeoutError):  # a robot may also log in again by itself
                await asyncio.wait_for(self._changed.wait(), _SNAPSHOT_S)
            self._changed.clear()

    async def close(self) -> None:
        """Close the robots and wait for what is being done."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.robots.close()

    def take(self, message: dict[str, Any]) -> None:
        """Begin what a message asks for."""
        task = asyncio.get_running_loop().create_task(self._do(message), name=f"lab robots {message['do']}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, message: dict[str, Any]) -> None:
        try:
            result = await self._result(message["do"], message["arguments"])
        except LabError as error:
            self._send({"id": message["id"], "error": str(error)})
        except Exception as error:
            _logger.exception("%s failed.", message["do"])
            self._send({"id": message["id"], "error": f"{type(error).__name__}: {error}"})
        else:
            # Before the answer, so that the lab's picture of the robots is the one after the command.
            self._tell_of_robots()
            self._send({"id": message["id"], "result": result})

    async def _result(self, do: str, arguments: dict[str, Any]) -> Any:
        match do:
            case "claim":
                return asdict(await self.robots.claim(**arguments))
            case "call":
                return await self.robots.call(**arguments)
            case "kill_one":
                return self.robots.kill_one()
            case _:
                raise LabError(f"The robots have no command {do!r}.")

    def _event(self, name: str, *arguments: Any) -> None:
        self._send({"event": name, "arguments": arguments})

    def _tell_of_robots(self) -> None:
        robots = self.robots.snapshot()
        if robots != self._told:
            self._told = robots
            self._event("robots", robots)


def main() -> int:
    """Run a worker until stdin is closed."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    # The robots' clients do not change the level then.
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)
    hello = sys.stdin.buffer.readline()
    if hello.strip():
        asyncio.run(_serve(json.loads(hello)))
        sys.stderr.flush()
        os._exit(0)  # do not wait for threads that import or read stdin
    return 0


async def _serve(hello: dict[str, Any]) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    worker = Worker(hello, _write)
    running = loop.create_task(worker.run(stop), name="lab robots run")

    def take(line: bytes) -> None:
        if line:
            worker.take(json.loads(line))
        else:
            stop.set()

    def read() -> None:
        """Read stdin, in a thread; the end of it ends the process, if need be the hard way."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            for line in sys.stdin.buffer:
                loop.call_soon_threadsafe(take, line)
            loop.call_soon_threadsafe(take, b"")
        threading.Event().wait(_STOP_WITHIN_S)
        os._exit(1)

    threading.Thread(target=read, name="lab robots stdin", daemon=True).start()
    await stop.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await worker.close()


def _write(message: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # the lab's process has ended: so will this one
        sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
