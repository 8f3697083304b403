"""Figures inside of a page: unique ids, the page's colours, text as text, and no more than is shown."""

import re
import xml.etree.ElementTree as ElementTree

from plivo_nb.analysis.figures import CallFigure, axes_or_new
from plivo_nb.analysis.report.svg import colour_properties, inline_svg
from plivo_nb.palette import DARK, PICTURE


def drawn() -> CallFigure:
    figure, ax = axes_or_new(None, 4.0, 3.0)
    ax.plot([0, 1, 2], [3.14159, 2, 1], color=PICTURE.blue, marker="o", label="<alice> & bob")
    ax.legend()
    ax.set_title("at 0.001 s", color=PICTURE.text)
    assert isinstance(figure, CallFigure)
    return figure


def test_it_is_one_element_that_a_reader_can_name() -> None:
    text = inline_svg(drawn(), "a", 'The line of "alice"', lambda text: text.replace("alice", "name 1"))
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" or root.tag == "svg"
    assert (root.get("role"), root.get("aria-label")) == ("img", 'The line of "name 1"')
    assert "alice" not in text
    assert "&lt;name 1&gt; &amp; bob" in text
    assert "at 0.001 s" in text
    assert not re.search(r"<metadata|<!--|<style|<\?xml|DOCTYPE", text)


def test_the_ids_of_two_figures_differ_and_are_all_defined() -> None:
    first, second = (inline_svg(drawn(), key, "a line") for key in "ab")
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0].isdisjoint(ids[1])
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', first))
    assert used
    assert used <= ids[0]


def test_the_same_figure_is_the_same_text() -> None:
    assert inline_svg(drawn(), "a", "a line") == inline_svg(drawn(), "a", "a line")


def test_colours_are_those_of_the_page() -> None:
    text = inline_svg(drawn(), "a", "a line")
    assert "var(--blue)" in text
    assert "var(--text)" in text
    assert PICTURE.blue.lower() not in text.lower()
    assert f"--blue: {DARK.blue};" in colour_properties(dark=True)
    named = set(re.findall(r"var\(--(\w+)\)", text))
    assert named <= set(re.findall(r"--(\w+):", colour_properties()))
