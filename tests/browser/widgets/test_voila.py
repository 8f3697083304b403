"""The second notebook as an app: Voila serves it, a person moves the sliders, the score follows."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def voila(serve, free_port, repository, tmp_path) -> Iterator[str]:
    home, root, port = tmp_path / "home", tmp_path / "root", free_port()
    home.mkdir()
    root.mkdir()
    shutil.copy(repository / "notebooks" / "02_turn_the_knobs.ipynb", root)
    command = [
        sys.executable, "-m", "voila", "02_turn_the_knobs.ipynb", "--no-browser", f"--port={port}",
        "--Voila.ip=127.0.0.1", "--show_tracebacks=True",
    ]  # fmt: skip
    with serve(home, root, command, port, "/static/does-not-exist") as server:
        yield server


def test_sliders_change_the_score(voila, page, dashboard, shoot):
    page.goto(voila.url, timeout=60_000)
    clean = dashboard.wait_for_score(lambda score: score > 4.2, 60)
    loss, delay = (
        page.locator(".plivo-knobs .widget-slider", has_text=name).locator(".noUi-handle")
        for name in ("Packet loss", "Delay one way")
    )

    loss.press("End")
    lossy = dashboard.wait_for_score(lambda score: score < 3)
    page.wait_for_timeout(1500)
    page.locator(".plivo-knobs").scroll_into_view_if_needed()
    shoot("lossy")
    loss.press("Home")
    assert dashboard.wait_for_score(lambda score: score > 4.2) > lossy

    for _ in range(3):
        delay.press("PageUp")
    dashboard.wait_for_score(lambda score: score < clean - 0.3)
    page.get_by_role("button", name="Clean network").click()
    dashboard.wait_for_score(lambda score: score > 4.2)
    page.locator(".plivo-dashboard").scroll_into_view_if_needed()
    shoot("clean-again")
    assert len(voila.kernels()) == len(voila.workers()) == len(voila.labs()) == 1
