"""Colours, words and CSS of the widgets.

The colours are those of Okabe and Ito's palette for the colour-blind, darkened where white text stands on
them; nothing is told by colour alone: there is always a word, or another kind of line.
"""

from __future__ import annotations

from pathlib import Path

from plivo_nb.quality.limits import (
    FAIR_COLOUR,
    GOOD_COLOUR,
    JITTER_LIMIT_MS,
    MOS_LIMIT,
    POOR_COLOUR,
    RECEIVED_COLOUR,
    RTT_LIMIT_MS,
    SENT_COLOUR,
    UNKNOWN_COLOUR,
)

RECEIVED = RECEIVED_COLOUR  # solid line
SENT = SENT_COLOUR  # dashed line
NEUTRAL = "#333333"
LIMIT = "#6B6B6B"
GOOD, MIDDLING, WORSE, NOTHING = GOOD_COLOUR, FAIR_COLOUR, POOR_COLOUR, UNKNOWN_COLOUR

FIGURE_COLOURS = {"received": RECEIVED, "sent": SENT, "neutral": NEUTRAL, "limit": LIMIT}
FIGURE_LIMITS = {"jitter": JITTER_LIMIT_MS, "rtt": RTT_LIMIT_MS, "mos": MOS_LIMIT}

CSS = Path(__file__).with_name("theme.css").read_text("utf-8")


def style() -> str:
    """The CSS as an element, for an HTML widget."""
    return f"<style>{CSS}</style>"
