"""quality.mos: the SDK's formula against numbers worked out by hand, the E-model against its equations."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from bench.mos_cost import AIM, costs
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.codec_table import CODECS
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
    assert 1.0 <= mos.sdk(rtt_ms, jitter_ms, loss, codec) <= 4.45
    assert 1.0 <= mos.g107(rtt_ms, loss, codec) <= 4.45
    assert 1.0 <= mos.g107(rtt_ms, loss, codec, figures="planning") <= 4.45
    assert 1.0 <= mos.g107_fb(rtt_ms, loss, codec) <= 4.5


@given(st.floats(-50, 150))
def test_the_curve_is_never_outside_its_range(rating):
    # the polynomial of G.107 Annex B alone gives 0.989 at R = 3.2
    assert 1.0 <= mos.from_rating(rating) <= 4.5
    assert mos.from_rating(np.array([rating]))[0] == pytest.approx(mos.from_rating(rating), abs=1e-12)


@given(RTT, JITTER, LOSS, LOSS, CODEC)
def test_more_loss_is_never_better(rtt_ms, jitter_ms, one, other, codec):
    less, more = sorted([one, other])
    assert mos.r_factor(rtt_ms, jitter_ms, more, codec) <= mos.r_factor(rtt_ms, jitter_ms, less, codec)
    assert mos.g107_rating(rtt_ms, more, codec) <= mos.g107_rating(rtt_ms, less, codec)
    assert mos.g107_fb_rating(rtt_ms, more, codec) <= mos.g107_fb_rating(rtt_ms, less, codec)


@given(RTT, RTT, JITTER, LOSS, CODEC)
def test_more_delay_is_never_better(one, other, jitter_ms, loss, codec):
    less, more = sorted([one, other])
    assert mos.r_factor(more, jitter_ms, loss, codec) <= mos.r_factor(less, jitter_ms, loss, codec)


@given(st.floats(2, 5_000), st.floats(2, 5_000), LOSS, CODEC)
def test_more_delay_is_never_better_by_the_e_model(one, other, loss, codec):
    less, more = sorted([one, other])
    assert mos.g107_rating(more, loss, codec) <= mos.g107_rating(less, loss, codec) + 1e-9
    assert mos.g107_fb_rating(more, loss, codec) <= mos.g107_fb_rating(less, loss, codec) + 1e-9


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
    fullband = mos.g107_fb(np.array(rtt, float), np.array(loss, float), np.array(codec, object))
    assert fullband.tolist() == pytest.approx([mos.g107_fb(row[0], row[2], row[3]) for row in rows])


def test_long_arrays_are_worked_in_chunks_with_the_same_result():
    rng = np.random.default_rng(1)
    rtt, loss = rng.uniform(0, 600, 100_000), rng.uniform(0, 0.3, 100_000)
    scores = mos.sdk(rtt, 5.0, loss, "OPUS")
    assert scores.shape == (100_000,)
    codes, names = rng.integers(-1, 2, 100_000), ["OPUS", "PCMU", ""]  # -1: missing
    heard = mos.g107(rtt, loss, pd.Series(pd.Categorical.from_codes(codes, names[:2])))
    for row in (0, mos._CHUNK - 1, mos._CHUNK, 65_536, 99_999):
        assert scores[row] == mos.sdk(float(rtt[row]), 5.0, float(loss[row]), "OPUS")
        one = mos.g107(float(rtt[row]), float(loss[row]), names[codes[row]])
        assert heard[row] == pytest.approx(one, abs=1e-9, nan_ok=True)


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


def test_undisturbed_g711_is_93_2_by_the_planning_figures():
    # G.107 clause 7.1: the value for all defaults
    assert round(mos.g107_rating(0, 0, "PCMU", figures="planning"), 1) == 93.2
    assert mos.g107(0, 0, "PCMU", figures="planning") == 4.409


def test_loss_by_g113():
    # Ie,eff = 95 * P / (P + Bpl) for Ie 0: 5 % on G.711 with concealment
    clean, lossy = (mos.g107_rating(0, loss, "PCMU", figures="planning") for loss in (0, 0.05))
    assert clean - lossy == pytest.approx(95 * 5 / (5 + 25.1))


@pytest.mark.parametrize("name", CODECS)
def test_loss_by_the_measured_figures(name):
    figures = CODECS[name].narrowband
    clean, lossy, all_lost = (mos.g107_rating(0, loss, name) for loss in (0, 0.05, 1))
    assert mos.g107_rating(0, 0, "PCMU", figures="planning") - clean == pytest.approx(figures.ie)
    assert clean - lossy == pytest.approx((95 - figures.ie) * 5 / (5 + figures.bpl))
    assert all_lost < 20
    assert mos.g107(0, 1, name) < 1.3


def test_opus_is_better_than_g711_at_each_loss():
    loss = np.linspace(0, 0.5, 51)
    missing_after_fec = loss**2  # single losses: only where the next packet is lost too
    assert (mos.g107(50.0, missing_after_fec, "OPUS") > mos.g107(50.0, loss, "PCMU")).all()


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


# ---------------------------------------------------------------- the fullband E-model


def test_fullband_scale():
    # G.107.2: 148 at best; MOS by R / 1.48; 132 for a loss without end; delay as in G.107, times 1.48
    opus = CODECS["OPUS"].fullband
    clean, lossy, late = (mos.g107_fb_rating(*given, "OPUS") for given in ((0, 0), (0, 0.05), (400, 0)))
    assert clean == pytest.approx(148 - opus.ie)
    assert clean - lossy == pytest.approx((132 - opus.ie) * 5 / (5 + opus.bpl))
    assert clean - late == pytest.approx(1.48 * mos._pure_delay(np.array(400.0)))
    assert mos.g107_fb(0, 0.05, "OPUS") == round(mos.from_rating(float(lossy) / 1.48), 3)


def test_telephone_bandwidth_costs_a_point_on_the_fullband_scale():
    assert mos.g107_fb(0, 0, "PCMU") == pytest.approx(3.25, abs=0.05)  # R 93, as on the wideband scale
    assert 4.1 < mos.g107_fb(0, 0, "OPUS") < 4.5
    assert math.isnan(mos.g107_fb(0, 0, "G729"))


# ---------------------------------------------------------------- where the points go


def sample(**changes):
    row = {
        "rtt_ms": 300.0,
        "playout_delay_ms": 60.0,
        "codec": "OPUS",
        "interval_s": 1.0,
        "concealed_ms": 60.0,
        "packets_lost_in": 5.0,
        "packets_recovered": 3.0,
        "packets_discarded": 1.0,
    }
    return row | changes


@given(
    RTT,
    st.floats(0, 500),
    CODEC,
    *(st.integers(0, 50) for _ in range(4)),
    st.sampled_from(["g107", "g107_fb"]),
)
def test_the_costs_add_up_to_the_rating(rtt_ms, delay_ms, codec, lost, recovered, late, concealed, scale):
    row = sample(
        rtt_ms=rtt_ms,
        playout_delay_ms=delay_ms,
        codec=codec,
        packets_lost_in=lost,
        packets_recovered=recovered,
        packets_discarded=late,
        concealed_ms=20.0 * concealed,
    )
    costs = mos.explain(row, scale)
    parts = costs[["delay", "codec", "loss", "discards"]]
    assert costs["undisturbed"] - parts.sum() == pytest.approx(costs["rating"])
    assert (parts >= 0).all()
    heard_after_ms, share = mos.one_way_delay_ms(rtt_ms, delay_ms, codec), concealed / 50
    model = mos.g107 if scale == "g107" else mos.g107_fb
    assert costs["mos"] == pytest.approx(model(heard_after_ms, share, codec), abs=2e-3)


def test_missing_sound_is_split_by_what_was_lost_and_what_came_late():
    whole = mos.explain(sample(packets_discarded=0))["loss"]
    costs = mos.explain(sample())  # 2 packets lost for good, 1 late
    assert costs["loss"] == pytest.approx(whole * 2 / 3)
    assert costs["discards"] == pytest.approx(whole / 3)


def test_sound_concealed_while_a_packet_is_late_counts_as_discards():
    costs = mos.explain(sample(packets_lost_in=0, packets_recovered=0, packets_discarded=0))
    assert costs["loss"] == 0
    assert costs["discards"] > 10


def test_a_packet_recovered_in_the_next_interval_does_not_make_losses_late():
    costs = mos.explain(sample(packets_lost_in=5, packets_recovered=5, packets_discarded=0, concealed_ms=20))
    assert costs["discards"] == 0
    assert costs["loss"] > 5


@pytest.mark.parametrize("scale", ["g107", "g107_fb"])
@pytest.mark.parametrize("rtt_ms", [300.0, math.nan])
def test_a_dead_second_is_loss_and_no_discard(rtt_ms, scale):
    nothing = {"packets_lost_in": 0, "packets_recovered": 0, "packets_discarded": 0, "concealed_ms": 980}
    costs = mos.explain(sample(rtt_ms=rtt_ms, loss_in=1.0, **nothing), scale)
    assert (costs["rating"], costs["mos"], costs["discards"]) == (pytest.approx(0.0), 1.0, 0.0)
    assert costs["loss"] == pytest.approx(costs["undisturbed"] - costs["delay"] - costs["codec"])


def test_repaired_packets_cost_nothing():
    costs = mos.explain(sample(packets_lost_in=5, packets_recovered=5, packets_discarded=0, concealed_ms=0))
    assert costs["loss"] == costs["discards"] == 0


def test_without_delay_and_loss_listener_echo_is_what_is_between_undisturbed_and_the_best_rating():
    costs = mos.explain(sample(packets_lost_in=0, packets_recovered=0, packets_discarded=0, concealed_ms=0))
    best = mos.g107_rating(0, 0, "PCMU", figures="planning")
    assert best == pytest.approx(93.2, abs=0.01)  # the default of G.107
    assert costs["undisturbed"] - best == pytest.approx(0.149, abs=0.001)
    assert mos.g107_rating(0, 0, "OPUS") + costs["codec"] == pytest.approx(best)


def test_a_frame_is_explained_row_by_row_with_its_index():
    frame = pd.DataFrame([sample(), sample(codec="PCMU"), sample(rtt_ms=math.nan)], index=[3, 5, 7])
    costs = mos.explain(frame)
    assert costs.index.tolist() == [3, 5, 7]
    assert costs.columns.tolist() == ["undisturbed", "delay", "codec", "loss", "discards", "rating", "mos"]
    assert costs["codec"].tolist() == [CODECS[name].narrowband.ie for name in ("OPUS", "PCMU", "OPUS")]
    assert np.isnan(costs.loc[7, ["delay", "rating", "mos"]].astype(float)).all()
    pd.testing.assert_series_equal(mos.explain(frame.loc[5]), costs.loc[5], check_names=False)


def test_a_sample_in_which_nothing_was_due_is_not_explained():
    costs = mos.explain(pd.DataFrame([sample(loss_in=0.1), sample(loss_in=math.nan)]))
    assert costs["rating"].isna().tolist() == [False, True]


def test_an_interval_of_no_length_has_no_share():
    assert math.isnan(mos.concealed_share(0.0, 0.0))
    assert mos.concealed_share(np.array([0.0, 40.0, 1_020.0]), 1.0).tolist() == [0.0, 0.04, 1.0]


def test_what_cannot_be_explained_is_said():
    with pytest.raises(ValueError, match="columns are needed too: codec, interval_s"):
        mos.explain({name: value for name, value in sample().items() if name not in ("codec", "interval_s")})
    with pytest.raises(ValueError, match="no scale 'pesq'; choose g107 or g107_fb"):
        mos.explain(sample(), "pesq")


def test_scores_take_less_than_twice_the_time_that_is_the_aim():
    rows = 1_000_000
    assert max(costs(rows).values()) < 2 * 60 * rows / AIM
