"""media.codecs in calls: what two clients agree on, and that sound goes through it both ways."""

from __future__ import annotations

import pytest
from waiting import until

from plivo_nb import Client, Lab, Tone

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("callers", "callees", "agreed"),
    [(["OPUS", "PCMA"], ["PCMA"], "PCMA"), (["PCMA"], ["OPUS", "PCMA"], "PCMA")],
)
async def test_two_clients_talk_in_the_codec_that_both_have(
    lab: Lab, clients, callers: list[str], callees: list[str], agreed: str
) -> None:
    caller: Client = clients(codecs=callers, sample_interval=0.2)
    callee: Client = clients(codecs=callees, sample_interval=0.2)
    await caller.login("alice", lab.password("alice"))
    await callee.login("bob", lab.password("bob"))
    callee.on("onIncomingCall", lambda *_: callee.answer())
    call = await caller.call("bob")
    call.play(Tone(440.0))
    await until(lambda: len(callee.samples) and callee.samples["level_in_dbfs"].iloc[-1] > -30)
    assert callee.samples["codec"].iloc[-1] == agreed
    await until(lambda: len(caller.samples) and caller.samples["mos_g107"].iloc[-1] > 3.9)
    assert caller.samples["codec"].iloc[-1] == agreed
    assert caller.samples["bitrate_out_kbps"].iloc[-1] == pytest.approx(64, abs=25)
    await call.hangup()
