"""quality.mos against what is heard: speech through this package's receiver, scored by PESQ and ViSQOL."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from bench import listening_quality as bench

from plivo_nb.quality import mos

pytestmark = pytest.mark.xdist_group("listening")  # one worker measures, once


@pytest.fixture(scope="module")
def heard() -> pd.DataFrame:
    """One voice to which the figures were not fitted, one segment a condition."""
    return bench.with_models(bench.measure(bench.short(), processes=1))


@pytest.mark.timeout(150)
@pytest.mark.parametrize("codec", bench.MEASURED)
def test_the_e_model_says_what_pesq_hears(heard: pd.DataFrame, codec: str) -> None:
    part = heard[heard["codec"] == codec]
    assert len(part) == len(list(bench.conditions((codec,), ("it",)))) == 16
    assert bench.rmse(part, "g107") < 2 * bench.AIM
    assert bench.rmse(part, "g107") < bench.rmse(part, "planning")
    assert bench.rmse(part, "g107") < bench.rmse(part, "sdk")


@pytest.mark.timeout(150)
def test_the_fullband_model_says_what_visqol_hears(heard: pd.DataFrame) -> None:
    part = heard.dropna(subset=["visqol"])
    assert len(part) == len(bench.SHORT_VISQOL)
    assert bench.rmse(part, "fb", "visqol") < 2 * bench.AIM


@pytest.mark.timeout(150)
def test_opus_ranks_above_g711_at_each_loss_as_heard(heard: pd.DataFrame) -> None:
    single = heard[heard["burst"] == 1].pivot_table(index="loss", columns="codec", values=["pesq", "g107"])
    assert (single["g107", "OPUS"] > single["g107", "PCMU"]).all()
    assert (single["pesq", "OPUS"] > single["pesq", "PCMU"]).loc[0.01:].all()


@pytest.mark.parametrize("burst", [1, 3, 8])
def test_the_loss_model_has_the_share_and_the_bursts_asked_for(burst: int) -> None:
    lost = np.array(bench.gilbert(0.1, burst, 20_000, seed=1))
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int))))[::2]
    assert lost.mean() == pytest.approx(0.1, rel=0.11)
    assert runs.mean() == pytest.approx(burst if burst > 1 else 1 / 0.9, rel=0.15)


@pytest.mark.alone
def test_ten_million_rows_are_rated_in_three_seconds() -> None:
    random = np.random.default_rng(1)
    delay_ms, loss = random.uniform(0, 600, 10_000_000), random.uniform(0, 0.3, 10_000_000)
    started = time.process_time()
    scores = mos.g107(delay_ms, loss, "OPUS")
    assert time.process_time() - started < 3.0  # aimed at: 1 s on one core (bench/mos_cost.py)
    assert scores.shape == delay_ms.shape
