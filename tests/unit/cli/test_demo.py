"""plivo-nb demo: the phases of the call. The whole demo runs in tests/integration/cli/test_demo.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from plivo_nb.cli.demo import Phase, Plan, phases_of


def test_phases_fill_the_time_and_only_the_middle_is_bad():
    phases = phases_of(Plan(seconds=21, out=Path()), own_network=True)
    assert [phase.name for phase in phases] == ["clean", "bad", "clean again"]
    assert sum(phase.seconds for phase in phases) == pytest.approx(21)
    assert phases[0].network == phases[2].network == {"loss": 0.0, "delay_ms": 0.0, "jitter_ms": 0.0}
    assert phases[1].network["loss"] > 0


def test_somebody_elses_network_is_left_alone():
    assert phases_of(Plan(seconds=9, out=Path()), own_network=False) == (Phase("as it is", 9, {}),)


def test_clean_loss_for_tests_holds_throughout():
    phases = phases_of(Plan(seconds=9, out=Path(), clean_loss=1.0), own_network=True)
    assert [phase.network["loss"] for phase in phases] == [1.0, 1.0, 1.0]
