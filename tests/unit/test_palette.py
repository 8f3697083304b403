"""plivo_nb.palette: colours stand in one place, can be read, and one line makes every picture dark."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from plivo_nb import palette
from plivo_nb.widgets import theme

PACKAGE = Path(palette.__file__).parent
HEX = re.compile(r"#[0-9A-Fa-f]{6}\b")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio (WCAG 2.1), 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_no_other_module_holds_a_colour() -> None:
    sources = [path for path in PACKAGE.rglob("*.py") if path.name != "palette.py"]
    found = {str(path.relative_to(PACKAGE)): HEX.findall(path.read_text("utf-8")) for path in sources}
    assert len(sources) > 100
    assert {name: colours for name, colours in found.items() if colours} == {}


def test_the_css_holds_no_colour_and_knows_each_variable() -> None:
    assert re.findall(r"#[0-9A-Fa-f]{3,6}\b(?=[^{}]*})", theme.CSS) == []
    used = set(re.findall(r"var\((--plivo-[a-z0-9-]+)", theme.CSS))
    assert used <= set(re.findall(r"(--plivo-[a-z0-9-]+):", theme.style()))


@pytest.mark.parametrize("colours", [palette.LIGHT_WIDGETS, palette.DARK_WIDGETS], ids=["light", "dark"])
def test_widgets_can_be_read_and_their_controls_be_seen(colours: palette.WidgetColours) -> None:
    # the surfaces of JupyterLab's own themes beside ours
    themes = ["#FFFFFF"] if colours is palette.LIGHT_WIDGETS else ["#000000", "#111111", "#212121"]
    for background in (colours.surface, colours.raised, *themes):
        for name in ("text", "dim", "focus", "good", "fair", "poor", "bad", "received", "sent", "limit"):
            assert contrast(getattr(colours, name), background) >= 4.5, (name, background)
        assert contrast(colours.border, background) >= 3, background
    for name in ("focus", "good", "fair", "poor", "bad"):
        assert contrast(colours.on_colour, getattr(colours, name)) >= 4.5, name


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_text_can_be_read_and_lines_can_be_seen(colours: palette.Palette) -> None:
    for name in ("text", "muted", "limit"):
        assert contrast(getattr(colours, name), colours.background) >= 4.5, name
    for name in ("faint", "blue", "vermillion", "green"):
        assert contrast(getattr(colours, name), colours.background) >= 2.8, name
    assert len(set(asdict(colours).values())) == len(asdict(colours))
    assert len(set(colours.series)) == 7


def test_white_text_can_be_read_on_the_colours_of_scores() -> None:
    names = ("GOOD_COLOUR", "FAIR_COLOUR", "POOR_COLOUR", "BAD_COLOUR", "UNKNOWN_COLOUR")
    assert all(contrast(getattr(palette, name), "#FFFFFF") >= 4.5 for name in names)


DRAW = """
import io
from types import SimpleNamespace
import numpy as np, pandas as pd
from plivo_nb import palette
palette.PICTURE = palette.DARK
from plivo_nb.analysis import plots
from plivo_nb.analysis.ladder import Ladder
from plivo_nb.quality.frames import SAMPLES, ColumnStore
from plivo_nb.widgets import figure
from plivo_nb.widgets.theme import FIGURE_COLOURS, FIGURE_LIMITS
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.text import Text
store = ColumnStore(SAMPLES)
for second in range(1, 9):
    store.append(second * 10**9, codec="OPUS", call_uuid="ab"[second // 5], mos=4.0,
                 loss_in=0.01, jitter_in_ms=30.0, rtt_ms=400.0, loop_lag_ms=5.0)
samples = store.frame()
timings = {"dialled": 10.0, "invite_sent": 10.02, "ringing": 10.3, "answered": 12.0}
live = figure.LiveFigure(FIGURE_COLOURS, FIGURE_LIMITS)
message = SimpleNamespace(time_monotonic_s=1.0, direction="out", start="INVITE", cseq="1 INVITE", call="a")
drawn = [
    Ladder([message], timings={"first_rtp_sent": 2.0}).figure(), plots.call_figure(samples),
    plots.compare(samples), plots.distribution(samples), plots.setup_timeline(timings),
    plots.mos_breakdown(samples), live._figure,
]
for one in drawn:
    one.savefig(io.BytesIO(), format="png")
    print("background", to_hex(one.get_facecolor()))
    hidden = {id(part) for axes in one.findobj(Axes) if not axes.axison
              for axis in (axes.xaxis, axes.yaxis) for part in axis.findobj()}
    for part in one.findobj(lambda artist: isinstance(artist, (Text, Line2D)) and id(artist) not in hidden):
        if part.get_visible() and (isinstance(part, Text) and part.get_text() or isinstance(part, Line2D)):
            print("ink", to_hex(part.get_color()))
    for axes in one.findobj(lambda artist: isinstance(artist, Axes) and artist.axison):
        print("background", to_hex(axes.get_facecolor()))
"""


def test_one_line_makes_every_picture_dark() -> None:
    done = subprocess.run([sys.executable, "-c", DRAW], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    inks: dict[str, set[str]] = {"background": set(), "ink": set()}
    for line in done.stdout.splitlines():
        kind, colour = line.split()
        inks[kind].add(colour.upper())
    assert inks["background"] == {palette.DARK.background}
    assert inks["ink"] <= set(asdict(palette.DARK).values())
    assert palette.DARK.text in inks["ink"]


def test_widgets_use_the_palette_of_pictures() -> None:
    assert theme.FIGURE_COLOURS["background"] == palette.PICTURE.background
    assert theme.FIGURE_COLOURS["received"] == palette.PICTURE.blue
    assert theme.FIGURE_COLOURS["sent"] == palette.PICTURE.vermillion
