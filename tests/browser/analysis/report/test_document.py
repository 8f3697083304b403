"""A report in Chromium: no error, readable in light and dark, accessible, printed on A4, small."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page
from simulation.reported_call import reported

from plivo_nb.analysis.report.document import write

# Pixels by which the page is wider than its window.
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
RATIO = """element => {
  const luminance = colour => {
    const [r, g, b] = colour.match(/[0-9.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = luminance(getComputedStyle(document.body).backgroundColor);
  const ink = luminance(getComputedStyle(element).fill);
  return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
}"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "call.html"
    write(path, [reported()])
    return path


def test_a_report_is_shown_and_printed(
    report: Path, page: Page, axe: Callable[[Locator], list[str]], shoot: Callable[..., Path], tmp_path: Path
) -> None:
    problems: list[str] = []
    page.on("console", lambda message: problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url[:80]))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(report.as_uri())
        assert page.locator("svg[role=img]").count() == 4
        assert axe(page.locator("html")) == []
        ratios = [text.evaluate(RATIO) for text in page.locator("svg text").all()[:10]]
        assert min(ratios) > 4.5, scheme
        shoot(scheme)
    page.set_viewport_size({"width": 400, "height": 800})
    assert page.evaluate(TOO_WIDE) == 0
    assert page.locator("audio").evaluate("audio => new Promise(done => {"
        "if (audio.readyState) done(audio.duration); audio.onloadedmetadata = () => done(audio.duration);"
        "audio.onerror = () => done(-1); })") == pytest.approx(8.0, abs=0.1)  # fmt: skip
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    content = page.pdf(path=tmp_path / "call.pdf", prefer_css_page_size=True)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 6
    assert problems == []
