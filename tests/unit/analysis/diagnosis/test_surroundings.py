"""Busy kernels, servers that are away, codecs that were not preferred, slow set-ups."""

from __future__ import annotations

import pytest
from simulation.made_samples import BEGAN, call, during, samples

from plivo_nb.analysis.diagnosis import diagnose
from plivo_nb.analysis.diagnosis.causes import SET_UP_WORDS
from plivo_nb.analysis.diagnosis.surroundings import SET_UP_LIMITS_MS


def test_a_kernel_that_stands_still_is_busy() -> None:
    (found,) = diagnose(samples(loop_lag_ms=during(30, 10, 11, 4000.0, 2.0)))
    assert (found.cause, found.severity, found.evidence[0].value) == ("busy_kernel", "major", 4000.0)


def test_short_stalls_count_together() -> None:
    assert not diagnose(samples(loop_lag_ms=during(30, 10, 12, 300.0, 2.0)))
    (found,) = diagnose(samples(loop_lag_ms=during(30, 10, 14, 300.0, 2.0)))
    assert found.cause == "busy_kernel"


def test_a_process_that_is_late_for_seconds_is_overloaded() -> None:
    (found,) = diagnose(samples(late_ticks=during(30, 10, 20, 40.0, 0.0)))
    assert (found.cause, found.severity, found.seconds) == ("overloaded", "major", 10.0)
    assert found.evidence[0].value == pytest.approx(0.8)
    (found,) = diagnose(samples(late_ticks=during(30, 10, 20, 10.0, 1.0)))
    assert found.severity == "minor"
    assert not diagnose(samples(late_ticks=during(30, 10, 12, 40.0, 0.0))), "a single stall"
    assert not diagnose(samples(late_ticks=2.0)), "now and then"


def test_a_cell_that_stops_everything_is_no_overload() -> None:
    lags = during(30, 10, 16, 900.0, 2.0)
    (found,) = diagnose(samples(late_ticks=during(30, 10, 16, 40.0, 0.0), loop_lag_ms=lags))
    assert found.cause == "busy_kernel"


def test_a_server_that_is_away_is_found() -> None:
    (found,) = diagnose(samples(server_away=during(30, 10, 16, 1.0, 0.0) > 0))
    assert (found.cause, found.seconds) == ("server_away", 6.0)
    assert not diagnose(samples(server_away=during(30, 10, 12, 1.0, 0.0) > 0))


def test_another_codec_than_the_preferred_one_is_a_fall_back() -> None:
    (found,) = diagnose(samples(codec="PCMU"), calls=call(codec_preferred="OPUS"))
    assert (found.cause, found.severity) == ("codec_fall_back", "minor")
    assert [item.value for item in found.evidence] == ["PCMU", "OPUS"]
    assert not diagnose(samples(codec="PCMU"), calls=call(codec_preferred="PCMU"))
    assert not diagnose(samples(codec="PCMU"))


def test_a_change_to_a_codec_with_less_bandwidth_is_a_fall_back() -> None:
    (found,) = diagnose(samples(codec=during(30, 10, 30, "PCMU", "OPUS")))
    assert (found.cause, found.seconds) == ("codec_fall_back", 20.0)
    assert not diagnose(samples(codec=during(30, 10, 30, "OPUS", "PCMU")))


@pytest.mark.parametrize("step", SET_UP_LIMITS_MS)
def test_each_step_of_the_set_up_may_be_slow(step: str) -> None:
    (found,) = diagnose(samples(), calls=call(**{step: 1.1 * SET_UP_LIMITS_MS[step]}))
    assert (found.cause, found.severity, found.since) == ("slow_set_up", "minor", BEGAN)
    assert found.remedy == SET_UP_WORDS[step].remedy
    assert not diagnose(samples(), calls=call(**{step: 0.9 * SET_UP_LIMITS_MS[step]}))


def test_slow_steps_are_one_finding_in_the_words_of_the_first() -> None:
    (found,) = diagnose(samples(), calls=call(ice_ms=9000.0, register_ms=3000.0))
    assert [item.column for item in found.evidence] == ["register_ms", "ice_ms"]
    assert (found.severity, found.seconds) == ("major", 12.0)
    assert "authenticate" in found.what


def test_a_call_without_samples_may_have_been_set_up_slowly() -> None:
    (found,) = diagnose(samples(0), calls=call(post_dial_delay_ms=20_000.0))
    assert found.cause == "slow_set_up"
