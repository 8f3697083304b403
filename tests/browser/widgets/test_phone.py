"""Account and incoming calls at the phone in JupyterLab: log in, three ringing calls, log out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = """
import plivo_nb
from plivo_nb.lab import Lab
passwords = {name: f"{name[::-1]}-secret" for name in ("alice", "bob", "carol", "dave")}
lab = await Lab(passwords).start()
client = lab.client(allowMultipleIncomingCalls=True)
phone = plivo_nb.Phone(client, server="lab", accounts=["alice", "bob"])
phone
"""
RING = """
callers = {name: lab.client() for name in ("bob", "carol", "dave")}
for name, caller in callers.items():
    await caller.login(name, passwords[name])
    _ = caller.call("alice", {"X-PH-Room": name})
    await client.wait_for("onIncomingCall", timeout=10)
"""
CLOSE = """
await client.close()
for caller in callers.values():
    await caller.close()
await lab.close()
"""
PASSWORD = "ecila-secret"


def log_in(phone: Any, user: str, password: str) -> None:
    phone.box.get_by_label("User").fill(user)
    phone.box.get_by_label("Password").fill(password)
    phone.box.get_by_label("Password").press("Enter")


def toggle_saving_of_widgets(page: Any) -> None:
    """As the menu's "Save Widget State Automatically"."""
    page.evaluate(
        """async () => { const { commands } = window.jupyterapp;
            const command = "@jupyter-widgets/jupyterlab-manager:saveWidgetState";
            const before = commands.isToggled(command);
            await commands.execute(command);
            while (commands.isToggled(command) === before) {
                await new Promise(resolve => setTimeout(resolve, 50)); } }"""
    )


def row(phone: Any, caller: str) -> Any:
    return phone.box.locator(".plivo-call").filter(
        has=phone.page.locator("b", has_text=re.compile(f"^{caller}$"))
    )


def test_log_in_three_ringing_calls_log_out(
    jupyter: Any, open_notebook: Any, phone: Any, shoot: Callable[..., Path], page: Any, theme: Any, axe: Any
) -> None:
    notebook = open_notebook(jupyter.notebook("phone.ipynb", [START, RING, CLOSE]))
    notebook.run(0)
    phone.expect_state("Not logged in", 30)
    expect(phone.box.locator(".plivo-by-code")).to_be_hidden()
    expect(phone.button("Call")).to_be_disabled()
    phone.box.scroll_into_view_if_needed()
    phone.box.locator(".plivo-options summary").click()
    expect(phone.box.get_by_label("Server")).to_have_value(re.compile(r"^ws://127\.0\.0\.1:\d+"))
    assert axe(phone.box) == []
    shoot("options", phone.box)
    phone.box.locator(".plivo-options summary").click()
    theme(page, "dark")
    shoot("logged-out-dark", phone.box)

    phone.box.get_by_label("Password").click()
    notebook.type("00dd*5#")  # neither keys of the pad nor commands of the notebook
    expect(phone.box.locator(".plivo-dial input")).to_have_value("")
    page.keyboard.press("Enter")
    alert = phone.box.get_by_role("alert")
    expect(alert).to_have_text(re.compile("refused the username or password"))
    phone.expect_state("Not logged in")
    expect(phone.box.get_by_label("Password")).to_have_value("")
    assert axe(phone.box) == []
    shoot("refused-dark", phone.box)
    theme(page, "light")
    log_in(phone, "alice", PASSWORD)
    phone.expect_state("Ready")
    expect(phone.box.locator(".plivo-login")).to_be_hidden()
    expect(phone.box.locator(".plivo-dial input")).to_be_focused()
    notebook.type("+1 (415) 555-0100")
    expect(phone.box.get_by_text("Will dial +14155550100")).to_be_visible()
    for key in ("Control+a", "Control+x", "Control+v"):
        page.keyboard.press(key)
    expect(phone.box.locator(".plivo-dial input")).to_have_value("+14155550100")
    phone.dial("")
    shoot("ready", phone.box)
    page.keyboard.type("nobody")  # without pauses: ipywidgets holds back what follows the first letter
    page.keyboard.press("Enter")
    notebook.wait_for("phone.code.splitlines()[-1]", "call = await client.call('nobody')")
    phone.expect_state("Ended")

    height = phone.box.bounding_box()["height"]
    notebook.run(1)
    phone.expect_state("Incoming (3)")
    expect(phone.box.locator(".plivo-call")).to_have_count(3)
    assert phone.box.bounding_box()["height"] == height
    ringing = phone.box.locator(".plivo-ringing")
    assert ringing.evaluate("list => list.scrollHeight <= list.clientHeight"), "all three are seen at once"
    page.wait_for_function("document.title.startsWith('Call from dave and 2 more')")
    row(phone, "dave").locator("summary").click()
    expect(row(phone, "dave").locator("dd")).to_have_text("dave")
    phone.box.scroll_into_view_if_needed()
    shoot("three-ringing", phone.box)
    page.wait_for_timeout(1200)  # the ringing time has changed
    expect(row(phone, "dave").locator("dd")).to_be_visible()
    theme(page, "dark")
    assert axe(phone.box) == []
    shoot("three-ringing-dark", phone.box)
    theme(page, "light")
    row(phone, "carol").get_by_role("button", name="Reject").click()
    phone.expect_state("Incoming (2)")
    row(phone, "bob").get_by_role("button", name="Ignore").click()
    phone.expect_state("Incoming (1)")
    row(phone, "dave").get_by_role("button", name="Answer").click()
    phone.expect_state("In call")
    expect(phone.box.locator(".plivo-peer")).to_have_text("dave")
    states = "{name: caller.current_call is not None for name, caller in callers.items()}"
    notebook.wait_for(states, {"bob": True, "carol": False, "dave": True})
    notebook.evaluate('callers["carol"].call("alice") and None')
    expect(row(phone, "carol").get_by_role("button", name="End current & answer")).to_be_visible()
    shoot("second-call", phone.box)
    row(phone, "carol").get_by_role("button", name="End current & answer").click()
    expect(phone.box.locator(".plivo-peer")).to_have_text("carol")
    notebook.wait_for(states, {"bob": True, "carol": True, "dave": False})
    phone.click("Hang up")
    phone.expect_state("Ended")
    expect(phone.box.locator(".plivo-remark")).to_have_text(re.compile("^You hung up"))
    page.wait_for_function("!document.title.startsWith('Call from')")
    shoot("ended", phone.box)
    assert phone.status.inner_text() == ""

    toggle_saving_of_widgets(page)
    saved = notebook.saved()
    assert "widgets" in saved.metadata
    assert PASSWORD not in (jupyter.root / "phone.ipynb").read_text("utf-8")
    toggle_saving_of_widgets(page)
    phone.click("Log out")
    phone.expect_state("Not logged in")
    expect(phone.box.get_by_label("Password")).to_be_focused()
    notebook.run(2)
    assert notebook.errors() == []
