"""Phone and dashboard in JupyterLab, clicked as a person does; everything behind them is real."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

BOB_CALLS = """
bob = softphone.lab.client()
await bob.login("bob", softphone.lab.password("bob"))
_ = bob.call("alice")
"""
APP = ["import plivo_nb\nsoftphone = await plivo_nb.app()", "await softphone.close()"]
STOPPED = ".plivo-phone.plivo-dead > .plivo-page .plivo-notice"
PANELS = ("jitter", "round trip", "loss", "MOS")  # in the order of reading, two by two


def changed_panels(before: bytes, after: bytes) -> set[str]:
    """The panels whose parts of two pictures differ."""
    one, other = (
        np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=int) for png in (before, after)
    )
    differs = np.abs(one - other).sum(axis=2) > 60
    quarters = [part for half in np.array_split(differs, 2) for part in np.array_split(half, 2, axis=1)]
    return {name for name, part in zip(PANELS, quarters, strict=True) if part.any()}


def pictures(notebook: Any) -> list[bytes]:
    """The PNG outputs in the saved file that the dashboard made."""
    return [
        base64.b64decode(output.data["image/png"])
        for cell in notebook.saved().cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {}) and "<the last call:" in output.data.get("text/plain", "")
    ]


def click_through_a_call(
    notebook: Any, phone: Any, dashboard: Any, shoot: Callable[..., Path], picture: str
) -> bytes:
    """Call the echo robot by clicking and do in the call what can be done; gives `dashboard.picture`."""
    client = notebook.client
    phone.dial("echo")
    phone.click("Call")
    phone.expect_state("In call")
    expect(phone.timer).to_have_text(re.compile(r"0:(0[2-9]|[1-5]\d)"), timeout=15_000)
    first = dashboard.png()
    box = dashboard.box.bounding_box()

    for digit in "5#":
        phone.click(digit)
    notebook.wait_for(f"list({client}.log.query('event == \"digits sent\"').text)", ["5", "#"])
    phone.click("Mute")
    expect(phone.button("Unmute")).to_be_visible()
    notebook.wait_for(f"bool({client}.samples.muted.iloc[-1])", True)
    phone.click("Unmute")
    notebook.wait_for(f"bool({client}.samples.muted.iloc[-1])", False)

    notebook.evaluate(f"{notebook.task}({notebook.lab}.network.set(loss=0.12, delay_ms=60)) and None")
    dashboard.wait_for_score(lambda score: score < 4)
    notebook.evaluate(f"{notebook.task}({notebook.lab}.network.clear()) and None")
    dashboard.wait_for_score(lambda score: score > 4.2)
    notebook.page.set_viewport_size({"width": 1360, "height": 1300})  # both are seen whole
    phone.box.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(500)
    shoot("in-call", phone.box, dashboard.box)
    notebook.page.set_viewport_size({"width": 1360, "height": 900})
    notebook.page.wait_for_timeout(500)
    assert changed_panels(first, dashboard.png()) == set(PANELS)
    after = dashboard.box.bounding_box()
    assert (after["width"], after["height"]) == (box["width"], box["height"])
    assert phone.status.inner_text() == ""

    phone.click("Hang up")
    phone.expect_state("Ended")
    notebook.page.wait_for_timeout(1500)
    last = dashboard.png()
    notebook.page.wait_for_timeout(1500)
    assert changed_panels(last, dashboard.png()) == set()
    expect(dashboard.title).to_contain_text("ended")
    return base64.b64decode(notebook.evaluate(f"__import__('base64').b64encode({picture}).decode()"))


def cells_with_widgets(path: Path) -> list[str]:
    """The cells of the first notebook that start, display, use and close phone and dashboard.

    The others make a call of half a minute without widgets, and are run with all notebooks.
    """
    wanted = ("plivo_nb.Lab(", "SideBySide(", "phone.call(", "client.close(")
    sources = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    found = [source for source in sources if any(word in source for word in wanted)]
    assert len(found) == len(wanted)
    return found


def test_first_call_by_hand(jupyter, repository, open_notebook, phone, dashboard, shoot):
    """A call by code and a call by clicking, on the newest ipykernel."""
    cells = cells_with_widgets(repository / "notebooks" / "01_first_call.ipynb")
    notebook = open_notebook(jupyter.notebook("first.ipynb", cells))
    assert notebook.evaluate("__import__('ipykernel').version_info[:2]") >= (7, 4)
    notebook.run_all_but_last()
    notebook.wait_idle(90)
    assert notebook.errors() == []
    last = click_through_a_call(notebook, phone, dashboard, shoot, "dashboard.picture")
    assert pictures(notebook) == [last]
    notebook.run(-1)
    dashboard.box.wait_for(state="detached")
    assert notebook.errors() == []
    assert pictures(notebook) == [last]
    notebook.page.locator(".jp-RenderedImage").last.scroll_into_view_if_needed()
    shoot("closed")
    assert (jupyter.workers(), jupyter.labs()) == ([], [])


def test_clicks_on_another_thread(jupyter, other_kernel, open_notebook, phone, dashboard, shoot):
    """ipykernel 7.3 runs clicks on a thread of its own, with a loop of its own; a call goes all the same."""
    notebook = open_notebook(
        jupyter.notebook("other.ipynb", [*APP, BOB_CALLS, "await bob.close()"], other_kernel)
    )
    notebook.run(0)
    phone.expect_state("Ready", 30)
    assert notebook.evaluate("__import__('ipykernel').__version__").startswith("7.3.")
    notebook.evaluate(
        "[threading := __import__('threading'), clicks := [], softphone.phone._view.mute.on_click("
        "lambda _: clicks.append(threading.current_thread() is threading.main_thread()))] and None"
    )
    notebook.client, notebook.lab = "softphone.client", "softphone.lab"
    last = click_through_a_call(notebook, phone, dashboard, shoot, "softphone.dashboard.picture")
    assert notebook.evaluate("clicks") == [False, False]
    assert pictures(notebook) == [last]

    notebook.run(2)
    expect(phone.box.locator(".plivo-caller b")).to_have_text("bob")
    phone.box.scroll_into_view_if_needed()
    shoot("incoming", phone.box)
    phone.click("Answer")
    phone.expect_state("In call")
    expect(phone.box.locator(".plivo-peer")).to_have_text("bob")
    phone.click("Hang up")
    phone.expect_state("Ended")
    notebook.run(3)
    notebook.run(1)
    assert notebook.errors() == []


def test_run_again_interrupt_reload_restart(jupyter, open_notebook, phone, dashboard, shoot, page):
    """Nothing hangs and nothing is left over, whatever a person does to the notebook."""
    notebook = open_notebook(
        jupyter.notebook("again.ipynb", [*APP[:1], "import asyncio\nawait asyncio.sleep(60)"])
    )
    notebook.client, notebook.lab = "softphone.client", "softphone.lab"
    for _ in range(2):
        notebook.run(0)
    expect(page.locator(".plivo-phone")).to_have_count(1)
    notebook.wait_for_processes(workers=0, labs=1)
    tasks = "len([t for t in __import__('asyncio').all_tasks() if t.get_name() == 'plivo_nb phone'])"
    assert notebook.evaluate(tasks) == 1

    phone.click("Call")
    phone.expect_state("In call")
    notebook.start(1)
    page.wait_for_timeout(500)
    notebook.kernel("interrupt")
    notebook.wait_idle(10)
    before = phone.timer.inner_text()
    expect(phone.timer).not_to_have_text(before, timeout=5000)
    notebook.wait_for_processes(workers=1, labs=1)

    notebook.saved()
    notebook.open()
    phone.expect_state("In call")
    phone.click("Hang up")
    phone.expect_state("Ended")
    shoot("reloaded")

    notebook.kernel("restart")
    expect(page.locator(STOPPED).last).to_have_text("The kernel has stopped; run the cell again.")
    notebook.wait_for_processes(workers=0, labs=0)
    notebook.wait_idle(30)
    notebook.run(0)
    phone.expect_state("Ready")
    assert [error.partition(":")[0] for error in notebook.errors()] == ["CancelledError"]
    notebook.evaluate("__import__('asyncio').ensure_future(softphone.close()) and None")
    notebook.wait_for_processes(workers=0, labs=0)


@pytest.fixture(scope="module")
def other_kernel(kernel_of) -> str:
    return kernel_of("7.3")


def test_a_call_on_the_oldest_ipykernel(jupyter, kernel_of, open_notebook, phone) -> None:
    """Version 6 knows no subshells; 7.3 is in the test above, and every other test is on the newest."""
    notebook = open_notebook(jupyter.notebook("oldest.ipynb", APP, kernel_of("6.31")))
    notebook.client = "softphone.client"
    notebook.run(0)
    phone.expect_state("Ready", 30)
    assert notebook.evaluate("__import__('ipykernel').__version__").startswith("6.31.")
    phone.dial("echo")
    phone.click("Call")
    phone.expect_state("In call")
    phone.button("Mute").focus()
    notebook.type("5")
    notebook.wait_for("list(softphone.client.log.query('event == \"digits sent\"').text)", ["5"])
    expect(phone.box.locator("[aria-busy=true]")).to_have_count(0)
    phone.click("Hang up")
    expect(phone.state).to_contain_text("Ended")
    notebook.run(1)
    assert notebook.errors() == []
