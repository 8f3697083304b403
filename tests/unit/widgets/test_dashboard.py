"""The dashboard: figures, live panels, pictures by the real drawing process, and what is kept in the cell."""

from __future__ import annotations

import base64
import io
import os
import re
import signal
from typing import Any

import numpy as np
import pytest
from PIL import Image
from waiting import stays, until

from plivo_nb.engine.log import Entry
from plivo_nb.errors import InvalidState
from plivo_nb.widgets import dashboard as dashboard_module
from plivo_nb.widgets import stills as stills_module
from plivo_nb.widgets.dashboard import Dashboard

FIRST_ROW_UTC_S = 1_795_392_000.0  # 2026-11-23, when the samples of the stand-in begin


@pytest.fixture
async def pictures(client):
    """A dashboard that shows pictures."""
    dashboard = Dashboard(client, panels="picture", interval_s=0.05)
    yield dashboard
    await dashboard.close()


@pytest.fixture
def kept(monkeypatch) -> list[dict[str, Any]]:
    """What is put into the cell's second output; the real thing is seen in tests/browser."""
    updates: list[dict[str, Any]] = []
    monkeypatch.setattr(stills_module, "update_display", lambda bundle, **_: updates.append(bundle))
    monkeypatch.setattr(stills_module, "get_ipython", object)
    return updates


async def new_picture(dashboard: Dashboard, than: bytes) -> bytes:
    await until(lambda: dashboard.picture != than)
    return dashboard.picture


def words(dashboard: Dashboard) -> str:
    return re.sub(r"<[^>]*>", " ", dashboard._quality.view._tiles.value)


async def test_pictures_move_with_the_call_and_the_last_one_is_kept(pictures, client, kept) -> None:
    empty = await new_picture(pictures, b"")
    call = client.answered()
    call.rows = 3
    await until(lambda: re.search(r"MOS\s+4.18\s+good", words(pictures)))
    first = await new_picture(pictures, empty)
    assert re.search(r"round trip\s+62\s*ms", words(pictures))
    call.rows = 6
    second = await new_picture(pictures, first)
    assert kept == []
    client.ended()
    last = await new_picture(pictures, second)
    await until(lambda: kept)
    assert base64.b64decode(kept[0]["image/png"]) == last
    assert kept[0]["text/plain"] == "<the last call: jitter, round trip, packet loss and MOS>"
    assert Image.open(io.BytesIO(last)).size == (1500, 900)
    await stays(lambda: pictures.picture == last and len(kept) == 1, for_s=0.3)


async def test_live_draws_only_what_is_kept(dashboard, client, kept, monkeypatch) -> None:
    monkeypatch.setattr(dashboard_module, "_FIRST_STILL_S", 0.3)
    call = client.answered()
    call.rows = 2
    await stays(lambda: dashboard.worker_pid is None and not kept, for_s=0.2)
    await until(lambda: kept)
    during = dashboard.picture
    assert base64.b64decode(kept[0]["image/png"]) == during
    assert Image.open(io.BytesIO(during)).size == (750, 450)
    call.rows = 5
    await stays(lambda: len(kept) == 1, for_s=0.2)
    client.ended()
    await until(lambda: len(kept) == 2)
    assert base64.b64decode(kept[1]["image/png"]) == dashboard.picture != during


async def test_a_close_right_after_the_end_still_keeps_the_picture(dashboard, client, kept) -> None:
    call = client.answered()
    call.rows = 4
    await until(lambda: "MOS" in words(dashboard))
    client.ended()
    await dashboard.close()
    assert len(kept) == 2  # once more for tools that hear only the cell that closes
    assert kept[0] == kept[1]


async def test_a_call_with_no_sample_keeps_nothing_and_takes_the_figures_of_the_one_before_away(
    dashboard, client, kept
) -> None:
    first = client.answered()
    first.rows = 2
    await until(lambda: "4.19" in words(dashboard))
    client.ended()
    await until(lambda: kept)
    client.answered(type(first)("bob", uuid="uuid-2"))
    assert "4.19" not in words(dashboard)
    client.ended()
    await stays(lambda: len(kept) == 1, for_s=0.3)
    await dashboard.close()
    assert len(kept) == 1


async def test_a_dead_drawing_process_is_told_and_replaced(pictures, client) -> None:
    empty = await new_picture(pictures, b"")
    os.kill(pictures.worker_pid, signal.SIGKILL)
    call = client.answered()
    call.rows = 1
    await until(lambda: pictures.note)
    assert "ended unexpectedly" in pictures.note
    call.rows = 2
    await new_picture(pictures, empty)
    await until(lambda: not pictures.note)


async def test_a_failing_sample_is_told_and_the_dashboard_goes_on(pictures, client, monkeypatch) -> None:
    empty = await new_picture(pictures, b"")
    with monkeypatch.context() as broken:
        broken.setattr("plivo_nb.widgets.call_series.CallSeries.extend", lambda *_: 1 / 0)
        call = client.answered()
        call.rows = 1
        await until(lambda: pictures.note)
        assert pictures.note == "ZeroDivisionError: division by zero"
    call.rows = 2
    await new_picture(pictures, empty)
    assert pictures.note == ""


async def test_a_new_dashboard_replaces_the_first(pictures, client) -> None:
    await new_picture(pictures, b"")
    old_pid, listeners = pictures.worker_pid, client.listeners()
    second = Dashboard(client)
    assert client.listeners() == listeners
    await pictures.close()
    with pytest.raises(ProcessLookupError):
        os.kill(old_pid, 0)
    assert repr(pictures) == "<Dashboard, closed>"
    await second.close()
    assert (client.listeners(), client.closers) == (0, [])


