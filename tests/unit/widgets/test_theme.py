"""The CSS has the classes that the widgets use, and the drawing process gets the limits."""

from __future__ import annotations

import re
from pathlib import Path

from plivo_nb.palette import GOOD_COLOUR
from plivo_nb.quality import limits
from plivo_nb.widgets import theme

VIEWS = Path(theme.__file__).parent


def test_every_class_of_the_css_is_used_by_a_widget() -> None:
    defined = set(re.findall(r"\.(plivo-[a-z]+)", theme.CSS))
    source = "".join(path.read_text("utf-8") for path in VIEWS.glob("*.py"))
    assert defined
    assert {name for name in defined if name not in source} == set()
    assert theme.style().endswith(f"{theme.CSS}</style>")


def test_limits_of_the_figure_are_those_of_quality() -> None:
    assert theme.FIGURE_LIMITS == {
        "jitter": limits.JITTER_LIMIT_MS,
        "rtt": limits.RTT_LIMIT_MS,
        "mos": limits.MOS_LIMIT,
    }


def test_the_style_element_gives_values_to_the_colours() -> None:
    assert f"--plivo-good: {GOOD_COLOUR};" in theme.style()
    assert theme.style().startswith("<style>.plivo {")
