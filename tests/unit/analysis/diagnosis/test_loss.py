"""The loss model: what is put in comes out."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from plivo_nb.analysis.diagnosis import loss_model
from plivo_nb.quality.counters import LOSS_RUN_LENGTHS


def lost_packets(loss: float, mean_run: float, seconds: int, seed: int = 7) -> pd.DataFrame:
    """Samples of a Gilbert-Elliott channel, 50 packets a second."""
    dice = np.random.default_rng(seed)
    to_good = 1.0 / mean_run
    to_bad = to_good * loss / (1.0 - loss)
    state, states = False, []
    for draw in dice.random(50 * seconds):
        state = draw >= to_good if state else draw < to_bad
        states.append(state)
    text = "".join("x" if bad else " " for bad in states)
    rows = []
    for second in range(seconds):
        part = text[50 * second : 50 * second + 50]
        runs = [len(run) for run in part.split()]
        row = {
            name: sum(least <= n <= most for n in runs) for name, (least, most) in LOSS_RUN_LENGTHS.items()
        }
        rows.append({**row, "packets_lost_in": part.count("x"), "packets_in": part.count(" ")})
    return pd.DataFrame(rows, dtype=float)


@pytest.mark.parametrize(("loss", "mean_run"), [(0.05, 1.05), (0.1, 3.0), (0.2, 8.0)])
def test_the_fit_finds_the_channel(loss: float, mean_run: float) -> None:
    model = loss_model(lost_packets(loss, mean_run, 2000))
    assert model.loss == pytest.approx(loss, rel=0.1)
    assert model.mean_run == pytest.approx(mean_run, rel=0.15)  # runs are cut at the ends of samples here
    assert model.to_good == pytest.approx(1.0 / mean_run, rel=0.2)
    assert model.to_bad == pytest.approx(loss / (1 - loss) / mean_run, rel=0.25)


@pytest.mark.parametrize(("loss", "mean_run"), [(0.05, 1.05), (0.1, 3.0), (0.2, 8.0)])
def test_without_loss_runs_the_spread_of_the_losses_tells_the_bursts(loss: float, mean_run: float) -> None:
    frame = lost_packets(loss, mean_run, 2000)
    model = loss_model(frame[["packets_lost_in", "packets_in"]])
    assert model.mean_run == pytest.approx(mean_run, rel=0.3)
    assert model.runs == {}


def test_random_loss_has_a_burst_ratio_of_1() -> None:
    assert loss_model(lost_packets(0.1, 1 / 0.9, 500)).burst_ratio == pytest.approx(1.0, abs=0.1)


def test_the_histogram_has_the_runs() -> None:
    frame = pd.DataFrame({"packets_lost_in": [1.0, 14.0], "packets_in": 40.0, "loss_runs_1": [1.0, 2.0],
                          "loss_runs_10_up": [0.0, 1.0]})  # fmt: skip
    assert loss_model(frame).runs == {"1": 3, "2": 0, "3-4": 0, "5-9": 0, "10+": 1}


def test_no_loss_and_no_packets() -> None:
    assert loss_model(pd.DataFrame({"packets_lost_in": [0.0], "packets_in": [50.0]})).loss == 0.0
    assert math.isnan(loss_model(pd.DataFrame()).loss)


def test_everything_lost() -> None:
    model = loss_model(pd.DataFrame({"packets_lost_in": [50.0], "packets_in": [0.0]}))
    assert (model.loss, model.to_bad) == (1.0, 1.0)
