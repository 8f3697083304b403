"""The kernel's end of the drawing process.

Drawing four panels costs about 90 ms of CPU, which would hold up the kernel's loop each second; so it happens
in a process of its own (`figure.py`). The process has its own session, so that interrupting the kernel does
not reach it; it ends by itself when the kernel is gone, because its input ends then.
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
    """A picture could not be drawn; the sentence says why and what happens next."""


class RenderWorker:
    """A drawing process that is started when first needed, and again when it dies.

    Belongs to the loop it is first used on; one picture at a time, others wait their turn.

    Args:
        timeout_s: a picture that takes longer ends the process; the next picture starts it again.
        restarts: how many starts are tolerated within `per_s` seconds before it stays down that long.
        per_s: see `restarts`.
    """

    def __init__(self, *, timeout_s: float = 15.0, restarts: int = 3, per_s: float = 60.0) -> None:
        self._timeout_s = timeout_s
        self._starts: deque[float] = deque(maxlen=restarts + 1)
        self._per_s = per_s
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._closed = False
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """The process's id while it runs, else None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def render(self, columns: Mapping[str, NDArray[np.float64]], **request: Any) -> bytes:
        """Draw one picture.

        Args:
            columns: the numbers by column name, all of one length; NaN is a gap.
            request: plain values: `title`, `loss_limit` (percent), `window_s`.

        Returns:
            The picture as PNG.

        Raises:
            RenderError: the process refused, died or took too long; the next call starts it again if need be.
        """
        arrays = [np.ascontiguousarray(values, dtype="<f8") for values in columns.values()]
        described = {**request, "columns": list(columns), "rows": len(arrays[0])}
        text, numbers = json.dumps(described).encode(), b"".join(array.tobytes() for array in arrays)
        async with self._turn:
            process = await self._running()
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await _exchange(process, REQUEST.pack(len(text), len(numbers)) + text + numbers)
            except (TimeoutError, OSError, asyncio.IncompleteReadError) as error:
                if self._closed:
                    raise RenderError("The drawing process is closed.") from error
                self.deaths += 1
                raise RenderError(await self._buried(process, error)) from error
            except asyncio.CancelledError:
                # The answer to this request would be taken for the answer to the next one.
                await self._stop(process)
                raise

    async def close(self) -> None:
        """End the process; waits for it at most 2 s, then kills it. Closing twice does nothing."""
        self._closed = True
        if self._process is not None:
            await self._stop(self._process, patience_s=2.0)

    async def _running(self) -> asyncio.subprocess.Process:
        if self._closed:
            raise RenderError("The drawing process is closed.")
        if self._process is not None:
            if self._process.returncode is None:
                return self._process
            # It died between two pictures: that is told too, whoever notices first.
            self.deaths += 1
            raise RenderError(await self._buried(self._process, EOFError()))
        now = asyncio.get_running_loop().time()
        if len(self._starts) == self._starts.maxlen and now - self._starts[0] < self._per_s:
            wait_s = self._per_s - (now - self._starts[0])
            raise RenderError(f"The drawing process keeps dying; it is tried again in {wait_s:.0f} s.")
        self._starts.append(now)
        try:
            self._process = await _start()
        except OSError as error:
            raise RenderError(f"The drawing process cannot be started: {error}.") from error
        return self._process

    async def _buried(self, process: asyncio.subprocess.Process, error: BaseException) -> str:
        await self._stop(process)
        if isinstance(error, TimeoutError):
            return f"The drawing process took over {self._timeout_s:g} s and was ended; it is started again."
        return f"The drawing process died (exit code {process.returncode}); it is started again."

    async def _stop(self, process: asyncio.subprocess.Process, patience_s: float = 0.0) -> None:
        if process is self._process:
            self._process = None
        if process.stdin is not None:
            process.stdin.close()
        waiting = asyncio.ensure_future(process.wait())
        await asyncio.wait([waiting], timeout=patience_s)
        if not waiting.done():
            with contextlib.suppress(ProcessLookupError):  # it ended a moment ago
                process.kill()
        await waiting
        # The transport would close its pipes only when collected, which warns if the loop is gone by then.
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()


async def _start() -> asyncio.subprocess.Process:
    # A BLAS's threads and a kernel's inline backend are of no use there. -P keeps this folder out of sight:
    # its module names are everyday words.
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
