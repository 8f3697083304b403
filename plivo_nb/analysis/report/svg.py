"""Figures as SVG inside of an HTML page: its text is text, and its colours follow the page's."""

from __future__ import annotations

import html
import re
from dataclasses import fields
from typing import TYPE_CHECKING

from markupsafe import Markup

from plivo_nb.analysis.figures import CallFigure
from plivo_nb.palette import DARK, LIGHT, Palette

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)
_TEXT = re.compile(r"(<text\b[^>]*>)(.*?)(</text>)", re.DOTALL)
_ID = re.compile(r"""(\bid="|xlink:href="#|url\(#)""")
_SIZE = re.compile(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_NUMBER = re.compile(r"(\d+\.\d{2})\d+")
_FONT = re.compile(r"(font(?:-family)?: [^;\"]*?)'DejaVu Sans'[^;\"]*")
_COLOURS = {getattr(LIGHT, field.name).lower(): field.name for field in fields(Palette)}
_COLOUR = re.compile("|".join(_COLOURS), re.IGNORECASE)


def inline_svg(figure: Figure, key: str, title: str, mask: Callable[[str], str] = str) -> Markup:
    """An SVG element for an HTML page.

    Args:
        figure: a figure in the colours of `palette.LIGHT`.
        key: makes the ids of its elements unique in the page; letters and digits.
        title: what it shows, in a sentence, for readers who do not see it.
        mask: applied to its texts.

    Returns:
        The element. Its colours are the custom properties of `colour_properties`.
    """
    assert isinstance(figure, CallFigure)
    text = _DROPPED.sub("", figure.svg())
    text = text[text.index("<svg") :]
    text = _TEXT.sub(lambda m: m[1] + html.escape(mask(html.unescape(m[2])), quote=False) + m[3], text)
    text = _ID.sub(lambda m: f"{m[1]}{key}-", text)
    text = _TAG.sub(lambda m: _NUMBER.sub(r"\1", m[0]), text)
    text = _COLOUR.sub(lambda m: f"var(--{_COLOURS[m[0].lower()]})", text)
    text = _FONT.sub(r"\1sans-serif", text)
    label = html.escape(mask(title))
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{{}}" role="img" aria-label="{label}">'
    )
    return Markup(_SIZE.sub(lambda m: opening.format(m[1]), text, count=1))


def colour_properties(dark: bool = False) -> Markup:
    """CSS declarations of the colours that `inline_svg` names, of the light or of the dark palette."""
    palette = DARK if dark else LIGHT
    return Markup(" ".join(f"--{field.name}: {getattr(palette, field.name)};" for field in fields(Palette)))
