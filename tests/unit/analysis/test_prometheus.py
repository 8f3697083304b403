"""analysis.prometheus: the text is valid, in base units, and no label grows without bound."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.analysis.prometheus import exposition

CALLS = {
    "call_uuid": ["a", "b", "c", "d"],
    "direction": ["OUTGOING", "OUTGOING", "INCOMING", "OUTGOING"],
    "dest": ["+14155550100", "bob", "alice", "bob"],
    "state": ["ended", "ended", "failed", "answered"],
    "cause": [None, None, 'Not "Found"\n\\', None],
    "post_dial_delay_ms": [120.0, 40.0, math.nan, math.nan],
}
SAMPLES = {
    "call_uuid": ["a", "a", "b"],
    "interval_s": [1.0, 1.0, 1.0],
    "mos": [4.4, 3.1, math.nan],
    "rtt_ms": [100.0, 250.0, math.nan],
    "packets_in": [50.0, 40.0, 50.0],
    "packets_expected_in": [50.0, 50.0, 50.0],
    "loss_in": [0.0, 0.2, 0.0],
    "packets_expected_out": [50.0, 50.0, 50.0],
    "loss_out": [0.1, 0.1, 0.1],
    "report_age_s": [0.2, 1.2, 0.2],
    "loop_lag_ms": [1.0, 2000.0, 3.0],
}


def frames() -> CallFrames:
    times = pd.date_range("2026-11-25", periods=3, freq="s", tz="UTC")
    events = {
        "call_uuid": ["a"] * 3,
        "type": ["low_mos", "low_mos", "high_rtt"],
        "active": [True, False, True],
    }
    return CallFrames.of(
        pd.DataFrame(CALLS, times.append(times[-1:])),
        pd.DataFrame(SAMPLES, times),
        pd.DataFrame(events, times),
    )


def read(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: dict[Any, float], name: str, **labels: str) -> float:
    return values[name, tuple(sorted(labels.items()))]


def test_calls_packets_and_warnings_are_counted() -> None:
    values = read(exposition(frames(), logged_in=True, ongoing=2))
    assert value(values, "plivo_nb_calls_total", direction="outgoing", state="ended", cause="") == 2
    failed = {"direction": "incoming", "state": "failed", "cause": 'Not "Found"\n\\'}
    assert value(values, "plivo_nb_calls_total", **failed) == 1
    assert sum(number for (name, _), number in values.items() if name == "plivo_nb_calls_total") == 3
    assert value(values, "plivo_nb_calls_ongoing") == 2
    assert value(values, "plivo_nb_logged_in") == 1
    assert value(values, "plivo_nb_packets_total", direction="received") == 140
    assert value(values, "plivo_nb_packets_lost_total", direction="received") == 10
    assert value(values, "plivo_nb_packets_lost_total", direction="sent") == 10, "a held report counts once"
    assert value(values, "plivo_nb_media_warnings_total", type="low_mos") == 1


def test_histograms_are_in_base_units_and_leave_out_what_was_not_measured() -> None:
    values = read(exposition(frames(), logged_in=False, ongoing=0))
    assert value(values, "plivo_nb_round_trip_seconds_bucket", le="0.1") == 1
    assert value(values, "plivo_nb_round_trip_seconds_bucket", le="0.3") == 2
    assert value(values, "plivo_nb_round_trip_seconds_count") == 2
    assert math.isclose(value(values, "plivo_nb_round_trip_seconds_sum"), 0.35)
    assert value(values, "plivo_nb_kernel_lag_seconds_bucket", le="+Inf") == 3
    assert value(values, "plivo_nb_call_set_up_seconds_bucket", stage="post_dial_delay", le="0.05") == 1


def test_nothing_names_a_person_a_number_or_a_call() -> None:
    text = exposition(frames(), logged_in=True, ongoing=0)
    assert not {"bob", "alice", "+14155550100"} & {
        label for _, labels in read(text) for pair in labels for label in pair
    }


def test_each_family_has_help_and_type_and_the_text_ends_with_a_line_end() -> None:
    text = exposition(frames(), logged_in=True, ongoing=0)
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) == text.count("# HELP") > 10
    assert text.endswith("\n")


@settings(max_examples=30)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=False, width=32), max_size=20))
def test_buckets_never_fall_and_end_with_the_count(values: list[float]) -> None:
    times = pd.date_range("2026-11-25", periods=len(values), freq="s", tz="UTC")
    samples = pd.DataFrame({"call_uuid": "a", "mos": values}, times)
    read_back = read(exposition(CallFrames.of(None, samples), logged_in=True, ongoing=0))
    buckets = [number for (name, _), number in read_back.items() if name == "plivo_nb_mos_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == value(read_back, "plivo_nb_mos_count") == sum(x == x for x in values)
