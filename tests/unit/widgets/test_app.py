"""SideBySide. app() itself needs a lab: tests/integration/widgets/test_app.py."""

from __future__ import annotations

import pytest

from plivo_nb.widgets import SideBySide


async def test_both_widgets_are_in_one_box_that_closes_alone(phone, dashboard, widget_count) -> None:
    before = widget_count()
    both = SideBySide(phone, dashboard)
    assert list(both.widget.children) == [phone.widget, dashboard.widget]
    assert repr(both) == "<Phone and Dashboard>"
    both.close()
    assert widget_count() == before
    assert repr(phone) == "<Phone>"


async def test_it_is_displayed_with_the_dashboards_second_output(phone, dashboard, monkeypatch) -> None:
    shown = []
    for module in ("dashboard", "stills"):
        monkeypatch.setattr(
            f"plivo_nb.widgets.{module}.display", lambda bundle, **_: shown.append(bundle["text/plain"])
        )
    both = SideBySide(phone, dashboard)
    both._ipython_display_()
    both.close()
    assert shown == ["<Phone and Dashboard>", "<the last call: jitter, round trip, packet loss and MOS>"]


async def test_the_layout_is_a_class_of_the_style_sheet(phone, dashboard) -> None:
    both = SideBySide(phone, dashboard, layout="full")
    assert set(both.widget._dom_classes) == {"plivo-app", "plivo-full"}
    both.close()
    with pytest.raises(ValueError, match="layout: 'wide' is not one of compact, full"):
        SideBySide(phone, dashboard, layout="wide")  # type: ignore[arg-type]
