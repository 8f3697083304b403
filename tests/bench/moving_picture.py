"""The moving picture of a call at the top of the README.

    cd tests && python -m bench.moving_picture [FILE]

Voila serves phone and dashboard, and Chromium clicks through a call in the lab: it becomes lossy and late,
and good again. A second of the picture is about five of the call. It needs Chromium, and takes a minute.
"""

from __future__ import annotations

import contextlib
import io
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
from PIL import Image
from playwright.sync_api import Page, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "call.gif"
CHROMIUM = "/usr/bin/chromium"
CELL = "import plivo_nb\nsoftphone = await plivo_nb.app()"
SCALE = 0.8  # of the page: Chromium draws text at this size more clearly than a picture made smaller
LIMIT_BYTES = 1_000_000
EVERY_S = 1.0
SHOWN_MS = 200  # how long each picture is shown; the last one longer
LAST_MS = 2000
COLOURS = 40
APART = 20  # how far apart colours are at least, as the sum over red, green and blue
#: After how many pictures a knob is moved: its place among the sliders, and the keys pressed there.
KNOBS: dict[int, list[tuple[str, list[str]]]] = {
    6: [("Packet loss", ["PageUp"] * 4)],
    14: [("Packet loss", ["PageDown"] * 4), ("Delay one way", ["PageUp"] * 3)],
    22: [("Clean network", [])],
}
FRAMES = 32


@contextlib.contextmanager
def served(folder: Path, cell: str = CELL) -> Iterator[str]:
    """Serve the cell with Voila; gives the address."""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), folder / "call.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "voila", "call.ipynb", "--no-browser", f"--port={port}"]
    with subprocess.Popen(
        [*command, "--Voila.ip=127.0.0.1"], cwd=folder, stderr=subprocess.DEVNULL
    ) as server:
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/static/none")
            yield address
        finally:
            server.terminate()


def wait_for(address: str) -> None:
    """Wait until a server answers there, with whatever."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(address, timeout=2).close()
        except urllib.error.HTTPError as answer:
            answer.close()
            return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"Voila does not answer at {address}.")


def call_in(page: Page) -> list[Image.Image]:
    """Click through a call; gives the pictures of phone and dashboard."""
    phone, dashboard = page.locator(".plivo-phone"), page.locator(".plivo-dashboard")
    call = phone.locator("button.jupyter-button", has_text="Call").first
    page.locator(".plivo-lab-title").click()
    page.get_by_role("button", name="Clean network").wait_for()
    call.click()
    pictures: list[Image.Image] = []
    began = time.monotonic()
    for number in range(FRAMES):
        for name, keys in KNOBS.get(number, ()):
            if keys:
                for key in keys:
                    page.get_by_role("slider", name=name).press(key)
            else:
                page.get_by_role("button", name=name).click()
        page.wait_for_timeout(max(0.0, began + (number + 1) * EVERY_S - time.monotonic()) * 1000)
        left, right = phone.bounding_box(), dashboard.bounding_box()
        assert left is not None
        assert right is not None
        width = right["x"] + right["width"] - left["x"]
        png = page.screenshot(
            clip={
                "x": left["x"],
                "y": left["y"],
                "width": width,
                "height": max(left["height"], right["height"]),
            }
        )
        pictures.append(Image.open(io.BytesIO(png)).convert("RGB"))
    phone.locator("button.jupyter-button", has_text="Hang up").click()
    return pictures


def frequent_colours(pictures: list[Image.Image]) -> list[int]:
    """The most frequent colours that are not too near to each other, as a palette."""
    counts: Counter[tuple[int, int, int]] = Counter()
    for picture in pictures:
        for count, colour in picture.getcolors(picture.width * picture.height) or ():
            counts[colour] += count
    chosen: list[tuple[int, int, int]] = []
    for colour, _ in counts.most_common():
        if all(
            sum(abs(one - other) for one, other in zip(colour, near, strict=True)) >= APART for near in chosen
        ):
            chosen.append(colour)
        if len(chosen) == COLOURS:
            break
    return [part for colour in chosen for part in colour]


def write(pictures: list[Image.Image], target: Path) -> None:
    """Write an animated GIF with one palette, so that what does not change is stored once."""
    palette = Image.new("P", (1, 1))
    palette.putpalette(frequent_colours(pictures))
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [SHOWN_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(
        target,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        optimize=False,
        disposal=1,
    )


def main(target: Path = PICTURE) -> None:
    """Make the picture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 960, "height": 1500}, device_scale_factor=SCALE)
        page.goto(address, timeout=60_000)
        page.locator(".plivo-state", has_text="Ready").wait_for(timeout=60_000)
        pictures = call_in(page)
        page.close()
        browser.close()
    write(pictures, target)
    size = target.stat().st_size
    print(f"{target.name}: {len(pictures)} pictures, {size / 1000:.0f} kB")
    assert size < LIMIT_BYTES, f"larger than {LIMIT_BYTES / 1000:.0f} kB: fewer COLOURS or FRAMES"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
