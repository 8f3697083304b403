"""The trace: every message that came or went, its secrets masked, and the ladder drawn from it as text."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from plivo_nb.sip.message import Request, Response

_AUTH_LINE = re.compile(
    r"^((?:proxy-)?(?:authorization|authenticate|authentication-info)|www-authenticate)[ \t]*:"
    r"[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SECRET = re.compile(
    r"\b(nonce|nextnonce|cnonce|response|rspauth|opaque|password)([ \t\r\n]*=[ \t\r\n]*)"
    r'("(?:[^"\\]|\\.)*"?|[^\s,]+)',
    re.IGNORECASE,
)
_OTHER_SCHEME = re.compile(r"(:[ \t]*)(?!digest\b)(\S+)[ \t]+\S.*", re.IGNORECASE | re.DOTALL)
_SDP_SECRET = re.compile(r"^(a=(?:ice-pwd|crypto):)[^\r\n]*", re.MULTILINE)
MASK = "***"


def mask(text: str) -> str:
    """Mask the secrets of a SIP message: nonces, digest responses, ICE passwords, tokens of other schemes."""
    if "uth" in text or "UTH" in text:
        text = _AUTH_LINE.sub(_mask_line, text)
    if "a=ice-pwd:" in text or "a=crypto:" in text:
        text = _SDP_SECRET.sub(rf"\1{MASK}", text)
    return text


def _mask_line(match: re.Match[str]) -> str:
    line = match[0]
    if re.search(r"^[^:]*-info|:\s*digest\b", line, re.IGNORECASE):
        return _SECRET.sub(rf'\1\2"{MASK}"', line)
    return _OTHER_SCHEME.sub(rf"\1\2 {MASK}", line)


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One message.

    `time` is in seconds on the caller's monotonic clock; `start` is the method, or the status and reason;
    `text` the whole message, masked. `call` and `cseq` are empty where the message could not be read.
    """

    time: float
    direction: Literal["in", "out"]
    start: str
    call: str
    cseq: str
    text: str


class Trace:
    """A bounded list of records, the newest kept.

    Args:
        limit: how many are kept.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._records: deque[TraceRecord] = deque(maxlen=limit)
        self.on_record: Callable[[TraceRecord], None] | None = None
        self.total = 0

    @property
    def records(self) -> list[TraceRecord]:
        """A copy of what is kept, oldest first."""
        return list(self._records)

    def add(
        self, now: float, direction: Literal["in", "out"], text: str, message: Request | Response | None
    ) -> None:
        """Keep one message; `message` is its parsed form, None where it is malformed."""
        start, call, cseq = "malformed", "", ""
        if message is not None:
            line = text.lstrip("\r\n").partition("\r\n")[0]
            start = line[8:] if line.startswith("SIP/2.0 ") else line.partition(" ")[0]
            call = message.headers.get("Call-ID") or ""
            cseq = message.headers.get("CSeq") or ""
        record = TraceRecord(now, direction, start, call, cseq, mask(text))
        self._records.append(record)
        self.total += 1
        if self.on_record is not None:
            self.on_record(record)

    def ladder(
        self, call: str | None = None, *, width: int = 44, us: str = "us", them: str = "server"
    ) -> str:
        """Draw the messages as arrows between two lines, for a terminal.

        Args:
            call: only those of this Call-ID; None for all.
            width: columns between the two lines.
            us: name of the left side.
            them: name of the right side.
        """
        records = [record for record in self._records if call is None or record.call == call]
        lines = [f"{'':10}{us}{them:>{width + 2 - len(us)}}"]
        first = records[0].time if records else 0.0
        for record in records:
            label = f" {record.start} "
            if label[1].isdigit() and len(label) + len(record.cseq) < width - 6:
                label += f"({record.cseq}) "  # which request a response answers
            label = label[: width - 2]
            arrow = f"{label:-^{width - 1}}>" if record.direction == "out" else f"<{label:-^{width - 1}}"
            lines.append(f"{record.time - first:9.3f} |{arrow}|")
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        return f"<Trace of {len(self._records)} messages>"
