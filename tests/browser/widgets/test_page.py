"""The widgets in the page: keyboard, focus, marks, notices, ring, title, looks."""

from __future__ import annotations

import base64
import contextlib
import itertools
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

START, BUSY, BOB, CALLS, SILENT = range(5)
CELLS = [
    "import plivo_nb\nsoftphone = await plivo_nb.app()",
    """
import pathlib, time

began, sign = time.monotonic(), pathlib.Path("blocked")
sign.touch()
while sign.exists() and time.monotonic() < began + 60:
    time.sleep(0.02)
""",
    "bob = softphone.lab.client()\nawait bob.login('bob', softphone.lab.password('bob'))",
    """
import asyncio, gc, threading, comm
from ipywidgets.widgets import widget
from plivo_nb.widgets import history

history.KEPT_CALLS = 5  # a longer list of calls would be a longer page

async def make_calls(count):
    for _ in range(count):
        call = await softphone.client.call("echo")
        await call.hangup()

def left():
    gc.collect()
    comms = comm.get_comm_manager().comms
    return [len(widget._instances), len(comms), len(asyncio.all_tasks()), threading.active_count()]
""",
    # As in a page that does not tell the state of its kernel, and with less patience.
    """
import pathlib
from plivo_nb.widgets import page

script = pathlib.Path(page.__file__).with_name("page.js").read_text("utf-8")
for old, new in {
    "model.widget_manager?.kernel": "undefined", "SILENT_MS = 30000": "SILENT_MS = 1000",
    "BEAT_MS = 30000": "BEAT_MS = 500",
}.items():
    assert old in script
    script = script.replace(old, new)
page._PageWidget._esm = script
other = plivo_nb.Phone(softphone.lab.client())
other
""",
]
KERNEL = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"  # in the page
NOTICE = ".plivo-phone > .plivo-page .plivo-notice"


