"""analysis.set_up: steps from timings, calls and frames."""

from types import SimpleNamespace

import pandas as pd
import pytest

from plivo_nb.analysis.set_up import rows_of

TIMINGS = {"dialled": 5.0, "invite_sent": 5.1, "ringing": 5.3}


def test_steps_begin_with_the_first_moment_that_is_known() -> None:
    (row,) = rows_of(TIMINGS)
    assert [step.name for step in row.steps] == ["media described", "INVITE to ringing"]
    assert [(step.start_s, step.end_s) for step in row.steps] == [
        pytest.approx((0.0, 0.1)),
        pytest.approx((0.1, 0.3)),
    ]


def test_one_call_or_several() -> None:
    call = SimpleNamespace(timings=TIMINGS, info=SimpleNamespace(dest="echo"))
    assert [row.name for row in rows_of(call)] == [""]
    assert [row.name for row in rows_of([call, call])] == ["1 echo", "2 echo"]


def test_rows_of_client_calls() -> None:
    frame = pd.DataFrame({"call_uuid": ["u"], "post_dial_delay_ms": [20.0], "media_setup_ms": [30.0]})
    (row,) = rows_of(frame)
    assert (row.name, [(step.name, round(step.end_s, 3)) for step in row.steps]) == (
        "u",
        [("call to ringing", 0.02), ("answer to first RTP", 0.05)],
    )
