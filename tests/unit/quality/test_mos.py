"""quality.mos: the SDK's formula against numbers worked out by hand, the E-model against its equations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.quality import mos

RTT = st.floats(0, 5_000)
JITTER = st.floats(0, 500)
LOSS = st.floats(0, 1)
CODEC = st.sampled_from(["OPUS", "PCMU"])


@pytest.mark.parametrize(
    ("rtt_ms", "jitter_ms", "loss", "codec", "rating", "score"),
    [
        (0, 0, 0, "OPUS", 94.75, 4.437),  # L 10: 95 - 10/40
        (0, 0, 0, "PCMU", 92.95, 4.404),
        (100, 19, 0, "OPUS", 91.3, 4.37),  # L 148: still the gentle slope
        (110, 20, 0, "OPUS", 91.0, 4.363),  # L 160: the steep one begins, continuously
        (250, 20, 0.05, "OPUS", 64.5, 3.33),
        (250, 20, 0.05, "PCMU", 62.7, 3.239),
        (0, 0, 0.4, "OPUS", -5.25, 1.0),
    ],
)
@pytest.mark.spec("6 MOS")
def test_sdk_formula_by_hand(rtt_ms, jitter_ms, loss, codec, rating, score):
    assert mos.r_factor(rtt_ms, jitter_ms, loss, codec) == pytest.approx(rating)
    assert mos.sdk(rtt_ms, jitter_ms, loss, codec) == score
    assert isinstance(mos.sdk(rtt_ms, jitter_ms, loss, codec), float)


def test_curve_ends():
    assert mos.from_rating(-50) == 1.0
    assert mos.from_rating(0) == 1.0
    assert mos.from_rating(100) == pytest.approx(4.5)
    assert mos.from_rating(500) == pytest.approx(4.5)


@given(RTT, JITTER, LOSS, CODEC)
def test_bounds(rtt_ms, jitter_ms, loss, codec):
    # The curve of G.107 Annex B dips to 0.989 near R = 3.2; the formula is taken as it stands.
    assert 0.98 <= mos.sdk(rtt_ms, jitter_ms, loss, codec) <= 4.45
    assert 0.98 <= mos.g107(rtt_ms, loss, codec) <= 4.45


@given(RTT, JITTER, LOSS, LOSS, CODEC)
def test_more_loss_is_never_better(rtt_ms, jitter_ms, one, other, codec):
    less, more = sorted([one, other])
    assert mos.r_factor(rtt_ms, jitter_ms, more, codec) <= mos.r_factor(rtt_ms, jitter_ms, less, codec)
    assert mos.g107_rating(rtt_ms, more, codec) <= mos.g107_rating(rtt_ms, less, codec)


@given(RTT, RTT, JITTER, LOSS, CODEC)
def test_more_delay_is_never_better(one, other, jitter_ms, loss, codec):
    less, more = sorted([one, other])
    assert mos.r_factor(more, jitter_ms, loss, codec) <= mos.r_factor(less, jitter_ms, loss, codec)


@given(st.floats(2, 5_000), st.floats(2, 5_000), LOSS, CODEC)
def test_more_delay_is_never_better_by_the_e_model(one, other, loss, codec):
    less, more = sorted([one, other])
    assert mos.g107_rating(more, loss, codec) <= mos.g107_rating(less, loss, codec) + 1e-9


@given(st.lists(st.tuples(RTT, JITTER, LOSS, CODEC), max_size=20))
def test_arrays_agree_with_scalars(rows):
    rtt, jitter, loss, codec = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    )
    scores = mos.sdk(
        np.array(rtt, float), np.array(jitter, float), np.array(loss, float), np.array(codec, object)
    )
    assert isinstance(scores, np.ndarray)
    assert scores.tolist() == [mos.sdk(*row) for row in rows]
    ratings = mos.g107(np.array(rtt, float), np.array(loss, float), np.array(codec, object))
    assert ratings.tolist() == pytest.approx([mos.g107(row[0], row[2], row[3]) for row in rows])


def test_long_arrays_are_worked_in_chunks_with_the_same_result():
    rng = np.random.default_rng(1)
    rtt, loss = rng.uniform(0, 600, 100_000), rng.uniform(0, 0.3, 100_000)
    scores = mos.sdk(rtt, 5.0, loss, "OPUS")
    assert scores.shape == (100_000,)
    for row in (0, 32_767, 32_768, 65_536, 99_999):
        assert scores[row] == mos.sdk(float(rtt[row]), 5.0, float(loss[row]), "OPUS")


@pytest.mark.parametrize("missing", [(math.nan, 1, 0), (1, math.nan, 0), (1, 1, math.nan)])
def test_a_missing_number_is_a_missing_score(missing):
    assert math.isnan(mos.sdk(*missing, "OPUS"))
    scores = mos.sdk(
        np.array([missing[0], 1.0]), np.array([missing[1], 1.0]), np.array([missing[2], 0]), "PCMU"
    )
    assert np.isnan(scores).tolist() == [True, False]


def test_codec_column_of_a_frame():
    frame = pd.DataFrame({"codec": pd.Categorical(["OPUS", "PCMU", "opus"]), "rtt": [0.0, 0.0, 0.0]})
    assert mos.sdk(frame["rtt"], 0, 0, frame["codec"]).tolist() == [4.437, 4.404, 4.437]


# ---------------------------------------------------------------- the E-model


def defaults_by_the_equations():
    """No, Ro and Is of G.107 (06/2015) clauses 7.2 and 7.4 for the defaults of its Table 2."""
    slr, rlr, stmr, lstr, telr, nc, nfor, p, d = 8, 2, 15, 18, 65, -70, -64, 35, 3
    olr = slr + rlr
    nos = p - slr - d - 100 + 0.004 * (p - olr - d - 14) ** 2
    pre = p + 10 * math.log10(1 + 10 ** ((10 - lstr) / 10))
    nor = rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    no = 10 * math.log10(sum(10 ** (x / 10) for x in (nc, nos, nor, nfor + rlr)))
    ro = 15 - 1.5 * (slr + no)
    x = olr + 0.2 * (64 + no - rlr)
    iolr = 20 * ((1 + (x / 8) ** 8) ** (1 / 8) - x / 8)
    s = -10 * math.log10(10 ** (-stmr / 10) + 10 ** (-telr / 10))
    ist = (
        12 * (1 + ((s - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((s + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((s - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    g = 1.07 + 0.258 * 37 + 0.0602 * 37**2
    iq = 15 * math.log10(1 + 10 ** ((ro - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))
    return no, ro, iolr + ist + iq


def test_constants_follow_from_the_equations():
    noise, basic, simultaneous = defaults_by_the_equations()
    assert pytest.approx(noise, abs=1e-3) == mos._NOISE_DBM0P
    assert pytest.approx(basic, abs=1e-3) == mos._BASIC_RATIO
    assert pytest.approx(simultaneous, abs=1e-3) == mos._SIMULTANEOUS


def test_undisturbed_g711_is_93_2():
    assert round(mos.g107_rating(0, 0, "PCMU"), 1) == 93.2  # G.107 clause 7.1: the value for all defaults
    assert mos.g107(0, 0, "PCMU") == 4.409


def test_loss_by_g113():
    # Ie,eff = 95 * P / (P + Bpl) for Ie 0: 5 % on G.711 with and without concealment
    clean = mos.g107_rating(0, 0, "PCMU")
    assert clean - mos.g107_rating(0, 0.05, "PCMU") == pytest.approx(95 * 5 / (5 + 25.1))
    assert clean - mos.g107_rating(0, 0.05, "PCMU", concealment=False) == pytest.approx(95 * 5 / (5 + 4.3))


def test_bursts_hurt_more_than_random_loss():
    assert mos.g107(50, 0.05, "PCMU", burst_ratio=2.0) < mos.g107(50, 0.05, "PCMU")


def test_pure_delay_begins_at_100_ms():
    assert mos._pure_delay(np.array([0.0, 60.0, 100.0])).tolist() == pytest.approx([0, 0, 0])
    assert mos._pure_delay(np.array([200.0]))[0] == pytest.approx(
        25 * (2 ** (1 / 6) - 3 * (1 + 3**-6) ** (1 / 6) + 2)
    )


def test_unknown_codec_has_no_figures():
    assert math.isnan(mos.g107(0, 0, "G729"))
    assert np.isnan(mos.g107(0, 0, np.array(["PCMU", ""], object))).tolist() == [False, True]


def test_one_way_delay():
    assert mos.one_way_delay_ms(100, 40, "PCMU") == 110.0
    assert mos.one_way_delay_ms(100, 40, "OPUS") == 116.5
    assert math.isnan(mos.one_way_delay_ms(math.nan, 40, "OPUS"))