def test_the_javascript_passes_eslint(javascript, repository) -> None:
    command = [str(javascript / "node_modules/.bin/eslint"), "--config", str(javascript / "eslint.config.js")]
    files = sorted(str(path) for path in (repository / "plivo_nb").rglob("*.js"))
    assert files
    done = subprocess.run([*command, *files], cwd=repository, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def app(module_notebook) -> Any:
    """The phone and the dashboard of `plivo_nb.app()` in JupyterLab."""
    notebook = module_notebook("page.ipynb", CELLS)
    notebook.client, notebook.lab = "softphone.client", "softphone.lab"
    notebook.run(START)
    notebook.phone.expect_state("Ready", 40)
    return notebook


@pytest.fixture
def phone(app) -> Any:
    return app.phone


@pytest.fixture
def dial(phone) -> Any:
    return phone.box.locator(".plivo-dial input")


def test_typing_on_the_widgets_runs_no_command_of_the_notebook(app, phone) -> None:
    app.type_everywhere()
    unmarked = ".plivo :is(button, input, select, summary, [tabindex]):not([data-lm-suppress-shortcuts])"
    assert app.page.locator(unmarked).count() == 0

    app.page.evaluate("jupyterapp.shell.currentWidget.model.dirty = true")
    phone.button("5").focus()
    app.page.keyboard.press("Control+s")
    app.page.wait_for_function("!jupyterapp.shell.currentWidget.model.dirty")


def test_a_call_by_keyboard_alone_keeps_the_focus_in_the_phone(app, phone, dial) -> None:
    dial.focus()
    app.page.keyboard.type("echo")
    phone.button("Call").focus()
    app.page.keyboard.press("Space")
    phone.expect_state("In call")
    expect(phone.button("Hang up")).to_be_focused()
    app.type("42")
    dial.click()
    app.type("7")  # nothing can be dialled in a call
    app.wait_for(f"list({app.client}.log.query('event == \"digits sent\"').text)", ["4", "2", "7"])
    expect(dial).to_have_value("echo")
    phone.button("Hang up").focus()
    app.page.keyboard.press("Space")
    expect(phone.state).to_contain_text("Ended")
    expect(phone.button("Call")).to_be_focused()
    phone.button("1").focus()
    app.page.keyboard.press("Enter")
    phone.expect_state("In call")
    phone.click("Hang up")
    expect(phone.button("Call")).to_be_focused()


def test_enter_answers_and_the_focus_goes_on_when_the_row_of_the_call_is_gone(app, phone, dial) -> None:
    app.run(BOB)
    phone.button("1").focus()
    app.page.keyboard.press("Escape")
    expect(dial).to_have_value("")
    app.evaluate("bob.call('alice') and None")
    phone.button("Answer").wait_for()
    app.page.keyboard.press("Enter")
    phone.expect_state("In call")
    phone.click("Hang up")
    expect(phone.state).to_contain_text("Ended")
    app.evaluate("bob.call('alice') and None")
    phone.button("Answer").focus()
    app.page.keyboard.press("Space")
    phone.expect_state("In call")
    assert app.page.evaluate("!!document.activeElement.closest('.plivo-phone')")
    phone.click("Hang up")
    expect(phone.state).to_contain_text("Ended")


@pytest.fixture
def busy(app, jupyter) -> Any:
    """Block the kernel: ``with busy():``."""

    @contextlib.contextmanager
    def blocked() -> Iterator[None]:
        sign = jupyter.root / "blocked"
        app.start(BUSY)
        wait_until(sign.exists)
        try:
            yield
        finally:
            sign.unlink()

    return blocked


def test_a_click_that_waits_for_the_kernel_is_marked_and_carried_out_afterwards(app, phone, busy) -> None:
    with busy():
        phone.click("Mute")
        expect(phone.button("Mute")).to_have_attribute("aria-busy", "true")
        phone.click("Mute")  # is not sent a second time
        expect(app.page.locator(NOTICE)).to_have_text(re.compile("busy"))
    expect(phone.button("Unmute")).to_be_visible(timeout=10_000)
    expect(phone.button("Unmute")).not_to_have_attribute("aria-busy", "true")
    expect(app.page.locator(NOTICE)).to_have_text("")
    phone.click("Unmute")
    expect(phone.button("Mute")).to_be_visible()


def test_what_was_clicked_is_copied_as_code(app, phone, jupyter) -> None:
    app.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=jupyter.url)
    phone.click("Mute")
    phone.click("Unmute")
    expect(phone.button("Mute")).to_be_visible()
    part = phone.box.locator(".plivo-code")
    part.get_by_role("button", name="Copy as code").click()
    expect(part.get_by_role("status")).to_have_text("Copied.")
    copied = app.page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines()[-2:] == ["client.mute()", "client.unmute()"]
    part.locator("summary").click()
    expect(part.locator("pre")).to_have_text(copied)
    part.locator("summary").click()


# Parts of the page and listeners of comms; those of the notebook itself come and go.
LEFT_IN_THE_PAGE = f"""() => [document.querySelectorAll(".plivo *").length, {KERNEL}._comms.size]"""


