"""Title and time axis of the pictures, and the output that keeps them."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plivo_nb.widgets import stills as stills_module
from plivo_nb.widgets.call_series import CallSeries
from plivo_nb.widgets.stills import Stills, title, window_s


async def test_the_title_says_who_what_and_how_long(client) -> None:
    call = client.answered()
    assert title("echo", CallSeries(), ended=False) == "echo"
    assert title("", CallSeries(), ended=False) == "No call yet"
    call.rows = 75
    series = CallSeries.of_frame(call.samples)
    assert title("echo", series, ended=False) == "echo · OPUS · 1:15"
    ended = title("sip-user-with-a-long-name", series, ended=True)
    assert ended == "sip-user-with… · OPUS · 1:15 · mean MOS 3.83, least 3.46"


def test_the_time_axis_grows_in_steps() -> None:
    assert [window_s(seconds) for seconds in (0, 30, 31, 200, 4000)] == [30, 30, 60, 300, 300]
    assert window_s(4000, whole=True) == 4000


@pytest.fixture
def outputs(monkeypatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    made: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(stills_module, "get_ipython", object)
    for name in ("display", "update_display"):
        monkeypatch.setattr(
            stills_module, name, lambda bundle, **more: made.append((bundle, more["metadata"]["image/png"]))
        )
    return made


def test_a_picture_replaces_the_empty_one_and_has_its_mark_and_text(outputs) -> None:
    stills = Stills()
    stills.make_place()
    stills.keep_again()  # nothing was kept
    stills.png = b"\x89PNG"
    stills.keep()
    (empty, empty_mark), (kept, mark) = outputs
    assert empty["text/plain"] == kept["text/plain"]
    assert base64.b64decode(empty["image/png"]).startswith(b"\x89PNG")
    assert base64.b64decode(kept["image/png"]) == b"\x89PNG"
    assert (empty_mark, mark) == (stills_module.EMPTY_SIZE, stills_module.SIZE)
    stills.keep_again()
    assert outputs[-1][0] == kept
    stills.forget()
    stills.keep_again()
    assert len(outputs) == 3


def test_the_style_sheet_names_the_marks_of_both_pictures() -> None:
    from plivo_nb.widgets.theme import CSS

    for size in (stills_module.SIZE, stills_module.EMPTY_SIZE):
        assert f'[width="{size["width"]}"][height="{size["height"]}"]' in CSS
