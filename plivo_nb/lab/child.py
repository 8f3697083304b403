"""The lab's subprocess as its parent sees it: started in a session of its own, watched, stopped.

The token and the settings go through stdin, never through arguments or the environment. The end of stdin is
the signal to stop, and it comes by itself when the parent dies, however it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from plivo_nb.errors import LabError

if TYPE_CHECKING:
    from plivo_nb.lab.config import LabConfig

_logger = logging.getLogger("plivo_nb.lab.process")
_LAST_LINES = 50


class Child:
    """A running lab process.

    Args:
        config: what it is started with.
        python: the interpreter.

    Attributes:
        token: what opens its control channel.
    """

    def __init__(self, config: LabConfig, python: str = sys.executable) -> None:
        self.token = secrets.token_urlsafe(32)
        self._loop = asyncio.get_running_loop()
        self.exited = asyncio.Event()
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        # Its own session: an interrupt of the kernel (SIGINT to the process group) must not reach it.
        self.process = subprocess.Popen(
            [python, "-m", "plivo_nb.lab", "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        hello = {"token": self.token, "parent": os.getpid(), "config": config.to_dict()}
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(hello) + "\n")
            self.process.stdin.flush()
        self._thread = threading.Thread(target=self._read, name="lab output", daemon=True)
        self._thread.start()

    async def ready(self, timeout_s: float) -> dict[str, Any]:
        """Wait until it serves.

        Returns:
            What it says of itself: ``url``, ``control``, ``pid``.

        Raises:
            LabError: it did not come up; with the last that it said.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            raise LabError(f"The lab did not start within {timeout_s:g} s. {self._said()}".rstrip()) from None

    def hang_up(self) -> None:
        """Close its stdin: it stops by itself. May be called from anywhere, at any time."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()

    async def stop(self, timeout_s: float) -> None:
        """Let it stop; kill it when it does not."""
        self.hang_up()
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            _logger.warning("The lab did not stop within %g s and was killed.", timeout_s)
            self.process.kill()
            await self.exited.wait()

    def _said(self) -> str:
        lines = list(self._last_lines)
        return f"It said last: {' | '.join(lines[-5:])}" if lines else ""

    def _read(self) -> None:
        """The thread: hands over the ready line, keeps the rest for messages, reaps the process."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            line = line.rstrip()
            if line.startswith('{"ready"'):
                self._hand_over(self._set_ready, json.loads(line))
            elif line:
                self._last_lines.append(line)
                _logger.debug("lab: %s", line)
        self.process.stdout.close()
        code = self.process.wait()
        self.hang_up()
        self._hand_over(self._set_exited, code)

    def _hand_over(self, function: Any, argument: Any) -> None:
        with contextlib.suppress(
            RuntimeError
        ):  # the notebook's loop is closed already: nobody waits any more
            self._loop.call_soon_threadsafe(function, argument)

    def _set_ready(self, value: dict[str, Any]) -> None:
        if not self._ready.done():
            self._ready.set_result(value)

    def _set_exited(self, code: int) -> None:
        self.exited.set()
        if not self._ready.done():
            sentence = f"The lab's process ended at once (exit code {code}). {self._said()}"
            self._ready.set_exception(LabError(sentence.rstrip()))
            self._ready.exception()  # whoever waits gets it; nobody waiting is no error
