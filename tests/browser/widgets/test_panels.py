"""The live panels in JupyterLab: what they draw and cost, and pictures where a page cannot run them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

SECONDS = 1000  # Playwright counts in milliseconds
CELL = """
import plivo_nb
from IPython.display import HTML
softphone = await plivo_nb.app()
display(HTML('<p class="own">displayed by the user</p>'))
"""
DASHBOARD = "softphone.dashboard"
PANELS = f"{DASHBOARD}._panels"


class Messages:
    """Counts what the kernel sends to some widgets."""

    def __init__(self, page: Page) -> None:
        self.count = self.bytes = 0
        self.comms = [b"?"]  # of the widgets
        page.on("websocket", lambda socket: socket.on("framereceived", self._received))

    def _received(self, frame: Any) -> None:
        data = frame.encode() if isinstance(frame, str) else frame
        if b'"comm_msg"' in data and any(comm in data for comm in self.comms):
            self.count += 1
            self.bytes += len(data)

    def during(self, page: Page, seconds: float) -> tuple[float, float]:
        """Messages and bytes a second."""
        count, size = self.count, self.bytes
        page.wait_for_timeout(seconds * SECONDS)
        return (self.count - count) / seconds, (self.bytes - size) / seconds


@pytest.fixture
def messages(page: Page) -> Messages:
    return Messages(page)


def call_echo(notebook: Any) -> None:
    notebook.evaluate(f"{notebook.task}(softphone.phone.call('echo')) and None")
    notebook.wait_for(
        "bool(softphone.client.current_call and softphone.client.current_call.last_sample)", True
    )


def hang_up(notebook: Any) -> None:
    notebook.evaluate(f"{notebook.task}(softphone.client.hangup()) and None")
    notebook.wait_for("softphone.client.current_call is None", True)


def button(dashboard: Any, text: str) -> Locator:
    return dashboard.box.locator(".plivo-panels button").filter(has_text=re.compile(rf"^{text}$"))


def same(one: bytes, other: bytes) -> bool:
    """Compare pictures; pytest would take minutes to describe how they differ."""
    return one == other


def still(page: Page) -> Locator:
    """The picture for the saved notebook."""
    return page.locator('.jp-OutputArea-output img[width="760"]')


def kept_pictures(notebook: Any) -> int:
    """Number of pictures in the saved file, the empty one excepted."""
    outputs = [output for cell in notebook.saved().cells for output in cell.get("outputs", ())]
    return sum(len(output.get("data", {}).get("image/png", "")) > 1000 for output in outputs)


@pytest.fixture
def notebook(jupyter, open_notebook, messages):
    notebook = open_notebook(jupyter.notebook("panels.ipynb", [CELL, "await softphone.close()"]))
    notebook.run(0)
    notebook.client, notebook.lab = "softphone.client", "softphone.lab"
    notebook.wait_for(f"{PANELS}.shown", True, 30)
    messages.comms = [notebook.evaluate(f"{PANELS}.widget.model_id").encode()]
    return notebook


def test_panels_in_a_call(notebook, dashboard, page, messages, shoot) -> None:
    expect(dashboard.title).to_have_text("No call yet")
    call_echo(notebook)
    expect(dashboard.title).to_have_text(re.compile(r"^echo · OPUS · 0:0[3-9]$"), timeout=15 * SECONDS)
    check_cost(notebook, page, messages)
    check_outputs(notebook, page)
    check_keyboard(notebook, dashboard, page)
    check_pause(dashboard, page)
    check_marks_and_bands(notebook, dashboard, page, shoot)
    check_sizes_and_themes(notebook, dashboard, page, shoot)
    check_hidden(notebook, dashboard, page, messages)
    hang_up(notebook)
    expect(dashboard.title).to_contain_text("ended")
    expect(button(dashboard, "Compare")).to_be_disabled()
    call_echo(notebook)
    button(dashboard, "Compare").click()
    expect(button(dashboard, "Compare")).to_have_attribute("aria-pressed", "true")
    shoot("compared", dashboard.box)
    check_reload(notebook, dashboard, page)
    notebook.kernel("restart")
    expect(still(page)).to_be_visible()
    notebook.wait_for_processes(workers=0, labs=0)


def check_cost(notebook, page, messages) -> None:
    """Less than one message and 1 kB a second."""
    count, size = messages.during(page, 6)
    assert 0.5 < count < 1
    assert size < 1000


def check_outputs(notebook, page) -> None:
    """What the user displays after the dashboard is seen; the picture for the saved notebook is not."""
    expect(page.locator("p.own")).to_be_visible()
    expect(still(page)).to_be_attached()
    expect(still(page)).to_be_hidden()
    assert kept_pictures(notebook) == 1


def check_keyboard(notebook, dashboard, page) -> None:
    """Arrows move the cross-hair and no notebook command runs; the values are in words."""
    dashboard.plot.focus()
    for key in ("ArrowLeft", "ArrowRight", "Home", "End", "ArrowLeft", "d", "d", "0", "0"):
        page.keyboard.press(key)
    words = re.compile(
        r"^0:\d\d; .*Jitter in ms: received [\d.]+.*; Round trip in ms: .*MOS: received 4\.\d\d"
    )
    expect(dashboard.plot).to_have_attribute("aria-valuetext", words)
    expect(page.locator(".jp-Dialog")).to_have_count(0)
    expect(notebook.cells).to_have_count(2)
    page.keyboard.press("Escape")


def check_pause(dashboard, page) -> None:
    button(dashboard, "Pause").click()
    expect(dashboard.title).to_contain_text("paused")
    page.mouse.move(0, 0)
    page.wait_for_timeout(100)
    before = dashboard.png()
    page.wait_for_timeout(1.5 * SECONDS)
    assert same(dashboard.png(), before)
    button(dashboard, "Resume").click()
    button(dashboard, "1 min").click()
    expect(dashboard.title).not_to_contain_text("paused")
    assert not same(dashboard.png(), before)


def check_marks_and_bands(notebook, dashboard, page, shoot) -> None:
    """DTMF, mute and a warning are seen; the values at a place are those under the mouse."""
    notebook.evaluate(f"{notebook.task}(softphone.client.send_dtmf('5')) and None")
    notebook.evaluate("softphone.client.mute()")
    notebook.evaluate(f"{notebook.task}({notebook.lab}.network.set(loss=0.2)) and None")
    about = f"{DASHBOARD}._shown[0].about()"
    notebook.wait_for(f"sorted(text for _, text in {about}['marks'])", ["answered", "muted", "sent 5"], 15)
    notebook.wait_for(f"any(panel == 2 for panel, *_ in {about}['bands'])", True, 25)
    notebook.evaluate(f"{notebook.task}({notebook.lab}.network.clear()) and None")
    box = dashboard.plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.15, box["y"] + 60)
    expect(dashboard.box.locator(".plivo-panels-moment")).to_have_text(re.compile(r"^0:\d\d"))
    shoot("warned", dashboard.box)
    page.mouse.move(0, 0)


def check_sizes_and_themes(notebook, dashboard, page, shoot) -> None:
    """Sharp at a pixel ratio of 2, in the colours of both themes, and never wider than its place."""
    devices = page.context.new_cdp_session(page)
    size = {"width": 1360, "height": 900, "deviceScaleFactor": 2, "mobile": False}
    devices.send("Emulation.setDeviceMetricsOverride", size)
    canvas = dashboard.canvas.element_handle()
    sharp = "canvas => Math.abs(canvas.width - 2 * canvas.clientWidth) <= 1"
    page.wait_for_function(sharp, arg=canvas)
    light = colours_of(dashboard, page, "JupyterLab Light")
    dark = colours_of(dashboard, page, "JupyterLab Dark")
    assert sum(light) < 300 < sum(dark)  # the text
    devices.send("Emulation.clearDeviceMetricsOverride")
    for width in (520, 700, 1000, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(f"window.innerWidth === {width}")
        page.wait_for_timeout(300)
        dashboard.plot.scroll_into_view_if_needed()
        shoot(str(width), dashboard.box)
        wide = "canvas => canvas.clientWidth - canvas.closest('.plivo-dashboard').clientWidth"
        assert dashboard.canvas.evaluate(wide) < 0
    page.set_viewport_size({"width": 1360, "height": 900})


def colours_of(dashboard, page, theme: str) -> list[int]:
    """The colour that the text on the canvas has."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_timeout(1 * SECONDS)
    return dashboard.canvas.evaluate(
        """canvas => { const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, 20).data;
            let best = [0, 0, 0], solid = 0;
            for (let at = 0; at < data.length; at += 4)
                if (data[at + 3] > solid) { solid = data[at + 3]; best = [...data.slice(at, at + 3)]; }
            return best; }"""
    )


