"""Tiles with the key figures of a call, and a banner for its warnings. Heights are fixed.

This module has no access to the client: it displays the values that it is given.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.palette import BAD_COLOUR, FAIR_COLOUR, GOOD_COLOUR, POOR_COLOUR
from plivo_nb.widgets import key_figures
from plivo_nb.widgets.phone_view import clock, close_tree, live_region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from plivo_nb.widgets.key_figures import KeyFigures, Tile
    from plivo_nb.widgets.plain_warnings import WarningSpan

#: The names of the scores' colours in the style sheets, which differ by theme.
_COLOUR_NAMES = {GOOD_COLOUR: "good", FAIR_COLOUR: "fair", POOR_COLOUR: "poor", BAD_COLOUR: "bad"}
NO_CALL = "No call yet."
NO_WARNING = "No problem found."


class QualityView:
    """Tiles and banner, with one method for each value displayed.

    Attributes:
        widget: the ipywidgets box.
        sentence: the text of the banner, for tests and for screen readers.
    """

    def __init__(self) -> None:
        self._banner, self._list = W.HTML(), W.HTML()
        self._announced, self._tiles = live_region(), W.HTML()
        self._more = W.Button(description="", tooltip="Show the other warnings", disabled=True)
        self._unfolded = False
        self._more.on_click(lambda _button: self._unfold(not self._unfolded))
        self._others = 0
        for part, name in (
            (self._banner, "plivo-banner"), (self._list, "plivo-warnings"), (self._more, "plivo-more"),
            (self._announced, "plivo-announced"), (self._tiles, "plivo-tiles"),
        ):  # fmt: skip
            part.add_class(name)
        self._list.layout.visibility = "hidden"
        bar = W.HBox([self._banner, self._more], layout=W.Layout(width="100%"))
        bar.add_class("plivo-bar")
        self.widget: Any = W.VBox([bar, self._list, self._tiles, self._announced])
        self.widget.add_class("plivo-quality")
        self.sentence = ""
        self.show_figures(key_figures.nothing())
        self.show_sentence(NO_CALL)

    def show_figures(self, figures: KeyFigures) -> None:
        """Display the figures in the tiles."""
        self._tiles.value = figures_html(figures)

    def show_warnings(
        self, warnings: Sequence[WarningSpan], recent: Mapping[str, NDArray[np.float64]] | None = None
    ) -> None:
        """Display the worst warning, and how many more there are.

        Args:
            warnings: the worst first; without any, the banner says that no problem was found.
            recent: the last samples, for how much; by default the values of the events.
        """
        if not warnings:
            self.show_sentence(NO_WARNING, good=True)
            return
        self._banner.value = _warning_html(warnings[0], recent)
        self.sentence = _sentence(warnings[0], recent)
        # Without the numbers, so that a screen reader does not speak every second.
        self._announce(". ".join(warning.words.what for warning in warnings) + ".")
        self._show_others(warnings[1:], recent)

    def show_sentence(self, sentence: str, *, good: bool = False) -> None:
        """Display a sentence in the banner instead of warnings.

        Args:
            sentence: plain text.
            good: mark it as good news.
        """
        kind = "plivo-calm plivo-fine" if good else "plivo-calm"
        text = html.escape(sentence)
        self._banner.value = (
            f'<div class="{kind}"><i></i><div class="plivo-says" title="{text}">{text}</div></div>'
        )
        self.sentence = sentence
        self._announce("" if good else sentence)
        self._show_others((), None)

    def close(self) -> None:
        """Close every widget in the page and in the kernel."""
        close_tree(self.widget)

    def _announce(self, text: str) -> None:
        self._announced.value = html.escape(text)

    def _show_others(
        self, warnings: Sequence[WarningSpan], recent: Mapping[str, NDArray[np.float64]] | None
    ) -> None:
        self._others = len(warnings)
        self._list.value = "".join(_warning_html(warning, recent) for warning in warnings)
        self._more.disabled = not warnings
        self._unfold(self._unfolded and bool(warnings))

    def _unfold(self, unfolded: bool) -> None:
        self._unfolded = unfolded
        self._list.layout.visibility = "visible" if unfolded else "hidden"
        self._more.description = "Fold" if unfolded else f"+{self._others} more" if self._others else ""
        (self._more.add_class if self._others else self._more.remove_class)("plivo-some")


def _sentence(warning: WarningSpan, recent: Mapping[str, NDArray[np.float64]] | None) -> str:
    amount = warning.amount(recent)
    parts = [warning.words.what, *([amount] if amount else []), f"since {clock(warning.since_s)}"]
    return f"{' · '.join(parts)} · {warning.words.helps}"


def _warning_html(warning: WarningSpan, recent: Mapping[str, NDArray[np.float64]] | None) -> str:
    amount = html.escape(warning.amount(recent))
    much = f" · <span>{amount}</span>" if amount else ""
    title = html.escape(_sentence(warning, recent))
    return (
        f'<div class="plivo-warns" title="{title}"><i></i><div class="plivo-says">'
        f"<div><b>{html.escape(warning.words.what)}</b>{much} · since {clock(warning.since_s)}</div>"
        f"<div>{html.escape(warning.words.helps)}</div></div></div>"
    )


def figures_html(figures: KeyFigures) -> str:
    """The tiles as HTML.

    Args:
        figures: of this moment, of a whole call, or none.
    """
    mos = figures.mos
    state = " plivo-outage" if figures.dead else ""
    colour = _COLOUR_NAMES.get(figures.verdict.colour)
    scored = f' plivo-scored" style="background-color:var(--plivo-{colour})' if colour else ""
    first = (
        f'<div class="plivo-tile plivo-mos{scored}">'
        f'<span>{mos.name}</span><b>{mos.value}</b><span class="plivo-word">{html.escape(mos.detail)}</span>'
        f"<span>{html.escape(mos.more)}</span></div>"
    )
    others = "".join(_tile_html(tile) for tile in figures.tiles)
    return f'<div class="plivo-figures{state}" role="group" aria-label="Call quality">{first}{others}</div>'


def _tile_html(tile: Tile) -> str:
    unit = f"<small>{tile.unit}</small>" if tile.unit and tile.value != "–" else ""
    details = "".join(f"<span>{html.escape(text)}</span>" for text in (tile.detail, tile.more))
    value = f"<b>{html.escape(tile.value)}{unit}</b>"
    return f'<div class="plivo-tile"><span>{tile.name}</span>{value}{details}</div>'
