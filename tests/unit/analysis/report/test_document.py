"""The report as a file: complete, masked, escaped and small."""

import html.parser
import re
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.reported_call import PRIVATE, call_set, clip, reported, samples_of

from plivo_nb.analysis.report import document
from plivo_nb.analysis.report.content import reported_calls
from plivo_nb.analysis.report.document import render, thinned, write

REPORT = render([reported()])


class Outline(html.parser.HTMLParser):
    """The headings of a page, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[tuple[str, str]] = []
        self.loaded: list[str] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.loaded += [
            value or "" for name, value in attributes if name in ("src", "href", "srcset", "data")
        ]

    def handle_data(self, data: str) -> None:
        if re.fullmatch(r"h\d", self._open):
            self.headings.append((self._open, data))
        self._open = ""


def test_it_has_all_parts_under_headings_in_order() -> None:
    assert Outline(REPORT).headings == [
        ("h1", "Call with number 1"),
        ("h2", "Summary"),
        ("h3", "Findings"),
        ("h3", "Warnings"),
        ("h3", "Quality over time"),
        ("h3", "Sound"),
        ("h3", "Set-up of the call"),
        ("h3", "SIP messages"),
        ("h2", "Configuration and environment"),
    ]


def test_it_loads_nothing_from_elsewhere() -> None:
    assert all(item.startswith("data:") for item in Outline(REPORT).loaded)
    assert not re.search(r"@import|<script|<link rel=.stylesheet", REPORT)


def test_no_number_address_or_name_is_anywhere_in_it() -> None:
    assert [word for word in PRIVATE if word.casefold() in REPORT.casefold()] == []


def test_without_masking_it_has_them() -> None:
    text = render([reported()], mask=False)
    assert "SIP of the call with +14155550123" in text
    assert "It has numbers, addresses and names." in text


def test_it_is_small_with_a_long_call() -> None:
    minutes = replace(reported(), samples=samples_of(seconds=3600), clip=clip(8.0))
    assert len(render([minutes]).encode()) < 1_200_000


def test_details_that_do_not_fit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "LIMIT_BYTES", 1)
    monkeypatch.setattr(document, "LISTED", 2)
    text = render(reported_calls(call_set(3, seconds=5)))
    assert "The worst calls" in text
    assert "The details of 2 more calls are left out" in text
    assert "1 more calls, with a higher MOS, are not listed" in text


def test_markup_in_a_name_is_text() -> None:
    call = replace(reported(with_clip=False), name="<script>alert(1)</script>", names=(), ladder=None)
    text = render([call], mask=False)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_call_without_samples_says_so() -> None:
    call = replace(reported(with_clip=False), samples=samples_of()[:0], timings={}, facts={}, ladder=None)
    text = render([call])
    assert "The call has no samples" in text
    assert "<svg" not in text


def test_the_set_up_comes_from_the_row_of_the_call_where_no_timings_are_known() -> None:
    assert "call to ringing" in render(reported_calls(call_set(1, seconds=5)))


def test_no_calls_are_refused() -> None:
    with pytest.raises(ValueError, match="no calls to report on"):
        render([])


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "call.html"
    path.write_text("old")
    write(path, reported_calls(call_set(1, seconds=5)))
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert [item.name for item in tmp_path.iterdir()] == ["call.html"]
    with pytest.raises(OSError, match="no such folder"):
        write(tmp_path / "no such folder" / "call.html", reported_calls(call_set(1, seconds=5)))


def test_a_long_call_keeps_its_worst_seconds() -> None:
    samples = samples_of(seconds=3600)
    kept = thinned(samples)
    assert len(kept) <= 400
    assert kept["mos"].min() == samples["mos"].min()
    assert thinned(samples[:400]) is samples[:400] or len(thinned(samples[:400])) == 400
