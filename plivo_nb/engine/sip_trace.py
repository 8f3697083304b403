"""The SIP messages of a client, secrets masked, over all of its accounts."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from plivo_nb.sip.trace import MessageRecord

#: The level of the option ``debug="ALL"``: below DEBUG. SIP messages are logged at it.
ALL = 5
_logger = logging.getLogger("plivo_nb.sip")


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message that was sent or received.

    `time_utc_s` and `time_monotonic_s` are seconds; `start` is the method, or the status and reason; `call`
    the Call-ID; `text` the whole message, masked.
    """

    time_utc_s: float
    time_monotonic_s: float
    direction: str
    start: str
    call: str
    cseq: str
    text: str


class SipTrace:
    """The last `size` messages; each is logged at level `ALL` as well."""

    def __init__(self, size: int = 10_000) -> None:
        self._messages: deque[SipMessage] = deque(maxlen=size)
        #: Called with each message that is added.
        self.listeners: list[Callable[[SipMessage], None]] = []

    def add(self, record: MessageRecord) -> None:
        """Keep one message of the SIP core's trace."""
        message = SipMessage(
            time.time(),
            time.monotonic(),
            record.direction,
            record.start,
            record.call,
            record.cseq,
            record.text,
        )
        self._messages.append(message)
        for listener in list(self.listeners):
            listener(message)
        if _logger.isEnabledFor(ALL):
            _logger.log(ALL, "SIP %s\n%s", "sent" if record.direction == "out" else "received", record.text)

    def of(self, call: str | None) -> list[SipMessage]:
        """The messages with this Call-ID, oldest first; None: all."""
        return [message for message in self._messages if call is None or message.call == call]

    def frame(self) -> pd.DataFrame:
        """All messages, oldest first; `plivo_nb.schema("sip_trace")` says what the columns mean."""
        from plivo_nb.quality.frames import build_frame

        messages = list(self._messages)
        columns = ("direction", "start", "call", "cseq", "text")
        return build_frame(
            "sip_trace",
            [round(message.time_utc_s * 1e9) for message in messages],
            {name: [getattr(message, name) for message in messages] for name in columns},
        )
