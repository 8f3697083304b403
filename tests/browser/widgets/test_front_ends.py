"""What a person does before, in and after a call: the same walk over a page of Notebook 7 and of Voila.

In JupyterLab test_phone.py, test_call_controls.py and test_replay.py look at each step more closely.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL = """
import asyncio, ipywidgets, plivo_nb

lab = await plivo_nb.Lab(["alice"], seed=3).start()
client = lab.client()
phone = plivo_nb.Phone(client, dial="echo", source="speech", server="lab", accounts=["alice"])
page = ipywidgets.VBox([phone.widget])
answered = asyncio.get_running_loop().create_future()
client.on("onCallAnswered", lambda *_: answered.done() or answered.set_result(client.current_call))

async def show_the_call():
    call = await answered
    await call.ended
    page.children = [phone.widget, plivo_nb.Dashboard(call).widget]

showing = asyncio.ensure_future(show_the_call())
page
"""


@pytest.fixture(params=["notebook7", "voila"])
def shown(request, page, tmp_path) -> Iterator[tuple[Any, Any]]:
    """A server with the cell's output in the page, and the notebook there; None under Voila."""
    if request.param == "voila":
        path = tmp_path / "walk.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), path)
        with request.getfixturevalue("voila_at")(path) as server:
            page.goto(server.url, timeout=60_000)
            yield server, None
    else:
        server = request.getfixturevalue("notebook7")
        open_notebook = request.getfixturevalue("open_in_notebook7")
        notebook = open_notebook(server.notebook("walk.ipynb", [CELL]))
        notebook.run(0)
        yield server, notebook


def test_account_call_rating_devices_history_and_replay(shown, page, phone, shoot, axe) -> None:
    server, notebook = shown
    log_in(phone)
    if notebook is not None:
        notebook.type_everywhere()
        phone.dial("echo")
    phone.click("Call")
    phone.expect_state("In call")
    expect(phone.timer).to_have_text(re.compile(r"0:0[3-9]|0:[1-5]\d"), timeout=15_000)
    phone.click("Hang up")
    phone.expect_state("Ended")
    rate(phone)
    settings(phone)
    history(phone, page)
    replay(page.locator(".plivo-replay"))
    shoot("walk")
    assert [finding for box in page.locator(".plivo").all() for finding in axe(box)] == []

    phone.click("Log out")
    phone.expect_state("Not logged in")
    expect(phone.box.get_by_label("Password")).to_be_focused()
    for kernel in server.kernels():
        kernel.kill()
    notice = phone.box.locator("> .plivo-page .plivo-notice")
    expect(notice).to_have_text("The kernel has stopped; run the cell again.", timeout=20_000)


def log_in(phone: Any) -> None:
    phone.expect_state("Not logged in", 30)
    for password, outcome in (("wrong", "Not logged in"), ("alice-secret", "Ready")):
        phone.box.get_by_label("User").fill("alice")
        phone.box.get_by_label("Password").fill(password)
        phone.box.get_by_label("Password").press("Enter")
        if password == "wrong":
            expect(phone.box.get_by_role("alert")).to_contain_text(
                "refused the username or password", timeout=15_000
            )
        phone.expect_state(outcome)


def rate(phone: Any) -> None:
    feedback = phone.box.locator(".plivo-feedback")
    expect(feedback.locator(".plivo-rating")).to_have_text("How was the call with echo?")
    feedback.get_by_role("button", name="4 stars").click()
    feedback.locator("select").select_option(label="Audio latency")
    feedback.get_by_role("button", name="Send").click()
    expect(feedback.locator(".plivo-rating")).to_have_text(
        "Sent: 4 of 5, Audio latency. Thank you.", timeout=15_000
    )


def settings(phone: Any) -> None:
    shown = phone.box.locator(".plivo-settings")
    phone.box.get_by_role("button", name="Devices and volume").click()
    for name in ("Microphone", "Speaker", "Ring tone"):
        expect(shown.get_by_label(name, exact=True)).to_be_visible()
    expect(shown.get_by_role("slider", name="Volume")).to_be_visible()
    phone.box.get_by_role("button", name="Devices and volume").click()
    expect(shown).to_be_hidden()


def history(phone: Any, page: Any) -> None:
    """The call is listed; its row is selected by keyboard."""
    phone.box.locator(".plivo-history-title").click()
    rows = phone.box.locator(".plivo-history").get_by_role("row")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("Outgoing call to echo")
    rows.first.focus()
    page.keyboard.press("Enter")
    expect(rows.first).to_have_attribute("aria-selected", "true")


def replay(box: Any) -> None:
    expect(box.locator(".plivo-mos")).to_contain_text("mean of the call", timeout=20_000)
    handle = box.get_by_role("slider", name="Position in the call")
    handle.press("Home")
    expect(box.locator(".plivo-mos b")).to_have_text("–")
    for _ in range(2):
        handle.press("ArrowRight")
    expect(box.locator(".plivo-clock b")).to_have_text("0:02")
    box.get_by_role("button", name="Hear").click()
    expect(box.locator(".plivo-note")).to_contain_text("of what was received at 0:0", timeout=15_000)
