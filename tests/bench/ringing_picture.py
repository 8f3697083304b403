"""The picture of a phone at which three calls ring, in the notebook about incoming calls.

    cd tests && python -m bench.ringing_picture [FILE]

Voila serves the phone, and robots of a lab call it. It needs Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect, sync_playwright

from bench.moving_picture import CHROMIUM, served

PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "three_callers.png"
CELL = """
import plivo_nb
from IPython.display import display

lab = await plivo_nb.Lab().start()
client = lab.client(allowMultipleIncomingCalls=True)
await client.login("alice", lab.password("alice"))
display(plivo_nb.Phone(client))
await lab.call("alice", n=3, headers={"X-PH-Customer": "4711"})
"""
SCALE = 2


def main(target: Path = PICTURE) -> None:
    """Make the picture: the phone from its top to the buttons of a call."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder), CELL) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 500, "height": 1000}, device_scale_factor=SCALE)
        page.goto(address, timeout=60_000)
        phone = page.locator(".plivo-phone")
        expect(phone.locator(".plivo-call")).to_have_count(3, timeout=60_000)
        png = phone.screenshot()
        whole, mute = phone.bounding_box(), phone.get_by_role("button", name="Mute").bounding_box()
        assert whole is not None
        assert mute is not None
        browser.close()
    bottom = round(SCALE * (mute["y"] + mute["height"] - whole["y"] + 8))
    with Image.open(io.BytesIO(png)) as picture:
        upper = picture.convert("RGB").crop((0, 0, picture.width, bottom))
        upper.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.name}: {upper.width} x {upper.height} px, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
