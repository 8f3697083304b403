"""DTMF digits in a call: RFC 4733, or SIP INFO with an `application/dtmf-relay` body as in Plivo's SDK."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from plivo_nb.dtmf_table import DTMF_DIGITS

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession

DTMF_TYPE = "application/dtmf-relay"
DURATION_MS = 100
GAP_MS = 70


def body_of(digit: str) -> bytes:
    """Return the INFO body that carries this digit, 100 ms long."""
    return f"Signal={digit}\r\nDuration={DURATION_MS}\r\n".encode()


def read(content_type: str, body: bytes) -> tuple[str, int] | None:
    """Return digit and duration (ms) of an INFO, or None if it carries no digit."""
    if content_type.partition(";")[0].strip().lower() != DTMF_TYPE:
        return None
    lines = (line.partition("=") for line in body.decode("ascii", "replace").splitlines())
    fields = {name.strip().lower(): value.strip() for name, _, value in lines}
    tone = fields.get("signal", "").upper()
    if len(tone) != 1 or tone not in DTMF_DIGITS:
        return None
    duration = fields.get("duration", "")
    return tone, int(duration) if duration.isdecimal() and len(duration) <= 5 else DURATION_MS


async def send(session: CallSession, tones: str) -> None:
    """Send digits as RFC 4733 where that was negotiated, else by SIP INFO, spaced so that none is lost.

    Raises:
        MediaError: the media session is gone.
    """
    if await session.media.send_digits(tones):
        return
    for digit in tones:
        if session.phase != "answered" or session.key is None:
            return
        session.account.info(session.key, DTMF_TYPE, body_of(digit))
        await asyncio.sleep((DURATION_MS + GAP_MS) / 1000)
