"""A 2xx to an INVITE, repeated until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.transaction import T1, T2, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.transaction import ServerTransaction


class TwoXx:
    """Sends the 2xx now, after T1, and at doubling pauses up to T2, for 64 T1 at most.

    Args:
        core: the user agent's core.
        transaction: the INVITE's.
        response: the 2xx.
        on_ack: called once with the ACK.
        on_lost: called once when none came.
        now: the time.
    """

    def __init__(
        self,
        core: Core,
        transaction: ServerTransaction,
        response: Response,
        on_ack: Callable[[Request, float], None],
        on_lost: Callable[[float], None],
        now: float,
    ) -> None:
        self._core = core
        self._response = response
        self._on_ack = on_ack
        self._on_lost = on_lost
        self._pause = T1
        self._until = now + TIMEOUT
        transaction.respond(response, now)
        self._timer = core.timers.start(now + T1, self._repeat)

    def _repeat(self, now: float) -> None:
        if now >= self._until:
            self._on_lost(now)
            return
        if self._core.up:  # nothing is parked: the next repetition comes by itself
            self._core.send(self._response, now)
        self._pause = min(2 * self._pause, T2)
        self._timer = self._core.timers.start(min(now + self._pause, self._until), self._repeat)

    def acknowledged(self, ack: Request, now: float) -> None:
        """The ACK came."""
        self._timer.cancel()
        self._on_ack(ack, now)

    def stop(self) -> None:
        """Do not repeat it any more."""
        self._timer.cancel()
