"""engine.records: samples, events and ended calls of a client, as frames."""

from __future__ import annotations

import math
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from bench.read_cost import AIM_MS, ROWS, ROWS_A_CALL, filled, reads

from plivo_nb.engine.records import Records
from plivo_nb.events import CallInfo
from plivo_nb.quality.frames import schema
from plivo_nb.quality.sampler import SampleRow


class Loop:
    """An engine whose loop lagged for 12.5 ms until 9.5 s, and for 2 s until 12.5 s."""

    LAGS = ((9.5, 12.5), (12.5, 2000.0))

    @property
    def loop_lag(self) -> Loop:
        return self

    def between_ms(self, since_s: float, until_s: float) -> list[float]:
        return [ms for at, ms in self.LAGS if since_s < at <= until_s]

    def utc_ns(self) -> int:
        return 10**9


LOGIN = {"socket_connecting": 0.1, "socket_connected": 0.15, "register_sent": 0.15, "registered": 0.4}


class Session:
    """A call that is over."""

    def __init__(self, uuid: str, started_utc_s: float, **timings: float) -> None:
        self.uuid = self.key = uuid
        info = CallInfo(uuid, "OUTGOING", "sip:alice@phone.plivo.com", "bob", "ended")
        self.over = SimpleNamespace(result=lambda: info)
        self.timings, self.cause, self.started_utc_s = timings, None, started_utc_s
        self.account = SimpleNamespace(connected=True, timings=LOGIN)
        self.media = SimpleNamespace(preferred_codec="OPUS")
        self.tags: dict[str, str] = {}

    def now_info(self) -> CallInfo:
        info: CallInfo = self.over.result()
        return info


def ended(uuid: str, started_utc_s: float, **timings: float) -> Any:
    return Session(uuid, started_utc_s, **timings)


def sample(mos: float = 4.0, at_s: float = 10.0, **values: Any) -> SampleRow:
    row = {"packets_reordered": 3.0, "interval_s": 1.0, **values}
    return SampleRow(time_utc_ns=10**9, time_monotonic_s=at_s, mos=mos, **row)


def test_a_sample_has_the_call_and_the_lag_of_the_loop() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    records.add_sample(ended("u", 1.0), sample(4.0))
    row = records.samples().iloc[0]
    assert (row["call_uuid"], row["mos"], row["packets_reordered"]) == ("u", 4.0, 3.0)
    assert row["loop_lag_ms"] == 12.5
    assert math.isnan(row["rtt_ms"])


def test_a_sample_says_whether_the_server_is_away() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    session = ended("u", 1.0)
    records.add_sample(session, sample())
    session.account.connected = False
    records.add_sample(session, sample())
    assert records.samples()["server_away"].tolist() == [False, True]


def test_a_call_has_the_steps_of_its_set_up() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    media = {"ice_checking": 2.0, "ice_connected": 2.3, "dtls_connected": 2.35}
    records.add_call(ended("first", 1.0, dialled=1.0, answered=2.0, **media))
    row = records.calls().iloc[0]
    found = [row[f"{step}_ms"] for step in ("socket", "register", "ice", "dtls")]
    assert found == pytest.approx([50, 250, 300, 50])
    assert row["codec_preferred"] == "OPUS"


def test_a_login_during_the_call_is_no_step_of_its_set_up() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    records.add_call(ended("u", 1.0, dialled=0.3, answered=0.5))  # registered again at 0.4
    assert math.isnan(records.calls()["register_ms"].iloc[0])


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


def test_every_call_sees_the_whole_stall_once() -> None:
    records, sessions = Records(Loop()), [ended("a", 1.0, answered=9.6), ended("b", 1.0)]  # type: ignore[arg-type]
    for at_s in (10.0, 11.0, 12.0, 13.0, 14.0):
        records.add_sample(sessions[0], sample(at_s=at_s))
        records.add_sample(sessions[1], sample(at_s=at_s + 0.3))
    for session in sessions:
        records.add_call(session)
    lags = records.samples().groupby("call_uuid", observed=True)["loop_lag_ms"].apply(list)
    assert lags["a"] == [0, 0, 0, 2000, 0], "what was before the answer does not count"
    assert lags["b"] == [12.5, 0, 0, 2000, 0]
    assert records.calls()["stalls"].tolist() == [1, 1]