def test_fifty_calls_leave_nothing_in_the_page_and_the_kernel(app, phone) -> None:
    devtools = app.page.context.new_cdp_session(app.page)
    devtools.send("Performance.enable")

    def make_calls(count: int) -> dict[str, float]:
        app.evaluate(f"[calls := asyncio.ensure_future(make_calls({count}))] and None")
        app.wait_for("calls.done() and calls.exception() is None", True, 100)
        phone.expect_state("Ended")
        expect(phone.box.locator("[aria-busy=true]")).to_have_count(0)
        app.page.wait_for_timeout(1500)  # for the last sample, the history and what is drawn of it
        devtools.send("HeapProfiler.collectGarbage")
        return {each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]}

    app.run(CALLS)
    make_calls(6)  # the notebook itself gets listeners in its first seconds
    before = make_calls(6)
    kernel, page = app.evaluate("left()"), app.page.evaluate(LEFT_IN_THE_PAGE)
    after = make_calls(50)
    app.wait_for(f"[now <= before for now, before in zip(left(), {kernel})]", [True] * len(kernel))
    app.page.wait_for_function(
        # The last call may show a few parts that the one before it did not, as a tile's comment.
        f"before => ({LEFT_IN_THE_PAGE})().every((now, at) => now <= before[at] + [25, 0][at])",
        arg=page,
    )
    for what in ("Nodes", "JSEventListeners"):  # those of the notebook itself change by a few
        assert after[what] - before[what] < 4 * 50, what
    devtools.detach()


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_axe_finds_nothing_serious_and_controls_have_contrast(
    app, phone, dial, axe, theme, ratio, kind
) -> None:
    theme(app.page, kind)
    expect(phone.box).to_have_css("color-scheme", kind)
    assert [finding for box in app.page.locator(".plivo").all() for finding in axe(box)] == []
    assert ratio(dial) >= 4.5
    assert ratio(dial, "borderTopColor") >= 3
    for name in ("5", "Mute"):
        assert ratio(phone.button(name)) >= 4.5
        assert ratio(phone.button(name), "borderTopColor") >= 3
    surface = "element => getComputedStyle(element).backgroundColor"
    white = phone.box.evaluate(surface) == "rgb(255, 255, 255)"
    assert white == (kind == "light")


def test_high_contrast_and_forced_colours_change_the_outlines(app, dial, theme, ratio) -> None:
    theme(app.page, "light")
    app.page.emulate_media(contrast="more")
    assert ratio(dial, "borderTopColor") > 10
    app.page.emulate_media(contrast="no-preference", forced_colors="active")
    assert ratio(dial, "borderTopColor") > 4.5
    app.page.emulate_media(forced_colors="none")


def test_layout_follows_the_width_of_the_app_and_nothing_is_cut(app, phone, theme, artefacts) -> None:
    """The pictures in artefacts/ are to be looked at: test_layout-*.png."""
    page, box = app.page, app.page.locator(".plivo-app").last
    sharp = {"width": 2000, "height": 1500, "deviceScaleFactor": 2, "mobile": False}
    page.set_viewport_size({"width": sharp["width"], "height": sharp["height"]})
    devtools = page.context.new_cdp_session(page)
    devtools.send("Emulation.setDeviceMetricsOverride", sharp)
    for kind, width in itertools.product(("light", "dark"), (520, 700, 1000, 1400)):
        theme(page, kind)
        box.evaluate("(element, width) => element.style.width = `${width}px`", width)
        left, right = phone.box.bounding_box(), page.locator(".plivo-dashboard").last.bounding_box()
        assert page.evaluate("devicePixelRatio") == 2
        artefacts.joinpath(f"test_layout-{width}-{kind}.png").write_bytes(sharp_picture(devtools, box))
        assert box.evaluate(OVERFLOWS) == [], width
        beside = left["x"] + left["width"] <= right["x"]
        assert beside == (width >= 760)
        if beside:
            assert abs(left["height"] - right["height"]) < 2
        else:
            assert left["width"] == right["width"] == pytest.approx(width, abs=1)
    box.evaluate("element => element.style.width = ''")
    devtools.send("Emulation.clearDeviceMetricsOverride")
    page.set_viewport_size({"width": 1360, "height": 900})
    theme(page, "light")


# The texts that do not fit into their box, have no ellipsis and are not for screen readers only; and what
# sticks out of the app at the side.
OVERFLOWS = """app => {
    const right = app.getBoundingClientRect().right + 1;
    const all = [...app.querySelectorAll("*")];
    const shown = all.filter(one => one.checkVisibility() && !one.closest(".plivo-page"));
    return shown.filter(one => {
        const style = getComputedStyle(one);
        const text = one.childElementCount === 0 && one.textContent.trim() && style.overflowX !== "visible";
        const higher = one.scrollHeight > one.clientHeight + 2, wider = one.scrollWidth > one.clientWidth + 1;
        const seen = text && style.clipPath === "none";
        const cut = seen && (higher || wider && (style.textOverflow !== "ellipsis" || one.matches("button")));
        return cut || one.getBoundingClientRect().right > right;
    }).map(one => `${one.className} ${one.textContent.slice(0, 40)}`); }"""


