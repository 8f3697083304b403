"""Loss, jitter and delay."""

from __future__ import annotations

import math

import pytest
from simulation.made_samples import during, samples

from plivo_nb.analysis.diagnosis import diagnose


@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize(("loss", "severity"), [(0.04, "minor"), (0.1, "major"), (0.3, "critical")])
def test_loss_makes_sound_choppy(direction: str, loss: float, severity: str) -> None:
    (found,) = diagnose(samples(**{f"loss_{direction}": during(30, 10, 25, loss, 0.0)}))
    assert (found.cause, found.direction, found.severity) == ("choppy", direction, severity)
    assert found.evidence[0].column == f"loss_{direction}"


def test_choppy_sound_has_the_loss_model_of_its_span() -> None:
    bad = during(30, 10, 25, 1.0, 0.0)
    lost = samples(loss_in=0.12 * bad, packets_lost_in=6 * bad, packets_in=44.0, loss_runs_3_4=2 * bad)
    (found,) = diagnose(lost)
    assert found.loss is not None
    assert found.loss.mean_run == pytest.approx(3.0)
    assert found.loss.runs["3-4"] > 20


def test_a_little_loss_is_not_heard() -> None:
    assert not diagnose(samples(loss_in=0.008, loss_out=0.008))


def test_loss_for_a_moment_is_no_finding() -> None:
    assert not diagnose(samples(loss_in=during(30, 10, 11, 0.1, 0.0)))


@pytest.mark.parametrize("direction", ["in", "out"])
def test_jitter_makes_sound_robotic(direction: str) -> None:
    (found,) = diagnose(samples(**{f"jitter_{direction}_ms": during(30, 10, 25, 50.0, 4.0)}))
    assert (found.cause, found.direction, found.severity) == ("robotic", direction, "major")


def test_packets_that_come_too_late_make_sound_robotic() -> None:
    (found,) = diagnose(samples(packets_discarded=during(30, 5, 25, 4.0, 0.0)))
    assert (found.cause, found.direction) == ("robotic", "in")
    assert any(item.column == "packets_discarded" for item in found.evidence)


def test_a_long_round_trip_is_lag() -> None:
    (found,) = diagnose(samples(rtt_ms=650.0))
    assert (found.cause, found.severity) == ("lag", "major")
    assert found.evidence[0].value == pytest.approx(650.0)


def test_a_long_play_out_delay_is_lag() -> None:
    (found,) = diagnose(samples(rtt_ms=300.0, playout_delay_ms=350.0))
    assert found.cause == "lag"


def test_a_play_out_delay_that_jitter_makes_is_not_lag_too() -> None:
    found = diagnose(samples(rtt_ms=300.0, playout_delay_ms=350.0, jitter_in_ms=60.0))
    assert [item.cause for item in found] == ["robotic"]


def test_columns_that_are_missing_tell_nothing() -> None:
    nothing = dict.fromkeys(("loss_in", "loss_out", "jitter_in_ms", "jitter_out_ms", "rtt_ms"), math.nan)
    assert not diagnose(samples(**nothing))