async def test_it_closes_with_its_client(client, widget_count) -> None:
    before = widget_count()
    pictures = Dashboard(client, panels="picture", interval_s=0.05)
    await new_picture(pictures, b"")
    await client.closers[0]()
    assert pictures.worker_pid is None
    assert widget_count() == before


async def test_without_a_call_it_does_nothing(dashboard, client, monkeypatch) -> None:
    await until(lambda: not dashboard._wake.is_set())
    updates = []
    monkeypatch.setattr(dashboard, "_update", lambda: updates.append(1))
    await stays(lambda: len(updates) <= 1 and dashboard.worker_pid is None, for_s=0.3)


async def test_a_page_that_does_not_run_the_panels_gets_pictures_until_it_does(
    dashboard, client, monkeypatch
) -> None:
    monkeypatch.setattr(dashboard_module, "_ANSWER_S", 0.3)
    await stays(lambda: dashboard.panels == "live", for_s=0.5)  # no page has opened it
    dashboard._probe.widget.value = 1  # what a page does with a player
    await until(lambda: dashboard.panels == "picture")
    await new_picture(dashboard, b"")
    assert dashboard._view._picture in dashboard.widget.children
    dashboard._panels._on_message(None, {"type": "hello", "page": "one"}, [])
    await until(lambda: dashboard.panels == "live")
    assert dashboard._panels.widget in dashboard.widget.children


async def test_the_mode_that_was_asked_for_is_kept(client, monkeypatch) -> None:
    monkeypatch.setattr(dashboard_module, "_ANSWER_S", 0.1)
    live = Dashboard(client, panels="live")
    live._probe.widget.value = 1
    await stays(lambda: live.panels == "live", for_s=0.4)
    pictures = Dashboard(client, panels="picture")
    pictures._panels._on_message(None, {"type": "hello", "page": "one"}, [])
    await stays(lambda: pictures.panels == "picture", for_s=0.2)
    await pictures.close()
    with pytest.raises(ValueError, match="'live', 'picture' or 'auto'"):
        Dashboard(client, panels="none")  # type: ignore[arg-type]


async def test_while_no_page_shows_it_nothing_is_sent_but_the_sum_at_the_end(dashboard, client) -> None:
    sent: list[str] = []
    dashboard._quality.view._tiles.observe(lambda change: sent.append(change["new"]), "value")
    dashboard._panels.widget.send = lambda message, _buffers: sent.append(str(message))
    call = client.answered()
    call.rows = 2
    await until(lambda: "4.19" in words(dashboard))
    dashboard._panels._on_message(None, {"type": "hello", "page": "one"}, [])
    await until(lambda: dashboard._hidden)
    sent.clear()
    call.rows = 20
    await stays(lambda: sent == [], for_s=0.3)
    dashboard._panels._on_message(None, {"type": "shown", "page": "one", "have": {}}, [])
    await until(lambda: "4.01" in words(dashboard))
    assert "'rows': 20" in sent[0]
    dashboard._panels._on_message(None, {"type": "hidden", "page": "one"}, [])
    await until(lambda: dashboard._hidden)
    sent.clear()
    client.ended()
    await until(lambda: sent)


async def test_warnings_and_events_get_their_place_in_the_call(dashboard, client) -> None:
    call = client.answered()
    shown = dashboard._shown[0]
    client.entries.append(Entry(FIRST_ROW_UTC_S + 1, "digits sent", None, "5"))
    client.entries.append(Entry(FIRST_ROW_UTC_S - 900, "connection lost", None, ""))
    client.entries.append(Entry(FIRST_ROW_UTC_S + 1, "onCalling", None, ""))
    call.rows = 5
    await until(lambda: shown.events)
    assert shown.events == [[2.0, "sent 5"]]
    metric = {"type": "high_packetloss", "active": True, "stream": "remote", "desc": "loss", "value": 0.1}
    client.emit("mediaMetrics", metric)
    client.emit("mediaMetrics", {**metric, "type": "new_one", "desc": "other"})
    await until(lambda: len(shown.bands) == 2)
    assert [(panel, until_s, text) for panel, _, until_s, text in shown.bands] == [
        (2, None, "packets lost on the way to you"),
        (None, None, "new one on the way to you"),
    ]
    client.emit("mediaMetrics", {**metric, "active": False})
    client.ended()
    await until(lambda: shown.ended)
    assert all(0 <= start <= end < 60 for _, start, end, _ in shown.bands)


async def test_a_figure_needs_a_call(dashboard, client) -> None:
    with pytest.raises(InvalidState, match="make one with"):
        dashboard.figure()


async def test_the_true_loss_is_drawn_from_when_it_is_told_until_the_call_ends(dashboard, client) -> None:
    call = client.answered()
    call.rows = 5
    await until(lambda: dashboard._shown[0].series.rows == 5)
    dashboard.show_truth({name: np.array([]) for name in ("time", "loss_in", "loss_out")})
    dashboard.show_truth({"time": np.array([1, 2]), "loss_in": np.array([0, 0.1]), "loss_out": np.zeros(2)})
    call.rows = 6
    await until(lambda: dashboard._shown[0].series.rows == 6)
    columns = dashboard._shown[0].series.columns()
    assert np.isnan(columns["true_loss_in"][:5]).all()
    assert (columns["true_loss_in"][5], columns["true_loss_out"][5]) == pytest.approx((10, 0))
    client.ended()
    client.answered()
    assert np.isnan(dashboard._true_loss).all()
