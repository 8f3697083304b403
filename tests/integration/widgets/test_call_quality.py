"""Banner and tiles in real calls: lost packets, a dead far end, and what remains after the end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets import Dashboard, key_figures

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def test_lost_packets_are_told_and_the_call_is_summed_up(lab: Lab, alice: Client) -> None:
    dashboard = Dashboard(alice, interval_s=0.25)
    quality = dashboard._quality
    call = await alice.call("echo")
    await until(lambda: quality.view.sentence == "No problem found.", timeout_s=10)
    await lab.network.set(loss=0.35)
    lost = "Packets are lost on the way to you"
    await until(lambda: lost in quality.view._banner.value + quality.view._list.value, timeout_s=15)
    assert re.search(
        rf"{lost}</b> · <span>[1-9]\d %</span> · since 0:",
        quality.view._banner.value + quality.view._list.value,
    )
    await lab.network.clear()
    await until(lambda: lost not in quality.view._banner.value + quality.view._list.value, timeout_s=20)
    await call.hangup()
    await until(lambda: "mean of the call" in quality.view._tiles.value, timeout_s=5)
    assert "packets lost on the way to you (" in quality.view.sentence.lower()
    row = alice.calls.iloc[-1]
    columns = key_figures.columns_of(call.samples)
    assert f"<b>{row.mos_mean:.2f}</b>" in quality.view._tiles.value
    assert key_figures.call_loss(columns) == (pytest.approx(row.loss_in), pytest.approx(row.loss_out))
    worst, _, rtt, _, _ = key_figures.of_call(columns, "OPUS", row.duration_s).tiles
    assert (worst.value, rtt.value) == (f"{row.mos_min:.2f}", f"{row.rtt_mean_ms:.0f}")

    alice.call("busy")
    await alice.wait_for("onCallFailed", timeout=10)
    assert quality.view._tiles.value.count("<b>–</b>") == 6


async def test_a_line_without_packets_looks_dead(lab: Lab, alice: Client) -> None:
    quality = Dashboard(alice, interval_s=0.25)._quality
    await alice.call("echo")
    await until(lambda: "plivo-good" in quality.view._tiles.value, timeout_s=10)
    await lab.network.set(loss=1.0)
    await until(lambda: "plivo-outage" in quality.view._tiles.value, timeout_s=10)
    assert "plivo-good" not in quality.view._tiles.value
    assert '<span class="plivo-word">bad</span>' in quality.view._tiles.value
