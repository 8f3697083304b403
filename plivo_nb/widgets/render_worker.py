"""RenderWorker: starts the drawing process (`figure.py`) and exchanges requests and pictures with it.

Drawing four panels takes about 90 ms of CPU time and would block the kernel's event loop each second. It is
therefore done in a separate process. The process has its own session, so that it does not receive the signal
when the kernel is interrupted. It ends when the kernel ends, because its standard input is closed then.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from plivo_nb.errors import PlivoError
from plivo_nb.widgets.figure import ANSWER, REQUEST
from plivo_nb.widgets.theme import FIGURE_COLOURS, FIGURE_LIMITS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

_SCRIPT = Path(__file__).with_name("figure.py")


class RenderError(PlivoError):
    """A picture could not be drawn. The message says why and what happens next."""


class RenderWorker:
    """A drawing process, started when it is first needed and again after it has ended.

    Use it on one event loop only. It draws one picture at a time.

    Args:
        timeout_s: seconds after which a picture is given up and the process is killed.
        restarts: number of restarts permitted within `per_s` seconds; after that, `render` fails until they
            have passed.
        per_s: see `restarts`.
    """

    def __init__(self, *, timeout_s: float = 15.0, restarts: int = 3, per_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        self._starts: deque[float] = deque(maxlen=restarts + 1)
        self._per_s = per_s
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._closed = False
        self.crashes = 0

    @property
    def pid(self) -> int | None:
        """Process id, or None while the process is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def render(self, columns: Mapping[str, NDArray[np.floating[Any]]], **request: Any) -> bytes:
        """Draw one picture.

        Args:
            columns: values by column name, all of the same length; NaN is a missing value.
            request: the other keys of a request (see figure.py): `title`, `loss_limit` (percent), `window_s`.

        Returns:
            The picture as PNG.

        Raises:
            RenderError: the process could not draw it, ended, or took too long. The next call restarts it.
        """
        arrays = [np.ascontiguousarray(values, dtype="<f8") for values in columns.values()]
        description = {**request, "columns": list(columns), "rows": len(arrays[0])}
        text, numbers = json.dumps(description).encode(), b"".join(array.tobytes() for array in arrays)
        async with self._lock:
            process = await self._started_process()
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await _exchange(process, REQUEST.pack(len(text), len(numbers)) + text + numbers)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                if self._closed:
                    raise RenderError("The drawing process is closed.") from error
                self.crashes += 1
                raise RenderError(await self._ended(process, error)) from error
            except asyncio.CancelledError:
                # Otherwise the answer to this request would be read as the answer to the next one.
                await self._stop(process)
                raise

    async def close(self) -> None:
        """End the process: wait up to 2 s for it, then kill it. Closing twice does nothing."""
        self._closed = True
        if self._process is not None:
            await self._stop(self._process, timeout_s=2.0)

    async def _started_process(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise RenderError("The drawing process is closed.")
        if self._process is not None:
            if self._process.returncode is None:
                return self._process
            # It ended between two pictures: report that as well.
            self.crashes += 1
            raise RenderError(await self._ended(self._process, EOFError()))
        now = asyncio.get_running_loop().time()
        if len(self._starts) == self._starts.maxlen and now - self._starts[0] < self._per_s:
            wait_s = self._per_s - (now - self._starts[0])
            raise RenderError(
                f"The drawing process has ended too often; it is started again in {wait_s:.0f} s."
            )
        self._starts.append(now)
        try:
            self._process = await _start()
        except OSError as error:
            raise RenderError(f"The drawing process cannot be started: {error}.") from error
        return self._process

    async def _ended(self, process: asyncio.subprocess.Process, error: BaseException) -> str:
        await self._stop(process)
        if isinstance(error, TimeoutError):
            return f"The drawing process took over {self._timeout_s:g} s and was killed; it is started again."
        return (
            f"The drawing process ended unexpectedly (exit code {process.returncode}); it is started again."
        )

    async def _stop(self, process: asyncio.subprocess.Process, timeout_s: float = 0.0) -> None:
        if process is self._process:
            self._process = None
        if process.stdin is not None:
            process.stdin.close()
        waiting = asyncio.ensure_future(process.wait())
        await asyncio.wait([waiting], timeout=timeout_s)
        if not waiting.done():
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                process.kill()
        await waiting
        # Otherwise the transport closes its pipes when collected, with a warning if the loop is closed.
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def _start() -> asyncio.subprocess.Process:
    # BLAS threads and the kernel's inline backend are not needed there. -P keeps this folder out of sys.path,
    # because its module names could hide installed modules.
    environment = {**os.environ, "MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(_SCRIPT), json.dumps(FIGURE_COLOURS), json.dumps(FIGURE_LIMITS),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        limit=2**22,
        start_new_session=True,
    )  # fmt: skip


async def _exchange(process: asyncio.subprocess.Process, message: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(message)
    await process.stdin.drain()
    kind, length = ANSWER.unpack(await process.stdout.readexactly(ANSWER.size))
    answer = await process.stdout.readexactly(length)
    if kind != b"P":
        raise RenderError(f"The figure cannot be drawn: {answer.decode('utf-8', 'replace')}.")
    return answer
