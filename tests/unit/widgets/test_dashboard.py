"""The dashboard: figures, pictures by the real drawing process, and what is kept at the end of a call."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
from typing import Any

import pytest
from PIL import Image
from waiting import stays, until

from plivo_nb.widgets import dashboard as dashboard_module
from plivo_nb.widgets import dashboard_view
from plivo_nb.widgets.dashboard import Dashboard


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
    return re.sub(r"<[^>]*>", " ", dashboard._quality.view._tiles.value)


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
    await stays(lambda: dashboard.picture == last and len(kept) == 1, for_s=0.2)


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
    updates = []
    monkeypatch.setattr(dashboard, "_update", lambda: updates.append(1))
    await stays(lambda: len(updates) <= 1, for_s=0.3)
