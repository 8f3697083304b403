"""analysis.plots: the figure says what the frame says, and leaves nothing behind."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis.plots import Span, call_figure
from plivo_nb.quality.frames import SAMPLES, ColumnStore

START = pd.Timestamp("2026-11-23 08:00:00", tz="UTC")


def frame(rows=10, **columns):
    store = ColumnStore(SAMPLES)
    for row in range(rows):
        at = START + pd.Timedelta(seconds=row + 1)
        store.append(at.value, **{"codec": "OPUS"} | {name: values[row] for name, values in columns.items()})
    return store.frame()


def texts(figure):
    return {text.get_text() for panel in figure.axes for text in panel.texts}


def test_four_panels_with_units_limits_and_both_directions():
    figure = call_figure(frame(loss_in=np.linspace(0, 0.2, 10), loss_out=np.zeros(10)))
    assert [panel.get_ylabel() for panel in figure.axes] == [
        "Jitter (ms)",
        "Round trip (ms)",
        "Packets lost (%)",
        "MOS (1 bad, 4.5 best)",
    ]
    assert {"limit 30 ms", "limit 400 ms", "limit 10 % (OPUS)", "limit 3"} <= texts(figure)
    received, sent = figure.axes[2].get_lines()[:2]
    assert received.get_ydata()[-1] == pytest.approx(20.0), "drawn in percent"
    assert received.get_xdata().tolist() == list(range(1, 11)), "seconds into the call"
    assert received.get_color() != sent.get_color()
    assert received.get_marker() != sent.get_marker()


def test_limit_of_loss_follows_the_codec():
    assert "limit 20 % (PCMU)" in texts(call_figure(frame(codec=["PCMU"] * 10)))


def test_impairments_are_shaded_and_named():
    spans = [Span(START + pd.Timedelta(seconds=3), START + pd.Timedelta(seconds=6), "10 % loss")]
    figure = call_figure(frame(), spans)
    assert "10 % loss" in texts(figure)
    for panel in figure.axes:
        shade = panel.patches[0].get_extents().transformed(panel.transData.inverted())
        assert (shade.x0, shade.x1) == pytest.approx((3, 6))


def test_values_above_the_limit_stay_inside_the_panel():
    figure = call_figure(frame(rtt_ms=np.full(10, 900.0)))
    assert figure.axes[1].get_ylim()[1] > 900


def test_missing_numbers_and_empty_frames_draw(tmp_path):
    for samples in (frame(), frame(0)):
        call_figure(samples).savefig(tmp_path / "call.png", dpi=60)
        assert (tmp_path / "call.png").read_bytes().startswith(b"\x89PNG")


def test_no_global_figures():
    call_figure(frame())
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
