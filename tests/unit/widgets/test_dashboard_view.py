"""Values of the dashboard as HTML."""

from __future__ import annotations

import math
import re

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets import dashboard_view
from plivo_nb.widgets.call_series import CallSeries


async def test_figures_are_those_of_the_last_sample_with_the_age_of_reports(client) -> None:
    call = client.answered()
    call.rows = 19
    assert "–" in dashboard_view.figures_html({})
    assert verdict(math.nan).word in dashboard_view.figures_html({})
    figures = CallSeries.of_frame(call.samples).latest
    assert figures["loss_out"] == 0.05
    shown = dashboard_view.figures_html(figures)
    assert re.search(r"packet loss</span><b>5\.0<small>%", shown)
    assert "in 0.0 · out 5.0, 3 s old" in shown
    assert "round trip</span><b>78<small>ms</small></b><span></span>" in shown  # a new one shows no age
    assert "round trip</span><b>–" in dashboard_view.figures_html({**figures, "rtt_ms": math.nan})
