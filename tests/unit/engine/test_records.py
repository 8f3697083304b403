"""engine.records: samples, events and ended calls of a client, as frames."""

from __future__ import annotations

import math
import time
from types import SimpleNamespace
from typing import Any

import pytest

from plivo_nb.engine.records import Records
from plivo_nb.events import CallInfo
from plivo_nb.quality.sampler import SampleRow


class Loop:
    """An engine whose loop lagged."""

    def take_lag_ms(self) -> float:
        return 12.5


def ended(uuid: str, started_utc_s: float, **timings: float) -> Any:
    info = CallInfo(uuid, "OUTGOING", "sip:alice@phone.plivo.com", "bob", "ended")
    over = SimpleNamespace(result=lambda: info)
    return SimpleNamespace(
        uuid=uuid, key=uuid, over=over, timings=timings, cause=None, started_utc_s=started_utc_s
    )


def sample(mos: float) -> SampleRow:
    return SampleRow(time_utc_ns=10**9, time_monotonic_s=time.monotonic(), mos=mos, packets_reordered=3.0)


def test_a_sample_has_the_call_and_the_lag_of_the_loop() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    records.add_sample(ended("u", 1.0), sample(4.0))
    row = records.samples().iloc[0]
    assert (row["call_uuid"], row["mos"], row["packets_reordered"]) == ("u", 4.0, 3.0)
    assert row["loop_lag_ms"] >= 12.5
    assert math.isnan(row["rtt_ms"])


def test_calls_that_ended_are_in_the_order_of_their_beginnings() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    records.add_call(ended("second", 200.0))
    records.add_call(ended("first", 100.0, dialled=1.0, ringing=1.5, answered=2.0, ended=5.0))
    frame = records.calls()
    assert frame["call_uuid"].tolist() == ["first", "second"]
    assert frame.index.is_monotonic_increasing
    assert frame.loc["1970-01-01 00:01:00":"1970-01-01 00:02:00", "call_uuid"].tolist() == ["first"]
    assert frame["post_dial_delay_ms"].iloc[0] == pytest.approx(500)
    assert frame["duration_s"].iloc[0] == pytest.approx(3)
    assert math.isnan(frame["duration_s"].iloc[1])


def test_a_call_has_its_scores_and_its_feedback() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    session = ended("u", 1.0)
    for mos in (4.0, math.nan, 3.0):
        records.add_sample(session, sample(mos))
    records.add_call(session)
    assert records.calls()["mos_mean"].iloc[0] == pytest.approx(3.5)
    records.add_sample(session, sample(2.0))
    assert records.calls()["mos_mean"].iloc[0] == pytest.approx(3.0), "the last part of a second comes late"
    assert math.isnan(records.calls()["feedback_score"].iloc[0])
    records.feedback["u"] = (5, "bad-audio")
    row = records.calls().iloc[0]
    assert (row["feedback_score"], row["feedback_comment"]) == (5.0, "bad-audio")


def test_an_event_of_no_call_is_kept_too() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    event = {"group": "audio", "level": "warning", "type": "no_microphone_access", "value": 0,
             "active": True, "desc": "no audio sent", "stream": "local"}  # fmt: skip
    records.add_media_metric(None, event, at_ns=10**9)
    frame = records.media_metrics()
    assert frame["call_uuid"].isna().all()
    assert frame["value"].tolist() == [0]
