"""An answered call goes on evenly, whatever the signalling server sends."""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest
from waiting import until

from plivo_nb import Client, Lab, Tone
from plivo_nb.plane.media_session import MediaSession

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.alone]

BLANKS = " " * 60_000
HOSTILE = {
    "a fold after blanks": f"OPTIONS sip:a@b SIP/2.0\r\nSubject: a{BLANKS}\r\n x\r\n\r\n",
    "a challenge": f'SIP/2.0 401 No\r\nWWW-Authenticate: Digest a={BLANKS}"\r\n\r\n',
    "another scheme": f"SIP/2.0 401 No\r\nWWW-Authenticate: {':' * 60_000}\r\n\r\n",
    "a telephone number": f"OPTIONS sip:a@b SIP/2.0\r\nFrom: tel:+{'1' * 60_000}x;tag=1\r\n\r\n",
    "blanks": BLANKS,
}


@pytest.mark.parametrize("count", [1, 400], ids=["one", "a flood"])
async def test_the_packets_of_a_call_leave_evenly_under_hostile_messages(
    count: int, lab: Lab, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[float] = []
    tick = MediaSession.tick

    def observed(session: MediaSession, now: float) -> None:
        ticks.append(time.monotonic())
        tick(session, now)

    monkeypatch.setattr(MediaSession, "tick", observed)
    call = await alice.call("echo")
    call.play(Tone(440))
    await asyncio.sleep(1.0)
    for name, text in HOSTILE.items():
        ticks.clear()
        for _ in range(count):
            assert await lab.faults.send_raw("alice", text) == 1
        await until(lambda: len(ticks) > 50)
        gap = max(b - a for a, b in itertools.pairwise(ticks))
        assert gap < (0.06 if count == 1 else 0.2), f"{name}: {gap * 1000:.0f} ms between two packets"
    await call.hangup()
