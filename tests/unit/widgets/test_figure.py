"""The drawing process's protocol, scales and labels, without a process."""

from __future__ import annotations

import io
import struct

import pytest

from plivo_nb.widgets import figure
from plivo_nb.widgets.theme import FIGURE_COLOURS, FIGURE_LIMITS


def serve(message: bytes) -> bytes:
    out = io.BytesIO()
    figure.serve(io.BytesIO(message), out, figure.LiveFigure(FIGURE_COLOURS, FIGURE_LIMITS))
    return out.getvalue()


def test_the_process_ends_with_its_input_and_with_nonsense() -> None:
    assert serve(b"") == b""
    assert serve(b"\0\0\0") == b""
    assert serve(struct.pack("<II", 2**31, 2**31) + b"x" * 100) == b""


def test_numbers_that_do_not_fit_their_description_are_refused() -> None:
    with pytest.raises(ValueError, match="Got 3 values for 2 columns of 2 rows"):
        figure.unpack({"columns": ["t", "rtt"], "rows": 2}, b"\0" * 24)
    answer = serve(struct.pack("<II", 2, 0) + b"{}")
    assert answer[:1] == b"E"


@pytest.mark.parametrize(("value", "top"), [(float("-inf"), 40), (39, 40), (41, 50), (101, 200), (900, 1000)])
def test_scales_grow_in_steps(value: float, top: float) -> None:
    assert figure.axis_top(value, 40) == top


def test_time_is_written_as_on_a_phone() -> None:
    assert [figure.clock(seconds) for seconds in (0, 59.9, 60, 3600)] == ["0:00", "0:59", "1:00", "60:00"]
    assert all(window / figure.tick_step(window) <= 7 for window in (60, 120, 300, 3600, 90_000))


def test_what_belongs_to_a_second_is_level_over_it_and_reports_are_held() -> None:
    panels = figure.LiveFigure(FIGURE_COLOURS, FIGURE_LIMITS)._panels
    drawn = {column: line.get_drawstyle() for panel in panels for column, line in panel.lines.items()}
    assert drawn == {
        "jitter_in": "default", "loss_in": "steps-pre", "mos_in": "steps-pre",
        "jitter_out": "steps-post", "loss_out": "steps-post", "mos_out": "steps-post", "rtt": "steps-post",
    }  # fmt: skip
