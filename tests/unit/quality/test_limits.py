"""quality.limits: one word for a MOS wherever it is shown, one limit wherever it is used."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from plivo_nb.analysis import call_panels
from plivo_nb.cli.screen import mos_text
from plivo_nb.codec_table import CODECS
from plivo_nb.quality import limits
from plivo_nb.quality.rules import V2_1, Rule
from plivo_nb.widgets import key_figures
from plivo_nb.widgets.quality_view import figures_html
from plivo_nb.widgets.theme import FIGURE_LIMITS


@pytest.mark.parametrize(
    ("mos", "word"),
    [
        (4.5, "excellent"), (4.35, "excellent"), (4.3, "excellent"), (4.299, "good"), (4.0, "good"),
        (3.999, "fair"), (3.6, "fair"), (3.599, "poor"), (3.0, "poor"), (2.999, "bad"), (1.0, "bad"),
        (math.nan, "no figure yet"),
    ],
)  # fmt: skip
def test_a_mos_has_a_word(mos: float, word: str) -> None:
    assert limits.verdict(mos).word == word


@pytest.mark.parametrize("mos", [4.35, 4.1, 3.7, 3.2, 2.0])
def test_terminal_and_widget_use_the_same_word(mos: float) -> None:
    word = limits.verdict(mos).word
    assert word in mos_text(mos)
    columns = key_figures.columns_of(pd.DataFrame({"mos": [mos]}))
    assert word in figures_html(key_figures.current(columns, "OPUS"))


def test_every_codec_has_a_loss_limit() -> None:
    assert {name: limits.loss_limit(name) for name in CODECS} == {"OPUS": 0.10, "PCMU": 0.20, "PCMA": 0.20}
    assert limits.loss_limit(None) == limits.loss_limit("G729") == 0.20


def test_rules_and_pictures_use_the_same_limits() -> None:
    by_type = {rule.type: rule.limit for rule in V2_1 if isinstance(rule, Rule)}
    assert by_type["high_jitter"] == call_panels.JITTER_LIMIT_MS == FIGURE_LIMITS["jitter"] == 30.0
    assert by_type["high_rtt"] == call_panels.RTT_LIMIT_MS == FIGURE_LIMITS["rtt"] == 400.0
    assert by_type["low_mos"] == call_panels.MOS_LIMIT == FIGURE_LIMITS["mos"] == 3.0
    assert by_type["high_packetloss"] == limits.LOSS_LIMITS
