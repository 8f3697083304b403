"""Colours, limits and CSS of the widgets."""

from __future__ import annotations

from pathlib import Path

from plivo_nb.palette import GOOD_COLOUR, LIGHT, PICTURE, POOR_COLOUR, UNKNOWN_COLOUR
from plivo_nb.quality.limits import JITTER_LIMIT_MS, MOS_LIMIT, RTT_LIMIT_MS

FIGURE_COLOURS = {
    "background": PICTURE.background,
    "text": PICTURE.text,
    "grid": PICTURE.grid,
    "limit": PICTURE.limit,
    "received": PICTURE.received,
    "sent": PICTURE.sent,
}
FIGURE_LIMITS = {"jitter": JITTER_LIMIT_MS, "rtt": RTT_LIMIT_MS, "mos": MOS_LIMIT}

#: Values of ``var(--plivo-...)`` in styles/: colours that the widgets share with pictures and scores.
CSS_COLOURS = {
    "focus": LIGHT.blue,
    "good": GOOD_COLOUR,
    "poor": POOR_COLOUR,
    "dim": UNKNOWN_COLOUR,
}
_STYLES = Path(__file__).with_name("styles")
#: One file for each part of the widgets; base.css is the first in the order of names.
CSS = "".join(file.read_text("utf-8") for file in sorted(_STYLES.glob("*.css")))


def style() -> str:
    """The CSS as a ``<style>`` element, for an HTML widget."""
    colours = " ".join(f"--plivo-{name}: {colour};" for name, colour in CSS_COLOURS.items())
    return f"<style>.plivo {{ {colours} }}\n{CSS}</style>"
