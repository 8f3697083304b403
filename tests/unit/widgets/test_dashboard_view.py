"""Values, title and time axis of the dashboard, as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from plivo_nb.widgets import dashboard_view


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
