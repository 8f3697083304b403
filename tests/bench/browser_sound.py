"""What the sound of a page costs the kernel, and whether its delay grows in a long call.

    cd tests && python -m bench.browser_sound [minutes] [comm | webrtc]

JupyterLab and Chromium on this machine: a call to the lab's echo robot with the sound of the page, whose
microphone is a file. Each minute are printed: the CPU time of the kernel's process, the round trip between
page and kernel, the gaps, and of a record of 8 s in the page the median correlation of the speaker's windows
with the microphone, how long the sound took through page, kernel, robot and back, and the longest pause of it
beyond those of the microphone. Targets: 12 % of a core by messages and 6 % by WebRTC more than the same call
without a page, without the seconds of the record; correlation 0.8; 400 ms by messages and 250 ms by WebRTC
through the echo, and in the last minute at most 1.5 times that of the first. Exit code 1 when one is missed.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).parents[1] / "simulation"))

from browser.conftest import CHROMIUM, CHROMIUM_ARGUMENTS, Notebook, _server_options, free_port, serving
from page_sound import RECORD, longest_pause_s, record, write_spoken

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_CPU = {"comm": 0.12, "webrtc": 0.06}
TARGET_ECHO_S = {"comm": 0.4, "webrtc": 0.25}
TARGET_CORRELATION = 0.8
GROWTH = 1.5
RECORD_S = 8.0

START = """
import time, plivo_nb
lab = plivo_nb.Lab()
await lab.start()
as_it_is = {{"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}}
client = lab.client(sound={sound!r}, audioConstraints=as_it_is)
await client.login("alice", lab.password("alice"))
phone = plivo_nb.Phone(client, dial="echo")
"""
FIGURES = (
    "(__import__('time').process_time(), client.audio.transport, client.audio.page_rtt_ms, "
    "client.audio.page_underruns, __import__('time').monotonic())"
)


@contextlib.contextmanager
def call(page: Any, server: Any, sound: str) -> Iterator[Notebook]:
    """A call of a minute or more, begun by clicking."""
    name = server.notebook(f"{sound}.ipynb", [START.format(sound=sound), "phone"])
    notebook = Notebook(page, server, name).open()
    notebook.run(0)
    notebook.run(1)
    notebook.phone.click("Call")
    notebook.phone.expect_state("In call")
    page.wait_for_timeout(5_000)
    yield notebook
    notebook.kernel("shutdown")


@dataclass(frozen=True)
class Minute:
    """What was measured in a minute of a call.

    Attributes:
        cpu: share of a core.
        way: how the page's sound is carried.
        rtt_ms: between page and kernel.
        gaps: number of underruns.
        correlation: median over the windows of the record.
        echo_s: through page, kernel and robot and back.
        pause_s: longest pause beyond those of the microphone.
    """

    cpu: float
    way: str
    rtt_ms: float
    gaps: float
    correlation: float
    echo_s: float
    pause_s: float


def minutes_of(notebook: Notebook, count: int) -> list[Minute]:
    """Measure so many minutes of a call."""
    found = []
    for _ in range(count):
        before = notebook.evaluate(FIGURES)
        notebook.page.wait_for_timeout(60_000 - 1000 * RECORD_S)
        now = notebook.evaluate(FIGURES)
        cpu = (now[0] - before[0]) / (now[4] - before[4])
        piece = record(notebook.page, RECORD_S)
        correlation, echo_s = piece.correlation(), piece.recognised()[1]
        pause_s = longest_pause_s(piece.speaker) - longest_pause_s(piece.microphone)
        found.append(Minute(cpu, now[1], now[2], now[3] - before[3], correlation, echo_s, pause_s))
    return found


def measure(minutes: int, way: str) -> tuple[float, list[Minute]]:
    """The share of a core of a call without a page's sound, and the minutes of one with it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home, root, port = Path(folder) / "home", Path(folder) / "work", free_port()
        home.mkdir()
        root.mkdir()
        write_spoken(Path(folder) / "speech.wav")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *CHROMIUM_ARGUMENTS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={folder}/speech.wav",
            ],
        )  # fmt: skip
        context = browser.new_context(permissions=["microphone"])
        context.add_init_script(RECORD)
        if way == "comm":
            context.add_init_script("delete window.RTCPeerConnection;")
        command = [sys.executable, "-m", "jupyterlab", *_server_options(port, root)]
        command.append("--LabApp.expose_app_in_browser=True")
        with serving(home, root, command, port, "/api/status") as server:
            page = context.new_page()
            with call(page, server, "none") as notebook:
                began = notebook.evaluate("__import__('time').process_time()")
                page.wait_for_timeout(30_000)
                without = (notebook.evaluate("__import__('time').process_time()") - began) / 30
            with call(page, server, "browser") as notebook:
                found = minutes_of(notebook, minutes)
            browser.close()
    return without, found


def main(minutes: int, way: str) -> int:
    without, found = measure(minutes, way)
    titles = ("minute", "CPU, %", "way", "page, ms", "gaps", "correlation", "echo, ms", "pause, s")
    print("".join(title.rjust(13) for title in titles))
    print(f"{'no page':>13}{100 * without:13.1f}")
    for number, each in enumerate(found, 1):
        print(
            f"{number:13}{100 * each.cpu:13.1f}{each.way:>13}{each.rtt_ms:13.1f}{each.gaps:13.0f}"
            f"{each.correlation:13.2f}{1000 * each.echo_s:13.0f}{each.pause_s:13.2f}"
        )
    more = statistics.mean(each.cpu for each in found) - without
    echo_s = statistics.median(each.echo_s for each in found)
    print(f"CPU {100 * more:.1f} % more than without the page, target {100 * TARGET_CPU[way]:g} %")
    print(f"through the echo {1000 * echo_s:.0f} ms, target {1000 * TARGET_ECHO_S[way]:.0f} ms")
    met = (
        more < TARGET_CPU[way]
        and echo_s < TARGET_ECHO_S[way]
        and min(each.correlation for each in found) > TARGET_CORRELATION
        and found[-1].echo_s <= GROWTH * found[0].echo_s
    )
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    raise SystemExit(main(int(arguments.get(1, 5)), str(arguments.get(2, "comm"))))
