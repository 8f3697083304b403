"""``python -m plivo_nb.lab``: a lab in a process of its own.

With ``--child`` it is started by `Lab`: the token and the settings come by stdin, one line of JSON; a line on
stdout says when it serves; it ends when stdin ends, or when its parent is not its parent any more.
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
from plivo_nb.lab.config import LabConfig, accounts_of
from plivo_nb.lab.service import LabService, serve

_ORPHAN_CHECK_S = 1.0
_STOP_WITHIN_S = 4.0


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m plivo_nb.lab", description="An embedded Plivo, on 127.0.0.1."
    )
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, default=0, help="of the SIP WebSocket; 0: a free one")
    parser.add_argument("--accounts", type=int, default=3, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="of the network's random streams")
    parser.add_argument("--scenario", default=None, help="network scenario to begin with")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")
    logging.getLogger("plivo_nb").setLevel(logging.WARNING)  # robots are clients: they leave it so
    try:
        if options.child:
            asyncio.run(_run_child())
            sys.stderr.flush()
            os._exit(0)  # at once: a thread that still imports, or waits for stdin, is no reason to linger
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
    """The thread that waits for the end of stdin: the parent's wish to stop, or its death."""
    while os.read(
        0, 4096
    ):  # not sys.stdin: its lock, held by this thread, would break the interpreter's exit
        pass
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)
    threading.Event().wait(_STOP_WITHIN_S)
    os._exit(1)  # the loop did not stop in time: nothing may be left behind


async def _watch_parent(parent: int, stop: asyncio.Event) -> None:
    """A copy of the pipe may live on in another child of the parent: also see whether the parent is there."""
    while os.name == "posix" and not stop.is_set():
        if os.getppid() != parent:
            stop.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _ORPHAN_CHECK_S)


if __name__ == "__main__":
    sys.exit(main())
