"""analysis.call_set: many calls as one object."""

from __future__ import annotations

import pandas as pd

from plivo_nb import CallSet
from plivo_nb.analysis.call_frames import CallFrames


def test_the_warnings_are_with_the_frames_too():
    made = CallSet(CallFrames.of(warnings=["A line could not be read."]))
    assert made.samples.attrs["warnings"] == ["A line could not be read."]
    pd.testing.assert_frame_equal(made.frames.calls, made.calls)
    assert len(made) == 0
