"""The waveform: its outline, and a lane with the number of packets for each fate."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis.clip import CallClip
from plivo_nb.analysis.waveform import LANES, envelope, figure
from plivo_nb.media.playout.packet_fates import PACKET_FATES

BEGAN = pd.Timestamp("2026-11-25 14:00:00", tz="UTC")


@given(st.lists(st.integers(-32768, 32767), max_size=200), st.integers(1, 50))
def test_no_sample_is_outside_of_the_outline(values: list[int], columns: int) -> None:
    samples = np.array(values, np.int16)
    low, high = envelope(samples, columns)
    assert len(low) == len(high) == min(columns, len(values))
    if values:
        assert low.min() == min(values) / 32768
        assert high.max() == max(values) / 32768


def test_there_is_a_lane_for_each_fate() -> None:
    assert set(LANES) == set(PACKET_FATES)
    rows = pd.DataFrame({"fate": ["missing", "missing", "late"], "at_s": [0.1, 0.2, 0.3]})
    drawn = figure(CallClip(8_000, np.zeros(8_000, np.int16), BEGAN, fates=rows))
    labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert labels == ["sound", "missing 2", "late 1", "recovered 0", "concealed 0"]
    assert drawn._repr_png_().startswith(b"\x89PNG")


def test_what_was_sent_has_no_lanes() -> None:
    drawn = figure(CallClip(8_000, np.full(80, 9, np.int16), BEGAN, sent=True))
    assert "missing" not in str([label.get_text() for label in drawn.axes[0].get_yticklabels()])
    assert drawn.axes[0].get_xlabel() == "seconds from 14:00:00.000 UTC"


def test_no_sound_is_an_empty_picture() -> None:
    assert figure(CallClip(0, np.zeros(0, np.int16), BEGAN))._repr_png_().startswith(b"\x89PNG")
