"""The widgets in the page: keyboard, focus, marks, notices, ring, title, looks."""

from __future__ import annotations

import base64
import itertools
import re
import subprocess
from typing import Any

import pytest
from playwright.sync_api import expect

CELLS = [
    "import plivo_nb\nsoftphone = await plivo_nb.app()",
    "import time\ntime.sleep(4)",
    "bob = softphone.lab.client()\nawait bob.login('bob', softphone.lab.password('bob'))",
]
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
    notebook.run(0)
    notebook.phone.expect_state("Ready", 40)
    return notebook


@pytest.fixture
def phone(app) -> Any:
    return app.phone


@pytest.fixture
def dial(phone) -> Any:
    return phone.box.locator(".plivo-dial input")


def type_everywhere(notebook: Any, phone: Any, dial: Any) -> None:
    """Type what JupyterLab has commands for; in a text field it is text, elsewhere digits are keys."""
    phone.dial("")
    phone.click("5")
    expect(dial).to_have_value("5")
    notebook.type("00ddabxzmii*#")
    expect(dial).to_have_value("500*#")
    notebook.page.keyboard.press("Escape")
    expect(dial).to_have_value("")

    dial.click()
    notebook.type("00ddabx")
    expect(dial).to_have_value("00ddabx")
    notebook.page.keyboard.press("Escape")
    expect(dial).to_have_value("")

    phone.box.click(position={"x": 4, "y": 4})
    assert notebook.page.evaluate("document.activeElement.className").find("plivo-phone") >= 0
    notebook.type("7dd")
    expect(dial).to_have_value("7")
    notebook.page.keyboard.press("Escape")

    controls = notebook.page.locator(".plivo-dashboard :is(button:enabled, [tabindex='0'])")
    for control in controls.all()[:3]:
        control.focus()
        expect(control).to_be_focused()
        notebook.type("00ddab")
    expect(dial).to_have_value("")


def test_typing_on_the_widgets_runs_no_command_of_the_notebook(app, phone, dial) -> None:
    type_everywhere(app, phone, dial)
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
    app.run(2)
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


def test_a_click_that_waits_for_the_kernel_is_marked(app, phone) -> None:
    app.start(1)
    app.page.wait_for_timeout(300)
    phone.click("Mute")
    expect(phone.button("Mute")).to_have_attribute("aria-busy", "true")
    phone.click("Mute")  # is not sent a second time
    expect(app.page.locator(NOTICE)).to_have_text(re.compile("busy"))
    expect(phone.button("Unmute")).to_be_visible(timeout=10_000)
    expect(phone.button("Unmute")).not_to_have_attribute("aria-busy", "true")
    expect(app.page.locator(NOTICE)).to_have_text("")
    phone.click("Unmute")
    expect(phone.button("Mute")).to_be_visible()


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


def test_a_stopped_kernel_is_shown_and_takes_no_clicks(app, phone, artefacts) -> None:
    keys = phone.box.locator(".plivo-key")
    keys.first.focus()  # scrolls there
    before = [key.bounding_box() for key in keys.all()]
    app.kernel("restart")
    expect(app.page.locator(NOTICE)).to_have_text("The kernel has stopped; run the cell again.")
    expect(phone.box).to_have_class(re.compile("plivo-dead"))
    assert [key.bounding_box() for key in keys.all()] == before
    assert app.page.evaluate("!!document.activeElement.closest('.plivo-phone')")
    app.type("00dd")
    app.page.locator(".plivo-app").last.screenshot(path=artefacts / "test_layout-stopped.png")
    app.wait_idle(30)
    app.run(0)
    app.phone.expect_state("Ready", 40)
    expect(app.page.locator(".plivo-dead")).to_have_count(0)


def test_typing_in_notebook_7(module_notebook, notebook7) -> None:
    notebook = module_notebook("page.ipynb", CELLS[:1], server=notebook7, folder="notebooks")
    notebook.client, phone = "softphone.client", notebook.phone
    notebook.run(0)
    phone.expect_state("Ready", 40)
    type_everywhere(notebook, phone, phone.box.locator(".plivo-dial input"))
    phone.dial("echo")
    phone.click("Call")
    phone.expect_state("In call")
    notebook.type("9")
    notebook.wait_for(f"list({notebook.client}.log.query('event == \"digits sent\"').text)", ["9"])
    phone.click("Hang up")
