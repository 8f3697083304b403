"""analysis.call_panels: the places of calls on the common axis. The panels are tested in test_plots.py."""

import pandas as pd

from plivo_nb.analysis.call_panels import Span, segments_of

START = pd.Timestamp("2026-11-23 08:00:00", tz="UTC")


def rows(start: pd.Timestamp, count: int, uuid: str) -> pd.DataFrame:
    index = pd.DatetimeIndex([start + pd.Timedelta(seconds=n + 1) for n in range(count)])
    return pd.DataFrame({"call_uuid": [uuid] * count, "mos": [4.0] * count}, index=index)


def test_calls_stand_one_after_the_other_without_the_time_between_them() -> None:
    both = pd.concat([rows(START, 5, "a"), rows(START + pd.Timedelta(hours=3), 7, "b")])
    first, second = segments_of(both, ())
    assert (first.at_s, first.end_s) == (0.0, 5.0)
    assert 5.0 < second.at_s < 10.0
    assert second.place([START + pd.Timedelta(hours=3, seconds=2)])[0] == second.at_s + 2.0


def test_an_empty_frame_begins_with_the_impairment() -> None:
    (only,) = segments_of(rows(START, 0, "a"), [Span(START, START + pd.Timedelta(seconds=3), "loss")])
    assert only.place([START])[0] == 0.0
