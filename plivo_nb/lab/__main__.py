"""``python -m plivo_nb.lab``: a lab in a process of its own.

`Lab` starts it with ``--child``. It reads the token and the settings from stdin, as one line of JSON, and
writes a line to stdout when it is ready. It ends when stdin is closed, or when its parent process has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
import threading

from plivo_nb.errors import LabError
from plivo_nb.lab.config import FIRST_USERS, LabConfig, accounts_of
from plivo_nb.lab.service import LabService, serve

_ORPHAN_CHECK_S = 1.0
_STOP_WITHIN_S = 4.0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m plivo_nb.lab", description="Run an embedded Plivo on 127.0.0.1."
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help="WebSocket port (0 = any free port)")
    parser.add_argument("--accounts", type=int, default=len(FIRST_USERS), help="number of accounts")
    parser.add_argument("--seed", type=int, default=1, help="seed of the network's random numbers")
    parser.add_argument(
        "--scenario", default=None, help="network scenario to play in a loop: a name or a CSV file"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("plivo_nb").setLevel(
        logging.WARNING
    )  # the robots' clients do not change the level then
    try:
        if options.child:
            asyncio.run(_run_child())
            sys.stderr.flush()
            os._exit(0)  # do not wait for threads that import or read stdin
        else:
            config = LabConfig(
                port=options.port,
                accounts=accounts_of(options.accounts),
                seed=options.seed,
                scenario=options.scenario,
            )
            asyncio.run(serve(config, on_ready=_say_ready))
    except (LabError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


async def _run_child() -> None:
    line = await asyncio.to_thread(sys.stdin.readline)
    if not line.strip():
        return
    hello = json.loads(line)
    config = LabConfig(**hello["config"])
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers on the loop
        loop.add_signal_handler(signal.SIGTERM, stop.set)
    threading.Thread(target=_watch_stdin, args=(loop, stop), name="parent watch", daemon=True).start()
    watch = loop.create_task(_watch_parent(int(hello["parent"]), stop), name="orphan watch")
    try:
        await serve(config, token=str(hello["token"]), on_ready=_say_ready, stop=stop)
    finally:
        watch.cancel()


def _say_ready(service: LabService) -> None:
    about = {"ready": True, "url": service.url, "urls": service.urls, "control": service.control_url}
    about |= {"stats": service.collector.stats_url, "insights": service.collector.insights_url}
    sys.stdout.write(json.dumps(about) + "\n")
    sys.stdout.flush()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Wait, in a thread, for the end of stdin: the parent closes it to stop the lab, or has ended."""
    # Not sys.stdin: this thread would hold its lock, and the interpreter could not exit.
    while os.read(0, 4096):
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(_STOP_WITHIN_S)
    os._exit(1)  # the loop did not stop in time


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    """Stop when the parent has ended: another child of it may hold a copy of the pipe open."""
    while os.name == "posix" and not stop.is_set():
        if os.getppid() != parent:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ORPHAN_CHECK_S)


if __name__ == "__main__":
    sys.exit(main())