def check_hidden(notebook, dashboard, page, messages) -> None:
    """Behind another tab, nothing is sent; shown again, the gap is filled."""
    tiles = f"{DASHBOARD}._quality.view._tiles.model_id"
    messages.comms.append(notebook.evaluate(tiles).encode())
    notebook.command("launcher:create")
    measured = [messages.during(page, 2.5)]  # what is on its way when the kernel learns of it still arrives
    while measured[-1] != (0, 0):
        assert len(measured) < 4, measured
        measured.append(messages.during(page, 2.5))
    page.locator(".lm-TabBar-tab", has_text="panels.ipynb").click()
    notebook.wait_for(f"{PANELS}.shown", True)
    rows = notebook.evaluate(f"{DASHBOARD}._shown[0].series.rows")
    expect(dashboard.title).to_have_text(re.compile(rf"· {rows // 60}:{rows % 60:02d}|0:{rows + 1:02d}"))


def check_reload(notebook, dashboard, page) -> None:
    """A page that is loaded anew gets what was kept."""
    notebook.saved()
    notebook.open()
    expect(dashboard.title).to_have_text(re.compile(r"^echo · OPUS · \d:\d\d$"), timeout=15 * SECONDS)
    expect(button(dashboard, "Compare")).to_be_enabled()


def test_pictures_where_the_page_cannot_run_the_panels(
    jupyter, open_notebook, phone, dashboard, page, shoot
) -> None:
    page.route("**/lab/extensions/anywidget/**", lambda route: route.abort())
    notebook = open_notebook(jupyter.notebook("pictures.ipynb", [CELL]))
    notebook.run(0)
    notebook.wait_for(f"{DASHBOARD}._probe.opened", True, 20)
    began = time.monotonic()
    notebook.wait_for(f"{DASHBOARD}.panels", "picture", 20)
    seconds = time.monotonic() - began
    assert seconds < 3 * 2, f"Pictures came after {seconds:.1f} s, not after 2 s of free time."
    check_phone_without_javascript(notebook, phone)
    before = dashboard.picture.get_attribute("src")
    expect(dashboard.picture).not_to_have_attribute("src", before)
    for error in page.locator(".jupyter-widgets-error-widget").all():
        expect(error).to_be_hidden()
    assert dashboard.picture.evaluate("image => image.naturalWidth") == 1500
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'})")
    page.wait_for_timeout(1.2 * SECONDS)
    shoot("dark", dashboard.box)
    phone.click("Hang up")
    phone.expect_state("Ended")
    page.unroute("**/lab/extensions/anywidget/**")
    notebook.saved()
    notebook.open()
    notebook.wait_for(f"{DASHBOARD}.panels", "live", 20)
    expect(dashboard.canvas).to_be_visible()
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'})")


def check_phone_without_javascript(notebook, phone) -> None:
    """The buttons of ipywidgets are enough for a call."""
    phone.click("Call")
    phone.expect_state("In call")
    phone.click("5")
    expect(phone.box.locator(".plivo-keys")).to_have_text("Keys sent: 5")
    phone.click("Mute")
    notebook.wait_for("softphone.client.muted", True)
    phone.click("Unmute")
    notebook.wait_for("softphone.client.muted", False)
    notebook.wait_for("bool(softphone.client.current_call.last_sample)", True)
