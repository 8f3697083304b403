"""The sound of a page: a microphone that speaks a file, through page, kernel, robot and back to the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pytest
from page_sound import LOUDEST, QUIET, RECORD, Piece, longest_pause_s, record, write_spoken
from playwright.async_api import async_playwright
from playwright.async_api import expect as expect_async
from playwright.sync_api import expect, sync_playwright
from waiting import until
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

from plivo_nb.analysis.compare import RATE_HZ
from plivo_nb.lab import Lab
from plivo_nb.widgets.browser_sound import _script

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

CHROMIUM = "/usr/bin/chromium"
SHARE = 0.3  # of the windows have a correlation above 0.8; alone on the machine two thirds do
LOST_S = 3.0  # three times the aim: no second is lost
RECORDS = 3
ROUND_TRIP_S = {"comm": 3 * 0.4, "webrtc": 3 * 0.25}  # three times the aims
START = """
import plivo_nb
lab = plivo_nb.Lab()
await lab.start()
as_it_is = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
client = lab.client(sound="browser", audioConstraints=as_it_is)
metrics, permissions, changes = [], [], []
client.on("mediaMetrics", metrics.append)
client.on("onMediaPermission", permissions.append)
client.on("onAudioDeviceChange", changes.append)
await client.login("alice", lab.password("alice"))
phone = plivo_nb.Phone(client, dial="echo")
"""
CLOSE = "await client.close()\nawait lab.close()"
#: A page without WebRTC: its sound goes by messages.
NO_WEBRTC = "delete window.RTCPeerConnection;"
#: Playwright looks into a page as if a user acted there, which is no click.
NO_ACTIVATION = "Object.defineProperty(navigator, 'userActivation', {value: {hasBeenActive: false}});"
#: A page with WebRTC, whose connections a test can close.
WITH_WEBRTC = """
window.peers = [];
const Original = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Original {
    constructor(...settings) { super(...settings); window.peers.push(this); }
};
"""
BUSY = """() => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    kernel.requestExecute({ code: "import time; time.sleep(3)", store_history: false }); }"""


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the fake microphone repeats."""
    return write_spoken(tmp_path_factory.mktemp("spoken") / "spoken.wav")


def arguments(spoken: Path) -> list[str]:
    """Chromium's arguments for a microphone that speaks this file."""
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    common = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    return [*common, *fake, f"--use-file-for-fake-audio-capture={spoken}"]


