"""Colours and CSS of the widgets.

The colours are from the palette of Okabe and Ito, which colour-blind people can distinguish; some are darker
because white text is drawn on them. No information is given by colour alone: there is always a word or a
different line style as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RECEIVED = "#0072B2"  # blue, solid line
SENT = "#D55E00"  # vermillion, dashed line
NEUTRAL = "#333333"
LIMIT = "#6B6B6B"
GOOD = "#00735A"  # bluish green, dark enough for white text
MIDDLING = "#8A6100"
WORSE = "#B04A00"
NOTHING = "#5F6670"

FIGURE_COLOURS = {"received": RECEIVED, "sent": SENT, "neutral": NEUTRAL, "limit": LIMIT}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A MOS in a word and a colour."""

    word: str
    colour: str


# The steps of G.107's table B.1 (user satisfaction), with the low_mos limit of mediaMetrics as the last one.
_VERDICTS = (
    (4.3, Verdict("excellent", GOOD)),
    (4.0, Verdict("good", GOOD)),
    (3.6, Verdict("fair", MIDDLING)),
    (3.0, Verdict("poor", WORSE)),
)
_BAD = Verdict("bad", "#A32020")
_NO_VERDICT = Verdict("no figure yet", NOTHING)


def verdict(mos: float) -> Verdict:
    """The word and colour of a MOS (1 .. 4.5); NaN gives "no figure yet"."""
    if mos != mos:
        return _NO_VERDICT
    for least, found in _VERDICTS:
        if mos >= least:
            return found
    return _BAD


CSS = Path(__file__).with_name("theme.css").read_text("utf-8")


def style() -> str:
    """The CSS as a ``<style>`` element, for an HTML widget."""
    return f"<style>{CSS}</style>"