def test_a_call_has_its_totals_means_and_extremes() -> None:
    records, session = Records(Loop()), ended("u", 1.0)  # type: ignore[arg-type]
    nan = math.nan
    rows: list[dict[str, Any]] = [
        {"rtt_ms": 20.0, "rtt_age_s": 0.4, "jitter_out_ms": 8.0, "report_age_s": 0.4, "jitter_in_ms": 1.0,
         "packets_expected_in": 20.0, "loss_in": 0.5, "packets_in": 40.0, "packets_out": 50.0,
         "loss_out": 0.1, "packets_expected_out": 50.0, "codec": "OPUS"},
        {"rtt_ms": 20.0, "rtt_age_s": 1.4, "jitter_out_ms": 8.0, "report_age_s": 1.4, "jitter_in_ms": 3.0,
         "packets_expected_in": 80.0, "loss_in": 0.0, "packets_in": 50.0, "packets_out": 50.0,
         "loss_out": 0.1, "packets_expected_out": nan, "codec": ""},
        {"rtt_ms": 60.0, "rtt_age_s": 0.2, "jitter_out_ms": 4.0, "report_age_s": 0.2, "jitter_in_ms": nan,
         "packets_expected_in": 0.0, "loss_in": nan, "packets_in": 1.0, "packets_out": 0.0,
         "loss_out": 0.0, "packets_expected_out": 50.0, "codec": "OPUS"},
    ]  # fmt: skip
    event = {"group": "network", "level": "warning", "type": "high_jitter", "value": 1.0, "active": True,
             "desc": "d", "stream": "local"}  # fmt: skip
    records.add_media_metric(session, event)
    records.add_media_metric(session, {**event, "active": False})
    for number, values in enumerate(rows[:-1]):
        records.add_sample(session, sample(4.0 - number, 10.0 + number, **values))
    records.add_call(session)
    records.add_sample(session, sample(3.5, 11.5, **rows[-1]))  # the last part of a second comes late
    row = records.calls().iloc[0]
    expected = {
        "codec": "OPUS", "packets_in": 91, "packets_out": 100, "loss_in": 0.1, "loss_out": 0.05,
        "jitter_in_mean_ms": 2, "jitter_in_p95_ms": 2.9, "jitter_out_mean_ms": 6, "jitter_out_p95_ms": 7.8,
        "rtt_mean_ms": 40, "rtt_p95_ms": 58, "mos_mean": 3.5, "mos_min": 3.0, "mos_p5": 3.05,
        "warnings": 1, "stalls": 0,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_a_call_that_was_not_answered_has_no_figures_of_media() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    records.add_call(ended("u", 1.0))
    row = records.calls().iloc[0]
    names = ["codec", "packets_in", "loss_in", "loss_out", "rtt_mean_ms", "jitter_in_p95_ms", "mos_min"]
    assert row[[*names, "stalls"]].isna().all()
    assert row["warnings"] == 0


def test_the_schema_says_what_the_index_of_calls_is() -> None:
    about = schema("calls").set_index("name").loc["time"]
    assert "when the call began" in about["meaning"]
    assert "ascending" in about["meaning"]


def test_the_last_sample_and_the_row_of_a_call_are_read_without_the_frames() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    call = ended("u", 1.0, dialled=1.0, ringing=1.5, answered=2.0, ended=12.0)
    assert records.last_sample(call) is None
    assert records.call_row(call) is None
    records.add_sample(call, sample(4.0))
    records.add_sample(call, sample(3.0, at_s=11.0))
    last = records.last_sample(call)
    assert last is not None
    assert (last["mos"], last["call_uuid"]) == (3.0, "u")
    row = records.samples().iloc[-1]
    assert all(last[name] == row[name] for name in ("mos", "loop_lag_ms", "interval_s", "packets_reordered"))
    records.add_call(call)
    records.feedback["u"] = (4, "no-audio")
    summary = records.call_row(call)
    assert summary is not None
    frame = records.calls().iloc[0]
    for name in ("call_uuid", "duration_s", "mos_mean", "mos_min", "feedback_score", "feedback_comment"):
        assert summary[name] == frame[name]


def test_the_events_of_a_call_are_read_once_without_those_of_others() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    call, other = ended("u", 1.0), ended("v", 1.0)
    event = {
        "group": "network",
        "level": "warning",
        "type": "ice_connection",
        "value": "failed",
        "active": True,
    }
    records.add_media_metric(call, event, 3_000)
    records.add_media_metric(other, event, 4_000)
    upto, events = records.media_metrics_since(call, 0)
    assert [(at_ns, values["value"], values["active"]) for at_ns, values in events] == [
        (3_000, "failed", True)
    ]
    assert records.media_metrics_since(call, upto) == (2, [])


def test_the_samples_of_a_call_are_those_of_the_frame_of_all() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    call, other = ended("u", 1.0), ended("v", 1.0)
    for number in range(6):
        records.add_sample(other if number % 3 else call, sample(4.0 - number / 10))
    all_calls = records.samples()
    pd.testing.assert_frame_equal(
        records.call_samples(call), all_calls[all_calls["call_uuid"] == "u"], check_categorical=False
    )
    assert records.call_samples(call)["mos"].tolist() == [4.0, 3.7]
    assert len(records.call_samples(ended("w", 1.0))) == 0
    upto, new = records.samples_since(call, 1, ["mos"])
    assert (upto, new["mos"].tolist()) == (6, [3.7])
    assert [values["mos"] for _, values in records.samples_of(call)] == [4.0, 3.7]


def test_a_call_that_gets_its_id_late_keeps_the_samples_before_for_the_widgets() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    call = ended("key", 1.0)
    records.add_sample(call, sample(4.0))
    call.uuid = "u"
    records.add_sample(call, sample(3.0))
    assert records.samples_since(call, 0, ["mos"])[1]["mos"].tolist() == [4.0, 3.0]
    assert records.call_samples(call)["mos"].tolist() == [3.0], "the rows that carry its id, as in `samples`"


@pytest.mark.parametrize("seconds", [0, -1, math.nan, "60", None, timedelta(minutes=1)])
def test_recent_samples_need_a_time_to_go_back(seconds: Any) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        Records(Loop()).recent_samples(seconds)  # type: ignore[arg-type]


def test_recent_samples_are_the_last_ones_of_all_calls() -> None:
    records, _ = filled(300)
    recent = records.recent_samples(60)
    assert recent.index.equals(records.samples().index[-60:])
    assert len(records.recent_samples(math.inf)) == 300
    assert len(records.recent_samples(0.5)) == 0


@pytest.mark.parametrize("rows_a_call", [ROWS_A_CALL, 1])
def test_reads_of_one_call_and_of_the_last_minute_do_not_grow_with_the_calls_before(rows_a_call: int) -> None:
    few, many = reads(*filled(60, rows_a_call)), reads(*filled(ROWS, rows_a_call))
    for name in ("call.samples", "client.recent_samples(60)"):
        assert many[name] < 2 * AIM_MS
        assert many[name] < 5 * few[name]


def test_the_tags_of_a_call_are_kept_with_it() -> None:
    records = Records(Loop())  # type: ignore[arg-type]
    call = ended("u", 1.0)
    call.tags["label"] = "wifi"
    assert records.row_so_far(call)["call_uuid"] == "u"
    records.add_call(call)
    assert records.tags == {"u": {"label": "wifi"}}
    assert records.row_so_far(call)["mos_mean"] != records.row_so_far(call)["mos_mean"], "NaN: no samples"
