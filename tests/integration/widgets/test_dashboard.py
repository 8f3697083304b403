"""Dashboard, phone and knobs with the real client and lab."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from waiting import until

from plivo_nb.lab import Lab
from plivo_nb.widgets import Dashboard, Knobs, Phone

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def test_a_call_with_the_network_made_bad_and_good(lab: Lab, alice: Client) -> None:
    phone, dashboard, knobs = Phone(alice), Dashboard(alice), Knobs(lab.network)
    await phone.call("echo")
    assert phone.state == "In call"
    await until(lambda: len(alice.samples) >= 2)
    before = dashboard.picture
    knobs.set(loss=0.2)
    await until(lambda: alice.samples["mos"].iloc[-1] < 3.2)
    assert (await lab.network.settings())["to_callee"]["loss"] == pytest.approx(0.2)
    knobs.clean()
    await until(lambda: alice.samples["mos"].iloc[-1] > 4)
    phone.press("7")
    await until(lambda: "tones sent: 7" in phone._view.log.value)
    phone.mute()
    await until(lambda: bool(alice.samples["muted"].iloc[-1]))
    assert phone.muted
    await phone.hangup()
    assert phone.state == "Ended (you hung up)"
    assert not phone.muted
    await until(lambda: dashboard.picture != before)
    assert dashboard.note == ""
    knobs.close()


async def test_widgets_close_with_their_client(lab: Lab) -> None:
    client = lab.client()
    await client.login("carol", lab.password("carol"))
    phone, dashboard = Phone(client), Dashboard(client, panels="picture")
    await until(lambda: dashboard.worker_pid)
    pid = dashboard.worker_pid
    assert pid is not None
    await client.close()
    assert (repr(phone), repr(dashboard)) == ("<Phone, closed>", "<Dashboard, closed>")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    left = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert not {name for name in left if "phone" in name or "dashboard" in name}
