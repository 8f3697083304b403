"""The controls of a call, the rating after it and the history in JupyterLab, used with mouse and keyboard."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

START = """
import asyncio, plivo_nb
lab = plivo_nb.Lab()
await lab.start()
client = lab.client()
bob = lab.client()
await client.login("alice", lab.password("alice"))
await bob.login("bob", lab.password("bob"))
phone = plivo_nb.Phone(client, dial="echo", source="speech")
sent = []
send = phone.controls.meters.widget.send
def counting(content, buffers):
    sent.append(buffers[0])
    send(content, buffers=buffers)
phone.controls.meters.widget.send = counting
"""
MISSED = """
calling = bob.call("alice")
while not client.incoming_calls:
    await asyncio.sleep(0.05)
await bob.hangup()
"""
CLOSE = "await client.close()\nawait bob.close()\nawait lab.close()"


def hide(page: Any, hidden: bool) -> None:
    """What the page knows of its visibility, as if another tab were in front."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange")); }""",
        hidden,
    )


def test_a_call_its_rating_and_the_history(jupyter, open_notebook, phone, page, shoot, axe, theme):
    notebook = open_notebook(jupyter.notebook("controls.ipynb", [START, "phone", MISSED, CLOSE]))
    notebook.run(0)
    notebook.run(1)
    box = phone.box
    height = box.bounding_box()["height"]
    expect(box.locator(".plivo-source-note")).to_contain_text("alls play the speech sample")
    phone.click("Call")
    phone.expect_state("In call")
    call_level_meters(notebook, box, page)

    # recording: a visible mark, and where the file is
    record = box.locator(".plivo-record")
    record.click()
    expect(record).to_have_text(re.compile("Stop 0:0[1-9]"), timeout=15_000)
    expect(box.locator(".plivo-file")).to_have_text(re.compile(r"Recording to call-echo-\d{8}-\d{4}\.wav"))
    phone.click("7")
    expect(box.locator(".plivo-keys")).to_have_text("Keys sent: 7")
    expect(box.locator('.plivo-chip-line [data-verdict="excellent"]')).to_be_visible(timeout=15_000)
    shoot("in-call", box)
    assert axe(box) == []
    record.click()
    expect(box.locator(".plivo-file")).to_have_text(re.compile(r"Recorded 0:0\d: call-echo"))
    assert notebook.evaluate("[p.name[:9] for p in __import__('pathlib').Path.cwd().glob('call-echo-*.wav')]")
    assert box.bounding_box()["height"] == height

    # another source, by the selector
    box.locator(".plivo-source select").select_option(label="Tone, 440 Hz")
    notebook.wait_for("type(client.current_call.source).__name__", "Tone")

    # the rating, by keyboard
    phone.click("Hang up")
    send = box.locator(".plivo-feedback").get_by_role("button", name="Send")
    expect(box.locator(".plivo-rating")).to_have_text("How was the call with echo?")
    assert box.bounding_box()["height"] == height
    star = box.get_by_role("button", name="4 stars")
    star.focus()
    page.keyboard.press("Enter")
    expect(box.locator(".plivo-lit")).to_have_count(4)
    expect(send).to_be_disabled()
    box.locator(".plivo-feedback select").select_option(label="Audio latency")
    expect(send).to_be_enabled()
    shoot("rating", box)
    send.click()
    expect(box.locator(".plivo-rating")).to_have_text("Sent: 4 of 5, Audio latency. Thank you.")
    notebook.wait_for("int(client.calls.feedback_score.iloc[-1])", 4)

    history(notebook, box, page, phone, shoot)
    box.get_by_role("button", name="Devices and volume").click()
    expect(box.locator(".plivo-settings")).to_be_visible()
    for colours in ("dark", "light"):
        theme(page, colours)
        assert axe(box) == []
        shoot(colours, box)
    notebook.run(3)
    assert notebook.errors() == []


def call_level_meters(notebook: Any, box: Any, page: Any) -> None:
    """They move in a call; a hidden page gets nothing."""
    meters = box.get_by_role("meter")
    expect(meters).to_have_count(2)
    meters.last.scroll_into_view_if_needed()  # nothing is sent while they are out of sight
    for index, name in enumerate(("Level, received", "Level, sent")):
        expect(meters.nth(index)).to_have_accessible_name(name)
        expect(meters.nth(index)).to_have_attribute(
            "aria-valuetext", re.compile(r"^-\d+ dB$"), timeout=15_000
        )
    assert notebook.evaluate("{len(data) for data in sent}") == {2}
    hide(page, True)
    page.wait_for_timeout(500)
    before = notebook.evaluate("len(sent)")
    page.wait_for_timeout(1000)
    assert notebook.evaluate("len(sent)") == before
    hide(page, False)
    notebook.wait_for(f"len(sent) > {before} + 5", True)


def history(notebook: Any, box: Any, page: Any, phone: Any, shoot: Any) -> None:
    """A missed call is counted until the list is opened; rows are selected and redialled by keyboard."""
    notebook.run(2)
    summary = box.locator(".plivo-history-title")
    expect(summary).to_have_text("History (2) 1 missed")
    summary.focus()
    page.keyboard.press("Enter")
    expect(box.locator(".plivo-badge")).to_be_hidden()
    rows = box.locator(".plivo-history").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Missed call from bob")
    expect(rows.nth(1)).to_contain_text("Outgoing call to echo")
    rows.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    notebook.wait_for("phone.selected_call and phone.selected_call.info.dest", "echo")
    rows.nth(0).click()
    notebook.wait_for("phone.selected_call.info.direction", "INCOMING")
    shoot("history", box)
    rows.nth(1).focus()
    page.keyboard.press("Tab")
    expect(rows.nth(1).get_by_role("button", name="Call echo")).to_be_focused()
    page.keyboard.press("Enter")
    phone.expect_state("In call")
    assert notebook.evaluate("len(phone._history.widget.rows)") == 2
    phone.click("Hang up")
    expect(rows).to_have_count(3)
    assert notebook.evaluate("[cell for cell in range(3)]") == [
        0,
        1,
        2,
    ]  # no cell was run or deleted by a key
    expect(notebook.cells).to_have_count(4)
