"""The dashboard: figures, pictures by the real drawing process, and what is kept at the end of a call."""

from __future__ import annotations

import asyncio
import base64
import io
import math
import os
import re
import signal
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets import dashboard as dashboard_module
from plivo_nb.widgets import dashboard_view
from plivo_nb.widgets.dashboard import Dashboard


async def until(condition: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def new_picture(dashboard: Dashboard, than: bytes) -> bytes:
    await until(lambda: dashboard.picture != than)
    return dashboard.picture


@pytest.fixture
def kept(monkeypatch) -> list[dict[str, Any]]:
    """What is put into the cell's second output; the real thing is seen in tests/browser."""
    updates: list[dict[str, Any]] = []
    monkeypatch.setattr(dashboard_module, "update_display", lambda bundle, **_: updates.append(bundle))
    monkeypatch.setattr(dashboard_module, "get_ipython", object)
    return updates


def words(dashboard: Dashboard) -> str:
    return re.sub(r"<[^>]*>", " ", dashboard._view._figures.value)


async def test_it_moves_with_the_call_and_keeps_the_last_picture(dashboard, client, kept) -> None:
    empty = await new_picture(dashboard, dashboard.picture)
    call = client.answered()
    call.rows = 3
    first = await new_picture(dashboard, empty)
    assert re.search(r"MOS\s+4.18\s+good", words(dashboard))
    assert re.search(r"round trip\s+62\s*ms", words(dashboard))
    call.rows = 6
    second = await new_picture(dashboard, first)
    assert kept == []
    client.ended()
    last = await new_picture(dashboard, second)
    await until(lambda: kept)
    assert base64.b64decode(kept[0]["image/png"]) == last
    assert kept[0]["text/plain"] == "<the last call: jitter, round trip, packet loss and MOS>"
    assert Image.open(io.BytesIO(last)).size == (1000, 600)
    await asyncio.sleep(0.2)
    assert dashboard.picture == last
    assert len(kept) == 1


async def test_a_close_right_after_the_end_still_keeps_the_picture(dashboard, client, kept) -> None:
    call = client.answered()
    call.rows = 4
    await new_picture(dashboard, dashboard.picture)
    client.ended()
    await dashboard.close()
    assert len(kept) == 2  # once more for tools that hear only the cell that closes
    assert kept[0] == kept[1]


async def test_a_call_with_no_sample_keeps_nothing(dashboard, client, kept) -> None:
    empty = await new_picture(dashboard, dashboard.picture)
    client.answered()
    client.ended()
    await new_picture(dashboard, empty)
    assert kept == []
    call = client.answered()
    call.rows = 2
    client.ended()
    await until(lambda: kept)


async def test_a_dead_drawing_process_is_told_and_replaced(dashboard, client) -> None:
    empty = await new_picture(dashboard, dashboard.picture)
    os.kill(dashboard.worker_pid, signal.SIGKILL)
    call = client.answered()
    call.rows = 1
    await until(lambda: dashboard.note)
    assert "ended unexpectedly" in dashboard.note
    call.rows = 2
    await new_picture(dashboard, empty)
    await until(lambda: not dashboard.note)


async def test_a_failing_sample_is_told_and_the_dashboard_goes_on(dashboard, client, monkeypatch) -> None:
    empty = await new_picture(dashboard, dashboard.picture)
    with monkeypatch.context() as broken:
        broken.setattr(dashboard_view, "to_arrays", lambda samples: 1 / 0)
        call = client.answered()
        call.rows = 1
        await until(lambda: dashboard.note)
        assert dashboard.note == "ZeroDivisionError: division by zero"
    call.rows = 2
    await new_picture(dashboard, empty)
    assert dashboard.note == ""


async def test_a_new_dashboard_replaces_the_first(dashboard, client) -> None:
    await new_picture(dashboard, dashboard.picture)
    old_pid, listeners = dashboard.worker_pid, client.listeners()
    second = Dashboard(client)
    assert client.listeners() == listeners
    await dashboard.close()
    with pytest.raises(ProcessLookupError):
        os.kill(old_pid, 0)
    assert repr(dashboard) == "<Dashboard, closed>"
    await second.close()
    assert (client.listeners(), client.closers) == (0, [])


async def test_it_closes_with_its_client(dashboard, client, widget_count) -> None:
    await client.closers[0]()
    assert dashboard.worker_pid is None
    assert widget_count() == 0


async def test_without_a_call_it_does_nothing(dashboard, client, monkeypatch) -> None:
    await new_picture(dashboard, dashboard.picture)
    turns = []
    monkeypatch.setattr(dashboard, "_update", lambda: turns.append(1))
    await asyncio.sleep(0.3)
    assert len(turns) <= 1


async def test_missing_figures_are_dashes_and_old_ones_are_not_kept_for_long(client) -> None:
    call = client.answered()
    call.rows = 20
    samples = call.samples
    assert "–" in dashboard_view.figures_html({})
    assert verdict(math.nan).word in dashboard_view.figures_html({})
    figures = dashboard_view.key_figures(dashboard_view.to_arrays(samples))
    assert figures["loss_out"] == 0.05  # the last row has none, the one before has
    samples.iloc[-6:, samples.columns.get_loc("rtt_ms")] = np.nan
    assert math.isnan(dashboard_view.key_figures(dashboard_view.to_arrays(samples))["rtt_ms"])
    assert re.search(r"packet loss</span><b>5\.0<small>%", dashboard_view.figures_html(figures))


async def test_panels_get_seconds_percent_and_gaps(client) -> None:
    call = client.answered()
    call.rows = 3
    columns = dashboard_view.panel_columns(dashboard_view.to_arrays(call.samples))
    assert list(columns["t"]) == [1, 2, 3]
    assert columns["loss_out"][0] == pytest.approx(5)
    assert np.isnan(columns["loss_out"][1])
    call.rows = 0
    assert len(dashboard_view.panel_columns(dashboard_view.to_arrays(call.samples))["t"]) == 0
    client.ended()


async def test_the_title_says_who_what_and_how_long(client) -> None:
    call = client.answered()
    assert dashboard_view.title("echo", dashboard_view.to_arrays(call.samples), ended=False) == "echo"
    call.rows = 75
    assert (
        dashboard_view.title("echo", dashboard_view.to_arrays(call.samples), ended=False)
        == "echo · OPUS · 1:15"
    )
    ended = dashboard_view.title(
        "sip-user-with-a-long-name", dashboard_view.to_arrays(call.samples), ended=True
    )
    assert ended == "sip-user-with… · OPUS · 1:15 · mean MOS 3.83, least 3.46"


def test_the_time_axis_grows_in_steps() -> None:
    assert [dashboard_view.window_s(seconds) for seconds in (0, 30, 31, 200, 4000)] == [30, 30, 60, 300, 300]


@pytest.mark.parametrize(
    ("mos", "word"),
    [
        (4.4, "excellent"),
        (4.0, "good"),
        (3.7, "fair"),
        (3.0, "poor"),
        (2.99, "bad"),
        (math.nan, "no figure yet"),
    ],
)
def test_words_for_scores(mos: float, word: str) -> None:
    assert verdict(mos).word == word
