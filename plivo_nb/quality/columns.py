"""What a column of a frame is: its name, type, unit, meaning and source. No pandas here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Kind = Literal["float", "bool", "category", "string", "object", "time"]
_PANDAS: dict[Kind, str] = {
    "float": "float64",
    "bool": "bool",
    "category": "category",
    "string": "str",
    "object": "object",
    "time": "datetime64[us, UTC]",
}
_MISSING: dict[Kind, Any] = {"float": math.nan, "bool": False, "category": "", "string": None}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame.

    Attributes:
        name: snake_case, the unit at the end; Plivo's keys in frames of Plivo's events.
        kind: how it is stored.
        unit: ``""`` where there is none.
        meaning: what it says, in one sentence.
        source: where the number comes from.
        growth_of: the counter (a field of `plivo_nb.quality.counters.Counters`) whose growth in the interval
            it is; ``""`` where it is worked out otherwise.
        age: the column with the age in seconds of the far end's report that the number comes from; ``""``
            where this end measures it.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    source: str
    growth_of: str = ""
    age: str = ""

    @property
    def dtype(self) -> str:
        """The pandas dtype it has in the frame."""
        return _PANDAS[self.kind]


def column(
    unit: str, meaning: str, source: str, *, kind: Kind = "float", growth_of: str = "", age: str = ""
) -> Any:
    """A dataclass field that is a column of a frame, under the field's name; by default missing."""
    about = {
        "kind": kind, "unit": unit, "meaning": meaning, "source": source, "growth_of": growth_of, "age": age,
    }  # fmt: skip
    return field(default=_MISSING[kind], metadata={"column": about})


def columns_of(row_type: type[Any]) -> tuple[Column, ...]:
    """The columns that the fields of a dataclass are, in their order."""
    return tuple(
        Column(item.name, **item.metadata["column"]) for item in fields(row_type) if "column" in item.metadata
    )
