"""Tiles and banner follow the client's call: warnings, the sum of it, and no figures of another one."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from waiting import until

from plivo_nb.widgets import call_quality
from plivo_nb.widgets.call_quality import NO_CALL, NOT_ANSWERED, STARTING, CallQuality
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.quality_view import NO_WARNING


@pytest.fixture
async def quality(client):
    loop_tasks = LoopTasks(client.loop, lambda sentence: None, "dashboard")
    quality = CallQuality(client, loop_tasks)
    yield quality
    quality.close()
    loop_tasks.close()
    assert client.listeners() == 0


def shown(quality: CallQuality) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", quality.view._tiles.value).split())


def loss(active: bool = True, value: float = 0.12) -> dict[str, Any]:
    return {
        "group": "network", "level": "warning", "type": "high_packetloss", "value": value, "active": active,
        "desc": "packetLossRemoteMeasure", "stream": "remote",
    }  # fmt: skip


async def test_before_a_call_there_are_no_figures(quality, client) -> None:
    assert (quality.view.sentence, shown(quality).count("–")) == (NO_CALL, 6)
    client.emit("mediaMetrics", loss())  # the microphone can be lost without a call
    quality.refresh()
    assert quality.view.sentence == NO_CALL
    client.answered()
    quality.refresh()
    assert (quality.view.sentence, shown(quality).count("–")) == (STARTING, 6)


async def test_a_warning_is_shown_at_once_and_goes_when_it_is_cleared(quality, client) -> None:
    call = client.answered()
    call.timings["answered"] -= 41.2
    call.rows, call.columns = 6, {"loss_in": [0.0, 0.02, 0.31, 0.12, 0.14, 0.05]}
    quality.refresh()
    assert quality.view.sentence == NO_WARNING
    client.emit("mediaMetrics", loss())
    assert quality.view.sentence.startswith("Packets are lost on the way to you · 31 % · since 0:41 · ")
    client.emit("mediaMetrics", loss(active=False))
    assert quality.view.sentence == NO_WARNING
    client.ended()
    await until(lambda: quality.view.sentence == "Packets lost on the way to you.")


async def test_after_the_call_the_tiles_sum_it_up_with_the_last_sample(quality, client) -> None:
    call = client.answered()
    call.timings["answered"] -= 12.0
    call.rows, call.columns = 12, {"mos": [2.8] * 11 + [4.43]}
    quality.refresh()
    client.current_call, call.state = None, "ended"
    call.timings["ended"] = call.timings["answered"] + 12.5
    client.emit("onCallTerminated", call.info)
    client.emit("mediaMetrics", loss())  # too late
    quality.refresh()
    call.rows, call.columns = 13, {"mos": [2.8] * 11 + [4.43, 4.43]}
    call.closed.set()
    await until(lambda: "mean of the call" in shown(quality))
    assert shown(quality).startswith("MOS 3.05 poor mean of the call worst second 2.80 bad at 0:01 ")
    assert "duration 0:12 answer to end" in shown(quality)
    assert quality.view.sentence == "No warning in this call."


async def test_a_failed_call_shows_no_figures_of_the_one_before(quality, client) -> None:
    call = client.answered()
    call.rows = 5
    quality.refresh()
    client.ended()
    await until(lambda: "mean of the call" in shown(quality))
    failed = client.current_call = type(call)("busy", uuid="uuid-2")
    client.emit("onCalling")
    assert (quality.view.sentence, shown(quality).count("–")) == (STARTING, 6)
    client.current_call, failed.state = None, "failed"
    client.emit("onCallFailed", "Busy", failed.info)
    assert (quality.view.sentence, shown(quality).count("–")) == (NOT_ANSWERED, 6)


async def test_the_end_of_another_call_changes_nothing(quality, client) -> None:
    call = client.answered()
    call.rows = 5
    quality.refresh()
    before = shown(quality)
    other = type(call)("bob", "INCOMING", "uuid-9")
    other.state = "failed"
    client.emit("onCallFailed", "Rejected", other.info)
    client.emit("onCallTerminated", other.info)
    quality.refresh()
    assert shown(quality) == before
    client.ended()


async def test_a_summary_that_comes_late_does_not_cover_the_next_call(quality, client) -> None:
    first = client.answered()
    first.rows = 5
    client.current_call = None
    first.timings["ended"] = first.timings["answered"] + 5
    client.emit("onCallTerminated", first.info)
    second = client.current_call = type(first)("bob", uuid="uuid-2")
    client.emit("onCalling")
    first.closed.set()
    await until(lambda: not quality._loop_tasks.running)
    assert (quality.view.sentence, shown(quality).count("–")) == (STARTING, 6)
    client.current_call = second
    client.ended()


async def test_a_call_without_a_sample_has_no_summary(quality, client) -> None:
    client.answered()
    client.ended()
    await until(lambda: "before the first second" in quality.view.sentence)
    assert shown(quality).count("–") == 6


async def test_without_new_samples_the_figures_go(quality, client, monkeypatch) -> None:
    call = client.answered()
    call.rows = 3
    quality.refresh()
    assert "good" in shown(quality)
    monkeypatch.setattr(call_quality, "NO_SAMPLES_S", -1.0)
    quality.refresh()
    assert "good" not in shown(quality)
    assert quality.view.sentence == "Nothing was measured for 0 s."


async def test_a_dead_line_looks_dead(quality, client) -> None:
    call = client.answered()
    call.rows, call.columns = 3, {"loss_in": np.array([0.0, 0.0, 1.0])}
    quality.refresh()
    assert "MOS 1.00 bad nothing reaches you" in shown(quality)
    assert "plivo-outage" in quality.view._tiles.value
    client.ended()


async def test_a_call_that_goes_on_already_is_shown(client) -> None:
    call = client.answered()
    call.rows = 4
    quality = CallQuality(client, LoopTasks(client.loop, lambda sentence: None, "dashboard"))
    assert "good" in shown(quality)
    quality.close()
