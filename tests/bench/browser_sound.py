"""What the sound of a page costs the kernel, and whether its delay grows in a long call.

    cd tests && python -m bench.browser_sound [minutes] [comm | webrtc]

JupyterLab and Chromium on this machine: a call to the lab's echo robot with the sound of the page, whose
microphone is a file. Each minute the CPU time of the kernel's process, the round trip between page and kernel
and the gaps are printed. Targets: 12 % of a core by messages and 6 % by WebRTC more than the same call
without a page; the round trip of the last minute is at most 1.5 times that of the first. Exit code 1 when one
is missed.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import sync_playwright

from plivo_nb.analysis.compare import load
from plivo_nb.data import speech_path

sys.path.append(str(Path(__file__).parents[1] / "simulation"))

from browser.conftest import CHROMIUM, CHROMIUM_ARGUMENTS, Notebook, _server_options, free_port, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET_CPU = {"comm": 0.12, "webrtc": 0.06}
GROWTH = 1.5
RATE_HZ = 48_000

START = """
import time, plivo_nb
lab = plivo_nb.Lab()
await lab.start()
client = lab.client(sound={sound!r})
await client.login("alice", lab.password("alice"))
phone = plivo_nb.Phone(client, dial="echo")
"""
FIGURES = (
    "(__import__('time').process_time(), client.audio.transport, client.audio.page_rtt_ms, "
    "client.audio.page_underruns)"
)


def write_speech(path: Path) -> None:
    """Write the spoken sample as WAV, which Chromium's fake microphone repeats."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((load(speech_path(), RATE_HZ) * 32767).astype(np.int16).tobytes())


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


def minutes_of(notebook: Notebook, count: int) -> list[tuple[float, str, float, float]]:
    """Share of a core, way, round trip in ms and gaps of each minute."""
    found = []
    before = notebook.evaluate(FIGURES)
    for _ in range(count):
        notebook.page.wait_for_timeout(60_000)
        now = notebook.evaluate(FIGURES)
        found.append(((now[0] - before[0]) / 60, now[1], now[2], now[3] - before[3]))
        before = now
    return found


def measure(minutes: int, way: str) -> tuple[float, list[tuple[float, str, float, float]]]:
    """The share of a core of a call without a page's sound, and the minutes of one with it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        home, root, port = Path(folder) / "home", Path(folder) / "work", free_port()
        home.mkdir()
        root.mkdir()
        write_speech(Path(folder) / "speech.wav")
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                *CHROMIUM_ARGUMENTS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={folder}/speech.wav",
            ],
        )  # fmt: skip
        context = browser.new_context(permissions=["microphone"])
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
    print(f"{'minute':8}{'CPU, %':>8}{'way':>8}{'round trip, ms':>16}{'gaps':>6}")
    print(f"{'no page':8}{100 * without:8.1f}")
    for number, (cpu, used, rtt_ms, gaps) in enumerate(found, 1):
        print(f"{number:<8}{100 * cpu:8.1f}{used:>8}{rtt_ms:16.1f}{gaps:6.0f}")
    more = sum(cpu for cpu, *_ in found) / len(found) - without
    print(f"CPU {100 * more:.1f} % more than without the page, target {100 * TARGET_CPU[way]:g} %")
    met = more < TARGET_CPU[way] and found[-1][2] <= GROWTH * found[0][2]
    print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    arguments = dict(enumerate(sys.argv))
    raise SystemExit(main(int(arguments.get(1, 5)), str(arguments.get(2, "comm"))))
