"""Notebooks as apps that Voila serves: the phone alone, and the second notebook with its sliders.

Their kernels end with their pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 8
# Otherwise a kernel would end 10 minutes after its page. A page beats when its visibility changes, too.
SHORT = f"""
import asyncio
from plivo_nb.widgets import voila

voila.LIMIT_S, voila.CHECK_S = 60, 0.5

async def shorten():
    while voila._PageOfKernel().last_beat is None:
        await asyncio.sleep(0.1)
    voila.LIMIT_S = {LIMIT_S}

shortening = asyncio.ensure_future(shorten())
"""
BEAT_OFTEN = "setInterval(() => document.dispatchEvent(new Event('visibilitychange')), 1000)"


@pytest.fixture
def voila(voila_at, repository, tmp_path, page, request) -> Iterator[Any]:
    notebook = nbformat.read(repository / "notebooks" / request.param, as_version=4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = SHORT + first.source
    nbformat.write(notebook, tmp_path / request.param)
    page.add_init_script(BEAT_OFTEN)
    with voila_at(tmp_path / request.param, "--theme=dark") as server:
        page.goto(server.url, timeout=60_000)
        yield server


def leave(page: Any, voila: Any) -> None:
    """Go to another page; the kernel goes on for a while, and then ends with all that it started."""
    # Voila's own message that the page is closed is lost, as it is with a browser that crashed.
    page.route("**/voila/api/shutdown/**", lambda route: route.abort())
    page.goto("about:blank")
    page.wait_for_timeout(LIMIT_S * 1000 / 2)
    assert len(voila.kernels()) == len(voila.labs()) == 1
    for _ in range(60):
        if not (voila.kernels() or voila.labs() or voila.workers()):
            break
        page.wait_for_timeout(500)
    assert voila.kernels() == voila.labs() == voila.workers() == []


@pytest.mark.parametrize("voila", ["phone.ipynb"], indirect=True)
def test_the_phone_is_an_app_that_ends_with_its_page(voila, page, phone, shoot) -> None:
    phone.box.wait_for()
    outputs = page.locator(".jp-OutputArea-output:visible")
    expect(outputs).to_have_count(1)  # phone, dashboard and drawer are one output; there is no other
    assert page.locator(".jp-InputArea:visible").count() == 0
    page.set_viewport_size({"width": 1400, "height": 900})
    shoot("ready")
    phone.click("Call")
    phone.expect_state("In call")
    page.locator(".plivo-lab-title").click()
    page.get_by_role("button", name="Ring me", exact=True).wait_for()
    loss = page.locator(".plivo-knobs .noUi-handle").first
    loss.press("End")
    expect(page.locator(".plivo-lab-summary")).to_have_text("30 % loss")
    page.wait_for_timeout(2000)
    shoot("in-call")
    phone.click("Hang up")
    phone.expect_state("Ended")
    leave(page, voila)


@pytest.mark.parametrize("voila", ["02_turn_the_knobs.ipynb"], indirect=True)
def test_sliders_change_the_score_and_the_kernel_ends_with_the_page(
    voila, page, dashboard, shoot, ratio
) -> None:
    clean = dashboard.wait_for_score(lambda score: score > 4.2, 60)
    for box in page.locator(".plivo").all():
        assert box.evaluate("element => getComputedStyle(element).colorScheme") == "dark"
        assert ratio(box) > 10
    loss, delay = (page.get_by_role("slider", name=name) for name in ("Packet loss", "Delay one way"))

    loss.press("End")
    lossy = dashboard.wait_for_score(lambda score: score < 3)
    page.wait_for_timeout(1500)
    page.locator(".plivo-knobs").scroll_into_view_if_needed()
    shoot("lossy")
    page.get_by_role("button", name="Clean network").click()
    assert dashboard.wait_for_score(lambda score: score > 4.2) > lossy
    page.locator(".plivo-dashboard").scroll_into_view_if_needed()
    shoot("clean-again")

    for _ in range(3):
        delay.press("PageUp")
    dashboard.wait_for_score(lambda score: score < clean - 0.3)
    assert len(voila.kernels()) == len(voila.workers()) == len(voila.labs()) == 1
    leave(page, voila)
