"""Phone, dashboard and app with the real client and lab; what only a browser shows is in tests/browser."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import pytest

from plivo_nb.errors import InvalidState
from plivo_nb.lab import Lab
from plivo_nb.widgets import Dashboard, Knobs, Phone
from plivo_nb.widgets.app import app

if TYPE_CHECKING:
    from plivo_nb.client import Client


async def until(condition: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def lab():
    async with Lab(seed=3) as lab:
        yield lab


@pytest.fixture
async def alice(lab: Lab):
    async with lab.client() as client:
        await client.login("alice", lab.password("alice"))
        yield client


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
    await until(lambda: "tones sent: 7" in phone._view._log.value)
    phone.mute()
    await until(lambda: bool(alice.samples["muted"].iloc[-1]))
    assert phone.muted
    await phone.hangup()
    assert phone.state == "Call ended"
    assert not phone.muted
    await until(lambda: dashboard.picture != before)
    assert dashboard.note == ""
    knobs.close()


async def test_an_incoming_call_is_answered_rejected_or_ignored_by_clicking(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    async with lab.client() as bob:
        await bob.login("bob", lab.password("bob"))
        for name, state in (("answer", "In call"), ("reject", "Rejected")):
            calling = bob.call("alice")
            await until(lambda: alice.incoming_calls)
            assert ">bob<" in phone._view._caller.value
            getattr(phone._view, name).click()
            await until(lambda state=state: phone.state == state)
            assert phone.status == ""
            if state == "In call":
                await bob.hangup()
                await until(lambda: phone.state == "Call ended")
            await calling.settled()
        calling = bob.call("alice")
        await until(lambda: alice.incoming_calls)
        phone._view.ignore.click()
        await until(lambda: phone._view.answer.disabled)
        assert "incoming call ignored" in phone._view._log.value
        await bob.hangup()
        await calling.settled()


async def test_what_cannot_be_done_is_said(lab: Lab, alice: Client) -> None:
    phone = Phone(alice)
    phone._view.dial.value = "nobody-of-that-name"
    phone._view.call.click()
    await until(lambda: phone.status)
    assert phone.state in ("Not Found", "Unavailable")
    with pytest.raises(InvalidState):
        await phone.hangup()
    await until(lambda: "hangup" in phone.status)


async def test_widgets_close_with_their_client(lab: Lab) -> None:
    client = lab.client()
    await client.login("carol", lab.password("carol"))
    phone, dashboard = Phone(client), Dashboard(client)
    await until(lambda: dashboard.worker_pid)
    pid = dashboard.worker_pid
    assert pid is not None
    await client.close()
    assert (repr(phone), repr(dashboard)) == ("<Phone, closed>", "<Dashboard, closed>")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    left = {task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()}
    assert not {name for name in left if "phone" in name or "dashboard" in name}


async def test_app_starts_everything_and_closes_everything() -> None:
    softphone = await app()
    first = (softphone.lab.pid, softphone.dashboard.worker_pid)
    assert softphone.client.is_logged_in
    again = await app()  # the cell run again
    assert again is not softphone
    assert repr(softphone) == "<App of alice, closed>"
    assert first[0] is not None
    with pytest.raises(ProcessLookupError):
        os.kill(first[0], 0)
    await again.phone.call("echo")
    second = (again.lab.pid, again.dashboard.worker_pid)
    await again.close()
    await again.close()
    for pid in second:
        assert pid is not None
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_app_shares_a_lab_and_fails_with_a_sentence(lab: Lab) -> None:
    bob, carol = await app("bob", lab=lab), await app("carol", lab=lab)
    calling = bob.phone.call("carol")
    await until(lambda: carol.client.incoming_calls)
    await carol.phone.answer()
    await calling
    await bob.close()
    await carol.close()
    assert lab.running
    with pytest.raises(Exception, match="no account 'dave'"):
        await app("dave", lab=lab)
