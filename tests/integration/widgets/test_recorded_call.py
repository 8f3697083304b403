"""The sound of a real call is found at the moment that the samples show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from plivo_nb import Tone
from plivo_nb.lab import Lab
from plivo_nb.widgets.recorded_call import recorded_calls

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def test_a_tone_in_the_call_is_heard_at_its_moment(lab: Lab, alice: Client) -> None:
    call = await alice.call("echo")
    await asyncio.sleep(7)
    call.play(Tone(440))
    await asyncio.sleep(2.5)
    call.stop_playing()
    await asyncio.sleep(5)
    await call.hangup()
    (recorded,) = recorded_calls(call)
    assert recorded.name == "echo"
    levels = call.samples["level_in_dbfs"].to_numpy()
    seconds = (call.samples.index - recorded.began).total_seconds().to_numpy()
    loud = seconds[levels > -30]
    assert len(loud) >= 2
    clip = recorded.clip(float(loud[0]) - 0.5)  # its level is the one of the second before
    assert clip is not None
    heard = np.abs(clip.samples.astype(float)) > 1000
    onset_s = float(np.flatnonzero(heard)[0]) / clip.rate
    assert 0.0 <= onset_s <= 2.0
    before = recorded.clip(float(loud[0]) - 6.5)
    assert before is not None
    assert np.abs(before.samples).max() < 1000
