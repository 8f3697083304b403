"""The box of a dashboard: panels or pictures, and the line for messages."""

from __future__ import annotations

import ipywidgets as W

from plivo_nb.widgets.dashboard_view import DashboardView


def test_it_displays_panels_or_pictures_and_closes_both(widget_count) -> None:
    before = widget_count()
    quality, panels, probe = W.HTML(), W.HTML(), W.HTML()
    view = DashboardView(quality, panels, probe)
    assert panels in view.box.children
    view.show_panels(live=False)
    assert panels not in view.box.children
    view.show_picture(b"\x89PNG")
    assert any(getattr(child, "value", "") == b"\x89PNG" for child in view.box.children)
    view.close()
    assert widget_count() == before


def test_a_message_is_text_and_never_html() -> None:
    view = DashboardView(W.HTML(), W.HTML(), W.HTML())
    view.show_note("<b>")
    assert view.note_text == "<b>"
    assert "<b>" not in view.note.value
    view.close()
