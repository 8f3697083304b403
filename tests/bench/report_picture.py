"""The picture of a report in the README.

    cd tests && python -m bench.report_picture [FILE]

It needs Chromium. The call in it is made up, and the same in every run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from simulation.reported_call import reported

from plivo_nb.analysis.report.document import write

PICTURE = Path(__file__).parents[2] / "notebooks" / "images" / "report.png"
CHROMIUM = "/usr/bin/chromium"
SIZE = {"width": 900, "height": 1360}


def main(target: Path = PICTURE) -> None:
    """Make the picture: the upper part of the report beside the lower one."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report, whole = Path(folder, "call.html"), Path(folder, "whole.png")
        write(report, [reported()])
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport=SIZE)
        page.goto(report.as_uri())
        page.screenshot(path=whole, full_page=True)
        top = page.locator("h3", has_text="Sound").bounding_box()
        assert top is not None
        middle = round(top["y"]) - 10
        browser.close()
        with Image.open(whole) as picture:
            joined = Image.new("RGB", (2 * picture.width, max(middle, picture.height - middle)), "white")
            joined.paste(picture.crop((0, 0, picture.width, middle)), (0, 0))
            joined.paste(picture.crop((0, middle, picture.width, picture.height)), (picture.width, 0))
            joined.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