def sharp_picture(devtools: Any, element: Any) -> bytes:
    """PNG of an element. Playwright's own would set the pixel ratio back to 1."""
    clip = {**element.bounding_box(), "scale": 1}
    return base64.b64decode(devtools.send("Page.captureScreenshot", {"format": "png", "clip": clip})["data"])


@pytest.fixture
def artefacts(repository) -> Any:
    folder = repository / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder


def test_the_drawer_of_the_lab_in_three_widths(app, phone, artefacts) -> None:
    page = app.page
    drawer, summary = page.locator(".plivo-lab").last, page.locator(".plivo-lab-summary").last
    expect(summary).to_have_text("clean network")
    app.evaluate("softphone.lab.network.set(loss=0.1, delay_ms=80) and None")
    expect(summary).to_have_text("10 % loss, 80 ms delay")
    drawer.get_by_role("button", name="Lab", exact=False).first.click()
    knobs = drawer.locator(".plivo-knobs")
    readouts = knobs.locator(".widget-readout")
    expect(readouts.nth(0)).to_have_text("10.0")
    knobs.get_by_role("button", name="to me").click()
    knobs.locator(".noUi-handle").nth(3).press("PageUp")  # jitter
    expect(summary).to_have_text("a different network in each direction")
    settings = "softphone.lab.network.current"
    assert app.evaluate(f"{settings}['to_caller']['loss'], {settings}['to_callee']['jitter_ms']") == (
        0.1,
        0,
    )
    knobs.get_by_role("button", name="Clean network").click()
    expect(summary).to_have_text("clean network")

    drawer.get_by_role("button", name="vpn").click()
    expect(summary).to_have_text("scenario vpn · 70 ms delay, ± 6 ms jitter, order kept")
    drawer.get_by_role("button", name="■ vpn").click()
    drawer.get_by_role("button", name="Ring me × 3").click()
    expect(drawer.locator(".plivo-status").last).to_have_text("3 robots are calling alice.")
    expect(page.locator(".plivo-incoming").last).to_contain_text("3 calls are ringing")
    app.evaluate(
        "[softphone.client.reject(call.call_uuid) for call in softphone.client.incoming_calls] and None"
    )

    drawer.get_by_role("button", name="echo", exact=True).click()
    phone.expect_state("In call")
    for width in (1400, 1000, 700):  # beside the panel of files, the narrowest leaves 330 px
        page.set_viewport_size({"width": width, "height": 1400})
        page.wait_for_timeout(300)
        drawer.screenshot(path=artefacts / f"test_drawer-{width}.png")
        assert drawer.evaluate("box => box.scrollWidth <= box.clientWidth")
    phone.click("Hang up")
    page.set_viewport_size({"width": 1360, "height": 900})
    drawer.get_by_role("button", name="Lab", exact=False).first.click()
    expect(knobs).to_be_hidden()


# Chromium has this policy, but what Playwright evaluates in the page counts as a gesture of the user.
PLAYS_NOTHING_BEFORE_A_CLICK = """
    let allowed = false;
    addEventListener("pointerdown", event => { allowed ||= event.isTrusted; }, true);
    window.AudioContext = class extends AudioContext {
        get state() { return allowed ? super.state : "suspended"; }
        resume() { return allowed ? super.resume() : new Promise(() => {}); }
    };"""


