"""Colours, limits and CSS of the widgets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from plivo_nb.palette import DARK_WIDGETS, LIGHT_WIDGETS, PICTURE, WidgetColours
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

_STYLES = Path(__file__).with_name("styles")
#: One file for each part of the widgets, base.css first.
CSS = "".join(
    file.read_text("utf-8")
    for file in sorted(_STYLES.glob("*.css"), key=lambda file: (file.name != "base.css", file.name))
)
# JupyterLab, Notebook and Voila say which kind of theme they use; VS Code and Colab have other marks.
_DARK_PAGE = ':is([data-jp-theme-light="false"], body.vscode-dark, html[theme="dark"])'
_UNMARKED_PAGE = "body:not([data-jp-theme-light], .vscode-light)"


def variables(colours: WidgetColours) -> str:
    """The CSS variables of these colours, such as ``--plivo-on-colour: ...;``.

    The surface is the notebook's own where it has one. It is light or dark as `colours` are, so the contrast
    of the others on it is kept.
    """
    values = asdict(colours)
    values["surface"] = f"var(--jp-layout-color1, {colours.surface})"
    return " ".join(f"--plivo-{name.replace('_', '-')}: {value};" for name, value in values.items())


def style() -> str:
    """The CSS as a ``<style>`` element, for an HTML widget."""
    light = f"color-scheme: light; {variables(LIGHT_WIDGETS)}"
    inverted = "--plivo-picture-filter: invert(1) hue-rotate(180deg); --plivo-picture-blend: screen;"
    dark = f"color-scheme: dark; {variables(DARK_WIDGETS)} {inverted}"
    themes = [
        f".plivo {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ {_UNMARKED_PAGE} .plivo {{ {dark} }} }}",
        f"{_DARK_PAGE} .plivo {{ {dark} }}",
    ]
    return "<style>" + "\n".join(themes) + f"\n{CSS}</style>"
