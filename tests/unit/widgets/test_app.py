"""SideBySide, and what app() refuses. app() itself needs a server: tests/integration/widgets/test_app.py."""

from __future__ import annotations

import ipywidgets as W
import pytest

from plivo_nb.lab import Lab
from plivo_nb.widgets import SideBySide
from plivo_nb.widgets.app import app


async def test_both_widgets_are_in_one_box_that_closes_alone(phone, dashboard, widget_count) -> None:
    before = widget_count()
    below = W.Label("below")
    both = SideBySide(phone, dashboard, below=[below], layout="full")
    assert list(both.widget.children[0].children) == [phone.widget, dashboard.widget]
    assert both.widget.children[1] is below
    assert set(both.widget.children[0]._dom_classes) == {"plivo-app", "plivo-full"}
    assert repr(both) == "<Phone and Dashboard>"
    both.close()
    for widget in (below.layout, below.style, below):
        widget.close()
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


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"lab": Lab(), "password": "secret-word", "username": "bob"}, "a lab, or the password and server"),
        ({"lab": Lab(), "server": "plivo"}, "a lab, or the password and server"),
        ({"password": "secret-word"}, "needs the username"),
        ({"server": "wss://a.example", "registration_domain_socket": ["wss://b.example"]}, "the same"),
        ({"server": "wss://a.example", "registrationDomainSocket": ["wss://b.example"]}, "the same"),
        ({"layout": "wide"}, "'wide' is not one of compact, full"),
    ],
)
async def test_arguments_that_contradict_each_other_are_refused_at_once(given, sentence) -> None:
    with pytest.raises(ValueError, match=sentence) as refused:
        app(**given)
    assert "secret-word" not in str(refused.value)


async def test_the_layout_is_a_class_of_the_style_sheet(phone, dashboard) -> None:
    both = SideBySide(phone, dashboard, layout="full")
    assert set(both.widget._dom_classes) == {"plivo-app", "plivo-full"}
    both.close()
    with pytest.raises(ValueError, match="layout: 'wide' is not one of compact, full"):
        SideBySide(phone, dashboard, layout="wide")  # type: ignore[arg-type]
