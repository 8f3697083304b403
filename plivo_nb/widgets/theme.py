"""Colours and CSS of the widgets.

The colours are from the palette of Okabe and Ito, which colour-blind people can distinguish; some are darker
because white text is drawn on them. No information is given by colour alone: there is always a word or a
different line style as well.
"""

from __future__ import annotations

from pathlib import Path

from plivo_nb.quality.limits import JITTER_LIMIT_MS, MOS_LIMIT, RECEIVED_COLOUR, RTT_LIMIT_MS, SENT_COLOUR

FIGURE_COLOURS = {
    "received": RECEIVED_COLOUR,
    "sent": SENT_COLOUR,
    "neutral": "#333333",
    "limit": "#6B6B6B",
}
FIGURE_LIMITS = {"jitter": JITTER_LIMIT_MS, "rtt": RTT_LIMIT_MS, "mos": MOS_LIMIT}

CSS = Path(__file__).with_name("theme.css").read_text("utf-8")


def style() -> str:
    """The CSS as a ``<style>`` element, for an HTML widget."""
    return f"<style>{CSS}</style>"
