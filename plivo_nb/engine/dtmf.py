"""DTMF digits: RFC 4733, or SIP INFO with a body `application/dtmf-relay`, as the published SDK has them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from plivo_nb.dtmf_table import DTMF_DIGITS

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.sip.user_agent import UserAgent

DTMF_TYPE = "application/dtmf-relay"
DURATION_MS = 100
GAP_MS = 70


def body_of(digit: str) -> bytes:
    """The INFO body that carries this digit, 100 ms long."""
    return f"Signal={digit}\r\nDuration={DURATION_MS}\r\n".encode()


def read(content_type: str, body: bytes) -> tuple[str, int] | None:
    """(digit, duration in ms) of an INFO, or None if it carries no digit."""
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
        session.act(partial(_send_info, session.key, digit))
        await asyncio.sleep((DURATION_MS + GAP_MS) / 1000)


def _send_info(key: str, digit: str, ua: UserAgent, now: float) -> None:
    ua.info(key, DTMF_TYPE, body_of(digit), now)
