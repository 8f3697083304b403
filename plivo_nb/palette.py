"""The colours of pictures and widgets: the only place where they are written.

The hues are those of the palette of Okabe and Ito, which can be distinguished with any colour vision. No
information is given by colour alone: there is always a word, a marker or a line style as well.

`PICTURE` is what all pictures use: of `plivo_nb.analysis`, ladders, the dashboard. For a dark picture, set it
to `DARK`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture, each ``#RRGGBB``.

    Attributes:
        background: behind everything.
        text: titles, labels, main lines.
        muted: remarks and lines of less weight.
        faint: what stays behind the rest.
        grid: grid lines and areas without meaning.
        limit: warning limits.
        blue, vermillion, green, purple, sky, orange, yellow: the hues.
    """

    background: str
    text: str
    muted: str
    faint: str
    grid: str
    limit: str
    blue: str
    vermillion: str
    green: str
    purple: str
    sky: str
    orange: str
    yellow: str

    @property
    def received(self) -> str:
        """The direction from the far end to here."""
        return self.blue

    @property
    def sent(self) -> str:
        """The direction from here to the far end."""
        return self.vermillion

    @property
    def series(self) -> tuple[str, ...]:
        """One colour for each call or line of a picture, in order; those of most contrast first."""
        return (self.blue, self.vermillion, self.green, self.purple, self.sky, self.orange, self.text)


LIGHT = Palette(
    background="#FFFFFF",
    text="#222222",
    muted="#6B6B6B",
    faint="#9A9A9A",
    grid="#D9D9D9",
    limit="#8A1C4A",
    blue="#0072B2",
    vermillion="#D55E00",
    green="#009E73",
    purple="#CC79A7",
    sky="#56B4E9",
    orange="#E69F00",
    yellow="#F0E442",
)
#: The same hues, lighter where they would be hard to see on a dark background.
DARK = Palette(
    background="#1A1D21",
    text="#EDEDED",
    muted="#A8ADB3",
    faint="#7B8087",
    grid="#3A3F45",
    limit="#F08CB5",
    blue="#3FA2E0",
    vermillion="#F07C2B",
    green="#1FBF92",
    purple="#DB9BC0",
    sky="#8CCBF2",
    orange="#EDB035",
    yellow="#F0E442",
)
PICTURE = LIGHT

# Backgrounds of white text in the widgets: the same hues, darker.
GOOD_COLOUR = "#00735A"
FAIR_COLOUR = "#8A6100"
POOR_COLOUR = "#B04A00"
BAD_COLOUR = "#A32020"
UNKNOWN_COLOUR = "#5F6670"


@dataclass(frozen=True, slots=True)
class WidgetColours:
    """The colours of the widgets, each ``#RRGGBB``; the style sheets name them ``--plivo-surface`` and so on.

    Text has a contrast of at least 4.5:1 on `surface` and `raised`, the outline of a control at least 3:1
    (WCAG 2.2, 1.4.3 and 1.4.11).

    Attributes:
        surface: background of a widget.
        raised: background of tiles, keys and buttons on it.
        text, dim: main text; remarks and units.
        border: outline of fields, sliders and buttons.
        line: separators without meaning.
        focus: outline of the control that has the keyboard focus; also links and chosen values.
        good, fair, poor, bad: scores, as text on `surface` or as background of `on_colour`.
        on_colour: text on `good`, `fair`, `poor`, `bad` and `focus`.
        received, sent, grid, limit: of the live panels, as in `Palette`.
    """

    surface: str
    raised: str
    text: str
    dim: str
    border: str
    line: str
    focus: str
    good: str
    fair: str
    poor: str
    bad: str
    on_colour: str
    received: str
    sent: str
    grid: str
    limit: str


LIGHT_WIDGETS = WidgetColours(
    surface="#FFFFFF",
    raised="#F1F4F7",
    text="#1C2733",
    dim="#56616D",
    border="#7C8794",
    line="#D5DBE2",
    focus=LIGHT.blue,
    good=GOOD_COLOUR,
    fair=FAIR_COLOUR,
    poor=POOR_COLOUR,
    bad=BAD_COLOUR,
    on_colour="#FFFFFF",
    received=LIGHT.blue,
    sent="#B84F00",
    grid="#DDE2E8",
    limit=LIGHT.limit,
)
DARK_WIDGETS = WidgetColours(
    surface="#1A1D21",
    raised="#2B2F35",
    text="#ECEFF2",
    dim="#AFB7C0",
    border="#8B95A0",
    line="#454B53",
    focus="#6CB8F0",
    good="#2FC99D",
    fair="#E3B341",
    poor="#F5924C",
    bad="#FF8A80",
    on_colour="#0E1216",
    received="#5AB0EA",
    sent="#F5924C",
    grid="#3C424A",
    limit=DARK.limit,
)
