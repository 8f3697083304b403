"""SIGTERM: calls are hung up and users un-registered before the process ends.

The handler asks the loop of each engine to close, waits for at most a second, and then lets the handler that
was there before go on, or the default action. A loop that is blocked by a busy cell cannot close: then
the BYE and the un-REGISTER are sent from the handler itself, unless it interrupted this package.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

    from plivo_nb.engine.engine import Engine

_logger = logging.getLogger("plivo_nb.engine")
_BLOCKED_S = 0.4  # a loop that has not begun to close by then is blocked
_LIMIT_S = 1.0
_SEND_S = 0.15  # how long the plane is given to send what a blocked loop could not


class Termination:
    """The handler of SIGTERM, while there are engines with clients. Used through `TERMINATION`."""

    def __init__(self) -> None:
        self._engines: list[Engine] = []
        self._previous: Any = None
        self._installed = False
        self._open: set[Engine] = set()
        self._begun: set[Engine] = set()
        self._ending = False
        self._timers: list[threading.Timer] = []

    def watch(self, engine: Engine) -> None:
        """Close the clients of this engine at SIGTERM. Elsewhere than in the main thread it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            return
        if not self._installed:
            previous = signal.getsignal(signal.SIGTERM)
            if previous is signal.SIG_IGN or previous is None:
                return
            self._previous = signal.signal(signal.SIGTERM, self._on_signal)
            self._installed = True
        self._engines.append(engine)

    def forget(self, engine: Engine) -> None:
        """The engine has no client any more."""
        if engine in self._engines:
            self._engines.remove(engine)
        if not self._engines:
            self._restore()

    def after_fork_in_child(self) -> None:
        """The clients are the parent's: a child ends as it would without them."""
        self._engines.clear()
        self._restore()

    def _restore(self) -> None:
        if not self._installed or threading.current_thread() is not threading.main_thread():
            return
        self._installed = False
        if signal.getsignal(signal.SIGTERM) == self._on_signal:
            signal.signal(signal.SIGTERM, self._previous)

    # ------------------------------------------------------------ the signal

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if not self._ending:
            self._begin()
        elif self._open and self._open - self._begun and not _is_ours(frame):
            self._send_goodbyes()
            self._go_on(number, frame)
        elif not self._open or time.monotonic() >= self._deadline:
            self._go_on(number, frame)

    def _begin(self) -> None:
        self._ending = True
        self._deadline = time.monotonic() + _LIMIT_S
        self._open = set(self._engines)
        for engine in list(self._engines):
            with contextlib.suppress(RuntimeError):  # its loop is closed
                engine.loop.call_soon_threadsafe(self._close, engine)
        self._timers = [threading.Timer(after_s, _raise_again) for after_s in (_BLOCKED_S, _LIMIT_S)]
        for timer in self._timers:
            timer.daemon = True
            timer.start()

    def _close(self, engine: Engine) -> None:
        self._begun.add(engine)
        task = engine.loop.create_task(engine.close(), name="plivo_nb close at SIGTERM")
        task.add_done_callback(lambda done: self._closed(engine, done))

    def _closed(self, engine: Engine, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            _logger.error("Closing at SIGTERM failed.", exc_info=task.exception())
        self._open.discard(engine)
        if not self._open:
            _raise_again()

    def _send_goodbyes(self) -> None:
        for engine in self._open - self._begun:
            try:
                engine.send_goodbyes()
            except Exception:
                _logger.exception("A goodbye at SIGTERM could not be sent.")
        time.sleep(_SEND_S)
        self._open.clear()

    def _go_on(self, number: int, frame: FrameType | None) -> None:
        """Let the former handler act, as if it had got the signal."""
        for timer in self._timers:
            timer.cancel()
        self._ending = False
        self._open.clear()
        self._begun.clear()
        previous = self._previous
        self._engines.clear()
        self._restore()
        if callable(previous):
            previous(number, frame)
        else:
            signal.raise_signal(signal.SIGTERM)


def _raise_again() -> None:
    """Run the handler again, in the main thread, also while that sleeps."""
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)
    else:
        signal.raise_signal(signal.SIGTERM)


def _is_ours(frame: FrameType | None) -> bool:
    """Whether code of this package was interrupted, whose state must not be changed now."""
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == "plivo_nb":
            return True
        frame = frame.f_back
    return False


TERMINATION = Termination()
