"""The lab's subprocess, as its parent sees it: start, output, end.

The token and the settings are passed through stdin, never through arguments or the environment. The end of
stdin stops the subprocess; the operating system closes it when the parent ends for any reason.
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
        config: the settings of the lab.
        python: the path of the interpreter.

    Attributes:
        token: the token of the control channel.
        exited: set when the process has ended.
    """

    def __init__(self, config: LabConfig, python: str = sys.executable) -> None:
        self.token = secrets.token_urlsafe(32)
        self._loop = asyncio.get_running_loop()
        self.exited = asyncio.Event()
        self._ready: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        # A session of its own: an interrupt of the kernel (SIGINT to its process group) must not reach it.
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
        """Wait until the lab is ready.

        Returns:
            The lab's addresses: ``url``, ``urls``, ``control``, ``stats`` and ``insights``.

        Raises:
            LabError: the process did not start; the message has its last output.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._ready)
        except TimeoutError:
            raise LabError(f"The lab did not start within {timeout_s:g} s. {self._said()}".rstrip()) from None

    def hang_up(self) -> None:
        """Close the process's stdin, so that it stops. May be called from any thread, at any time."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError, ValueError):
                self.process.stdin.close()

    async def stop(self, timeout_s: float) -> None:
        """Stop the process; kill it if it does not stop in time."""
        self.hang_up()
        if self._loop.is_closed():  # the one of an earlier asyncio.run: `exited` is not set any more
            await asyncio.to_thread(self._thread.join, timeout_s)
            if self._thread.is_alive():
                self.process.kill()
            return
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            _logger.warning("The lab did not stop within %g s and was killed.", timeout_s)
            self.process.kill()
            await self.exited.wait()

    def _said(self) -> str:
        lines = list(self._last_lines)
        return f"Its last output: {' | '.join(lines[-5:])}" if lines else ""

    def _read(self) -> None:
        """Read the output, in a thread: report the ready line, keep the last lines, wait for the end."""
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
        with contextlib.suppress(RuntimeError):  # the notebook's loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(function, argument)

    def _set_ready(self, value: dict[str, Any]) -> None:
        if not self._ready.done():
            self._ready.set_result(value)

    def _set_exited(self, code: int) -> None:
        self.exited.set()
        if not self._ready.done():
            sentence = f"The lab's process ended during its start (exit code {code}). {self._said()}"
            self._ready.set_exception(LabError(sentence.rstrip()))
            self._ready.exception()  # marks it as retrieved: it is not an error if nobody waits
