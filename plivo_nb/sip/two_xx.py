"""A 2xx to an INVITE, retransmitted until its ACK comes (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plivo_nb.sip.transaction import T1, T2, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.core import Core
    from plivo_nb.sip.message import Request, Response
    from plivo_nb.sip.transaction import ServerTransaction


class TwoXx:
    """Sends a 2xx now and again after T1, then at doubling intervals up to T2, for 64 T1 at most.

    Args:
        core: the user agent's core.
        transaction: the transaction of the INVITE.
        response: the 2xx.
        on_ack: called once with the ACK.
        on_no_ack: called once when no ACK came in time.
        now: the time.
    """

    def __init__(
        self,
        core: Core,
        transaction: ServerTransaction,
        response: Response,
        on_ack: Callable[[Request, float], None],
        on_no_ack: Callable[[float], None],
        now: float,
    ) -> None:
        self._core = core
        self._response = response
        self._on_ack = on_ack
        self._on_no_ack = on_no_ack
        self._interval = T1
        self._until = now + TIMEOUT
        transaction.respond(response, now)
        self._timer = core.timers.start(now + T1, self._retransmit)

    def _retransmit(self, now: float) -> None:
        if now >= self._until:
            self._on_no_ack(now)
            return
        if self._core.connected:  # nothing is queued: the next repetition comes by itself
            self._core.send(self._response, now)
        self._interval = min(2 * self._interval, T2)
        self._timer = self._core.timers.start(min(now + self._interval, self._until), self._retransmit)

    def acknowledged(self, ack: Request, now: float) -> None:
        """Stop: the ACK came."""
        self._timer.cancel()
        self._on_ack(ack, now)

    def stop(self) -> None:
        """Stop retransmitting."""
        self._timer.cancel()