def test_title_and_ring(app, phone) -> None:
    page = app.page
    own = page.title()
    app.evaluate("softphone.phone.page.title('(1) Incoming call')")
    page.wait_for_function("document.title === '(1) Incoming call'")
    page.wait_for_function(f"document.title === {own!r}")
    app.evaluate("softphone.phone.page.title('')")
    page.wait_for_timeout(1200)
    assert page.title() == own

    # A page loaded anew is told that it rings; it may play nothing before a click.
    page.add_init_script(PLAYS_NOTHING_BEFORE_A_CLICK)
    app.evaluate("softphone.phone.page.ring(True)")
    app.saved()
    app.open()
    unlock = phone.box.locator(".plivo-unlock")
    app.wait_for("softphone.phone.page.ring_blocked", True)
    expect(unlock).to_be_visible()
    unlock.click()
    expect(unlock).to_be_hidden()
    app.wait_for("softphone.phone.page.ring_blocked", False)
    app.evaluate("softphone.phone.page.ring(False)")
    assert app.evaluate("softphone.phone.page.visible and softphone.phone.page.last_beat is not None")


# Close the connection, and let attempts to connect go to where the server has nothing.
DISCONNECT = f"""() => {{
    const kernel = {KERNEL};
    kernel.serverSettings.WebSocket = class extends WebSocket {{
        constructor() {{ super(location.origin.replace("http", "ws") + "/nothing"); }}
    }};
    kernel.reconnect(); }}"""


def test_a_connection_that_is_lost_is_shown_until_it_is_back(app, phone) -> None:
    notice = app.page.locator(NOTICE)
    app.page.evaluate(DISCONNECT)
    expect(notice).to_have_text("No connection to the kernel. Trying again…")
    app.page.evaluate(f"{KERNEL}.serverSettings.WebSocket = WebSocket; null")
    expect(notice).to_have_text("", timeout=30_000)
    assert app.evaluate("'heard'") == "heard"
    phone.click("Mute")
    expect(phone.button("Unmute")).to_be_visible()
    phone.click("Unmute")
    expect(phone.button("Mute")).to_be_visible()


def test_a_kernel_that_does_not_answer_is_shown_where_the_page_knows_nothing_else_of_it(app, busy) -> None:
    app.run(SILENT)
    expect(app.page.locator(NOTICE)).to_have_count(2, timeout=15_000)
    notice = app.page.locator(NOTICE).last
    with busy():
        words = "The kernel does not answer: it is busy, or it has stopped."
        expect(notice).to_have_text(words, timeout=15_000)
    expect(notice).to_have_text("", timeout=15_000)
    app.evaluate("other.close()")
    expect(app.page.locator(".plivo-phone")).to_have_count(1)


def places(box: Any, keys: Any) -> list[tuple[float, float]]:
    """Where each key is in the box."""
    outer, inner = box.bounding_box(), [key.bounding_box() for key in keys.all()]
    return [(round(at["x"] - outer["x"]), round(at["y"] - outer["y"])) for at in inner]


def test_a_killed_kernel_is_shown_and_takes_no_clicks(app, phone, artefacts) -> None:
    keys = phone.box.locator(".plivo-key")
    keys.first.focus()  # scrolls there
    before = places(phone.box, keys)
    for kernel in app.server.kernels():
        kernel.kill()
    expect(app.page.locator(NOTICE)).to_have_text("The kernel has stopped; run the cell again.")
    expect(phone.box).to_have_class(re.compile("plivo-dead"))
    app.page.locator(".jp-Dialog button").click()  # of JupyterLab: the kernel has died, and it will restart
    keys.first.evaluate("key => key.closest('.plivo-phone').focus()")
    assert places(phone.box, keys) == before
    assert app.page.evaluate("!!document.activeElement.closest('.plivo-phone')")
    app.type("00dd")
    app.page.locator(".plivo-app").last.screenshot(path=artefacts / "test_layout-stopped.png")
    app.wait_idle(30)
    app.run(START)
    app.phone.expect_state("Ready", 40)
    expect(app.page.locator(".plivo-dead")).to_have_count(0)
