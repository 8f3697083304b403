"""app() with the real lab and client; what only a browser displays is in tests/browser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from waiting import stays, until

from plivo_nb.errors import InvalidState, LabError, LoginFailed
from plivo_nb.lab import Lab
from plivo_nb.widgets import voila
from plivo_nb.widgets.app import App, app

if TYPE_CHECKING:
    from collections.abc import Iterator


_earlier: set[int] = set()  # processes of tests that ran before in this process, and that still run


def started() -> list[str]:
    """The labs and drawing processes that a test has started and that still run."""
    return [command for pid, command in _running().items() if pid not in _earlier]


def _running() -> dict[int, str]:
    found = {}
    for child in psutil.Process().children(recursive=True):
        try:
            command = " ".join(child.cmdline())
            ended = child.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            continue
        if not ended and ("plivo_nb.lab" in command or "widgets/figure.py" in command):
            found[child.pid] = command
    return found


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    from ipywidgets.widgets import widget

    before = len(widget._instances)
    _earlier.clear()
    _earlier.update(_running())
    yield
    assert started() == []
    assert len(widget._instances) == before


async def test_app_starts_everything_and_closes_everything() -> None:
    softphone = await app()
    assert softphone.client.is_logged_in
    assert softphone.drawer is not None
    softphone.drawer.open()
    again = await app()  # the cell run again
    assert again is not softphone
    assert repr(softphone) == "<App of alice, closed>"
    assert len([command for command in started() if "plivo_nb.lab" in command]) == 1
    await again.phone.call("echo")
    await again.close()
    await again.close()
    assert repr(again) == "<App of alice, closed>"


async def test_app_shares_a_lab_and_fails_with_a_sentence(lab: Lab) -> None:
    bob, carol = await app("bob", lab=lab), await app("carol", lab=lab)
    calling = bob.phone.call("carol")
    await until(lambda: carol.client.incoming_calls)
    await carol.phone.answer()
    await calling
    await bob.close()
    await carol.close()
    assert lab.running
    with pytest.raises(LabError, match="no account 'dave'"):
        await app("dave", lab=lab)


async def test_robots_ring_together_unless_the_option_says_no(lab: Lab) -> None:
    carol = await app("carol", lab=lab)
    assert carol.client.options.allow_multiple_incoming_calls
    await carol.close()
    carol = await app("carol", lab=lab, allow_multiple_incoming_calls=False)
    assert not carol.client.options.allow_multiple_incoming_calls
    await carol.close()


async def test_an_endpoint_is_logged_in_without_a_lab(lab: Lab) -> None:
    softphone = await app(
        "bob", password="bob-secret", server=lab.url, loopbackCandidates=True, iceServers=[], sound="none"
    )
    assert (softphone.client.is_logged_in, softphone.client.username) == (True, "bob")
    assert softphone.drawer is None
    assert "bob-secret" not in repr(vars(softphone))
    with pytest.raises(LabError, match="has no lab"):
        _ = softphone.lab
    await softphone.close()


async def test_a_wrong_password_is_an_error_in_words_and_nothing_stays(lab: Lab) -> None:
    with pytest.raises(LoginFailed, match="check both and log in again"):
        await app("bob", password="wrong", server=[lab.url], sound="none")


async def test_without_a_password_the_phone_asks(lab: Lab) -> None:
    softphone = await app(server=lab.url, sound="none")
    assert not softphone.client.is_logged_in
    assert repr(softphone) == "<App>"
    await softphone.client.login("bob", lab.password("bob"))
    assert softphone.client.is_logged_in
    await softphone.close()


async def test_app_made_again_before_it_was_ready_leaves_one() -> None:
    first, second, third = app(), app(), app()
    softphone = await third
    for operation in (first, second):
        with pytest.raises(InvalidState, match="closed before it was ready"):
            await operation
    assert len([command for command in started() if "plivo_nb.lab" in command]) == 1
    await softphone.close()


@pytest.mark.parametrize("seconds", [0, 0.05, 0.3, 0.8, 1.5])
async def test_a_start_that_is_cancelled_leaves_nothing(seconds: float) -> None:
    operation = app()
    await asyncio.sleep(seconds)
    operation.cancel()
    await operation.settled()
    try:
        softphone: App = await operation
    except asyncio.CancelledError:
        return
    await softphone.close()  # it was ready before


async def test_a_cell_that_is_interrupted_during_the_start_is_run_again() -> None:
    async def cell() -> App:
        return await app()

    interrupted = asyncio.create_task(cell())
    await asyncio.sleep(0.1)
    interrupted.cancel()
    await asyncio.wait([interrupted])
    softphone = await cell()
    assert softphone.client.is_logged_in
    assert len([command for command in started() if "plivo_nb.lab" in command]) == 1
    await softphone.close()


EACH_RUN_HAS_A_LOOP = """
import asyncio, plivo_nb

async def main():
    global softphone
    softphone = await plivo_nb.app()
    await softphone.phone.call("echo")
    return softphone.client, softphone.lab

async def use(what):
    try:
        return await what()
    except plivo_nb.PlivoError as error:
        return error

first, second = asyncio.run(main()), asyncio.run(main())
assert first[0] is not second[0] and not first[1].running
for what in (lambda: second[0].call("echo"), lambda: softphone.phone.call("echo")):
    print(asyncio.run(use(what)))
for widget in (plivo_nb.Phone, plivo_nb.Dashboard):
    print(asyncio.run(use(lambda: widget(second[0]))))
print(asyncio.run(use(second[1].status)))

async def again():
    async with second[1] as lab:
        return (await lab.status())["calls"]

print(asyncio.run(again()))
"""


def test_a_script_with_two_asyncio_runs_has_an_app_in_each_or_a_sentence() -> None:
    command = [sys.executable, "-c", EACH_RUN_HAS_A_LOOP]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert "never awaited" not in done.stderr, done.stderr
    *of_the_client, of_the_lab, calls = done.stdout.splitlines()
    assert len(of_the_client) == 4
    assert all("Make the client in the asyncio.run() that uses it" in line for line in of_the_client)
    assert "`await lab.start()` again" in of_the_lab
    assert calls == "[]"


async def test_under_voila_an_app_ends_after_its_page_but_not_in_a_call(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut_down: list[bool] = []

    async def shut_down_kernel() -> bool:
        shut_down.append(True)
        return True

    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    monkeypatch.setattr(voila, "CHECK_S", 0.05)
    monkeypatch.setattr(voila, "shut_down_kernel", shut_down_kernel)
    softphone = await app("carol", lab=lab)
    await softphone.phone.call("echo")
    monkeypatch.setattr(voila, "LIMIT_S", 0.5)
    await stays(lambda: repr(softphone) == "<App of carol>", 1.0)
    await softphone.phone.hangup()
    await until(lambda: shut_down)
    assert repr(softphone) == "<App of carol, closed>"
    assert softphone.client.current_call is None


async def test_under_voila_an_app_can_be_closed_as_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.8")
    softphone = await app()
    await softphone.close()


async def test_elsewhere_an_app_without_a_page_goes_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voila, "LIMIT_S", 0.1)
    monkeypatch.setattr(voila, "CHECK_S", 0.02)
    softphone = await app("carol", lab=lab)
    await stays(lambda: repr(softphone) == "<App of carol>", 0.5)
    await softphone.close()
