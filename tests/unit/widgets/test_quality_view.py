"""The banner and the tiles as HTML: the worst first, the rest folded, and nothing unescaped."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from plivo_nb.widgets import key_figures
from plivo_nb.widgets.plain_warnings import WarningSpan
from plivo_nb.widgets.quality_view import NO_CALL, NO_WARNING, QualityView, figures_html

LOSS = WarningSpan("high_packetloss", "remote", "packetLossRemoteMeasure", 0.121, 41.0)
JITTER = WarningSpan("high_jitter", "local", "jitterLocalMeasures", 45.0, 50.0)
EVIL = WarningSpan("<script>_x", "None", "", "<b>bad</b>", 3.0)


@pytest.fixture
def view():
    view = QualityView()
    yield view
    view.close()


def text(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def test_the_worst_warning_is_a_sentence_and_the_others_unfold(view) -> None:
    view.show_warnings([LOSS, JITTER])
    assert text(view._banner.value) == (
        "Packets are lost on the way to you · 12 % · since 0:41 "
        "Use a cable instead of Wi-Fi, and pause downloads, uploads and VPN."
    )
    assert view.sentence.startswith("Packets are lost on the way to you · 12 % · since 0:41 · Use a cable")
    assert (view._more.description, view._more.disabled) == ("+1 more", False)
    assert view._list.layout.visibility == "hidden"
    view._more.click()
    assert (view._more.description, view._list.layout.visibility) == ("Fold", "visible")
    assert "Packets from you arrive unevenly · 45 ms · since 0:50" in text(view._list.value)
    view.show_warnings([LOSS, JITTER])
    assert view._list.layout.visibility == "visible"  # it does not fold by itself while there is something
    view.show_warnings([LOSS])
    assert (view._more.description, view._list.layout.visibility) == ("", "hidden")
    assert view._more.disabled


def test_the_amount_follows_the_samples_but_is_not_announced_again(view) -> None:
    view.show_warnings([LOSS], {"loss_in": np.array([0.31])})
    assert "31 %" in view.sentence
    announced = view._announced.value
    assert announced == "Packets are lost on the way to you."
    view.show_warnings([LOSS], {"loss_in": np.array([0.22])})
    assert "22 %" in view.sentence
    assert view._announced.value == announced


def test_without_a_warning_it_says_so(view) -> None:
    assert view.sentence == NO_CALL
    view.show_warnings([LOSS])
    view.show_warnings([])
    assert view.sentence == NO_WARNING
    assert "plivo-fine" in view._banner.value
    assert view._announced.value == ""
    view.show_sentence("The call was <not> answered.")
    assert "&lt;not&gt;" in view._banner.value
    assert view._announced.value == "The call was &lt;not&gt; answered."


def test_what_comes_from_the_network_is_escaped(view) -> None:
    view.show_warnings([LOSS, EVIL])
    assert "<script>" not in view._list.value + view._announced.value
    assert "<b>bad" not in view._list.value


def test_tiles_name_what_they_show() -> None:
    html = figures_html(key_figures.nothing())
    assert html.count('class="plivo-tile') == 6
    assert 'aria-label="Call quality"' in html
    assert "plivo-outage" not in html
    assert "<small>" not in html
    dead = key_figures.columns_of(pd.DataFrame({"loss_in": [1.0], "mos": [1.0], "rtt_ms": [60.0]}))
    shown = figures_html(key_figures.current(dead, "<i>"))
    assert "plivo-outage" in shown
    assert "var(--plivo-bad)" in shown
    assert "round trip 60 ms there and back" in text(shown)
    assert "<i>" not in shown


def test_close_leaves_no_widget(widget_count) -> None:
    before = widget_count()
    view = QualityView()
    assert widget_count() > before
    view.close()
    assert widget_count() == before
