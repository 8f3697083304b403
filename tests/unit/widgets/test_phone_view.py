"""Texts of the phone that do not depend on a client."""

from __future__ import annotations

from pathlib import Path

import pytest

from plivo_nb.events import CallInfo
from plivo_nb.widgets import phone_view
from plivo_nb.widgets.phone_view import clock, peer_of


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (61.9, "1:01"), (3600, "1:00:00"), (36_061, "10:01:01")]
)
def test_clock(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_the_peer_is_the_other_side() -> None:
    assert peer_of(CallInfo("1", "OUTGOING", "sip:alice@x", "sip:bob@phone.plivo.com", "ringing")) == "bob"
    assert peer_of(CallInfo("1", "INCOMING", "bob", "sip:alice@x", "ringing")) == "bob"


def test_no_live_region_stands_inside_text_that_is_replaced() -> None:
    for path in Path(phone_view.__file__).parent.glob("*.py"):
        assert 'role="status"' not in path.read_text("utf-8"), path.name
    region = phone_view.live_region()
    assert "plivo-region" in region._dom_classes
    phone_view.close_tree(region)
