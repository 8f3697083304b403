"""quality.columns: a dataclass field that is a column of a frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

from plivo_nb.quality.columns import Column, column, columns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    at: int
    delay_ms: float = column("ms", "How long it took", "clock", growth_of="delay_s")
    word: str = column("", "What was said", "ear", kind="category")
    muted: bool = column("", "Whether it was muted", "mute()", kind="bool")


def test_the_fields_made_by_column_are_the_columns() -> None:
    assert columns_of(Row) == (
        Column("delay_ms", "float", "ms", "How long it took", "clock", "delay_s"),
        Column("word", "category", "", "What was said", "ear"),
        Column("muted", "bool", "", "Whether it was muted", "mute()"),
    )


def test_a_column_is_missing_until_it_is_given() -> None:
    row = Row(at=1)
    assert math.isnan(row.delay_ms)
    assert (row.word, row.muted) == ("", False)


def test_a_column_has_a_pandas_type() -> None:
    assert [item.dtype for item in columns_of(Row)] == ["float64", "category", "bool"]