@pytest.fixture
def context(spoken: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Pages whose microphone speaks the file; both the speaker and the microphone are recorded."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments(spoken))
        context = browser.new_context(permissions=["microphone"], viewport={"width": 1360, "height": 900})
        context.set_default_timeout(30_000)
        context.add_init_script(RECORD + getattr(request, "param", NO_WEBRTC))
        yield context
        browser.close()


@pytest.fixture
def page(context: Any) -> Any:
    return context.new_page()


def good_record(page: Any, seconds: float) -> Piece:
    """A record in which the sound is recognised: on a machine with much other work not each one is."""
    for _ in range(RECORDS):
        piece = record(page, seconds)
        if piece.recognised()[0] > SHARE:
            break
    return piece


def assert_it_came_back(piece: Piece, way: str) -> None:
    """The speaker plays what the microphone had, soon enough."""
    share, round_trip_s = piece.recognised()
    assert share > SHARE
    assert round_trip_s < ROUND_TRIP_S[way]


def panel_of(page: Any) -> Any:
    return page.locator(".plivo-phone").last.locator(".plivo-page-sound")


@pytest.fixture
def call(jupyter, open_notebook, phone, page) -> Any:
    """A call to the echo robot with the sound of the page; gives the notebook."""
    notebook = open_notebook(jupyter.notebook("sound.ipynb", [START, "phone", CLOSE]))
    notebook.run(0)
    notebook.run(1)
    expect(panel_of(page)).to_contain_text("Calls use this page")
    notebook.saved()
    phone.click("Call")
    phone.expect_state("In call")
    expect(panel_of(page)).to_contain_text(re.compile("round trip to the kernel [0-9]+ ms"))
    return notebook


def wait_for_sound(page: Any) -> None:
    """Wait until the speaker of the page plays something."""
    page.wait_for_function(f"name => ({LOUDEST})(name) > {QUIET}", arg="speaker", timeout=40_000)


def test_a_call_in_a_notebook_has_the_sound_of_its_page(call, phone, page, shoot) -> None:
    wait_for_sound(page)
    shoot("in-call", phone.box)
    call.wait_for("client.audio.transport", "comm", 30)
    assert call.evaluate("permissions") == [{"status": "success", "stream": True}]
    call.wait_for("bool((client.samples.page_rtt_ms > 0).any())", True, 30)
    assert_it_came_back(good_record(page, 6.0), "comm")
    call.page.evaluate(BUSY)
    page.wait_for_timeout(4_000)
    wait_for_sound(page)
    phone.expect_state("In call")


@pytest.mark.parametrize("context", [WITH_WEBRTC], indirect=True, ids=["webrtc"])
def test_webrtc_passes_a_busy_kernel_and_messages_take_over_when_it_ends(call, phone, page) -> None:
    call.wait_for("client.audio.transport", "webrtc", 30)
    expect(panel_of(page)).to_contain_text("Sound of this page by WebRTC")
    call.page.evaluate(BUSY)
    piece = good_record(page, 8.0)
    assert_it_came_back(piece, "webrtc")
    lost = longest_pause_s(piece.speaker) - longest_pause_s(piece.microphone)
    assert lost < LOST_S, "what is said while the kernel is busy is heard"

    page.evaluate("window.peers.forEach((peer) => peer.close())")
    call.wait_for("client.audio.transport", "comm", 20)
    expect(panel_of(page)).to_contain_text("Sound of this page by messages")
    phone.expect_state("In call")
    assert np.abs(record(page, 4.0).speaker[-2 * RATE_HZ :]).max() > QUIET


def test_a_call_in_voila_has_the_sound_of_its_page(voila_at, page, phone, tmp_path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in (START, "phone")]
    path = tmp_path / "sound.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with voila_at(path) as server:
        page.goto(server.url, timeout=60_000)
        expect(panel_of(page)).to_contain_text("Calls use this page", timeout=60_000)
        phone.click("Call")
        phone.expect_state("In call")
        wait_for_sound(page)
        expect(panel_of(page)).to_contain_text("Sound of this page by")
        page.goto("about:blank")


class PageServer:
    """The link between the client of a test and pages without a notebook, over a WebSocket.

    Each page has the widget's own JavaScript and a model whose messages pass the WebSocket.
    """

    HTML = """<!doctype html><link rel="icon" href="data:,"><button id="click">click</button>
        <div id="view"></div>
        <script type="module">
        const script = await (await fetch("/script.js")).text();
        const module = await import(URL.createObjectURL(new Blob([script], {type: "text/javascript"})));
        const socket = new WebSocket(location.href.replace("http", "ws") + "link");
        socket.binaryType = "arraybuffer";
        const handlers = [];
        const state = {active: true, constraints: {}};
        const model = {
            get: (name) => state[name],
            on: (name, handler) => name === "msg:custom" && handlers.push(handler),
            off: () => {},
            send: (content, _callbacks, buffers = []) => {
                socket.send(JSON.stringify({content, count: buffers.length}));
                buffers.forEach((buffer) => socket.send(buffer));
            },
        };
        let waiting;
        socket.onmessage = ({data}) => {
            if (typeof data === "string") { waiting = {...JSON.parse(data), buffers: []}; }
            else { waiting.buffers.push(new DataView(data)); }
            if (waiting.buffers.length === waiting.count) {
                handlers.forEach((handler) => handler(waiting.content, waiting.buffers));
            }
        };
        await new Promise((resolve) => { socket.onopen = resolve; });
        const widget = module.default();
        widget.initialize({model});
        widget.render({model, el: document.getElementById("view")});
        </script>"""

    def __init__(self) -> None:
        self._sockets: set[Any] = set()
        self._receive: Any = lambda *_: None
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> PageServer:
        self._server = await serve(self._page, "127.0.0.1", 0, process_request=self._http)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _http(self, connection: Any, request: Any) -> Any:
        if request.path == "/link":
            return None
        is_script = request.path == "/script.js"
        response = connection.respond(HTTPStatus.OK, _script() if is_script else self.HTML)
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "text/javascript" if is_script else "text/html"
        return response

    async def _page(self, socket: Any) -> None:
        self._sockets.add(socket)
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                message = json.loads(text)
                buffers = [memoryview(await socket.recv()) for _ in range(message["count"])]
                self._receive(message["content"]["page"], message["content"], buffers)
        self._sockets.discard(socket)

    def send(self, page: str, message: Any, buffers: Any = ()) -> None:
        self._loop.call_soon_threadsafe(self._send, {**message, "page": page}, list(buffers))

    def _send(self, content: Any, buffers: list[bytes]) -> None:
        text = json.dumps({"content": content, "count": len(buffers)})
        broadcast(self._sockets, text)
        for buffer in buffers:
            broadcast(self._sockets, buffer)

    def listen(self, receive: Any) -> None:
        self._receive = receive


@contextlib.asynccontextmanager
async def chromium(spoken: Path, permissions: tuple[str, ...] = ("microphone",)) -> AsyncIterator[Any]:
    """A browser context as the fixture `context`, for asynchronous tests."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments(spoken))
        context = await browser.new_context(permissions=[*permissions])
        context.set_default_timeout(30_000)
        await context.add_init_script(RECORD + NO_WEBRTC + NO_ACTIVATION)
        yield context
        await browser.close()


@contextlib.asynccontextmanager
async def calling(server: PageServer) -> AsyncIterator[Any]:
    """A client in a call to the echo robot, with the sound of the server's pages, and its mediaMetrics."""
    off = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
    async with Lab(seed=15) as lab, lab.client(sound="browser", audioConstraints=off) as client:
        await client.login("alice", lab.password("alice"))
        client.audio.connect_page(server)
        await client.call("echo")
        yield client


async def loud(page: Any, name: str) -> bool:
    """Whether the last second of what the speaker or the microphone of the page had is no silence."""
    return float(await page.evaluate(LOUDEST, name)) > QUIET


def panel_in(page: Any) -> Any:
    return page.locator(".plivo-page-sound")


async def test_the_call_goes_on_without_its_page_and_in_another_one(spoken: Path) -> None:
    async with PageServer() as server, calling(server) as client, chromium(spoken) as context:
        lost: list[bool] = []
        client.on(
            "mediaMetrics",
            lambda event: event["type"] == "no_microphone_access" and lost.append(event["active"]),
        )
        page = await context.new_page()
        await page.goto(server.url)
        await page.locator("#click").click()
        await expect_async(panel_in(page)).to_contain_text("Sound of this page by messages", timeout=30_000)
        await until(lambda: loud(page, "speaker"), 40)

        # another page is silent until it is clicked in; then this one is
        other = await context.new_page()
        await other.goto(server.url)
        await expect_async(panel_in(other)).to_contain_text("Another page has the sound", timeout=30_000)
        await panel_in(other).get_by_role("button").click()
        await expect_async(panel_in(other)).to_contain_text("Sound of this page", timeout=30_000)
        await expect_async(panel_in(page)).to_contain_text("Another page has the sound", timeout=30_000)
        await until(lambda: loud(other, "speaker"), 40)
        await other.goto("about:blank")
        await expect_async(panel_in(page)).to_contain_text("Sound of this page", timeout=60_000)

        # without any page the call goes on with silence, and has sound again with the page
        lost.clear()
        await page.goto("about:blank")
        await until(lambda: lost[-1:] == [True], 75)  # a page that leaves cannot always say so
        assert client.current_call.phase == "answered"
        await page.goto(server.url)
        await page.locator("#click").click()
        await expect_async(panel_in(page)).to_contain_text("Sound of this page", timeout=30_000)
        await until(lambda: loud(page, "speaker"), 40)
        await until(lambda: lost[-1] is False, 30)


#: Keeps what a test looks at: the microphones that were opened, and the device that each context plays on.
KEEP_STREAMS = """
    (() => {
        window.streams = [];
        const getUserMedia = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (constraints) {
            if (window.unplugged) {
                throw new DOMException("There is no microphone.", "NotFoundError");
            }
            const stream = await getUserMedia.call(this, constraints);
            window.streams.push(stream);
            return stream;
        };
        window.unplug = (unplugged) => {
            window.unplugged = unplugged;
            if (unplugged) {
                window.streams.forEach((stream) =>
                    stream.getTracks().forEach((track) => track.dispatchEvent(new Event("ended"))));
            } else {
                navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
            }
        };
        window.sinks = [];
        const setSinkId = AudioContext.prototype.setSinkId;
        AudioContext.prototype.setSinkId = function (id) {
            window.sinks.push(id);
            return setSinkId.call(this, id);
        };
    })();
"""


async def test_a_page_that_is_frozen_or_loses_its_microphone_has_sound_again(spoken: Path) -> None:
    async with PageServer() as server, calling(server) as client, chromium(spoken) as context:
        lost: list[bool] = []
        client.on(
            "mediaMetrics",
            lambda event: event["type"] == "no_microphone_access" and lost.append(event["active"]),
        )
        await context.add_init_script(KEEP_STREAMS)
        page = await context.new_page()
        await page.goto(server.url)
        await page.locator("#click").click()
        await until(lambda: loud(page, "speaker"), 40)

        # unplugged, and plugged in again
        lost.clear()
        await page.evaluate("window.unplug(true)")
        await until(lambda: lost[-1:] == [True], 30)
        assert client.current_call.phase == "answered"
        await page.evaluate("window.unplug(false)")
        await until(lambda: lost[-1] is False, 30)
        await until(lambda: loud(page, "speaker"), 40)

        # the lid is closed, and opened again
        devtools = await context.new_cdp_session(page)
        await devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        await asyncio.sleep(4)  # longer than a page may be silent before it counts as gone
        assert client.current_call.phase == "answered"
        await devtools.send("Page.setWebLifecycleState", {"state": "active"})
        await expect_async(panel_in(page)).to_contain_text("Sound of this page", timeout=30_000)
        await until(lambda: loud(page, "speaker"), 40)


async def test_the_page_plays_tones_on_the_chosen_devices_and_lets_the_user_hear_themselves(
    spoken: Path,
) -> None:
    async with (
        PageServer() as server,
        Lab(seed=15) as lab,
        lab.client(sound="browser") as client,
        chromium(spoken) as context,
    ):
        client.audio.connect_page(server)
        await context.add_init_script(KEEP_STREAMS)
        page = await context.new_page()
        await page.goto(server.url)
        hear = panel_in(page).get_by_role("button", name="Hear yourself")
        await hear.click(timeout=30_000)
        await expect_async(panel_in(page)).to_contain_text("you hear yourself")
        await until(lambda: loud(page, "speaker"), 20)
        await hear.wait_for(timeout=30_000)

        async def bells() -> list[Any]:
            return [item for item in await client.audio.available_devices("output") if item.label]

        await until(lambda: page.evaluate("() => window.taps.speaker.parts.splice(0).length > 0"), 20)
        bell = (await bells())[-1]
        await client.audio.ringtone_devices.set(bell.deviceId)
        await client.login("alice", lab.password("alice"))
        await lab.call("alice")
        await until(lambda: page.evaluate("id => window.sinks.includes(id)", bell.deviceId), 20)
        await until(lambda: loud(page, "speaker"), 20)


async def test_a_page_without_https_says_what_to_do(spoken: Path) -> None:
    async with PageServer() as server, calling(server) as client, async_playwright() as playwright:
        options = [*arguments(spoken), "--host-resolver-rules=MAP notebook.example 127.0.0.1"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        page = await browser.new_page()
        await page.goto(server.url.replace("127.0.0.1", "notebook.example"))
        await expect_async(panel_in(page)).to_contain_text(
            "Open this notebook by https to speak in calls", timeout=30_000
        )
        assert client.current_call.phase == "answered"
        await browser.close()


async def test_a_refused_microphone_is_said_and_the_call_goes_on(spoken: Path) -> None:
    async with PageServer() as server, calling(server) as client, chromium(spoken, ()) as context:
        permissions: list[Any] = []
        client.on("onMediaPermission", permissions.append)
        page = await context.new_page()
        await page.goto(server.url)
        await expect_async(panel_in(page)).to_contain_text(
            "The browser refuses the microphone", timeout=30_000
        )
        await until(lambda: permissions == [{"status": "failure", "error": "NotAllowedError"}])
        assert client.current_call.phase == "answered"
        await expect_async(panel_in(page).get_by_role("button")).to_have_text("Try again")
