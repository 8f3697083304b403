"""The SIP messages of a client, secrets masked, over all of its accounts."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from plivo_nb.quality.sampler import ClockAnchor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from plivo_nb.sip.trace import MessageRecord

#: The level of the option ``debug="ALL"``: below DEBUG. SIP messages are logged at it.
ALL = 5
_logger = logging.getLogger("plivo_nb.sip")


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message that was sent or received.

    `time_utc_s` and `time_monotonic_s` are seconds: when its bytes came or left in the I/O plane, however
    long a cell kept the kernel's loop busy. `start` is the method, or the status and reason; `call` the
    Call-ID; `text` the whole message, masked.
    """

    time_utc_s: float
    time_monotonic_s: float
    direction: str
    start: str
    call: str
    cseq: str
    text: str


class SipTrace:
    """The last messages, bounded in number and in bytes; each is logged at level `ALL` as well.

    Args:
        utc_ns_at: UTC, ns since 1970, of a `time.monotonic()` time.
        size: how many messages are kept.
        max_bytes: how many bytes their texts may take; the oldest are dropped.
    """

    def __init__(
        self,
        utc_ns_at: Callable[[float], int] | None = None,
        size: int = 10_000,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._utc_ns_at = utc_ns_at or ClockAnchor.now().utc_ns_at
        self._size = size
        self._messages: dict[int, SipMessage] = {}  # by number, in the order of `add`
        self._max_bytes = max_bytes
        self._bytes = 0
        self._added = 0
        #: Called with each message that is added.
        self.listeners: list[Callable[[SipMessage], None]] = []

    def add(self, record: MessageRecord, at: float) -> int:
        """Keep one message of the SIP core's trace.

        Args:
            record: the message.
            at: when it came, or was given to the I/O plane; `time.monotonic()` seconds.

        Returns:
            Its number, for `sent`.
        """
        self._added += 1
        message = self._messages[self._added] = SipMessage(
            self._utc_ns_at(at) / 1e9,
            at,
            record.direction,
            record.start,
            record.call,
            record.cseq,
            record.text,
        )
        self._bytes += _bytes_of(message)
        while len(self._messages) > self._size or self._bytes > self._max_bytes:
            self._bytes -= _bytes_of(self._messages.pop(next(iter(self._messages))))
        for listener in list(self.listeners):
            listener(message)
        if _logger.isEnabledFor(ALL):
            _logger.log(ALL, "SIP %s\n%s", "sent" if record.direction == "out" else "received", record.text)
        return self._added

    def sent(self, number: int, at: float) -> None:
        """The I/O plane has sent a message; `at` as in `add`."""
        message = self._messages.get(number)
        if message is not None:
            utc_s = self._utc_ns_at(at) / 1e9
            self._messages[number] = replace(message, time_utc_s=utc_s, time_monotonic_s=at)

    def of(self, call: str | None) -> list[SipMessage]:
        """The messages with this Call-ID, in the order in which they came and left; None: all."""
        messages = [item for item in self._messages.values() if call is None or item.call == call]
        return sorted(messages, key=lambda message: message.time_monotonic_s)

    def frame(self) -> pd.DataFrame:
        """All messages, oldest first; `plivo_nb.schema("sip_trace")` says what the columns mean."""
        return trace_frame(self.of(None))


def trace_frame(messages: Sequence[SipMessage]) -> pd.DataFrame:
    """Messages as a frame; `plivo_nb.schema("sip_trace")` says what the columns mean."""
    from plivo_nb.quality.frames import build_frame

    columns = ("direction", "start", "call", "cseq", "text")
    return build_frame(
        "sip_trace",
        [round(message.time_utc_s * 1e9) for message in messages],
        {name: [getattr(message, name) for message in messages] for name in columns},
    )


def _bytes_of(message: SipMessage) -> int:
    return sum(sys.getsizeof(text) for text in (message.text, message.start, message.call, message.cseq))
