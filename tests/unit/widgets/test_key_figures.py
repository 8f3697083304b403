"""The figures of the tiles: now, of a whole call, of none; and that they never flatter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.quality.limits import verdict
from plivo_nb.widgets import key_figures
from plivo_nb.widgets.key_figures import KeyFigures, Tile

NAN = math.nan
GOOD_WORDS = {"excellent", "good", "fair"}


def samples(rows: int = 10, **columns: Any) -> dict[str, Any]:
    """The columns of a call of `rows` seconds; those given, and plausible others."""
    frame = pd.DataFrame(
        {
            "interval_s": 1.0, "rtt_ms": 60.0, "rtt_age_s": 0.3, "report_age_s": 0.3, "jitter_in_ms": 5.0,
            "jitter_out_ms": 7.0, "loss_in": 0.0, "loss_out": 0.0, "packets_expected_in": 50.0,
            "packets_expected_out": 50.0, "mos": 4.4, "mos_in": 4.4, "mos_out": 4.4,
            "bitrate_in_kbps": 31.6, "bitrate_out_kbps": 24.2, "level_in_dbfs": -20.0,
            "level_out_dbfs": -20.0, "loop_lag_ms": 2.0,
        },
        index=range(rows),
    ).assign(**columns)  # fmt: skip
    return key_figures.columns_of(frame)


def tile(figures: KeyFigures, name: str) -> Tile:
    return next(tile for tile in figures.tiles if tile.name == name)


def test_a_good_call() -> None:
    figures = key_figures.current(samples(), "OPUS")
    assert figures.mos == Tile("MOS", "4.40", "", "excellent", "both ways alike")
    assert figures.dead == ""
    assert figures.tiles == (
        Tile("round trip", "60", "ms", "there and back"),
        Tile("packet loss", "0.0", "%", "to you", "0.0 from you"),
        Tile("jitter", "7", "ms", "from you", "5 to you"),
        Tile("codec, kbit/s", "Opus", "", "32 to you", "24 from you"),
        Tile("this kernel", "fine", "", "2 ms late"),
    )


def test_nothing_is_dashes() -> None:
    figures = key_figures.nothing()
    assert figures.mos.value == "–"
    assert {tile.value for tile in figures.tiles} == {"–"}
    assert figures.mos.detail == verdict(NAN).word
    assert key_figures.current(samples(0), "") == figures
    empty = key_figures.current(key_figures.columns_of(pd.DataFrame(index=range(3))), "")
    assert {tile.value for tile in (empty.mos, *empty.tiles)} == {"–"}


def test_the_score_gets_worse_at_once_and_better_after_five_samples() -> None:
    scores = [4.31] * 5 + [4.29] + [4.31] * 6
    words = [
        key_figures.current(samples(end, mos=scores[:end]), "OPUS").mos.detail
        for end in range(5, len(scores) + 1)
    ]
    assert words == ["excellent", *["good"] * 5, "excellent", "excellent"]


def test_the_worse_direction_is_named() -> None:
    hear = key_figures.current(samples(mos_in=3.0, mos=3.0), "OPUS")
    assert hear.mos.more == "worse to you"
    say = key_figures.current(samples(mos_out=3.0, mos=3.0, loss_out=0.05, report_age_s=3.2), "OPUS")
    assert say.mos.more == "worse from you"
    assert tile(say, "packet loss") == Tile("packet loss", "5.0", "%", "from you · 3 s ago", "0.0 to you")
    assert key_figures.current(samples(mos_out=NAN), "OPUS").mos.more == ""


def test_values_of_the_far_end_have_their_age_or_are_missing() -> None:
    figures = key_figures.current(samples(rtt_age_s=4.2, loss_out=NAN, jitter_out_ms=NAN), "OPUS")
    assert tile(figures, "round trip").more == "4 s ago"
    assert tile(figures, "packet loss") == Tile("packet loss", "0.0", "%", "to you", "– from you")
    gone = key_figures.current(samples(rtt_ms=NAN, loss_in=NAN, loss_out=NAN), "OPUS")
    assert tile(gone, "round trip").value == tile(gone, "packet loss").value == "–"


def test_the_loss_to_you_is_that_of_the_last_packets_together() -> None:
    columns = samples(6, loss_in=[0.9, 0.5, 0.0, 0.0, 0.0, 0.0], packets_expected_in=[50, 10, 50, 50, 50, 40])
    assert tile(key_figures.current(columns, "OPUS"), "packet loss").value == "2.5"
    unknown = samples(6, loss_in=0.04, packets_expected_in=NAN)
    assert tile(key_figures.current(unknown, "OPUS"), "packet loss").value == "4.0"


@pytest.mark.parametrize(
    ("loss_in", "loss_out", "dead"),
    [
        (1.0, 0.0, "nothing reaches you"),
        (0.0, 1.0, "nothing from you arrives"),
        (1.0, 1.0, "nothing gets through"),
    ],
)
def test_a_dead_direction_is_shown_at_once(loss_in: float, loss_out: float, dead: str) -> None:
    columns = samples(loss_in=[0.0] * 9 + [loss_in], loss_out=[0.0] * 9 + [loss_out], mos=[4.4] * 9 + [NAN])
    figures = key_figures.current(columns, "OPUS")
    assert (figures.mos.value, figures.mos.detail, figures.mos.more) == ("1.00", "bad", dead)
    assert tile(figures, "packet loss").value == "100.0"


@given(
    st.lists(st.floats(1.0, 4.5) | st.just(NAN), min_size=1, max_size=8),
    st.sampled_from([(1.0, NAN), (NAN, 1.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]),
    st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive", ""]),
)
def test_a_dead_line_never_has_a_good_word(
    scores: list[float], loss: tuple[float, float], direction: str
) -> None:
    before = [0.0] * (len(scores) - 1)
    columns = samples(
        len(scores),
        mos=scores,
        mos_in=scores,
        mos_out=scores,
        loss_in=[*before, loss[0]],
        loss_out=[*before, loss[1]],
    )
    figures = key_figures.current(columns, "OPUS", direction)
    assert figures.mos.detail == figures.verdict.word == "bad"
    assert figures.dead


@given(
    st.lists(st.floats(1.0, 4.5) | st.just(NAN), min_size=1, max_size=30),
    st.lists(st.floats(0.0, 1.0) | st.just(NAN), min_size=30, max_size=30),
)
def test_number_and_word_agree_and_never_flatter_the_last_sample(
    scores: list[float], losses: list[float]
) -> None:
    columns = samples(len(scores), mos=scores, loss_in=losses[: len(scores)])
    figures = key_figures.current(columns, "OPUS")
    if figures.mos.value == "–":
        assert figures.mos.detail == verdict(NAN).word
        return
    shown = float(figures.mos.value)
    assert shown <= round(np.nanmin(scores[-5:]), 2) + 1e-9
    assert figures.mos.detail in {verdict(shown - 0.005).word, verdict(shown + 0.005).word}
    share = tile(figures, "packet loss").value
    assert share == "–" or 0.0 <= float(share) <= 100.0


def test_a_call_on_hold_has_no_score() -> None:
    figures = key_figures.current(samples(loss_in=NAN), "OPUS", "sendonly")
    assert (figures.mos.value, figures.mos.detail) == ("–", "on hold")
    assert figures.verdict.word not in GOOD_WORDS


def test_a_busy_kernel_is_named_and_stays_for_five_samples() -> None:
    lags = [2.0, 400.0, 1.0, 1.0, 1.0, 1.0]
    figures = key_figures.current(samples(6, loop_lag_ms=lags), "OPUS")
    assert tile(figures, "this kernel") == Tile(
        "this kernel", "0.4", "s", "late, was busy", "not the network"
    )
    assert (
        tile(key_figures.current(samples(7, loop_lag_ms=[*lags, 1.0]), "OPUS"), "this kernel").value == "fine"
    )


def test_after_a_call_the_tiles_sum_it_up() -> None:
    scores = [4.4] * 50 + [1.9] + [4.43] * 9
    columns = samples(
        60,
        mos=scores,
        loss_in=[0.1] * 10 + [0.0] * 50,
        rtt_ms=[60.0] * 59 + [310.0],
        loop_lag_ms=[2.0] * 59 + [420.0],
    )
    figures = key_figures.of_call(columns, "PCMU", 61.5)
    assert figures.mos == Tile("MOS", "4.36", "", "excellent", "mean of the call")
    assert figures.tiles == (
        Tile("worst second", "1.90", "", "bad", "at 0:51"),
        Tile("packet loss", "1.7", "%", "to you", "0.0 % from you"),
        Tile("round trip", "64", "ms", "mean", "up to 310 ms"),
        Tile("codec, kbit/s", "PCMU", "", "32 to you", "24 from you"),
        Tile("duration", "1:01", "", "answer to end", "kernel lag 0.4 s"),
    )


def test_a_bad_call_with_a_good_end_is_not_called_good() -> None:
    figures = key_figures.of_call(samples(20, mos=[2.9] * 19 + [4.43]), "OPUS", 20.0)
    assert (figures.mos.value, figures.mos.detail) == ("2.98", "bad")


def test_a_call_without_values_has_none() -> None:
    figures = key_figures.of_call(key_figures.columns_of(pd.DataFrame(index=range(2))), "", 2.0)
    assert [tile.value for tile in (figures.mos, *figures.tiles)] == ["–", "–", "–", "–", "–", "0:02"]


def test_the_loss_of_a_call_counts_each_report_once() -> None:
    columns = samples(
        6, loss_out=[0.2, 0.2, 0.2, 0.0, 0.0, 0.0], report_age_s=[0.2, 1.2, 2.2] * 2,
        packets_expected_out=[150.0, 0.0, 0.0] * 2,
    )  # fmt: skip
    assert key_figures.call_loss(columns) == (0.0, pytest.approx(0.1))
    figures = key_figures.of_call(columns, "OPUS", 6.0)
    assert tile(figures, "packet loss") == Tile("packet loss", "10.0", "%", "from you", "0.0 % to you")
    only_sent = key_figures.of_call(samples(loss_in=NAN, packets_expected_in=NAN), "OPUS", 10.0)
    assert tile(only_sent, "packet loss").more == ""


def test_the_last_word_of_a_column() -> None:
    frame = pd.DataFrame({"codec": ["OPUS", "PCMU"]})
    assert key_figures.last_word(frame, "codec") == "PCMU"
    assert key_figures.last_word(frame, "direction") == key_figures.last_word(frame.iloc[:0], "codec") == ""
    assert key_figures.last_word(pd.DataFrame({"codec": [None]}), "codec") == ""
