"""analysis.importers.source: JSON and gzip that are damaged, numbers and times of any kind."""

from __future__ import annotations

import gzip
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plivo_nb.analysis.importers.source import Source, milliseconds, number, parsed

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=4) | st.lists(JSON, max_size=4))
def test_a_document_cut_off_at_every_byte_gives_what_was_complete(value: object) -> None:
    text = json.dumps(value)
    for end in range(1, len(text)):
        found, read_to = parsed(text[:end])
        assert read_to is not None
        assert read_to <= end
        assert type(found) is type(value)
    assert parsed(text) == (value, None)


def test_what_stands_before_the_damage_is_kept() -> None:
    assert parsed('{"a": [1, 2, 3], "b": {"c": "x]y"}, "d": [4, !]}')[0] == {
        "a": [1, 2, 3], "b": {"c": "x]y"}, "d": [4]
    }  # fmt: skip
    assert parsed('[{"a": 1}, {"b": "un\nended"')[0] == [{"a": 1}, {}]
    assert parsed('{"a": 1} trailing')[0] == {"a": 1}
    assert parsed("!")[0] is None


def test_damaged_lines_are_counted() -> None:
    source = Source("f", b'{"a": 1}\nrubbish\n[2]\n{"b"')
    assert source.lines == [{"a": 1}, [2]]
    source.warn_of_damage(source.lines)
    assert source.warnings == ["2 of 4 lines are no JSON, or cut off, and were left out."]


@pytest.mark.parametrize("keep", [5, 20, 60])
def test_gzip_that_is_cut_off_gives_what_could_be_unpacked(keep: int) -> None:
    text = b"".join(b"%d %d\n" % (n, n * n) for n in range(2000))
    whole = Source("f", gzip.compress(text) + gzip.compress(b"more"))
    assert whole.data == text + b"more"
    cut = Source("f", gzip.compress(text)[:-keep])
    assert text.startswith(cut.data)
    assert "cut off" in cut.warnings[0]
    broken = Source("f", b"\x1f\x8b\x08\x00" + b"\xff" * 40)
    assert "damaged" in broken.warnings[0]


def test_text_may_be_utf_16_or_have_a_byte_order_mark() -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        assert Source("f", '{"a": "é"}'.encode(encoding)).document == {"a": "é"}


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1_700_000_000, 1.7e12),
        (1_700_000_000_000.5, 1.7e12 + 0.5),
        (1_700_000_000_000_000, 1.7e12),
        ("1700000000000", 1.7e12),
        ("2023-11-14T22:13:20Z", 1.7e12),
        ("2023-11-14T22:13:20", 1.7e12),
        (1234.5, 1234.5),
    ],
)
def test_times_are_recognised_by_their_size(value: object, ms: float) -> None:
    assert milliseconds(value) == pytest.approx(ms)


@pytest.mark.parametrize("value", [None, True, [], {}, "x", "", math.inf, 10**400, 1e300, "9" * 5000])
def test_what_is_no_number_is_missing(value: object) -> None:
    assert math.isnan(number(value))
