"""The CSS has the classes that the widgets use, and the drawing process gets the limits."""

from __future__ import annotations

import re
from pathlib import Path

from plivo_nb.palette import DARK_WIDGETS, LIGHT_WIDGETS
from plivo_nb.quality import limits
from plivo_nb.widgets import theme

VIEWS = Path(theme.__file__).parent


def test_every_class_of_the_css_is_used_by_a_widget() -> None:
    defined = set(re.findall(r"\.(plivo-[a-z-]+)", theme.CSS))
    source = "".join(path.read_text("utf-8") for path in VIEWS.glob("*.[pj]*"))
    assert defined
    assert {name for name in defined if name not in source} == set()
    assert theme.style().endswith(f"{theme.CSS}</style>")


def test_limits_of_the_figure_are_those_of_quality() -> None:
    assert theme.FIGURE_LIMITS == {
        "jitter": limits.JITTER_LIMIT_MS,
        "rtt": limits.RTT_LIMIT_MS,
        "mos": limits.MOS_LIMIT,
    }


def test_the_style_element_gives_values_to_the_colours_for_light_and_dark_pages() -> None:
    style = theme.style()
    assert style.startswith("<style>.plivo {")
    light, dark = style.index(theme.variables(LIGHT_WIDGETS)), style.index(theme.variables(DARK_WIDGETS))
    assert light < style.index("prefers-color-scheme: dark") < dark
    assert style.count(theme.variables(DARK_WIDGETS)) == 2


def test_the_surface_is_that_of_the_notebook() -> None:
    assert f"--plivo-surface: var(--jp-layout-color1, {DARK_WIDGETS.surface});" in theme.style()


def test_no_rule_is_for_elements_outside_the_widgets() -> None:
    rules = re.sub(r"@keyframes[^{]*\{(?:[^{}]*\{[^{}]*\})*\s*\}", "", theme.CSS)
    rules = re.sub(r"/\*.*?\*/|@[^{;]+\{|\((?![^()]*plivo)[^()]*\)", "", rules, flags=re.S)
    selectors = [part.strip() for rule in re.findall(r"([^{}]+)\{", rules) for part in rule.split(",")]
    assert selectors
    assert [selector for selector in selectors if ".plivo" not in selector] == []
