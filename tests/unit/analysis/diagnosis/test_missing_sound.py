"""Outages, one-way audio, silence, mute, lost microphones."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from simulation.made_samples import during, event, samples

from plivo_nb.analysis.diagnosis import Finding, diagnose


def only(frame: pd.DataFrame, **more: Any) -> Finding:
    found = diagnose(frame, **more)
    assert len(found) == 1, found
    return found[0]


def test_no_packets_from_the_start_are_one_way_audio() -> None:
    found = only(samples(packets_in=0.0, loss_in=during(30, 0, 2, float("nan"), 1.0), level_in_dbfs=-100.0))
    assert (found.cause, found.direction, found.severity) == ("one_way_audio", "in", "critical")


def test_packets_that_never_arrive_at_the_far_end_are_one_way_audio() -> None:
    found = only(samples(loss_out=during(30, 0, 4, float("nan"), 1.0)))
    assert (found.cause, found.direction) == ("one_way_audio", "out")


def test_an_imported_call_without_loss_is_one_way_by_its_packets() -> None:
    frame = samples(packets_in=0.0).drop(columns=["loss_in", "level_in_dbfs"])
    assert only(frame).cause == "one_way_audio"


def test_a_direction_that_comes_back_was_an_outage() -> None:
    found = only(samples(loss_in=during(30, 10, 16, 1.0, 0.0)))
    assert (found.cause, found.direction, found.seconds) == ("outage", "in", 6.0)
    assert found.since == pd.Timestamp("2026-11-25 10:00:10", tz="UTC")
    assert found.until == pd.Timestamp("2026-11-25 10:00:16", tz="UTC")


def test_a_connection_that_ice_lost_is_an_outage_also_at_the_end_of_the_call() -> None:
    lost = event("ice_connection", 24.0, value="disconnected", desc="network drop")
    found = only(samples(loss_in=during(30, 20, 30, 1.0, 0.0)), media_metrics=lost)
    assert (found.cause, found.direction) == ("outage", "")


def test_both_directions_make_one_outage() -> None:
    frame = samples(loss_in=during(30, 10, 16, 1.0, 0.0), loss_out=during(30, 12, 18, 1.0, 0.0))
    assert (only(frame).cause, only(frame).direction, only(frame).seconds) == ("outage", "", 8.0)


@pytest.mark.parametrize("columns", [{"not_sent_in": True}, {"direction": "sendonly"}])
def test_nothing_is_missing_where_nothing_is_due(columns: dict[str, Any]) -> None:
    assert not diagnose(samples(packets_in=0.0, loss_in=float("nan"), level_in_dbfs=-100.0, **columns))


@pytest.mark.parametrize(
    ("column", "cause", "direction"),
    [("level_in_dbfs", "far_end_silent", "in"), ("level_out_dbfs", "microphone_silent", "out")],
)
def test_silence_for_long_is_found(column: str, cause: str, direction: str) -> None:
    found = only(samples(**{column: during(30, 12, 30, -85.0, -20.0)}))
    assert (found.cause, found.direction, found.severity) == (cause, direction, "critical")
    assert found.evidence[0].value == -85.0


@pytest.mark.parametrize("column", ["level_in_dbfs", "level_out_dbfs"])
def test_a_pause_in_speech_is_none(column: str) -> None:
    assert not diagnose(samples(**{column: during(30, 12, 20, -100.0, -20.0)}))


def test_a_source_that_gives_nothing_is_silent() -> None:
    assert only(samples(source_bytes=0.0, level_out_dbfs=float("nan"))).cause == "microphone_silent"


def test_mute_is_not_a_silent_microphone() -> None:
    muted = during(30, 5, 30, 1.0, 0.0) > 0
    frame = samples(muted=muted, level_out_dbfs=during(30, 5, 30, -100.0, -20.0))
    assert (only(frame).cause, only(frame).severity) == ("muted", "major")


def test_a_microphone_that_is_pulled_out_is_lost() -> None:
    lost = event("no_microphone_access", 12.2, value=0, desc="lost access to microphone")
    frame = samples(
        source_bytes=during(30, 12, 30, 0.0, 4000.0), level_out_dbfs=during(30, 12, 30, -100.0, -20.0)
    )
    found = only(frame, media_metrics=lost)
    assert (found.cause, found.seconds, found.evidence[0].value) == ("device_lost", 18.0, 0.0)


def test_a_microphone_that_never_worked_is_silent_not_lost() -> None:
    told = event("no_microphone_access", 4.0, value=0, desc="no audio sent")
    frame = samples(source_bytes=0.0, level_out_dbfs=-100.0)
    assert only(frame, media_metrics=told).cause == "microphone_silent"
